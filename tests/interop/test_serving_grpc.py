"""TensorFlow's own client stubs, in a process with TensorFlow, against a server of ours."""

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import interop_env
import pytest

FOLDER = Path(__file__).parent / "serving_grpc"


def cases() -> list[str]:
    """The names of the cases, without importing them."""
    tree = ast.parse((FOLDER / "client.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("check_")]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, repository, missing) -> dict[str, str]:
    """What went wrong in each case; nothing where it is as it should be."""
    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    folder, out = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("client") / "outcomes.json"
    real = repository.parent / "shared" / "data" / "saved_models" / "saved_model_half_plus_two_cpu"
    models = [f"half_plus_two={real}"] if real.is_dir() else []
    env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(FOLDER / "server.py"), str(folder), *models]
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env) as server,
    ):
        try:
            first = server.stdout.readline()
            assert first.startswith("port "), (folder / "server.log").read_text()[-3000:]
            quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "GRPC_VERBOSITY": "ERROR"}
            program = [str(interop_env.python_of("serving")), str(FOLDER / "client.py")]
            done = subprocess.run(
                [*program, first.split()[1], str(folder), str(out), *(one.split("=")[0] for one in models)],
                env=os.environ | quiet,
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert done.returncode == 0, done.stderr[-3000:]
        finally:
            server.send_signal(signal.SIGTERM)
            ended = server.wait(60)
    found = json.loads(out.read_text())
    found["ended"] = ended
    return found


@pytest.mark.parametrize("case", cases())
def test_what_real_clients_ask_is_answered(case: str, outcomes, repository) -> None:
    if "half_plus_two" in case and not (repository.parent / "shared" / "data" / "saved_models").is_dir():
        pytest.skip("the models of TensorFlow Serving's quick start are not beside this checkout")
    assert outcomes[case] == "", outcomes[case]


def test_the_server_ends_well(outcomes) -> None:
    assert outcomes["ended"] == 0
