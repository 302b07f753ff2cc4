"""The engine of a dataset: its threads, its budget, its stages, and the way chunks are delivered from them."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mainstay.data.chunks import Chunk
from mainstay.data.execution import ahead as _ahead
from mainstay.data.execution.ahead import Ahead, Pulling
from mainstay.data.execution.budget import Budget
from mainstay.data.execution.crew import Crew
from mainstay.data.execution.delivery import Intake, as_done, as_ordered
from mainstay.data.execution.dispatch import Dispatch
from mainstay.data.execution.jobs import Jobs
from mainstay.data.execution.pool import Pool
from mainstay.data.execution.settings import Settings
from mainstay.data.execution.stage import Stage
from mainstay.data.execution.task import Task

if TYPE_CHECKING:
    from mainstay.data.streams import Cursor, Epoch, State

_EXIT_SECONDS = 3.0
_MOST_WAITING_THREADS = 64

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """What runs a compiled dataset; all its passes share one.

    Nothing is started before it is needed. Threads and processes end when the engine is closed, which happens when the
    dataset and its iterators are gone, and before the interpreter ends.

    Args:
        settings: How many threads, processes and bytes it may use.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.stages: list[Stage] = []
        """The stages of the plan, sources first, and those made while it runs, one for each name."""
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._dispatches: weakref.WeakSet[Dispatch] = weakref.WeakSet()
        self._inner: dict[str, Stage] | None = None
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self.budget = Budget(self.settings.ram_budget)
        self._pool = Pool(self.settings.threads)
        self._crew = Crew(self.settings.processes)

    def seal(self) -> None:
        """Mark the plan as complete: stages from now on belong to datasets inside of functions."""
        self._inner = {}

    def stage(self, name: str, *, calls: int | None = None) -> Stage:
        """Return a new stage to count in; once the plan is complete, that of its name.

        Args:
            name: What the stage does.
            calls: How many tasks may run at a time; None lets the engine decide.
        """
        settings = self.settings
        with self._lock:
            if self._inner is not None and name in self._inner:
                return self._inner[name]
            limit = settings.threads if calls is None else max(1, calls)
            limit = min(limit, settings.threads) if settings.is_fixed else limit
            grows = calls is None and settings.is_tuned and not settings.is_fixed
            most = min(_MOST_WAITING_THREADS, 4 * limit) if grows else limit
            stage = Stage(name, limit=limit, most=max(limit, most), is_tuned=settings.is_tuned)
            self.stages.append(stage)
            if self._inner is not None:
                self._inner[name] = stage
            return stage

    def dispatch(self, task: Task, *, calls: int | None = None) -> Dispatch:
        """Return what does the tasks of a stage, here or in worker processes.

        Args:
            task: The task.
            calls: How many may run at a time; None lets the engine decide.
        """
        # Datasets inside of functions come and go: they do not get processes of their own.
        settings = self.settings if self._inner is None else replace(self.settings, workers="threads")
        dispatch = Dispatch(task, self.stage(task.name, calls=calls), settings, self._crew)
        self._dispatches.add(dispatch)
        return dispatch

    def task_of(self, stage: Stage) -> Task | None:
        """Return the task that a stage does; None where it has none."""
        return next((dispatch.task for dispatch in self._dispatches if dispatch.stage is stage), None)

    def deliver(
        self, dispatch: Dispatch, state: State, epoch: Epoch, *, in_order: bool = True
    ) -> Iterator[tuple[Chunk, State]]:
        """Yield what a task gives at each address of its feed, each with the state after it.

        Args:
            dispatch: Does the task.
            state: Where to begin.
            epoch: Which pass over the data.
            in_order: Whether the order of the addresses is kept; else a chunk comes as soon as it is done.
        """
        self._renew_after_fork()
        jobs = Jobs(dispatch.stage, dispatch, self._pool, self.budget)
        intake = Intake(dispatch.task.feed, state, epoch, self.budget)
        return as_ordered(jobs, intake) if in_order else as_done(jobs, intake, self._written)

    def read_ahead(
        self, chunks: Iterator[tuple[Chunk, State]], *, stage: Stage, size: int | None = None
    ) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks that another thread reads before they are asked for.

        Args:
            chunks: The chunks; whoever reads them closes them.
            stage: What counts them.
            size: How many elements wait at most, in whole chunks. None lets the engine decide, also whether a thread is
                worth it at all.
        """
        self._renew_after_fork()
        source: Pulling[tuple[Chunk, State]] | Ahead[tuple[Chunk, State]]
        if size is None:
            source = Pulling(chunks, self.budget)
        else:
            source = Ahead(chunks, self.budget, size=size, elements_of=lambda item: item[0].length)
        try:
            while True:
                start = time.perf_counter()
                item = source.take(block=True)
                stage.depth = source.count
                stage.waited(time.perf_counter() - start)
                if item is None:
                    return
                stage.worked(item[0].length, item[0].nbytes, 0.0, 0.0)
                yield item
                del item
        finally:
            source.close()

    def follow(self, cursor: Cursor) -> None:
        """Have an iterator's place counted among what would be written down as a state."""
        self._cursors.add(cursor)

    def _written(self) -> Iterable[Any]:
        return [cursor.places() for cursor in list(self._cursors)]

    def _renew_after_fork(self) -> None:
        """Begin anew in a process that was forked: the threads stayed behind."""
        with self._lock if self._pid == os.getpid() else threading.Lock():
            if self._pid != os.getpid():
                self._lock = threading.Lock()
                self._begin()
                for dispatch in self._dispatches:
                    dispatch.forget_workers(self._crew)
        if self not in _engines:
            _engines.add(self)
            # Last in, first out: this has to come before JAX takes its backend down, however late that was imported.
            atexit.unregister(_close_all)
            atexit.register(_close_all)

    def close(self, seconds: float = 0.0) -> None:
        """Have threads and processes end.

        Args:
            seconds: How long to wait for them.
        """
        if self._pid != os.getpid():
            return
        self._pool.close()
        self._crew.close(seconds)
        if seconds:
            self._pool.join(seconds)


def _close_all() -> None:
    """Have everything end before the interpreter does: what runs on into its end may crash it."""
    engines = list(_engines)
    for engine in engines:
        engine.close()
    _ahead.close_all(_EXIT_SECONDS)
    for engine in engines:
        engine.close(_EXIT_SECONDS)
