"""The real PyTorch: programs that it exports are converted, saved and loaded, and answer as PyTorch does."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rival_env

HERE = Path(__file__).parent
MODELS = ("mlp", "mlp_bfloat16", "resnet", "encoder", "unet", "lstm", "gru")
FEWEST_OPERATORS = 170


@functools.cache
def _outcomes(missing) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """Return what went wrong with each case, from one process that has both PyTorch and Mainstay."""
    folder = rival_env.ROOT / ".venv-torch"
    places = sorted(folder.glob("lib/python3*/site-packages"))
    if not (folder / ".made-from").exists() or not places:
        missing(".venv-torch", "python tools/rival_env.py torch")
    environment = {**os.environ, "PYTHONPATH": str(rival_env.ROOT / "src"), "JAX_PLATFORMS": "cpu"}
    finished = subprocess.run(
        [sys.executable, HERE / "torch_programs" / "run.py", places[0]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    outcomes: dict[str, str] = json.loads(finished.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_pytorch_is_saved_and_answers_as_it_does(name: str, missing) -> None:  # type: ignore[no-untyped-def]
    assert not (problem := _outcomes(missing)[f"model {name}"]), problem


def test_operators_of_pytorch_give_what_they_give_there(missing) -> None:  # type: ignore[no-untyped-def]
    outcomes = {name: problem for name, problem in _outcomes(missing).items() if name.startswith("operator ")}
    assert len(outcomes) >= FEWEST_OPERATORS
    problems = {name: problem for name, problem in outcomes.items() if problem}
    assert not problems, "\n".join(f"{name}:\n{problem}" for name, problem in problems.items())
