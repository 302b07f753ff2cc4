"""The queue to a thread that writes."""

import logging
import threading

import pytest

from mainstay.core import StorageError
from mainstay.serving.operations.outbox import Outbox


@pytest.fixture
def make():
    made = []

    def run(write, **options):
        made.append(Outbox(write, name="test log", interval_seconds=60.0, **options))
        return made[-1]

    yield run
    for outbox in made:
        outbox.close()


def test_items_are_written_in_order_and_on_another_thread(make):
    seen = []
    outbox = make(lambda items: seen.append((threading.current_thread().name, items)))
    for number in range(5):
        assert outbox.put(number)
    assert outbox.flush()
    assert [item for _, items in seen for item in items] == list(range(5))
    assert {name for name, _ in seen} == {"mainstay-test-log"}


def test_what_does_not_fit_is_dropped_and_counted_and_nobody_waits(make):
    begun, go, seen = threading.Event(), threading.Event(), []

    def write(items):
        begun.set()
        go.wait(20)
        seen.extend(items)

    outbox = make(write, limit=4)
    for number in range(3):
        outbox.put(number)
    assert begun.wait(20)  # half full wakes the writer, which now hangs
    taken = [outbox.put(number) for number in range(10, 20)]
    assert taken.count(True) == 4
    assert outbox.dropped == 6
    go.set()
    outbox.close()
    assert seen == [0, 1, 2, 10, 11, 12, 13]


def test_closing_writes_what_waits(make):
    seen = []
    outbox = make(seen.extend)
    outbox.put(1)
    assert outbox.close()
    assert seen == [1]


def test_closing_gives_up_on_a_writer_that_hangs(make):
    go = threading.Event()
    outbox = make(lambda items: go.wait(20))
    outbox.put(1)
    assert not outbox.close(0.01)
    go.set()


def test_a_writer_that_fails_loses_its_items_and_says_so_once(make, caplog):
    calls = []

    def write(items):
        calls.append(items)
        raise StorageError("cannot write it: no space", where="/log", fix="free some")

    outbox = make(write)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            outbox.put(number)
            assert outbox.flush()
    assert len(calls) == 3
    assert outbox.dropped == 3
    assert [record.getMessage() for record in caplog.records] == [
        "the test log loses entries, 1 so far: /log: cannot write it: no space; fix: free some"
    ]


def test_the_tick_comes_whether_there_is_anything_or_not(make):
    ticks = []
    outbox = make(lambda items: None, tick=lambda: ticks.append(1))
    assert outbox.flush()
    assert ticks
