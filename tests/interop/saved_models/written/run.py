"""What the real TensorFlow makes of models that Mainstay wrote; runs in TensorFlow's own environment.

    python run.py CASES OUT

CASES is JSON: for each model its path and the requests of each signature. OUT gets what came back.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


def array(value: dict[str, Any], dtype: tf.DType) -> np.ndarray:
    """A value of a request."""
    if dtype == tf.string:
        strings = np.empty(len(value["values"]), object)
        strings[:] = [bytes.fromhex(item) for item in value["values"]]
        return strings
    return np.array(value["values"], dtype.as_numpy_dtype).reshape(value["shape"])


def plain(value: Any) -> dict[str, Any]:
    """An answer as JSON."""
    found = np.asarray(value)
    if found.dtype == object:
        return {"dtype": "string", "shape": found.shape, "values": [item.hex() for item in found.ravel()]}
    if found.dtype.name.startswith(("bfloat16", "float8", "complex")):
        found = found.real.astype(np.float32)
    return {"dtype": found.dtype.name, "shape": found.shape, "values": found.ravel().tolist()}


def call(function: Any, request: dict[str, Any]) -> dict[str, Any]:
    specs = {spec.name: spec for spec in function.structured_input_signature[1].values()}
    given = {name: tf.constant(array(value, specs[name].dtype)) for name, value in request.items()}
    return {name: plain(value.numpy()) for name, value in function(**given).items()}


def eager(loaded: Any, requests: dict[str, Any]) -> dict[str, Any]:
    return {name: [call(loaded.signatures[name], each) for each in many] for name, many in requests.items()}


def session(path: str, requests: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answers of a session, and what the graph says about itself."""
    answers: dict[str, Any] = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as running:
        meta = tf.compat.v1.saved_model.load(running, ["serve"], path)
        for name, many in requests.items():
            signature = meta.signature_def[name]
            fetches = {key: info.name for key, info in signature.outputs.items()}
            answers[name] = []
            for request in many:
                infos = {key: signature.inputs[key] for key in request}
                feed = {infos[key].name: array(value, tf.as_dtype(infos[key].dtype)) for key, value in request.items()}
                answers[name].append({key: plain(value) for key, value in running.run(fetches, feed).items()})
    library = meta.graph_def.library.function
    facts = {
        "methods": {name: item.method_name for name, item in meta.signature_def.items()},
        "ops": sorted({node.op for function in library for node in function.node_def}),
    }
    return answers, facts


def facts(path: str, loaded: Any) -> dict[str, Any]:
    """What the loaded object has."""
    fingerprint = tf.saved_model.experimental.read_fingerprint(path)
    found: dict[str, Any] = {
        "signatures": sorted(loaded.signatures),
        "variables": {variable.name.split(":")[0]: plain(variable.numpy()) for variable in loaded.variables},
        "trainable": [variable.name.split(":")[0] for variable in loaded.trainable_variables],
        "tensors": sorted(tf.train.load_checkpoint(f"{path}/variables/variables").get_variable_to_shape_map()),
        "fingerprint": str(fingerprint.saved_model_checksum),
    }
    if hasattr(loaded, "combine"):
        pair = (tf.constant([1.0, 2.0]), {"b": tf.constant([10.0, 20.0])})
        result = loaded.combine(pair, bias=tf.constant(0.5))
        found["combined"] = [result["sum"].numpy().tolist(), [part.numpy().tolist() for part in result["parts"]]]
        found["scaled"] = loaded.scale(tf.ones((1, 2)))["scaled"].numpy().tolist()
        found["shift"] = loaded.inner.shift.numpy().tolist()
        found["switched"] = [loaded.switch(tf.ones(1), training).numpy().tolist() for training in (False, True)]
        loaded.factor.assign(5.0)
        found["assigned"] = loaded.scale(tf.ones((1, 2)))["scaled"].numpy().tolist()
    return found


def run(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """All ways to load one model."""
    path, requests = case["path"], case["requests"]
    moved, again = shutil.copytree(path, folder / "moved"), str(folder / "again")
    loaded = tf.saved_model.load(path)
    in_session, graph = session(path, requests)
    answers = {
        "eager": eager(loaded, requests),
        "session": in_session,
        "moved": eager(tf.saved_model.load(str(moved)), requests),
    }
    if case["again"]:
        tf.saved_model.save(loaded, again, signatures=loaded.signatures)
        answers["saved again"] = eager(tf.saved_model.load(again), requests)
    answers["facts"] = facts(path, loaded) | graph
    if case["layer"]:
        x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
        answers["layer"] = plain(tf.keras.layers.TFSMLayer(path)(x).numpy())
    shutil.rmtree(folder)
    return answers


if __name__ == "__main__":
    cases, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    found = {name: run(case, out.with_name(f"work_{name}")) for name, case in cases.items()}
    out.write_text(json.dumps(found))
