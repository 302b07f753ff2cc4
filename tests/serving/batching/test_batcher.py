import asyncio
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.batching.batcher import Batcher, BatchPolicy
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs


class Loop:
    """An event loop that turns when it is told to."""

    def __init__(self):
        self.soon = deque()
        self.later = []

    def call_soon(self, call, *arguments):
        handle = asyncio.Handle(call, arguments, self)
        self.soon.append(handle)
        return handle

    def call_later(self, delay, call, *arguments):
        handle = asyncio.Handle(call, arguments, self)
        self.later.append(handle)
        return handle

    def get_debug(self):
        return False

    def turn(self):
        for _ in range(len(self.soon)):
            handle = self.soon.popleft()
            if not handle.cancelled():
                handle._run()

    def wait(self):
        due, self.later = self.later, []
        for handle in due:
            if not handle.cancelled():
                handle._run()

    def call_exception_handler(self, context):
        raise context["exception"]


class Elsewhere:
    """An executor that runs its work when it is told to, and never two at a time."""

    def __init__(self):
        self.jobs = []

    def submit(self, work, done):
        assert not self.jobs, "two executions at once"
        self.jobs.append((work, done))

    def step(self):
        if self.jobs:
            work, done = self.jobs[0]
            result = work()
            self.jobs.clear()
            done(result)


class World:
    """A batcher whose model gives each row back and fails on rows below zero."""

    def __init__(self, **policy):
        self.loop, self.elsewhere, self.batches = Loop(), Elsewhere(), []
        self.answers = {}
        policy = BatchPolicy(**{"max_rows": 4, "max_inline_rows": 0} | policy)
        self.batcher = Batcher(self.execute, policy, loop=self.loop, executor=self.elsewhere)

    def execute(self, chunks):
        rows = [value for chunk in chunks for value in chunk.parts[0]]
        self.batches.append(rows)
        if any(row < 0 for row in rows):
            raise ValueError("a row is below zero")
        return Outputs.of({"y": np.array(rows)})

    def send(self, rows, shape=()):
        number = len(self.answers)
        self.answers[number] = []
        return self.batcher.submit(Chunk(len(rows), [rows], shape=shape), self.answers[number].append)

    def finish(self):
        while not self.batcher.idle:
            self.loop.turn()
            self.loop.wait()
            self.elsewhere.step()


def rows_of(answer):
    return answer[0].arrays["y"].tolist()


@given(
    st.lists(st.one_of(st.lists(st.integers(-1, 50), min_size=1, max_size=11), st.sampled_from("tsw"))),
    st.integers(1, 5),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.5]),
)
def test_every_request_is_answered_once_with_its_own_rows_in_order(events, most, inline, timeout):
    """The laws: never more than the maximum, order kept, nothing mixed, one answer each, faults stay alone."""
    world = World(max_rows=most, max_inline_rows=inline, timeout_seconds=timeout)
    sent = []
    for event in events:
        if event == "t":
            world.loop.turn()
        elif event == "w":
            world.loop.wait()
        elif event == "s":
            world.elsewhere.step()
        else:
            sent.append(event)
            world.send(event)
    world.finish()
    assert all(len(batch) <= most for batch in world.batches)
    for number, rows in enumerate(sent):
        (answer,) = world.answers[number]
        if min(rows) < 0:
            assert isinstance(answer, ValueError)
        else:
            assert answer.arrays["y"].tolist() == rows


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=11), min_size=1), st.sets(st.integers(0, 10)))
def test_requests_that_were_given_up_are_neither_run_nor_answered(requests, gone):
    world = World()
    tickets = [world.send([100 * number + row for row in rows]) for number, rows in enumerate(requests)]
    for number in gone & set(range(len(tickets))):
        tickets[number].cancel()
    world.finish()
    run = {row // 100 for batch in world.batches for row in batch}
    assert run == set(range(len(requests))) - gone
    assert [len(answer) for answer in world.answers.values()] == [number not in gone for number in range(len(requests))]


def test_what_arrives_in_one_pass_of_the_loop_is_one_batch():
    world = World(max_inline_rows=4)
    for row in (1, 2, 3):
        world.send([row])
    assert not world.batches
    world.loop.turn()
    assert world.batches == [[1, 2, 3]]
    assert [rows_of(answer) for answer in world.answers.values()] == [[1], [2], [3]]


def test_what_arrives_while_the_executor_is_busy_is_the_next_batch():
    world = World(max_rows=8)
    world.send([1])
    world.loop.turn()
    world.send([2])
    world.loop.turn()
    world.send([3])
    world.elsewhere.step()
    world.loop.turn()
    world.elsewhere.step()
    assert world.batches == [[1], [2, 3]]


def test_a_large_request_is_split_and_put_together_again():
    world = World(max_rows=4)
    world.send(list(range(10)))
    world.finish()
    assert world.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert rows_of(world.answers[0]) == list(range(10))


def test_a_failing_batch_is_tried_again_request_by_request():
    world = World(max_rows=8)
    for rows in ([1], [-1, 2], [3]):
        world.send(rows)
    world.finish()
    assert world.batches == [[1, -1, 2, 3], [1], [-1, 2], [3]]
    assert [type(answer[0]) for answer in world.answers.values()] == [Outputs, ValueError, Outputs]


def test_the_rest_of_a_split_request_is_dropped_once_a_piece_has_failed():
    world = World(max_rows=2)
    world.send([-1, 1, 2, 3, 4, 5])
    world.finish()
    assert world.batches == [[-1, 1]]
    assert len(world.answers[0]) == 1


def test_with_a_timeout_a_batch_waits_until_it_is_full_or_time_is_up():
    world = World(max_rows=3, max_inline_rows=3, timeout_seconds=0.01)
    world.send([1])
    world.send([2])
    world.loop.turn()
    assert not world.batches
    world.send([3])
    world.loop.turn()
    assert world.batches == [[1, 2, 3]]
    world.send([4])
    world.loop.turn()
    world.loop.wait()
    assert world.batches == [[1, 2, 3], [4]]


def test_rows_of_different_shape_do_not_share_a_batch():
    world = World(max_rows=8)
    for row, shape in ((1, ((2,),)), (2, ((2,),)), (3, ((3,),)), (4, ((2,),))):
        world.send([row], shape)
    world.finish()
    assert world.batches == [[1, 2], [3], [4]]


@pytest.mark.parametrize(("rows", "inline"), [(2, True), (3, False)])
def test_only_cheap_batches_run_on_the_event_loop(rows, inline):
    world = World(max_inline_rows=2)
    world.send(list(range(rows)))
    world.loop.turn()
    assert bool(world.answers[0]) is inline
