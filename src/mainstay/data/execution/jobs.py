"""The jobs of one run of a stage: done by the pool, or by whoever needs the next one before a thread has begun it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from mainstay.data.chunks import Chunk
from mainstay.data.execution.budget import Budget, size_of
from mainstay.data.execution.pool import Pool
from mainstay.data.execution.stage import Stage
from mainstay.data.execution.task import Done
from mainstay.data.streams import State

TaskRunner: TypeAlias = Callable[[Any], Done]


class Job:
    """A task at one address, with the states before and after it."""

    __slots__ = ("address", "after", "before", "chunk", "error", "held", "is_begun", "is_done", "is_left")

    def __init__(self, address: Any, before: State, after: State) -> None:
        self.address, self.before, self.after = address, before, after
        self.is_begun = self.is_done = self.is_left = False
        self.chunk: Chunk | None = None
        self.error: BaseException | None = None
        self.held = 0


class Jobs:
    """The jobs of one run, begun in the order in which they are added.

    Whoever waits for a job that no thread has begun does it: that is quicker than waiting, and since nobody ever
    waits for work that lies in a queue, a pipeline may run inside of a task of another one.

    Args:
        stage: What counts them.
        runner: Does the task at an address.
        pool: Whose threads may do them.
        budget: What their chunks are counted in.
    """

    def __init__(self, stage: Stage, runner: TaskRunner, pool: Pool, budget: Budget) -> None:
        self._stage, self._runner, self._pool, self._budget = stage, runner, pool, budget
        self._changed = threading.Condition()
        self._fresh: deque[Job] = deque()
        self._done: deque[Job] = deque()
        self._open: dict[int, Job] = {}
        self._threads = self._running = 0
        self._is_closed = False

    def admits_another(self) -> bool:
        """Return whether there should be one job more."""
        count = len(self._open)
        if not count:
            return True
        if self._stage.largest is None:
            return count < 2
        depth = 1 if self._stage.is_cheap else self._stage.depth
        return count < depth and self._budget.admits(self._stage.largest)

    def add(self, job: Job, *, is_next: bool) -> None:
        """Add a job; one that will be asked for at once is left to whoever asks."""
        job.held = size_of(job.address) + (self._stage.largest or 0)
        self._budget.add(job.held)
        with self._changed:
            self._open[id(job)] = job
            if is_next:
                job.is_begun = job.is_left = True
                self._running += 1
            else:
                self._fresh.append(job)
            starts = self._adds_thread()
        if starts:
            self._start_thread()

    def _adds_thread(self) -> bool:
        """Return whether another thread of the pool may help, and count it; the lock is held."""
        limit = self._stage.limit
        adds = bool(self._fresh) and self._threads < limit and self._running < limit and not self._stage.is_cheap
        self._threads += adds
        return adds

    def _start_thread(self) -> None:
        self._pool.size = max(self._pool.size, self._stage.limit)
        self._pool.submit(self._work)

    def _work(self) -> None:
        """Do jobs on a thread of the pool, as long as there are any."""
        while True:
            with self._changed:
                may = not self._is_closed and self._running < self._stage.limit
                job = self._begin() if may else None
                if job is None:
                    self._threads -= 1
                    return
            self._do(job)
            job = None
            if self._pool.is_busy:
                self._pool.submit(self._work)
                return

    def _begin(self) -> Job | None:
        """Return a job that nobody has begun; the lock is held."""
        while self._fresh:
            job = self._fresh.popleft()
            if not job.is_begun:
                job.is_begun = True
                self._running += 1
                return job
        return None

    def _do(self, job: Job) -> None:
        chunk: Chunk | None = None
        error: BaseException | None = None
        size = 0
        try:
            done = self._runner(job.address)
            chunk = done.chunk
            size = chunk.nbytes
            self._stage.worked(chunk.length, size, done.busy_seconds, done.cpu_seconds)
        except BaseException as raised:
            error = raised
        with self._changed:
            self._running -= 1
            job.chunk, job.error, job.address, job.is_done = chunk, error, None, True
            if id(job) in self._open:
                self._budget.add(size - job.held)
                job.held = size
                self._done.append(job)
            self._changed.notify_all()

    def _help(self, job: Job) -> None:
        """Do a job on the thread that needs it, then let the pool have the turn back."""
        self._do(job)
        with self._changed:
            starts = self._adds_thread()
        if starts:
            self._start_thread()

    def finish(self, job: Job) -> Chunk:
        """Return what a job gives; it is the first of those that are not finished.

        Raises:
            BaseException: Whatever its task raised.
        """
        start, helps = 0.0, False
        with self._changed:
            if not job.is_done:
                start = time.perf_counter()
                helps = job.is_left or not job.is_begun
                self._running += not job.is_begun
                job.is_begun, job.is_left = True, False
                while not helps and not job.is_done:
                    self._changed.wait()
        if helps:
            self._help(job)
        self._stage.waited(time.perf_counter() - start if start else 0)
        with self._changed:
            self._done.remove(job)
        return self.deliver(job)

    def finish_any(self) -> Job:
        """Return a job that is done, the first to be so; there is a job.

        What it gave is for the caller to `deliver`.
        """
        start = 0.0
        while True:
            with self._changed:
                job = None
                if not self._done and not start:
                    start = time.perf_counter()
                while not self._done:
                    job = None if self._running else self._begin()
                    if job is not None:
                        break
                    self._changed.wait()
                if job is None:
                    self._stage.waited(time.perf_counter() - start if start else 0)
                    return self._done.popleft()
            self._help(job)

    def deliver(self, job: Job) -> Chunk:
        """Return what a job that is done gave, and forget it.

        Raises:
            BaseException: Whatever its task raised.
        """
        with self._changed:
            del self._open[id(job)]
        self._budget.add(-job.held)
        chunk, error = job.chunk, job.error
        job.chunk = job.error = None
        if error is None and chunk is not None:
            return chunk
        try:
            raise error or RuntimeError("a task gave nothing")
        finally:
            # The traceback refers to this frame: without this, an error keeps its chunk alive.
            del error, job

    def close(self) -> None:
        """Drop the jobs; those that run end by themselves."""
        with self._changed:
            self._is_closed = True
            self._fresh.clear()
            self._done.clear()
            held = sum(job.held for job in self._open.values())
            self._open.clear()
        self._budget.add(-held)
