"""Chunks come in order or as they are done, with exact states, whatever runs them."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from mainstay.data import Dataset, Options
from mainstay.data.addressing import View
from mainstay.data.chunks import Chunk
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.settings import Settings
from mainstay.data.execution.task import Task
from mainstay.data.feeds import NodeFeed, RowFeed
from mainstay.data.functions.function import Function
from mainstay.data.operations.batching import BatchNode
from mainstay.data.plan import Parallel
from mainstay.data.sources.arrays import RangeSource
from mainstay.data.streams import Cursor, Node

ROWS = 97


@dataclass
class Work(Function):
    """Adds one; what else it does is up to the test."""

    name = "work"
    before: object = field(default=lambda chunk: None)

    def __call__(self, chunk: Chunk) -> Chunk:
        self.before(chunk)
        return chunk.with_columns(chunk.columns[0] + 1)


def settings(**changes: object) -> Settings:
    return Settings(**{"threads": 2, "workers": "threads", **changes})


def rows_stage(
    engine: Engine, function: Function | None = None, *, rows: int = 5, count: int = ROWS, **more
) -> Parallel:
    source = RangeSource(0, count, 1)
    return Parallel(Task(RowFeed(source, View(count), rows), (function or Work(),)), engine, **more)


def values(chunks: Iterator) -> list[int]:
    return [int(value) for chunk, _ in chunks for value in chunk.columns[0]]


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(settings())
    yield engine
    engine.close(5)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("budget", [1, 10_000, 1 << 30])
@pytest.mark.parametrize("is_tuned", [True, False])
def test_chunks_and_states_do_not_depend_on_threads_or_budgets(threads: int, budget: int, is_tuned: bool) -> None:
    engine = Engine(settings(threads=threads, ram_budget=budget, is_tuned=is_tuned))
    pairs = [(chunk.columns[0].tolist(), state) for chunk, state in rows_stage(engine).run(None, ())]
    assert pairs == [
        (list(range(start + 1, min(start + 5, ROWS) + 1)), min(start + 5, ROWS)) for start in range(0, ROWS, 5)
    ]
    engine.close(5)


def test_a_later_chunk_that_is_done_first_waits_for_its_turn() -> None:
    engine, second_is_done = Engine(settings()), threading.Event()

    def before(chunk: Chunk) -> None:
        if chunk.columns[0][0] == 5:
            second_is_done.set()
        elif chunk.columns[0][0] == 0:
            assert second_is_done.wait(20)

    assert values(rows_stage(engine, Work(before)).run(None, ())) == list(range(1, ROWS + 1))
    engine.close(5)


def test_no_more_calls_run_at_a_time_than_were_asked_for() -> None:
    engine, lock, running, most = Engine(settings(threads=8)), threading.Lock(), [0], [0]

    def before(chunk: Chunk) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.002)
        with lock:
            running[0] -= 1

    for calls in (1, 3):
        most[0] = 0
        assert len(values(rows_stage(engine, Work(before), calls=calls).run(None, ()))) == ROWS
        assert most[0] <= calls
    engine.close(5)


def test_one_call_at_a_time_still_works_ahead(engine: Engine) -> None:
    third = threading.Event()
    stage = rows_stage(engine, Work(lambda chunk: third.set() if chunk.columns[0][0] == 10 else None), calls=1)
    chunks = stage.run(None, ())
    next(chunks), next(chunks)
    assert third.wait(20)
    chunks.close()


def test_the_budget_holds_back_what_is_not_needed_yet() -> None:
    budget = 3 * 1000 * 8
    engine = Engine(settings(threads=8, ram_budget=budget))
    for _ in rows_stage(engine, rows=1000, count=100_000).run(None, ()):
        pass
    assert engine.budget.used == 0
    # Two chunks are under way before the size of one is known, then one more than the budget holds at the most.
    assert engine.budget.peak <= budget + 8000
    engine.close(5)


def test_a_failure_comes_in_its_turn_and_with_its_traceback(engine: Engine) -> None:
    def before(chunk: Chunk) -> None:
        if chunk.columns[0][0] == 50:
            raise ZeroDivisionError("fifty")

    seen = []
    with pytest.raises(ZeroDivisionError, match="fifty") as caught:
        for chunk, _ in rows_stage(engine, Work(before)).run(None, ()):
            seen += chunk.columns[0].tolist()
    assert seen == list(range(1, 51))
    assert "before" in [entry.name for entry in caught.traceback]
    assert engine.budget.used == 0


def until(condition) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return condition()


def own_threads() -> int:
    return sum(thread.name.startswith("mainstay-data") for thread in threading.enumerate())


def test_threads_end_with_the_dataset_and_not_before_its_iterators() -> None:
    baseline = own_threads()
    dataset = Dataset.range(2000).map(len_of_text).batch(4)
    iterator = iter(dataset)
    next(iterator)
    del dataset
    assert len(list(iterator)) == 499
    del iterator
    assert until(lambda: own_threads() <= baseline)


def len_of_text(number) -> np.int64:
    return np.int64(len(str(int(number))))


def test_an_iterator_left_half_way_gives_everything_back(engine: Engine) -> None:
    chunks = rows_stage(engine).run(None, ())
    next(chunks)
    chunks.close()
    assert until(lambda: engine.budget.used == 0)
    assert values(rows_stage(engine).run(None, ())) == list(range(1, ROWS + 1))


def test_two_iterators_share_the_threads_and_not_their_elements(engine: Engine) -> None:
    stage = rows_stage(engine)
    pairs = list(zip(stage.run(None, ()), stage.run(None, ()), strict=True))
    assert all(a[0].columns[0].tolist() == b[0].columns[0].tolist() and a[1] == b[1] for a, b in pairs)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_pipeline_inside_of_a_task_of_another_one_does_not_stop_the_pool(threads: int) -> None:
    engine = Engine(settings(threads=threads))
    inner = rows_stage(engine)
    sums = []
    outer = rows_stage(engine, Work(lambda chunk: sums.append(sum(values(inner.run(None, ()))))))
    assert len(values(outer.run(None, ()))) == ROWS
    assert set(sums) == {sum(range(1, ROWS + 1))}
    engine.close(5)


def out_of_order(engine: Engine, *, rows: int = 5, feed=None) -> Parallel:
    """A stage whose chunks are done in another order than they are begun."""
    jitter = np.random.default_rng(5)

    def before(chunk: Chunk) -> None:
        threading.Event().wait(float(jitter.random()) * 0.004)

    feed = feed or RowFeed(RangeSource(0, ROWS, 1), View(ROWS), rows)
    return Parallel(Task(feed, (Work(before),)), engine, 4, False)


def read(node: Node, engine: Engine, state=None, count: int | None = None) -> tuple[list[int], object]:
    """Read elements as an iterator of a dataset does, and the state after them as JSON."""
    cursor = Cursor(node, state, (0,))
    engine.follow(cursor)
    found: list[int] = []
    while (count is None or len(found) < count) and (chunk := cursor.piece(1)) is not None:
        found += np.ravel(chunk.columns[0]).tolist()
    written = json.loads(json.dumps(cursor.state))
    cursor.close()
    return found, written


@pytest.mark.parametrize("count", [*range(30), 60, 61, 95, 96, 97])
def test_without_an_order_nothing_is_lost_and_nothing_comes_twice(count: int) -> None:
    engine = Engine(settings(threads=4))
    stage = out_of_order(engine)
    first, state = read(stage, engine, count=count)
    rest, _ = read(stage, engine, state)
    assert Counter(first + rest) == Counter(range(1, ROWS + 1))
    engine.close(5)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7, 8, 11, 12])
def test_without_an_order_batches_of_several_chunks_resume_exactly(count: int) -> None:
    engine = Engine(settings(threads=4))
    batches = BatchNode(out_of_order(engine, rows=3), 8, False)
    first, state = read(batches, engine, count=8 * count)
    rest, _ = read(batches, engine, state)
    assert Counter(first + rest) == Counter(range(1, ROWS + 1))
    engine.close(5)


@pytest.mark.parametrize("count", [1, 9, 10, 26, 50, 96])
def test_without_an_order_two_stages_after_each_other_resume_exactly(count: int) -> None:
    engine = Engine(settings(threads=4))
    stages = out_of_order(engine, feed=NodeFeed(out_of_order(engine, rows=7)))
    found, state = read(stages, engine, count=count)
    while state is not None and len(found) < ROWS:
        more, state = read(stages, engine, state, count=13)
        found += more
    assert Counter(found) == Counter(range(2, ROWS + 2))
    engine.close(5)


def test_a_state_without_an_order_goes_on_in_order_and_the_other_way_round() -> None:
    engine = Engine(settings(threads=4))
    mixed, straight = out_of_order(engine), rows_stage(engine)
    first, state = read(mixed, engine, count=33)
    second, state = read(straight, engine, state, count=13)
    rest, _ = read(mixed, engine, state)
    assert Counter(first + second + rest) == Counter(range(1, ROWS + 1))
    engine.close(5)


def test_without_an_order_a_slow_chunk_holds_nobody_up() -> None:
    engine, last_is_done = Engine(settings(threads=4)), threading.Event()

    def before(chunk: Chunk) -> None:
        if chunk.columns[0][0] == 10:
            assert last_is_done.wait(20)

    feed = RowFeed(RangeSource(0, ROWS, 1), View(ROWS), 5)
    stage = Parallel(Task(feed, (Work(before),)), engine, 3, False)
    cursor = Cursor(stage, None, (0,))
    engine.follow(cursor)
    found: list[int] = []
    while (chunk := cursor.piece()) is not None:
        found += chunk.columns[0].tolist()
        if 26 in found:
            last_is_done.set()
    assert found != sorted(found)
    assert sorted(found) == list(range(1, ROWS + 1))
    engine.close(5)


def test_without_an_order_a_stage_that_no_state_refers_to_keeps_it() -> None:
    engine = Engine(settings(threads=4))
    assert values(out_of_order(engine).run(None, ())) == list(range(1, ROWS + 1))
    engine.close(5)


def test_a_remainder_of_other_sizes_is_refused() -> None:
    from mainstay.core import ArgumentError

    engine = Engine(settings())
    state = {"unordered": [20, [[5, 10], [15, 20]]]}
    assert sorted(values(rows_stage(engine).run(state, ()))) == [*range(6, 11), *range(16, ROWS + 1)]
    with pytest.raises(ArgumentError, match="pieces of another size"):
        values(rows_stage(engine, rows=7).run(state, ()))
    engine.close(5)


def test_options_let_maps_go_without_an_order() -> None:
    options = Options()
    options.deterministic = False
    dataset = Dataset.range(300).map(len_of_text).with_options(options)
    assert Counter(int(x) for x in dataset) == Counter(len(str(x)) for x in range(300))
