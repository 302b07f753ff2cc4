"""Snapshots of versions that answer with given arrays, and calls that an engine sees from begin to end."""

import asyncio

import numpy as np
import pytest

from mainstay.core import Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs, Run
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.models.snapshot import Endpoint, Servable, Snapshot
from mainstay.serving.rest.decode import RequestDecoder
from mainstay.serving.status import Code
from mainstay.serving.traffic.router import TrafficRouter


class AnsweringBatcher:
    """Answers every chunk with what `answer` gives, on the next pass of the loop."""

    def __init__(self, loop, answer):
        self.loop = loop
        self.answer = answer
        self.priorities = []
        self.refuse = None

    def submit(self, chunk, done, *, deadline=None, priority=0):
        if self.refuse is not None:
            raise self.refuse
        self.priorities.append(priority)
        self.loop.call_soon(done, self.result(chunk))
        return object()

    def result(self, chunk):
        try:
            return Outputs.of({name: np.asarray(value) for name, value in self.answer(chunk).items()}, Run(chunk.rows))
        except Exception as error:
            return error


def servable(version, loop=None, answer=lambda chunk: {}, name="m", dtype="float32"):
    spec = TensorSpec([None], dtype, "x")
    batcher = AnsweringBatcher(loop, answer)
    signature = Signature((spec,), (TensorSpec([None], "float32", "y"),))
    endpoint = Endpoint("serving_default", signature, RequestDecoder((HostInput(spec, False),)), batcher)
    return Servable(name, version, {"serving_default": endpoint})


def snapshot(*servables, labels=None, statuses=None):
    return Snapshot({"m": {item.version: item for item in servables}}, {"m": statuses or {}}, {"m": labels or {}})


class Road:
    """An engine with a router, through which calls go from begin to end."""

    def __init__(self, loop, config, random=None):
        self.engine = Engine(loop)
        self.router = TrafficRouter(config, loop=loop, random=random)
        self.engine.router = self.router
        self.engine.observers = (self.router,)

    async def predict(self, values=(1.0,), *, code=Code.OK, **asked):
        call = Call("REST", "Predict", "m", asked.get("version"), asked.get("label"), received=self.engine.time())
        call.headers = asked.get("headers", call.headers)
        self.engine.begin(call)
        endpoint = self.engine.route(call).endpoint("")
        answered = self.engine.loop.create_future()
        self.engine.submit(call, endpoint, Chunk(len(values), [list(values)]), answered.set_result)
        result = await answered
        if isinstance(result, Exception):
            self.engine.finish(call, Code.INTERNAL, str(result))
        else:
            self.engine.finish(call, code, outputs=result)
        return call.servable.version

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def traffic():
    """The building blocks of tests, as one namespace."""

    class Traffic:
        servable = staticmethod(servable)
        snapshot = staticmethod(snapshot)
        road = staticmethod(Road)

    return Traffic


@pytest.fixture(scope="session")
def traffic_blocks():
    """The same, for tests that are run with many examples."""

    class Traffic:
        servable = staticmethod(servable)
        snapshot = staticmethod(snapshot)

    return Traffic
