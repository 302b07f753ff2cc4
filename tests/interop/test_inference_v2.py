"""Triton's own clients, in a process of their own, against the Open Inference Protocol of a server of ours."""

import ast
import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import interop_env
import pytest
import uvloop

from mainstay.core import DTYPES, Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving import ModelServer, ServerOptions

CLIENT = Path(__file__).parent / "inference_v2" / "client.py"


class Function:
    """A signature of a model that needs no compiler."""

    buckets = (1, 2, 4, 8)

    def __init__(self, inputs: list[TensorSpec], outputs: list[TensorSpec], body: Any) -> None:
        self.inputs = tuple(HostInput(spec, False) for spec in inputs)
        self.signature = Signature(tuple(inputs), tuple(outputs))
        self.body = body

    def warm_up(self, buckets: Any = None) -> None:
        """Nothing is compiled."""

    def run(self, columns: list[Any]) -> dict[str, Any]:
        """Answer a batch."""
        return self.body(
            {spec.name: column.values for spec, column in zip(self.signature.inputs, columns, strict=True)}
        )


class Model:
    """A model that doubles, and gives back tensors of every dtype."""

    def __init__(self) -> None:
        text, numbers = TensorSpec([None], "string", "s"), TensorSpec([None, 3], "float32", "x")
        double = TensorSpec([None, 3], "float32", "y")
        every = [TensorSpec([None], name, name) for name in DTYPES if name != "string"]
        self.signatures = {
            "serving_default": Function(
                [numbers, text], [double, text], lambda given: {"y": given["x"] * 2, "s": given["s"]}
            ),
            "every": Function(every, every, dict),
        }


@contextmanager
def served() -> Iterator[ModelServer]:
    """A server on a thread of its own."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = ModelServer({"m": Model()}, ServerOptions(rest_port=0, grpc_port=0))
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def cases() -> list[str]:
    """The names of the cases, without importing them."""
    names = [node.name for node in ast.parse(CLIENT.read_text()).body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("check_")]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, missing: Any) -> dict[str, str]:
    """What went wrong in each case; nothing where it is as it should be."""
    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    out = tmp_path_factory.mktemp("client") / "outcomes.json"
    with served() as server:
        addresses = [f"127.0.0.1:{server.rest_port}", f"127.0.0.1:{server.grpc_port}"]
        program = [str(interop_env.python_of("serving")), str(CLIENT)]
        done = subprocess.run([*program, *addresses, str(out)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("case", cases())
def test_what_tritons_clients_ask_is_answered(case: str, outcomes: dict[str, str]) -> None:
    assert not outcomes[case], outcomes[case]
