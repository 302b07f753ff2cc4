"""SavedModels that the real TensorFlow wrote give the same answers here."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import interop_env
import numpy as np
import pytest

from mainstay.saved_model import import_model, load, unsupported_ops

WRITER = Path(__file__).parent / "saved_models" / "text_models.py"
WRITERS = (WRITER.with_name("foreign_models.py"), WRITER)
TOLERANCE = 1e-5


def names() -> list[str]:
    """The models that the writers know, without importing them: they need TensorFlow."""
    return [
        node.name
        for writer in WRITERS
        for node in ast.parse(writer.read_text()).body
        if isinstance(node, ast.FunctionDef) and any(getattr(each, "id", "") == "model" for each in node.decorator_list)
    ]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str, str], NoReturn]) -> Path:
    """A folder with every model, and with what TensorFlow answers by it."""
    if sys.version_info >= (3, 14):
        pytest.skip("TensorFlow has no build for this Python")
    if not interop_env.is_current("tensorflow"):
        missing(".interop/tensorflow", "python tools/interop_env.py tensorflow")
    folder = tmp_path_factory.mktemp("saved_models")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}
    command = [str(interop_env.python_of("tensorflow")), str(WRITER), str(folder)]
    done = subprocess.run(command, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def requests(path: Path) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The signatures that were asked, what they were given and what TensorFlow answered."""
    found: dict[tuple[int, str], tuple[dict[str, Any], dict[str, Any]]] = {}
    with np.load(path) as stored:
        for key in stored.files:
            kind, signature, number, name = key.split(".", 3)
            value = stored[key]
            value = value.astype(object) if value.dtype.kind == "S" else value
            found.setdefault((int(number), signature), ({}, {}))[kind == "out"][name] = value
    return [(signature, *parts) for (_, signature), parts in sorted(found.items())]


def check(model: Any, stored: Path) -> None:
    """Ask a model what TensorFlow was asked, and compare."""
    for signature, inputs, expected in requests(stored):
        answers = model.signatures[signature](inputs)
        assert set(answers) == set(expected)
        for key, want in expected.items():
            have = answers[key]
            assert (have.dtype, have.shape) == (want.dtype, want.shape), key
            if want.dtype.kind == "f":
                scale = max(1.0, float(np.abs(want).max(initial=0)))
                assert np.abs(have - want).max(initial=0) <= TOLERANCE * scale, key
            else:
                assert np.array_equal(have, want), key


@pytest.mark.parametrize("name", names())
def test_a_model_answers_as_tensorflow_does(written: Path, name: str) -> None:
    assert unsupported_ops(written / name) == []
    check(load(written / name), written / f"{name}.npz")


@pytest.mark.parametrize("name", ["mlp", "recurrent", "session_loops"])
def test_an_imported_model_answers_as_tensorflow_does(written: Path, tmp_path: Path, name: str) -> None:
    import_model(written / name, tmp_path / name)
    check(load(tmp_path / name), written / f"{name}.npz")


def test_restored_functions_take_what_they_took(written: Path) -> None:
    model = load(written / "module")
    given = {"first": np.float32([1, 2]), "second": np.float32([3, 4])}
    answer = model.shift(given)
    assert answer["sum"].tolist() == [5, 7]
    assert [each.tolist() for each in answer["pair"]] == [[1, 2], [3, 4]]
    assert model.shift(given, negate=True)["pair"][1].tolist() == [-3, -4]
    assert [variable.name for variable in model.variables] == ["weight", "counter"]
    before = model.counter.numpy()
    assert model.count(np.int64(2))["count"] == before + 2
    assert model.counter.numpy() == before + 2
