"""A road gone once for all tests of this folder, and its model behind a real server."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from mainstay import saved_model, serving
from mainstay.pipeline import RoadOptions, run_road, write_transactions

ROWS = 3000


@pytest.fixture(scope="session")
def transactions(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "transactions.csv"
    write_transactions(path, ROWS)
    return path


@pytest.fixture(scope="session")
def road(transactions, tmp_path_factory):
    output = tmp_path_factory.mktemp("road") / "out"
    options = RoadOptions(data=str(transactions), label="is_fraud", output=output, epochs=2)
    return SimpleNamespace(options=options, output=output, result=run_road(options))


@pytest.fixture(scope="session")
def model(road):
    return saved_model.load(road.result.model)


@pytest.fixture(scope="session")
def served(road):
    """Ask the served model: `served(body, name=..., ...)` returns the status and the answer."""
    server = serving.ModelServer({"m": road.result.model.parent}, serving.ServerOptions(rest_port=0, grpc_port=None))
    ready, stop = threading.Event(), None
    loop = asyncio.new_event_loop()

    async def main():
        nonlocal stop
        stop = asyncio.Event()
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    assert ready.wait(120)

    def ask(body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.rest_port}/v1/models/m:predict", json.dumps(body).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    yield ask
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()
