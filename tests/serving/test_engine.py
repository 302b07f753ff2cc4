"""The engine ends each call once and lets its version go, whatever those who watch do."""

import asyncio

import pytest

from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.models.snapshot import Servable, Snapshot
from mainstay.serving.status import Code


class Failing:
    def begun(self, call):
        pass

    def ended(self, call):
        raise OSError("the disk is full")


@pytest.fixture
def engine():
    loop = asyncio.new_event_loop()
    made = Engine(loop)
    made.snapshot = Snapshot({"m": {1: Servable("m", 1, {})}})
    yield made
    loop.close()


def test_a_version_is_let_go_even_if_what_watches_the_end_of_its_call_fails(engine, caplog):
    engine.observers = (Failing(),)
    call = Call("REST", "Predict", "m", received=0.0)
    servable = engine.route(call)
    engine.finish(call, Code.OK)
    assert servable.users == 0
    assert "the disk is full" in caplog.text


def test_a_call_ends_once(engine):
    call = Call("REST", "Predict", "m", received=0.0)
    servable = engine.route(call)
    engine.cancel(call)
    engine.finish(call, Code.OK)
    assert (call.code, servable.users) == (Code.CANCELLED, 0)
