"""The load generator against running servers."""

import asyncio
import contextlib
import itertools
import json
import threading

import pytest

from mainstay.cli import main
from mainstay.core import DataError, NotFoundError, RequestError, UnavailableError
from mainstay.serving import LoadRequest, LoadStep, bench_server


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_every_request_that_is_due_is_sent_and_answered(start, scheme):
    running = start(grpc_port=0)
    port = running.port if scheme == "http" else running.server.grpc_port
    steps = [LoadStep(200.0, 0.5, 8), LoadStep(None, 0.3, 4)]
    seen = []
    results = bench_server(f"{scheme}://127.0.0.1:{port}", LoadRequest(model="m"), steps, on_step=seen.append)
    assert seen == results
    assert len(results[0].latencies) == len(list(steps[0].times()))
    assert results[1].rate > 0
    assert not any(result.num_failures for result in results)
    assert all((result.latencies > 0).all() for result in results)


def test_a_stalled_server_makes_every_request_of_that_time_late(start, fakes):
    """One request is held for a while; those that are due meanwhile on the only connection count their waiting."""
    stalls = threading.Event()

    def slow(columns):
        if stalls.is_set():
            stalls.clear()
            threading.Event().wait(0.4)
        return {"total": columns[0].values.astype("float32")}

    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")], None, slow))
    running = start({"m": model})
    threading.Timer(1.4, stalls.set).start()
    (result,) = bench_server(
        f"http://127.0.0.1:{running.port}", LoadRequest(model="m"), [LoadStep(100.0, 1.5, 1, "even")]
    )
    assert len(result.latencies) == 149
    late = result.latencies[result.latencies > 0.1]
    assert len(late) > 15


def test_requests_that_fail_are_counted_by_their_kind(start, fakes):
    calls, failing = [], threading.Event()

    def fail_later(columns):
        calls.append(1)
        if failing.is_set() and len(calls) > 5:
            raise ZeroDivisionError
        return {"total": columns[0].values.astype("float32")}

    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")], None, fail_later))
    running = start({"m": model})
    calls.clear()
    failing.set()
    (result,) = bench_server(f"http://127.0.0.1:{running.port}", LoadRequest(model="m"), [LoadStep(100.0, 0.3, 2)])
    assert result.failures == {"status 500": len(list(LoadStep(100.0, 0.3).times()))}


def test_what_the_server_refuses_is_not_put_under_load(start):
    running = start()
    address = f"http://127.0.0.1:{running.port}"
    with pytest.raises(RequestError, match="no signature"):
        bench_server(address, LoadRequest(model="m", signature="other"), [LoadStep(1.0)])
    with pytest.raises(UnavailableError, match="the server cannot be reached: Connection refused"):
        bench_server("http://127.0.0.1:1", LoadRequest(model="m"), [LoadStep(1.0)])


def test_a_model_that_refuses_what_was_made_up_wants_inputs_of_the_callers_own(start, fakes):
    def refuse(columns):
        raise DataError("a string is no timestamp")

    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")], None, refuse))
    address = f"http://127.0.0.1:{start({'m': model}).port}"
    with pytest.raises(RequestError, match="refuses the inputs that were made up: a string is no timestamp") as caught:
        bench_server(address, LoadRequest(model="m"), [LoadStep(1.0)])
    assert "--inputs" in caught.value.fix
    with pytest.raises(RequestError, match=r"^/v1/models/m:predict: a string is no timestamp"):
        bench_server(address, LoadRequest(model="m", inputs=[1.0]), [LoadStep(1.0)])
    with pytest.raises(NotFoundError, match="Servable not found"):
        bench_server(address, LoadRequest(model="other"), [LoadStep(1.0)])


async def _put_on(talk, step, *, on_request=lambda server: None):
    """Put load on a server that `talk` answers for; `on_request` is called with the server at each request."""
    from mainstay.serving.client.address import parse_address
    from mainstay.serving.load.generator import put_load
    from mainstay.serving.load.requests import rest_target

    talks = []

    async def answer(reader, writer):
        talks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            await talk(reader, writer, lambda: on_request(server))
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = rest_target(parse_address(f"http://127.0.0.1:{port}"), "/x", b"{}", {})
    async with server:
        result = await put_load(target, step)
        await asyncio.wait(talks, timeout=5)
        return result


async def _answer_one(reader, writer, seen, *, head=b""):
    received = await reader.readuntil(b"\r\n\r\n")
    length = int(received.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    await reader.readexactly(length)
    seen()
    writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"content-length: 2\r\n\r\n{}")
    await writer.drain()


def test_a_server_that_closes_every_connection_is_asked_over_new_ones():
    async def talk(reader, writer, seen):
        await _answer_one(reader, writer, seen, head=b"connection: close\r\n")

    result = asyncio.run(_put_on(talk, LoadStep(100.0, 0.5, 4, "even")))
    assert len(result.latencies) == 49
    assert not result.failures


def test_connections_that_the_server_closed_while_they_were_idle_are_replaced():
    result = asyncio.run(_put_on(_answer_one, LoadStep(100.0, 0.5, 4, "even")))
    assert len(result.latencies) + result.num_failures == 49
    assert len(result.latencies) > 40  # one may be sent just as the server closes its connection


@pytest.mark.parametrize("rate", [100.0, None])
def test_requests_to_a_server_that_has_gone_fail(rate):
    async def talk(reader, writer, seen):
        await _answer_one(reader, writer, seen, head=b"connection: close\r\n")

    count = itertools.count()

    def gone(server):
        if next(count) == 9:
            server.close()

    result = asyncio.run(_put_on(talk, LoadStep(rate, 0.5, 1, "even"), on_request=gone))
    assert len(result.latencies) == 10
    assert list(result.failures) == ["the server cannot be reached"]
    if rate:
        assert result.num_failures == 39
    else:
        assert result.num_failures > 1


def test_the_command_shows_a_table_and_writes_figures_and_a_plot(start, tmp_path, capsys):
    running = start()
    (tmp_path / "x.json").write_text("[1.5, 2.5]")
    arguments = ["bench", "serve", f"http://127.0.0.1:{running.port}", "--model", "m", "--rates", "50,100"]
    arguments += ["--seconds", "0.3", "--json", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.svg")]
    assert main([*arguments, "--inputs", str(tmp_path / "x.json")]) == 0
    assert "answered/s" in capsys.readouterr().out
    document = json.loads((tmp_path / "a.json").read_text())
    assert [step["offered_per_second"] for step in document["steps"]] == [50.0, 100.0]
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    (tmp_path / "x.json").write_text("[")
    assert main([*arguments, "--inputs", str(tmp_path / "x.json")]) == 2
    assert "no JSON" in capsys.readouterr().err
