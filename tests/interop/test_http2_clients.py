"""The gRPC port's HTTP/2, spoken by clients that others wrote: grpcio, the h2 package, h2load, nghttp and curl."""

import ast
import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import interop_env
import pytest
import uvloop

from mainstay.serving import ServerOptions
from mainstay.serving.http2.listener import GrpcListener
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.status import Code

FOLDER = Path(__file__).parent / "http2_clients"
STATUS_OK = "grpc-status: 0"


class Echo:
    """Services that answer with what they are asked."""

    streaming = frozenset({"/test.Echo/Stream"})

    def __init__(self) -> None:
        self.cancelled = 0
        self.kept: list[Any] = []

    def handle(self, call: Any) -> None:
        """Answer by the name of the method."""
        call.on_cancel = self._cancel
        method = call.path.rpartition("/")[2]
        if method == "Echo":
            call.reply(call.message)
        elif method == "Never":
            self.kept.append(call)
        elif method == "Cancelled":
            call.reply(b"%d" % self.cancelled)
        elif method == "Refuse":
            call.finish(Code.FAILED_PRECONDITION, call.message.decode(), (("x-more", "value"),))
        elif method == "Metadata":
            call.reply(json.dumps({key.decode(): value.decode() for key, value in call.headers.items()}).encode())
        elif method == "Endless":
            call.send(call.message)
            self.kept.append(call)
        else:
            call.finish(Code.UNIMPLEMENTED, "Method not found!")

    def open(self, call: Any) -> None:
        """Send back what comes."""
        call.on_message = lambda message: call.finish(Code.OK) if message is None else call.send(message)

    def _cancel(self) -> None:
        self.cancelled += 1


class Served:
    """A listener on a thread of its own."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = self.call(self._start(context))

    def call(self, coroutine: Any) -> Any:
        """Run something on the thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    async def _start(self, context: ssl.SSLContext | None) -> int:
        options = ServerOptions(grpc=GrpcOptions(max_message_bytes=40_000_000))
        self.listener = GrpcListener(Echo(), options, self.loop)
        self.server = await self.loop.create_server(self.listener.connect, "127.0.0.1", 0, ssl=context)
        self._tick()
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def _tick(self) -> None:
        self.listener.tick()
        self.loop.call_later(1.0, self._tick)

    async def _stop(self) -> None:
        self.server.close()
        self.listener.abort()
        await asyncio.sleep(0)

    def stop(self) -> None:
        """End it."""
        self.call(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server in clear text."""
    server = Served()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory, missing) -> tuple[Path, Path]:
    """The files of a certificate for this machine and of its key."""
    if shutil.which("openssl") is None:
        missing("openssl", "apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def cases(program: str) -> list[str]:
    """The names of a program's cases, without importing it."""
    tree = ast.parse((FOLDER / program).read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("check_")]


def outcomes(missing: Any, program: str, *arguments: object) -> dict[str, str]:
    """Run a program in the environment of clients; return by case what went wrong."""
    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    command = [str(interop_env.python_of("serving")), str(FOLDER / program), *map(str, arguments)]
    environment = os.environ | {"GRPC_VERBOSITY": "ERROR", "no_grpc_proxy": "localhost,127.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def grpcio(served, missing) -> dict[str, str]:
    """What grpcio found."""
    return outcomes(missing, "grpcio_client.py", served.port)


@pytest.fixture(scope="module")
def grpcio_tls(certificate, missing) -> Iterator[dict[str, str]]:
    """What grpcio found over TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])
    server = Served(context)
    yield outcomes(missing, "grpcio_client.py", server.port, certificate[0])
    server.stop()


@pytest.fixture(scope="module")
def h2(served, missing) -> dict[str, str]:
    """What the h2 package found."""
    return outcomes(missing, "h2_client.py", served.port)


@pytest.mark.parametrize("case", cases("grpcio_client.py"))
def test_grpcio_is_served(case: str, grpcio) -> None:
    assert not grpcio[case], grpcio[case]


@pytest.mark.parametrize("case", cases("grpcio_client.py"))
def test_grpcio_is_served_over_tls(case: str, grpcio_tls) -> None:
    assert not grpcio_tls[case], grpcio_tls[case]


@pytest.mark.parametrize("case", cases("h2_client.py"))
def test_the_h2_package_has_nothing_to_object(case: str, h2) -> None:
    assert not h2[case], h2[case]


@pytest.fixture
def message(tmp_path) -> Path:
    """A file with a gRPC message."""
    file = tmp_path / "message"
    file.write_bytes(b"\0\0\0\x0c\0" + bytes(0xC00))
    return file


def run(missing: Any, name: str, package: str, *arguments: str) -> str:
    """Run a program; return what it prints."""
    if shutil.which(name) is None:
        missing(name, f"apt-get install {package}")
    clear = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    done = subprocess.run([name, *arguments], capture_output=True, timeout=120, env=clear)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize(("clients", "streams"), [(1, 1), (1, 100), (8, 16), (40, 3)])
def test_h2load_loses_no_request(served, missing, message, clients: int, streams: int) -> None:
    header = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(message)]
    load = ["-n", "4000", "-c", str(clients), "-m", str(streams)]
    told = run(missing, "h2load", "nghttp2-client", *load, *header, f"http://127.0.0.1:{served.port}/test.Echo/Echo")
    assert "4000 succeeded, 0 failed, 0 errored" in told, told


def test_nghttp_reads_every_frame(served, missing, message) -> None:
    header = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(message), "-m", "3"]
    told = run(missing, "nghttp", "nghttp2-client", "-v", *header, f"http://127.0.0.1:{served.port}/test.Echo/Echo")
    assert told.count(STATUS_OK) == 3, told
    assert "[ERROR]" not in told, told


def test_curl_is_answered_and_told_what_the_port_is_for(served, missing, message) -> None:
    address = f"http://127.0.0.1:{served.port}/test.Echo/Echo"
    plain = ["--silent", "--show-error", "--max-time", "60", "--dump-header", "-", "--output", os.devnull]
    header = ["-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", f"@{message}"]
    told = run(missing, "curl", "curl", *plain, "--http2-prior-knowledge", *header, address)
    assert re.search(r"HTTP/2 200.*grpc-status: 0", told, re.DOTALL), told
    told = run(missing, "curl", "curl", *plain, "--http2-prior-knowledge", "-d", "{}", address)
    assert "HTTP/2 415" in told, told
    told = run(missing, "curl", "curl", *plain, "--http1.1", "-d", "{}", address)
    assert "HTTP/1.1 505" in told, told


def test_calls_in_flight_are_answered_when_the_server_goes(missing) -> None:
    server = Served()

    async def goodbye() -> int:
        server.server.close()
        server.listener.stop()
        for _ in range(1500):
            server.listener.close_quiet()
            if not server.listener.connections:
                break
            await asyncio.sleep(0.01)
        return len(server.listener.connections)

    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    program = [str(interop_env.python_of("serving")), str(FOLDER / "leaving_client.py"), str(server.port)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "running\n"
        assert server.call(goodbye()) == 0
        told = json.loads(client.stdout.read())
    server.stop()
    assert told["wrong"] == []
    assert told["answered"] > 100
