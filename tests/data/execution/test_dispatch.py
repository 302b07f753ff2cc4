"""Where tasks run is decided by what is measured, and by nothing that could change a result."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from mainstay.data.addressing import View
from mainstay.data.chunks import Chunk
from mainstay.data.execution.crew import Crew
from mainstay.data.execution.dispatch import Dispatch
from mainstay.data.execution.settings import Settings
from mainstay.data.execution.stage import Stage
from mainstay.data.execution.task import Task
from mainstay.data.feeds import RowFeed
from mainstay.data.functions.function import Function
from mainstay.data.sources.arrays import RangeSource

SETTINGS = Settings(threads=2, processes=2, workers="auto")


class Rows(Function):
    is_row_bound = True
    name = "map work"

    def __init__(self, function) -> None:
        self.function = function

    def __call__(self, chunk: Chunk) -> Chunk:
        return chunk.with_columns(np.array([self.function(value) for value in chunk.columns[0]]))


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew(1)
    yield crew
    crew.close(10)


def dispatch(crew: Crew, function, settings: Settings = SETTINGS) -> Dispatch:
    task = Task(RowFeed(RangeSource(0, 10_000, 1), View(10_000), 10), (Rows(function),))
    return Dispatch(task, Stage(task.name, limit=2), settings, crew)


def measure(made: Dispatch, *, wait: float, busy: float, cpu: float) -> None:
    """Pretend that so many seconds were measured."""
    made.stage.worked(10, 80, busy, cpu)
    made.stage.waited(wait)


HELD_UP = {"wait": 5.0, "busy": 10.0, "cpu": 5.0}


def double(value):
    return value * 2


def run_until(made: Dispatch, condition) -> None:
    for number in range(3000):
        start = number % 900 * 10
        assert made((start, start + 10, ())).chunk.columns[0].tolist() == [2 * x for x in range(start, start + 10)]
        if condition():
            return
        threading.Event().wait(0.005)


def test_tasks_that_wait_for_each_other_go_to_processes_and_give_the_same(crew: Crew) -> None:
    made = dispatch(crew, double)
    measure(made, **HELD_UP)
    run_until(made, lambda: made.stage.workers == "processes")
    assert made.stage.workers == "processes"
    assert made.stage.note == "processes: on threads, its tasks wait for each other, as they all run Python"
    assert made((0, 10, ())).chunk.columns[0].tolist() == list(range(0, 20, 2))


@pytest.mark.parametrize(
    "figures",
    [
        {"wait": 0.5, "busy": 1.0, "cpu": 0.5},  # not waited for
        {"wait": 5.0, "busy": 10.0, "cpu": 9.5},  # every task has a core
        {"wait": 5.0, "busy": 10.0, "cpu": 0.5},  # they wait for something else than the interpreter
    ],
)
def test_other_tasks_stay_in_threads(figures: dict[str, float], crew: Crew) -> None:
    made = dispatch(crew, double)
    measure(made, **figures)
    for start in range(0, 100, 10):
        made((start, start + 10, ()))
    assert made.stage.workers == "threads"
    assert made._remote is None


@pytest.mark.parametrize(
    "settings",
    [replace(SETTINGS, workers="threads"), replace(SETTINGS, is_tuned=False), replace(SETTINGS, processes=1)],
)
def test_nothing_is_decided_where_there_is_no_choice(settings: Settings, crew: Crew) -> None:
    made = dispatch(crew, double, settings)
    measure(made, **HELD_UP)
    made((0, 10, ())), made((10, 20, ()))
    assert made._remote is None


def test_functions_whose_state_changes_stay_in_threads(crew: Crew) -> None:
    seen = []

    def remembers(value):
        seen.append(int(value))
        return value * 2

    made = dispatch(crew, remembers)
    measure(made, **HELD_UP)
    made((0, 10, ())), made((10, 20, ())), made((20, 30, ()))
    assert made.stage.note == "threads: its functions refer to something that changes meanwhile"
    assert made._remote is None


def test_functions_that_cannot_be_sent_stay_in_threads(crew: Crew) -> None:
    lock = threading.Lock()

    def locks(value):
        with lock:
            return value * 2

    made = dispatch(crew, locks)
    measure(made, **HELD_UP)
    made((0, 10, ())), made((10, 20, ()))
    assert made.stage.note.startswith("threads: its functions cannot be sent to processes")


def test_functions_that_give_something_else_elsewhere_stay_in_threads(crew: Crew) -> None:
    made = dispatch(crew, lambda value: value * 2 + 0 * os.getpid() if os.getpid() == HERE else value)
    measure(made, **HELD_UP)
    run_until(made, lambda: made.stage.note.startswith("threads"))
    assert made.stage.note == "threads: its results differ from one call to the next, or from process to process"
    assert made._remote is None


HERE = os.getpid()


def test_processes_that_are_no_quicker_are_given_up(crew: Crew) -> None:
    made = dispatch(crew, double)
    measure(made, **HELD_UP)
    run_until(made, lambda: made.stage.workers == "processes")
    measure(made, wait=50.0, busy=1.0, cpu=1.0)
    assert made((0, 10, ())).chunk.columns[0].tolist() == list(range(0, 20, 2))
    assert made.stage.note == "threads: processes were tried, and were no quicker"
    assert made.stage.workers == "threads"
