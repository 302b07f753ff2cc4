"""Row functions in worker processes give what they give in threads: results, failures, addresses and states."""

import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import DataError, SetupError
from mainstay.data.addressing import Shuffle, View
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Loose
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.remote import is_same, route_of
from mainstay.data.execution.settings import Settings
from mainstay.data.execution.task import Task
from mainstay.data.feeds import NodeFeed, RowFeed
from mainstay.data.functions.function import Function, RowFailure
from mainstay.data.plan import Parallel
from mainstay.data.sources.arrays import ArraySource
from mainstay.io import Ragged


class Rows(Function):
    """Calls a function for each row, as a map does that JAX cannot trace."""

    is_row_bound = True

    def __init__(self, function) -> None:
        self.function, self.name = function, "map " + function.__name__

    def __call__(self, chunk: Chunk) -> Chunk:
        results = []
        with RowFailure(self.name, chunk) as at:
            for at.index, element in enumerate(chunk.rows()):
                results.append(self.function(element))
        made = Chunk.of_rows(results)
        return Chunk(made.skeleton, made.columns, made.length, chunk.origin)


class MyError(Exception):
    pass


class LockedError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def everything(row):
    number = float(row["x"][0])
    return {
        "number": np.float32(number * 2),
        "matrix": np.full((30, 40), number),
        "text": row["t"] + b"!",
        "loose": np.ones((int(number) % 3 + 1, 2)),
        "list": np.arange(int(number) % 4),
    }


def picky(row):
    if row["x"][0] == 77:
        raise MyError("seventy-seven")
    return row


def locked(row):
    raise LockedError("cannot travel")


def deadly(row):
    if row["x"][0] == 44:
        os.kill(os.getpid(), signal.SIGKILL)
    return row


def where(row):
    return np.int64(os.getpid())


def same(row):
    return row


COUNT = 120
SOURCE = ArraySource(
    {
        "x": np.repeat(np.arange(COUNT, dtype=np.float32)[:, None], 3, 1),
        "t": pa.array([b"row %d" % number for number in range(COUNT)], pa.binary()),
        "r": Ragged.from_rows([list(range(number % 5)) for number in range(COUNT)]),
    }
)


@pytest.fixture(scope="module")
def engines() -> Iterator[list[Engine]]:
    engines = [
        Engine(Settings(threads=2, workers="threads")),
        Engine(Settings(threads=2, workers="processes", processes=1)),
    ]
    yield engines
    for engine in engines:
        engine.close(10)


def stage(engine: Engine, *functions, feed=None) -> Parallel:
    view = View(COUNT).then(Shuffle(3, True))
    return Parallel(Task(feed or RowFeed(SOURCE, view, 16), functions), engine)


def test_results_origins_and_states_are_those_of_threads(engines: list[Engine]) -> None:
    runs = [list(stage(engine, Rows(everything)).run(None, (2,))) for engine in engines]
    assert len(runs[0]) == len(runs[1]) == 8
    for (chunk, state), (other, other_state) in zip(*runs, strict=True):
        assert is_same(chunk, other)
        assert state == other_state
        assert [chunk.address(i) for i in range(chunk.length)] == [other.address(i) for i in range(other.length)]
    assert engines[1].stages[-1].workers == "processes"


def test_chunks_of_another_stage_are_sent_and_keep_their_addresses(engines: list[Engine]) -> None:
    runs = []
    for engine in engines:
        feed = NodeFeed(stage(engine, Rows(everything)))
        runs.append(list(stage(engine, Rows(same), feed=feed).run(None, (1,))))
    for (chunk, _), (other, _) in zip(*runs, strict=True):
        assert is_same(chunk, other)
        assert chunk.address(3) == other.address(3)


def test_a_failure_has_its_type_its_traceback_and_the_address(engines: list[Engine]) -> None:
    with pytest.raises(MyError, match="seventy-seven") as caught:
        list(stage(engines[1], Rows(picky)).run(None, (0,)))
    assert caught.value.__notes__ == ["in map picky, at row 77 of the arrays"]
    assert 'raise MyError("seventy-seven")' in str(caught.value.__cause__)


def test_a_failure_on_a_chunk_that_was_sent_has_the_address_too(engines: list[Engine]) -> None:
    feed = NodeFeed(stage(engines[0], Rows(same)))
    with pytest.raises(MyError) as caught:
        list(stage(engines[1], Rows(picky), feed=feed).run(None, (0,)))
    assert caught.value.__notes__ == ["in map picky, at row 77 of the arrays"]


def test_a_failure_that_cannot_travel_is_told_in_words(engines: list[Engine]) -> None:
    with pytest.raises(DataError, match="LockedError: cannot travel") as caught:
        list(stage(engines[1], Rows(locked)).run(None, ()))
    assert "in locked" in str(caught.value.__cause__)


def test_functions_that_cannot_be_sent_are_refused(engines: list[Engine]) -> None:
    lock = threading.Lock()

    def holds(row):
        return lock and row

    with pytest.raises(SetupError, match=r"cannot be sent to worker processes(?s:.*)lock"):
        list(stage(engines[1], Rows(holds)).run(None, ()))


def test_elements_that_kill_two_workers_are_named() -> None:
    engine = Engine(Settings(threads=2, workers="processes", processes=1))
    with pytest.raises(DataError, match="killed by signal 9") as caught:
        list(Parallel(Task(RowFeed(SOURCE, View(COUNT), 10), (Rows(deadly),)), engine).run(None, ()))
    assert "row 40 of the arrays to row 49 of the arrays" in str(caught.value)
    engine.close(10)


def test_a_worker_that_is_killed_is_replaced_and_its_work_is_done_again() -> None:
    engine = Engine(Settings(threads=2, workers="processes", processes=1))
    node = Parallel(Task(RowFeed(SOURCE, View(COUNT), 10), (Rows(where),)), engine)
    chunks = node.run(None, ())
    first = next(chunks)[0].columns[0].tolist()  # The first is done here: it is not known before whether to send it.
    victim = next(pid for chunk, _ in chunks if (pid := int(chunk.columns[0][0])) != os.getpid())
    os.kill(victim, signal.SIGKILL)
    pids = [int(value) for _ in range(2) for chunk, _ in node.run(None, ()) for value in chunk.columns[0]]
    assert len(first) == 10
    assert len(pids) == 2 * COUNT
    assert len(set(pids) - {victim, os.getpid()}) == 1
    engine.close(10)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[-1], 0)


def test_a_large_source_is_read_here_and_its_chunks_are_sent(engines: list[Engine]) -> None:
    large = ArraySource(np.zeros((20, 3 << 20), np.uint8))
    node = Parallel(Task(RowFeed(large, View(20), 10), (Rows(where),)), engines[1])
    pids = {int(value) for chunk, _ in node.run(None, ()) for value in chunk.columns[0]}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_arrays_outlive_the_worker_that_made_them() -> None:
    engine = Engine(Settings(threads=2, workers="processes", processes=1))
    chunks = [chunk for chunk, _ in stage(engine, Rows(everything)).run(None, ())]
    engine.close(10)
    copy = [chunk.structure["matrix"].copy() for chunk in chunks]
    for chunk in chunks:
        chunk.structure["matrix"][:] += 1
    assert all((chunk.structure["matrix"] == old + 1).all() for chunk, old in zip(chunks, copy, strict=True))
    assert not any(isinstance(column, Loose) and not len(column) for chunk in chunks for column in chunk.columns)


class Traced(Function):
    name = "traced"

    def __call__(self, chunk: Chunk) -> Chunk:
        return chunk


class Chain(Function):
    name = "chain"

    def __init__(self, *functions: Function) -> None:
        self.functions = functions

    def __call__(self, chunk: Chunk) -> Chunk:
        return chunk


def test_what_jax_has_traced_stays_here() -> None:
    plain, traced, row = Traced(), Traced(), Rows(same)
    route = route_of([plain, Chain(row, traced, row)])
    assert route is not None
    assert [route.before, route.sent, route.after] == [(), (plain, row), (traced, row)]
    route = route_of([Chain(traced, row), plain])
    assert route is not None
    assert [route.before, route.sent, route.after] == [(traced,), (row, plain), ()]
    assert route_of([plain, Chain(traced)]) is None
    assert route_of([Chain()]) is None


def test_chunks_are_compared_bit_for_bit() -> None:
    chunk = Chunk.of({"a": np.zeros(3), "t": pa.array([b"a", b"b", b""], pa.binary())})
    assert is_same(chunk, Chunk.of({"a": np.zeros(3), "t": pa.array([b"a", b"b", b""], pa.binary())}))
    assert not is_same(chunk, Chunk.of({"a": -np.zeros(3), "t": chunk.columns[1]}))
    assert not is_same(chunk, chunk.with_columns({"a": np.zeros(3, np.float32), "t": chunk.columns[1]}))
    assert not is_same(chunk, chunk.cut(0, 2))
