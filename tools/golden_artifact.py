"""Write the small artifact that every later release must still load and answer: ``tests/golden/artifacts/v<format>``.

python tools/golden_artifact.py            # after a change of the format version; never twice for one version
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.saved_model import FORMAT_VERSION, ServingFunction, save

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden" / "artifacts"

CITIES = ["Berlin", "Zürich", "東京", ""]


def prefix() -> HostGraph:
    """Return a graph of a number, an optional number and a string, which also prepares a label."""
    return HostGraph(
        [
            HostInput(TensorSpec([None], "float64", "amount")),
            HostInput(TensorSpec([None], "float64", "age"), optional=True),
            HostInput(TensorSpec([None], "string", "city")),
            HostInput(TensorSpec([None], "int64", "label")),
        ],
        [
            HostNode("Cast", "amount_32", ("amount",), {"dtype": "float32"}),
            HostNode("Const", "no_age", (), {"value": 40.0, "dtype": "float64"}),
            HostNode("FillMissing", "age_filled", ("age", "no_age")),
            HostNode("Cast", "age_32", ("age_filled",), {"dtype": "float32"}),
            HostNode("LookupTableFindV2", "city_id", ("city",), {"asset": "cities.txt", "num_oov_buckets": 2}),
        ],
        {"amount": "amount_32", "age": "age_32", "city": "city_id", "label": "label"},
        {"cities.txt": "\n".join(CITIES[:3]).encode() + b"\n"},
    )


def suffix() -> HostGraph:
    """Return a graph that names the best class and passes the scores on."""
    return HostGraph(
        [HostInput(TensorSpec([None, 3], "float32", "scores"))],
        [
            HostNode("ArgMax", "best", ("scores",)),
            HostNode("Gather", "name", ("best",), {"asset": "classes.txt", "dtype": "string"}),
        ],
        {"label": "name", "scores": "scores"},
        {"classes.txt": "no\nmaybe\nçok\n".encode()},
    )


def weights() -> dict[str, Any]:
    """Return seeded weights, one of which no signature uses."""
    random = np.random.default_rng(7)
    shapes = {"city/table": (5, 4), "dense/kernel": (6, 3), "dense/bias": (3,), "unused": (9,)}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def scores(weights: Any, inputs: Any) -> Any:
    """Return class scores, by operations that have kept changing form between versions of StableHLO."""
    import jax
    import jax.numpy as jnp

    table = jnp.take(weights["city/table"], inputs["city"], axis=0)
    features = jnp.concatenate([inputs["amount"][:, None] / 100.0, inputs["age"][:, None] / 50.0, table], axis=1)
    hidden = jax.nn.gelu(features, approximate=False) @ weights["dense/kernel"] + weights["dense/bias"]
    best, _ = jax.lax.top_k(hidden, 2)
    return {"scores": jax.nn.softmax(hidden), "margin": best[:, 0] - best[:, 1]}


def functions() -> dict[str, ServingFunction]:
    """Return the signatures of the artifact."""
    inputs = (TensorSpec([None], "float32", "amount"), TensorSpec([None], "float32", "age"))
    whole = ServingFunction(scores, (*inputs, TensorSpec([None], "int64", "city")), weights(), prefix(), suffix())
    return {"serving_default": whole, "transform_features": ServingFunction(None, prefix=whole.prefix)}


def rows() -> dict[str, Any]:
    """Return raw rows with missing values, unseen categories and scripts other than Latin."""
    return {
        "amount": [12.5, -3.0, 1e6, 0.1, 7.25],
        "age": [31.0, None, 70.5, None, 0.0],
        "city": ["Berlin", "東京", "Atlantis", "Zürich", ""],
    }


def write(folder: Path) -> None:
    """Write the artifact to `folder`."""
    save(functions(), folder, golden=rows(), sidecars={"schema.pbtxt": b""}, provenance={"purpose": "longevity"})


def module() -> Any:
    """Return a module with functions of several forms, nested parts and variables."""
    import mainstay as tf

    class Encoder(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(weights()["dense/kernel"])

        @tf.function(input_signature=[TensorSpec([None, 6])])  # type: ignore[untyped-decorator]
        def encode(self, x: Any) -> Any:
            return tf.ops.softmax(x @ self.kernel)

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = Encoder()
            self.offsets = [tf.Variable([1.0, 2.0, 3.0], trainable=False)]

        @tf.function
        def several(self, x: Any, scale: float = 2.0) -> Any:
            return x * scale, [x + self.offsets[0], {"sum": x.sum()}]

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[TensorSpec([None, 3], name="matrix"), TensorSpec([], "int32", name="number")]
        )
        def exact(self, matrix: Any, number: Any) -> Any:
            return {"centred": matrix - tf.ops.mean(matrix, axis=0), "next": number + 1}

    model = Model()
    model.several.get_concrete_function(TensorSpec([None, 3]))
    model.several.get_concrete_function(TensorSpec([3]), scale=3.0)
    return model


def write_module(folder: Path) -> None:
    """Write an artifact with everything that the format has had since its second version to `folder`."""
    model = module()
    whole = functions()["serving_default"]
    signatures = {"serving_default": replace(whole, method="classify"), "exact": model.exact}
    golden = {**rows(), "matrix": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "number": 41}
    save(model, folder, signatures, golden=golden, assets={"notes.txt": b"kept\n"}, provenance={"purpose": "longevity"})


if __name__ == "__main__":
    write_module(FOLDER / f"v{FORMAT_VERSION}")
    sys.stdout.write(f"{FOLDER / f'v{FORMAT_VERSION}'}\n")
