import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from mainstay.core import ArgumentError, SetupError
from mainstay.serving import BatchingOptions, ModelServer, ServedModel, ServedSignature, ServerOptions, serve


@pytest.fixture
def model(fakes):
    return fakes.Model(serving_default=fakes.Signature([fakes.input("x")]))


def test_a_server_is_ready_inside_its_block_and_gone_behind_it(model):
    async def run():
        async with ModelServer({"m": model}, ServerOptions(rest_port=0, grpc_port=None)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.rest_port)
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            assert server.url == f"http://127.0.0.1:{server.rest_port}"
        with pytest.raises(OSError, match=r"."):
            await asyncio.open_connection("127.0.0.1", server.rest_port)
        await server.stop()
        return answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 200 OK")


def test_the_fakes_are_what_the_server_asks_of_a_model(model):
    assert isinstance(model, ServedModel)
    assert isinstance(model.signatures["serving_default"], ServedSignature)


def test_a_port_in_use_is_an_error_with_a_way_out(model):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match="the port is in use") as caught:
            serve({"m": model}, ServerOptions(rest_port=port, grpc_port=None))
    assert caught.value.where == f"127.0.0.1:{port}"
    assert "choose another port" in caught.value.fix


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_here_is_an_error(model, host):
    with pytest.raises(SetupError, match="cannot listen"):
        serve({"m": model}, ServerOptions(host=host, rest_port=0, grpc_port=None))


@pytest.mark.parametrize("models", [{}, {"": 1}, {"a/b": 1}, {"a:b": 1}])
def test_models_need_names_that_can_stand_in_a_path(models):
    with pytest.raises(ArgumentError):
        ModelServer(models)


def test_a_model_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(SetupError, match="there is no model to serve as 'm'"):
        serve({"m": tmp_path / "absent"}, ServerOptions(rest_port=0, grpc_port=None))


def test_the_server_is_alive_but_not_ready_while_it_loads(fakes):
    loading, go_on = threading.Event(), threading.Event()
    signature = fakes.Signature([fakes.input("x")])

    def warm_up(buckets=None):
        loading.set()
        assert go_on.wait(20)

    signature.warm_up = warm_up

    async def ask(port, line, body=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        return answer[9:12], json.loads(answer.partition(b"\r\n\r\n")[2])

    async def run():
        server = ModelServer({"m": fakes.Model(serving_default=signature)}, ServerOptions(rest_port=0, grpc_port=None))
        start = asyncio.ensure_future(server.start())
        await asyncio.to_thread(loading.wait, 20)
        assert await ask(server.rest_port, "GET /healthz") == (b"200", {"status": "alive"})
        assert (await ask(server.rest_port, "GET /readyz"))[0] == b"503"
        assert (await ask(server.rest_port, "GET /v1/models/m"))[1]["model_version_status"][0]["state"] == "LOADING"
        status, answer = await ask(server.rest_port, "POST /v1/models/m:predict", b'{"instances":[1]}')
        assert (status, answer) == (b"404", {"error": "Servable not found for request: Latest(m)"})
        go_on.set()
        await start
        assert await ask(server.rest_port, "GET /readyz") == (b"200", {"status": "ready"})
        status, answer = await ask(server.rest_port, "POST /v1/models/m:predict", b'{"instances":[1]}')
        assert (status, answer) == (b"200", {"predictions": [1.0]})
        await server.stop()

    asyncio.run(run())


def test_what_is_in_flight_is_answered_before_the_server_is_gone(start, fakes):
    entered, leave = threading.Event(), threading.Event()
    leave.set()

    def wait(columns):
        entered.set()
        assert leave.wait(20)
        return {"total": columns[0].values.astype(np.float32)}

    signature = fakes.Signature([fakes.input("x")], body=wait)
    server = start({"m": fakes.Model(serving_default=signature)}, batching=BatchingOptions(execution="thread"))
    leave.clear()
    entered.clear()
    with server.connect() as busy, server.connect() as half, server.connect() as idle:
        busy.sendall(fakes.post({"instances": [1.0]}))
        assert entered.wait(20)
        request = fakes.post({"instances": [2.0]})
        half.sendall(request[:40])
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        idle.recv(65536)
        stopping = asyncio.run_coroutine_threadsafe(server.server.stop(), server.loop)
        assert fakes.read_all(idle) == b""
        half.sendall(request[40:])
        leave.set()
        for client, body in ((busy, b'{"predictions":[1.0]}'), (half, b'{"predictions":[2.0]}')):
            answer = fakes.read_all(client)
            assert b"connection: close" in answer
            assert answer.endswith(body)
        stopping.result(20)


def test_a_client_that_never_finishes_does_not_hold_the_server(start, fakes):
    server = start(drain_timeout_seconds=0.05)
    with server.connect() as client:
        client.sendall(fakes.post({"instances": [2.0]})[:40])
        client.sendall(b"")
        with contextlib.closing(server.connect()) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            other.recv(65536)
        server.call(server.server.stop())
        assert fakes.read_all(client) == b""


def test_a_batch_that_never_ends_does_not_hold_the_server(start, fakes, caplog):
    entered, leave = threading.Event(), threading.Event()
    leave.set()

    def hang(columns):
        entered.set()
        leave.wait(60)
        return {"total": columns[0].values}

    signature = fakes.Signature([fakes.input("x")], body=hang)
    server = start(
        {"m": fakes.Model(serving_default=signature)},
        batching=BatchingOptions(execution="thread"),
        drain_timeout_seconds=0.05,
    )
    leave.clear()
    entered.clear()
    with server.connect() as client:
        client.sendall(fakes.post({"instances": [2.0]}))
        assert entered.wait(20)
        server.call(server.server.stop())
        assert fakes.read_all(client) == b""
    assert "abandoning a batch" in caplog.text
    leave.set()


SERVER = """
import logging, sys
import numpy as np
from mainstay.core import Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving import BatchingOptions, ServerOptions, serve

class Echo:
    inputs = (HostInput(TensorSpec([None], "float64", "x")),)
    signature = Signature((inputs[0].spec,), (TensorSpec([None], "float64", "y"),))
    buckets = (1, 8, 64)
    def warm_up(self, buckets=None): pass
    def run(self, columns): return {"y": columns[0].values}

class Model:
    signatures = {"serving_default": Echo()}

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
options = ServerOptions(rest_port=0, grpc_port=None, batching=BatchingOptions(execution=sys.argv[1]))
serve({"m": Model()}, options, on_ready=lambda server: print(server.rest_port, flush=True))
for name in ("keras", "tensorflow", "torch", "jax"):
    assert name not in sys.modules, name
"""


@pytest.fixture
def process(repository):
    """Start a server in a process of its own: `process(execution)` returns it and its port."""
    processes = []

    def run(execution="auto"):
        environment = os.environ | {"PYTHONPATH": str(repository / "src")}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", SERVER, execution],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        )
        return processes[-1], int(processes[-1].stdout.readline())

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("execution", ["inline", "thread"])
def test_sigterm_under_load_loses_no_request(process, fakes, execution):
    server, port = process(execution)
    wrong, answered, warm = [], [], threading.Event()

    def client(seed):
        number = 0.0
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            while True:
                number += 1
                value = seed * 1e5 + number
                connection.sendall(fakes.post({"instances": [value]}))
                answer = b""
                while b"}" not in answer:
                    piece = connection.recv(65536)
                    if not piece:
                        wrong.append((value, answer))
                        return
                    answer += piece
                if not answer.endswith(b'{"predictions":[%s]}' % repr(value).encode()):
                    wrong.append((value, answer))
                    return
                answered.append(value)
                if len(answered) > 300:
                    warm.set()
                if b"connection: close" in answer:
                    return

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    assert warm.wait(20)
    server.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    _, log = server.communicate(timeout=20)
    assert server.returncode == 0, log.decode()
    assert not wrong


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_with_status_0_and_a_word(process, number):
    server, port = process()
    server.send_signal(number)
    _, log = server.communicate(timeout=20)
    assert server.returncode == 0, log.decode()
    for line in (f"listening on http://127.0.0.1:{port}", "/v1/models/m:predict", "stopping", "stopped"):
        assert line in log.decode()


def test_what_is_due_every_second_goes_on_whatever_of_it_fails(start, caplog):
    running = start()
    server, ticked = running.server, []

    async def tick():
        rest, grpc = server._listeners
        rest.tick = lambda: 1 // 0
        grpc.tick = lambda: ticked.append("gRPC")
        server._ticker.cancel()
        before = server._ticker
        server._tick()
        return before

    before = running.call(tick())
    assert ticked == ["gRPC"]
    assert server._ticker is not before
    assert not server._ticker.cancelled()
    assert "ZeroDivisionError" in caplog.text
