"""The same programs on real TensorFlow's `tf.data` and on Mainstay's give the same elements, specs and refusals."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import interop_env
import pytest

FOLDER = Path(__file__).parent / "tf_data"


def titles() -> list[str]:
    """The names of all programs, without importing them: one of them would need TensorFlow."""
    found = []
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem not in ("encoding", "example_bytes", "run"):
            tree = ast.parse(path.read_text())
            functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            found += [f"{path.stem}.{node.name}" for node in functions if not node.name.startswith("_")]
    return found


def run(python: str, world: str, *arguments: object) -> None:
    strict = ["-W", "error"] if world == "mainstay" else []
    command = [python, *strict, str(FOLDER / "run.py"), world, *map(str, arguments)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    # The backend that Mainstay chose for this process is not the one that the real TensorFlow's Keras has.
    env = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | quiet
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory, missing) -> dict[str, dict[str, dict]]:
    """What every program gave, in both worlds."""
    if sys.version_info >= (3, 14):
        pytest.skip("TensorFlow has no build for this Python")
    if not interop_env.is_current("tensorflow"):
        missing(".interop/tensorflow", "python tools/interop_env.py tensorflow")
    pythons = {"tensorflow": str(interop_env.python_of("tensorflow")), "mainstay": sys.executable}
    folder = tmp_path_factory.mktemp("tf_data")
    run(pythons["mainstay"], "mainstay", folder)
    found = {}
    for world, python in pythons.items():
        out = folder / f"{world}.json"
        if world == "tensorflow":
            run(python, world, folder)
        run(python, world, folder, out)
        found[world] = json.loads(out.read_text())
    return found


UNKNOWN = -2


def agreed(theirs: Any, ours: Any) -> Any:
    """What Mainstay gave, with the cardinalities taken out that TensorFlow does not know and Mainstay does."""
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [agreed(*pair) for pair in zip(theirs, ours, strict=True)]
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return ours
    made = {key: agreed(theirs[key], value) if key in theirs else value for key, value in ours.items()}
    if theirs.get("cardinality") == UNKNOWN and made.get("cardinality", UNKNOWN) >= 0:
        made["cardinality"] = UNKNOWN
    return made


@pytest.mark.parametrize("title", titles())
def test_a_program_gives_the_same_in_both(title: str, outcomes) -> None:
    theirs, ours = (outcomes[world][title] for world in ("tensorflow", "mainstay"))
    assert "error" not in theirs, theirs["trace"]
    assert "error" not in ours, ours["trace"]
    assert agreed(theirs["value"], ours["value"]) == theirs["value"]
