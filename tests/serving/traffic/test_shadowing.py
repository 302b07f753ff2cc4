"""Shadows: they follow an answer, never touch it, and leave their differences behind."""

import asyncio
from random import Random

import numpy as np
import pytest

from mainstay.core import UnavailableError
from mainstay.serving.calls import CRITICALITIES
from mainstay.serving.traffic.config import ModelTraffic, Shadow, Tolerance, TrafficConfig


def shadowed(traffic, primary, other, *, loop, dtype="float32", **keys):
    """Return a road whose version 1 is shadowed by version 2, and the shadow's batcher and statistics."""
    config = TrafficConfig({"m": ModelTraffic(weights={1: 1}, shadows=(Shadow(to=2, **keys),))})
    road = traffic.road(loop, config, Random(1))
    second = traffic.servable(2, loop, other, dtype=dtype)
    road.engine.snapshot = traffic.snapshot(traffic.servable(1, loop, primary), second)
    return road, second, road.router.statistics["m"].shadow(config.models["m"].shadows[0])


def doubled(chunk):
    return {"y": np.asarray(chunk.parts[0], np.float32) * 2}


def run(body):
    async def main():
        await body(asyncio.get_running_loop())

    asyncio.run(main())


def test_equal_answers_are_counted_and_no_example_is_kept(traffic):
    async def body(loop):
        road, second, counts = shadowed(traffic, doubled, doubled, loop=loop)
        compared = []
        road.router.on_compared = lambda model, shadow, item: compared.append((model, shadow.to, item.compared))
        for _ in range(3):
            assert await road.predict() == 1
            await road.settle()
        assert (counts.compared, counts.differing, list(counts.examples)) == (3, 0, [])
        assert compared == [("m", 2, 1), ("m", 2, 2), ("m", 2, 3)]
        assert second.users == 0

    run(body)


def test_differences_are_measured_and_the_worst_row_is_kept(traffic):
    async def body(loop):
        def other(chunk):
            return {"y": doubled(chunk)["y"] + np.array([0, 0.5, 0.25], np.float32)}

        road, _, counts = shadowed(traffic, doubled, other, loop=loop)
        await road.predict((1.0, 2.0, 3.0))
        await road.settle()
        output = counts.outputs["y"]
        assert (counts.differing, output.rows, output.differing, output.largest_absolute) == (1, 3, 2, 0.5)
        assert list(counts.examples) == [
            {
                "signature": "serving_default",
                "version": 1,
                "shadow_version": 2,
                "inputs": {"x": 2.0},
                "output": "y",
                "row": 1,
                "answer": 4.0,
                "shadow": 4.5,
            }
        ]

    run(body)


def test_the_tolerance_is_the_shadows_own(traffic):
    async def body(loop):
        def other(chunk):
            return {"y": doubled(chunk)["y"] + np.float32(0.5)}

        road, _, counts = shadowed(traffic, doubled, other, loop=loop, tolerance=Tolerance(1.0, 0.0))
        await road.predict()
        await road.settle()
        assert (counts.compared, counts.differing) == (1, 0)

    run(body)


def test_a_shadow_starts_after_the_answer_and_waits_behind_everything(traffic):
    async def body(loop):
        road, second, _ = shadowed(traffic, doubled, doubled, loop=loop)
        batcher = second.endpoints["serving_default"].batcher
        task = asyncio.ensure_future(road.predict())
        await asyncio.sleep(0)
        assert batcher.priorities == []
        await task
        assert batcher.priorities == [len(CRITICALITIES) - 1]

    run(body)


@pytest.mark.parametrize("refused", [False, True])
def test_a_shadow_that_fails_fails_nobody(traffic, refused):
    async def body(loop):
        def broken(chunk):
            raise ValueError("broken")

        road, second, counts = shadowed(traffic, doubled, broken, loop=loop)
        if refused:
            second.endpoints["serving_default"].batcher.refuse = UnavailableError("the queue is full")
        assert await road.predict() == 1
        await road.settle()
        assert (counts.compared, counts.failed, counts.left_out) == (0, not refused, refused)
        assert counts.last_failure == ("" if refused else "ValueError: broken")
        assert second.users == 0

    run(body)


def test_no_more_than_a_few_are_in_flight(traffic):
    async def body(loop):
        road, second, counts = shadowed(traffic, doubled, doubled, loop=loop, most_in_flight=2)
        held = []
        batcher = second.endpoints["serving_default"].batcher
        batcher.submit = lambda chunk, done, **keys: held.append((chunk, done))
        for _ in range(5):
            await road.predict()
        assert (len(held), counts.left_out, second.users) == (2, 3, 2)
        for chunk, done in held:
            done(batcher.result(chunk))
        await road.predict()
        assert (len(held), counts.compared) == (3, 2)

    run(body)


def test_the_fraction_of_requests_is_kept(traffic):
    async def body(loop):
        road, _, counts = shadowed(traffic, doubled, doubled, loop=loop, fraction=0.25)
        for _ in range(400):
            await road.predict()
            await road.settle()
        assert 70 < counts.compared < 130

    run(body)


def test_requests_that_the_shadow_answers_itself_are_not_sent_again(traffic):
    async def body(loop):
        road, _second, counts = shadowed(traffic, doubled, doubled, loop=loop)
        assert await road.predict(version=2) == 2
        await road.settle()
        assert counts.compared == 0
        assert await road.predict(version=1) == 1
        await road.settle()
        assert counts.compared == 1

    run(body)


@pytest.mark.parametrize("missing", ["version", "inputs", "signature"])
def test_a_shadow_that_cannot_take_the_rows_is_counted(traffic, missing):
    async def body(loop):
        dtype = "int64" if missing == "inputs" else "float32"
        road, second, counts = shadowed(traffic, doubled, doubled, loop=loop, dtype=dtype)
        if missing == "signature":
            second.endpoints = {}
        if missing == "version":
            road.engine.snapshot = traffic.snapshot(traffic.servable(1, loop, doubled))
        await road.predict()
        await road.settle()
        assert (counts.compared, counts.unavailable, second.users) == (0, 1, 0)

    run(body)


def test_large_answers_are_compared_beside_the_event_loop(traffic, monkeypatch):
    monkeypatch.setattr("mainstay.serving.traffic.shadowing._MOST_INLINE_VALUES", 0)

    async def body(loop):
        road, _, counts = shadowed(traffic, doubled, doubled, loop=loop)
        compared = loop.create_future()
        road.router.on_compared = lambda *seen: compared.set_result(None)
        await road.predict()
        await asyncio.wait_for(compared, 20)
        assert (counts.compared, counts.differing) == (1, 0)

    run(body)


def test_answers_that_cannot_be_compared_make_room_for_the_next_ones(traffic):
    async def body(loop):
        road, second, counts = shadowed(traffic, doubled, lambda chunk: {"y": np.array(["a"], object)}, loop=loop)
        road.router.on_compared = lambda *_: 1 / 0
        for _ in range(6):
            await road.predict()
            await road.settle()
        assert (counts.failed, counts.left_out, second.users) == (6, 0, 0)
        assert counts.last_failure.startswith("ZeroDivisionError")

    run(body)
