"""The REST interface, asked by curl, requests and httpx."""

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import interop_env
import pytest
import uvloop

from mainstay.serving import ModelServer, ServerOptions
from tests.serving.rest.imported import half_plus


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a model, and the UNIX socket of its server."""
    socket = tmp_path_factory.mktemp("rest") / "rest.sock"
    server = ModelServer({"half": half_plus(2)}, ServerOptions(rest_port=0, grpc_port=None, unix_socket=socket))
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
    yield f"{server.url}/v1/models/half", socket
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def curl(missing):
    """Runs curl, whatever proxy is set, and returns what it prints."""
    if shutil.which("curl") is None:
        missing("curl", "apt-get install curl")

    def run(*arguments: str, body: bytes = b"") -> str:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", *arguments]
        done = subprocess.run(command, input=body, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    return run


def test_curl_is_answered_as_in_the_documentation(base, curl) -> None:
    assert curl("-d", '{"instances": [1.0,2.0,5.0]}', f"{base[0]}:predict") == '{"predictions":[2.5,3.0,4.5]}'
    assert json.loads(curl(base[0]))["model_version_status"][0]["state"] == "AVAILABLE"


def test_curl_sends_a_large_body_after_it_was_told_to_go_on(base, curl) -> None:
    body = json.dumps({"instances": [2.0] * 400_000}).encode()
    answer = curl("--data-binary", "@-", "-H", "Expect: 100-continue", f"{base[0]}:predict", body=body)
    assert json.loads(answer) == {"predictions": [3.0] * 400_000}


def test_curl_sends_chunks_and_keeps_its_connection(base, curl) -> None:
    address = f"{base[0]}:predict"
    arguments = ["-H", "Transfer-Encoding: chunked", "-d", '{"instances": [1.0]}', "-w", " %{num_connects}\n"]
    lines = curl(*arguments, address, address, address).splitlines()
    assert lines == ['{"predictions":[2.5]} 1', '{"predictions":[2.5]} 0', '{"predictions":[2.5]} 0']


def test_curl_speaks_through_a_unix_socket(base, curl) -> None:
    answer = curl("--unix-socket", str(base[1]), "-d", '{"instances": [1.0]}', "http://x/v1/models/half:predict")
    assert answer == '{"predictions":[2.5]}'


def test_curl_sees_the_status_of_a_refusal(base, curl) -> None:
    answer = curl("-w", "%{http_code}", "-d", '{"instances": [1.0]}', f"{base[0]}_none:predict")
    assert answer == '{"error":"Servable not found for request: Latest(half_none)"}404'
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-I", base[0]) == "200"


def test_requests_and_httpx_are_answered(base, missing) -> None:
    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    program = Path(__file__).parent / "serving_rest_client.py"
    command = [str(interop_env.python_of("serving")), str(program), base[0]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
