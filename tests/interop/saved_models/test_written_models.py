"""Models that Mainstay wrote: the real TensorFlow loads them in every way it has, and answers as Mainstay does."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import interop_env
import numpy as np
import pytest

from mainstay import saved_model
from mainstay.core import message_class

FOLDER = Path(__file__).parent / "written"
WAYS = ("eager", "session", "moved", "saved again")


def _models() -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        import written_here

        return written_here.MODELS
    finally:
        sys.path.remove(str(FOLDER))


MODELS = _models()

LOADS = [(name, way) for name in MODELS for way in WAYS if (name, way) != ("odd_names", "saved again")]
"""TensorFlow saves no signature again whose inputs have names that no parameter has."""


def encoded(value: Any) -> dict[str, Any]:
    """A column of a request as JSON; a missing value is what stands for it in TensorFlow."""
    if isinstance(value, list) and any(isinstance(item, (str, bytes)) for item in value):
        items = ["" if item is None else item for item in value]
        return {"values": [(item if isinstance(item, bytes) else item.encode()).hex() for item in items]}
    array = np.array([np.nan if item is None else item for item in value]) if isinstance(value, list) else value
    return {"values": np.asarray(array).ravel().tolist(), "shape": np.shape(array)}


def examples(request: Mapping[str, Any]) -> list[bytes]:
    """The rows of a request as serialised tf.Examples, without the features whose value is missing."""
    columns = {name: list(np.asarray(value, object)) for name, value in request.items()}
    rows = []
    for row in range(len(next(iter(columns.values())))):
        example = message_class("tensorflow.Example")()
        for name, column in columns.items():
            value = column[row]
            feature = example.features.feature[name] if value is not None else None
            if isinstance(value, str):
                feature.bytes_list.value.append(value.encode())
            elif isinstance(value, (int, np.integer)):
                feature.int64_list.value.append(int(value))
            elif value is not None:
                feature.float_list.value.append(float(value))
        rows.append(example.SerializeToString())
    return rows


def asked(name: str, written: Any) -> dict[str, list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]]:
    """For each of TensorFlow's signatures the one of Mainstay's, the request to TensorFlow and that to Mainstay."""
    found = {sig: [(sig, each, each) for each in many] for sig, many in written.requests.items()}
    many = written.requests.get("serving_default", [])
    if name == "text":
        found["serving_examples"] = [("serving_default", {"examples": examples(each)}, each) for each in many]
    if name in ("regression", "classification"):
        found["predict"] = found["serving_default"]
        found["serving_default"] = [("serving_default", {"inputs": examples(each)}, each) for each in many]
    return found


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any, Any]]:
    """Every model: where it was saved, what it is and the report."""
    folder = tmp_path_factory.mktemp("written")
    found = {}
    for name, build in MODELS.items():
        written = build()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report = saved_model.save(written.obj, folder / name, **written.options)
        found[name] = folder / name, written, report
    return found


@pytest.fixture(scope="session")
def answers(saved, tmp_path_factory: pytest.TempPathFactory, missing) -> dict[str, Any]:
    """What TensorFlow made of each model."""
    if sys.version_info >= (3, 14):
        pytest.skip("TensorFlow has no build for this Python")
    if not interop_env.is_current("tensorflow"):
        missing(".interop/tensorflow", "python tools/interop_env.py tensorflow")
    folder = tmp_path_factory.mktemp("answers")
    cases = {
        name: {
            "path": str(path),
            "layer": name == "mlp",
            "again": (name, "saved again") in LOADS,
            "requests": {
                sig: [{key: encoded(value) for key, value in request.items()} for _, request, _ in many]
                for sig, many in asked(name, written).items()
            },
        }
        for name, (path, written, _) in saved.items()
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}
    env = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | quiet
    command = [interop_env.python_of("tensorflow"), FOLDER / "run.py", folder / "cases.json", folder / "out.json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text())


def decoded(answer: Mapping[str, Any]) -> np.ndarray:
    if answer["dtype"] == "string":
        strings = np.empty(len(answer["values"]), object)
        strings[:] = [bytes.fromhex(item).decode() for item in answer["values"]]
        return strings.reshape(answer["shape"])
    return np.array(answer["values"], answer["dtype"]).reshape(answer["shape"])


@pytest.mark.parametrize(("name", "way"), LOADS)
def test_tensorflow_answers_as_mainstay_does(name: str, way: str, saved, answers) -> None:
    path, written, _ = saved[name]
    model = saved_model.load(path, replay=False)
    tolerance = 2e-2 if name == "short_weights" else 1e-5
    for signature, many in asked(name, written).items():
        for (own, _, request), answer in zip(many, answers[name][way][signature], strict=True):
            expected = model.signatures[own](request)
            assert set(answer) == set(expected)
            for key, value in expected.items():
                given = decoded(answer[key])
                assert given.shape == value.shape
                if value.dtype.kind in "OSUib":
                    assert (given == value).all(), (key, given, value)
                else:
                    np.testing.assert_allclose(given, value.astype(given.dtype), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_the_report_says_in_which_form_each_signature_is_there(name: str, saved, answers) -> None:
    _, written, report = saved[name]
    assert {item.form for item in report.signatures.values()} == {written.form}
    assert ("XlaCallModule" in answers[name]["facts"]["ops"]) == (written.form == "xla")


def test_weights_of_every_dtype_are_variables_and_further_tensors_lie_beside_them(saved, answers) -> None:
    facts = answers["short_weights"]["facts"]
    _, written, _ = saved["short_weights"]
    for name, value in written.obj.weights.items():
        found = decoded(facts["variables"][name])
        assert (found == np.asarray(value, found.dtype)).all(), name
    assert {"optimizer/step/.ATTRIBUTES/VARIABLE_VALUE", "eighth/.ATTRIBUTES/VARIABLE_VALUE"} <= set(facts["tensors"])
    assert "ints..of/width/.ATTRIBUTES/VARIABLE_VALUE" in facts["tensors"]


def test_signatures_have_the_methods_of_tf_serving(answers) -> None:
    methods = {name: case["facts"]["methods"] for name, case in answers.items()}
    assert methods["regression"]["serving_default"] == "tensorflow/serving/regress"
    assert methods["classification"]["serving_default"] == "tensorflow/serving/classify"
    assert methods["regression"]["predict"] == "tensorflow/serving/predict"
    assert methods["text"]["serving_default"] == methods["text"]["serving_examples"] == "tensorflow/serving/predict"


def test_a_restored_module_has_its_functions_and_variables_as_attributes(answers) -> None:
    facts = answers["module"]["facts"]
    assert facts["signatures"] == ["scale"]
    assert facts["scaled"] == [[3.0, 4.0]]
    assert facts["assigned"] == [[5.0, 6.0]]
    assert facts["combined"] == [[11.5, 22.5], [[1.0, 2.0], [10.0, 20.0]]]
    assert facts["switched"] == [[1.0], [3.0]]
    assert facts["shift"] == [0.0, 1.0]
    assert facts["trainable"] == ["factor"]


def test_keras_takes_a_written_model_as_a_layer(saved, answers) -> None:
    path, _, _ = saved["mlp"]
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
    (expected,) = saved_model.load(path, replay=False).signatures["serving_default"](x).values()
    np.testing.assert_allclose(decoded(answers["mlp"]["layer"]), expected, rtol=1e-5, atol=1e-6)


def test_tensorflow_reads_the_fingerprint(saved, answers) -> None:
    path, _, _ = saved["mlp"]
    content = message_class("tensorflow.FingerprintDef").FromString((path / "fingerprint.pb").read_bytes())
    assert answers["mlp"]["facts"]["fingerprint"] == str(content.saved_model_checksum)
