"""Models of many kinds that Mainstay saves, and requests for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from host_operations import ROWS, every_operation

from mainstay.core import TensorSpec, message_class
from mainstay.framework import Module, Variable, function
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.saved_model import ServingFunction

RNG = np.random.default_rng(5)


@dataclass
class Written:
    """A model to save, and what to ask it."""

    obj: Any
    requests: Mapping[str, list[Mapping[str, Any]]]
    form: str | None = "ops"
    options: Mapping[str, Any] = field(default_factory=dict)


MODELS: dict[str, Callable[[], Written]] = {}


def model(build: Callable[[], Written]) -> Callable[[], Written]:
    """Register a model."""
    MODELS[build.__name__] = build
    return build


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Random numbers."""
    return RNG.normal(size=shape).astype(dtype)


def batches(name: str, *shape: int) -> list[Mapping[str, Any]]:
    """Requests of one row and of five."""
    return [{name: normal(rows, *shape)} for rows in (1, 5)]


def _dense() -> Any:
    from mainstay import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = keras.Input((8,), name="x")
    hidden = layers.LayerNormalization()(layers.Dense(32, activation="gelu")(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="probabilities")(hidden))


@model
def mlp() -> Written:
    return Written(_dense(), {"serving_default": batches("x", 8)})


@model
def mlp_as_one_call() -> Written:
    return Written(_dense(), {"serving_default": batches("x", 8)}, "xla", {"tensorflow": "xla"})


@model
def cnn() -> Written:
    from mainstay import keras

    keras.utils.set_random_seed(2)
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(12, 3, padding="same", activation="relu"),
            layers.Conv2DTranspose(6, 3, strides=2, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    for variable in net.non_trainable_variables:
        if variable.ndim:
            variable.assign(np.abs(normal(*variable.shape)) + 0.5)
    return Written(net, {"serving_default": batches("image", 28, 28, 1)}, options={})


@model
def sequence() -> Written:
    """Two free axes, a loop and integers."""
    from mainstay import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    states = layers.GRU(6, return_sequences=True)(layers.Embedding(20, 5)(tokens))
    net = keras.Model(tokens, layers.Dense(2, name="logits")(layers.GlobalMaxPooling1D()(states)))
    requests = [{"tokens": RNG.integers(0, 20, shape).astype(np.int32)} for shape in ((1, 7), (4, 3))]
    return Written(net, {"serving_default": requests})


@model
def short_weights() -> Written:
    """Weights of every short dtype, and one that no program takes."""
    weights = {
        "bf16/kernel": normal(4, 3, dtype=ml_dtypes.bfloat16),
        "half": normal(3, dtype=np.float16),
        "bytes": RNG.integers(0, 9, 3).astype(np.uint8),
        "flags": np.array([True, False, True]),
        "ints.of/width": np.arange(3, dtype=np.int32),
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 3), np.float32),
    }

    def serve(w: Mapping[str, jax.Array], x: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
        y = x["x"].astype(jnp.bfloat16) @ w["bf16/kernel"]
        y = y.astype(jnp.float32) * w["half"].astype(jnp.float32) + w["bytes"].astype(jnp.float32)
        y = jnp.where(w["flags"], y, -y) * w["scalar"] + w["ints.of/width"] + w["empty"].sum()
        return {"y": y}

    served = ServingFunction(serve, (TensorSpec([None, 4], "float32", "x"),), weights, tolerance=1e-2)
    options = {"tensors": {"optimizer/step": np.int64(7), "eighth": np.arange(3).astype(ml_dtypes.float8_e4m3fn)}}
    return Written(served, {"serving_default": batches("x", 4)}, options=options)


@model
def rare_weights() -> Written:
    """Weights that plain operations cannot take."""
    dtypes = {
        "f8": ml_dtypes.float8_e4m3fn, "other_f8": ml_dtypes.float8_e5m2, "u32": np.uint32, "complex": np.complex64,
    }  # fmt: skip
    weights = {name: np.arange(3).astype(dtype) for name, dtype in dtypes.items()}

    def serve(w: Mapping[str, jax.Array], x: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
        return {"y": x["x"] + sum(w[name].real.astype(jnp.float32) for name in weights)}

    served = ServingFunction(serve, (TensorSpec([None, 3], "float32", "x"),), weights)
    return Written(served, {"serving_default": batches("x", 3)}, "xla")


@model
def odd_names() -> Written:
    """Inputs whose names are no names of parameters, or sort otherwise than those that they get."""
    names = ["age (years)", "größe", "1st", "class", "a-b", "x y", "age_years"]

    def serve(w: Mapping[str, jax.Array], x: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
        return {f"out {name}": x[name] * (place + 1.0) for place, name in enumerate(names)}

    served = ServingFunction(serve, tuple(TensorSpec([None], "float32", name) for name in names))
    requests = [{name: normal(rows) for name in names} for rows in (1, 2)]
    return Written(served, {"serving_default": requests})


def _text_graphs() -> tuple[HostGraph, HostGraph]:
    def column(name: str, dtype: str, *, optional: bool = False) -> HostInput:
        return HostInput(TensorSpec([None], dtype, name), optional)

    nodes = [
        HostNode("StringLower", "lower", ("company",), {"encoding": "utf-8"}),
        HostNode("LookupTableFindV2", "company_id", ("lower",), {"asset": "companies.txt", "num_oov_buckets": 2}),
        HostNode("Const", "unknown", (), {"dtype": "string", "value": "?"}),
        HostNode("FillMissing", "paid", ("payment", "unknown")),
        HostNode("StringToHashBucketFast", "payment_id", ("paid",), {"num_buckets": 10}),
        HostNode("Const", "zero", (), {"dtype": "float32", "value": 0.0}),
        HostNode("FillMissing", "miles_there", ("miles", "zero")),
        HostNode("Log1p", "log_miles", ("miles_there",)),
        HostNode("Const", "nobody", (), {"dtype": "int64", "value": 1}),
        HostNode("FillMissing", "people", ("passengers", "nobody")),
        HostNode("DecodeTimestamp", "moment", ("pickup",)),
        HostNode("Const", "hour", (), {"dtype": "int64", "value": 3_600_000_000}),
        HostNode("FloorDiv", "hours", ("moment", "hour")),
        HostNode("Const", "day", (), {"dtype": "int64", "value": 24}),
        HostNode("FloorMod", "hour_of_day", ("hours", "day")),
    ]
    prefix = HostGraph(
        [
            column("company", "string"),
            column("payment", "string", optional=True),
            column("miles", "float32", optional=True),
            column("passengers", "int64", optional=True),
            column("pickup", "string"),
        ],
        nodes,
        {name: name for name in ("company_id", "payment_id", "log_miles", "people", "hour_of_day")},
        {"companies.txt": "flash cab\ntaxi affiliation\nzürich täxi\n".encode()},
    )
    suffix = HostGraph(
        [HostInput(TensorSpec([None, 2], "float32", "scores"))],
        [
            HostNode("ArgMax", "winner", ("scores",)),
            HostNode("Gather", "label", ("winner",), {"asset": "labels.txt"}),
        ],
        {"scores": "scores", "label": "label"},
        {"labels.txt": b"no tip\nbig tip\n"},
    )
    return prefix, suffix


@model
def text() -> Written:
    """Strings, a vocabulary, missing values and timestamps in front, labels behind."""
    prefix, suffix = _text_graphs()
    weights = {
        "company/embedding": normal(5, 4, dtype=ml_dtypes.bfloat16),
        "payment/embedding": normal(10, 2),
        "w": normal(9, 2),
    }

    def serve(w: Mapping[str, jax.Array], x: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
        company = w["company/embedding"][x["company_id"]].astype(jnp.float32)
        rest = [x["log_miles"], x["people"].astype(jnp.float32), x["hour_of_day"].astype(jnp.float32) / 24]
        features = jnp.concatenate([company, w["payment/embedding"][x["payment_id"]], jnp.stack(rest, 1)], 1)
        return {"scores": jax.nn.softmax(features @ w["w"])}

    specs = tuple(
        TensorSpec([None], dtype, name)
        for name, dtype in (
            ("company_id", "int64"), ("payment_id", "int64"), ("log_miles", "float32"), ("people", "int64"),
            ("hour_of_day", "int64"),
        )
    )  # fmt: skip
    served = ServingFunction(serve, specs, weights, prefix, suffix, tolerance=1e-5)
    every = {
        "company": ["Flash Cab", "ZÜRICH TÄXI", "", "Blue Diamond", "x" * 99],
        "payment": ["Cash", None, "Card", "Cash", None],
        "miles": [1.5, None, 0.0, 20.25, 7.0],
        "passengers": [1, 2, 3, 1, 6],
        "pickup": [
            "2024-05-31 13:45",
            "2024-02-29T23:59:59.5+02:30",
            "1969-12-31",
            "2000-01-01",
            "2023-07-01T05:06:07Z",
        ],
    }
    first = {name: values[:1] for name, values in every.items()}
    return Written(served, {"serving_default": [first, every]}, options={"golden": every})


def _scores(
    method: str, outputs: Callable[[jax.Array], Mapping[str, jax.Array]], suffix: Any = None
) -> ServingFunction:
    weights = {"w": normal(2, 3)}
    specs = (TensorSpec([None], "float32", "a"), TensorSpec([None], "int64", "b"))

    def serve(w: Mapping[str, jax.Array], x: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
        features = jnp.stack([x["a"], x["b"].astype(jnp.float32)], 1)
        return outputs(features @ w["w"])

    return ServingFunction(serve, specs, weights, None, suffix, method=method)


@model
def regression() -> Written:
    """A signature for TF Serving's regress, which takes tf.Examples."""
    served = _scores("regress", lambda y: {"outputs": y[:, 0]})
    requests = [{"a": normal(rows), "b": np.arange(rows)} for rows in (1, 3)]
    return Written({"serving_default": served}, {"serving_default": requests})


@model
def classification() -> Written:
    """A signature for TF Serving's classify: the scores of three classes."""
    served = _scores("classify", lambda y: {"scores": jax.nn.softmax(y)})
    requests = [{"a": normal(rows), "b": np.arange(rows)} for rows in (1, 3)]
    return Written({"serving_default": served}, {"serving_default": requests})


@model
def host_operations() -> Written:
    """Every host operation."""
    served = ServingFunction(None, prefix=every_operation())
    return Written({"transform": served}, {"transform": [ROWS]}, options={"golden": ROWS})


@model
def parsed_examples() -> Written:
    """A prefix that parses tf.Examples itself."""
    features = [
        {"key": "pixels", "dtype": "float32", "shape": [4]},
        {"key": "weight", "dtype": "float32", "default_value": 2.0},
        {"key": "count", "dtype": "int64", "shape": [2], "default_value": 5},
    ]
    nodes = [HostNode("ParseExample", str(feature["key"]), ("examples",), feature) for feature in features]
    prefix = HostGraph(
        [HostInput(TensorSpec([None], "string", "examples"))], nodes, {node.name: node.name for node in nodes}
    )
    specs = (
        TensorSpec([None, 4], "float32", "pixels"),
        TensorSpec([None], "float32", "weight"),
        TensorSpec([None, 2], "int64", "count"),
    )

    def serve(w: Mapping[str, jax.Array], x: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
        return {"y": x["pixels"].sum(1) * x["weight"] + x["count"].sum(1)}

    rows = []
    for row in range(3):
        example = message_class("tensorflow.Example")()
        example.features.feature["pixels"].float_list.value.extend(normal(4).tolist())
        if row:
            example.features.feature["weight"].float_list.value.append(float(row))
            example.features.feature["count"].int64_list.value.extend([row, 7])
        rows.append(example.SerializeToString(deterministic=True))
    request = {"examples": rows}
    return Written(
        ServingFunction(serve, specs, {}, prefix), {"serving_default": [request]}, options={"golden": request}
    )


@model
def without_rows() -> Written:
    """A function of two lengths and a scalar that does not work on rows."""

    @function(
        input_signature=[TensorSpec([None], "float32"), TensorSpec([None, 3], "float32"), TensorSpec([], "int32")]
    )
    def mix(a: Any, b: Any, n: Any) -> Any:
        return {"outer": a[:, None] * b.sum(), "reversed": b[::-1], "total": a.sum() + n}

    requests = [{"a": normal(length), "b": normal(rows, 3), "n": np.int32(rows)} for length, rows in ((1, 2), (4, 3))]
    return Written(mix, {"serving_default": requests})


class Calculator(Module):
    """Functions of several forms, nested arguments and variables of two levels."""

    def __init__(self) -> None:
        self.factor = Variable(np.float32(3.0), name="factor")
        self.inner = Module()
        self.inner.shift = Variable(np.arange(2, dtype=np.float32), trainable=False, name="shift")

    @function(input_signature=[_spec := TensorSpec([None, 2], "float32", "x")])
    def scale(self, x: Any) -> Any:
        return {"scaled": x * self.factor + self.inner.shift}

    @function
    def switch(self, x: Any, training: bool = False) -> Any:
        return x * self.factor if training else x

    @function
    def combine(self, pair: Any, *, bias: Any) -> Any:
        return {"sum": pair[0] + pair[1]["b"] + bias, "parts": (pair[0], pair[1]["b"])}


@model
def module() -> Written:
    calculator = Calculator()
    spec = TensorSpec([None], "float32")
    calculator.combine.get_concrete_function((spec, {"b": spec}), bias=TensorSpec([], "float32"))
    calculator.switch.get_concrete_function(spec)
    calculator.switch.get_concrete_function(spec, training=True)
    requests = [{"x": normal(rows, 2)} for rows in (1, 4)]
    return Written(calculator, {"scale": requests}, options={"signatures": {"scale": calculator.scale}})
