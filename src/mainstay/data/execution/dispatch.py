"""The dispatch: where the tasks of a stage run, in threads or in worker processes, and how that is decided.

Processes are worth their start when a row function keeps the interpreter busy: then threads wait for each other. That
shows in what is measured anyway. A task has a core for only part of the time it takes, while all of them together keep
about one core busy, and whoever needs the chunks waits. Nothing but speed may depend on the decision: functions whose
state changes stay in threads, and so do those whose results differ between here and there.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import Any

from mainstay.core import SetupError
from mainstay.data.execution.crew import Crew
from mainstay.data.execution.pickling import by_value
from mainstay.data.execution.remote import RemoteTask, Route, is_same, route_of
from mainstay.data.execution.settings import Settings, is_free_threaded
from mainstay.data.execution.stage import Figures, Stage
from mainstay.data.execution.task import Done, Task
from mainstay.data.execution.wire import WireClosedError
from mainstay.data.execution.workers import Workers
from mainstay.data.feeds import BlockFeed, RowFeed

_FIRST_LOOK = 0.25
_SECOND_LOOK = 1.0
_WORTHWHILE = 3.0
_SHARED = 0.62
_OCCUPIED = 0.6
_ALONE, _TOGETHER, _LONG_ENOUGH, _HELD_UP = 3, 4, 0.02, 0.75


class Dispatch:
    """Does the tasks of a stage.

    Args:
        task: The task.
        stage: What counts them.
        settings: Where they may run.
        crew: The worker processes of the dataset.
    """

    def __init__(self, task: Task, stage: Stage, settings: Settings, crew: Crew) -> None:
        self.task, self.stage, self._settings, self._crew = task, stage, settings, crew
        self._lock = threading.Lock()
        self._remote: tuple[RemoteTask, Workers] | None = None
        self._is_trusted = False
        self._digest: str | None = None
        self._before: Figures | None = None
        self._watches = settings.workers == "auto" and settings.is_tuned and settings.processes > 1
        self._watches = self._watches and not is_free_threaded()
        self._is_forced = settings.workers == "processes"
        self._trial = Trial(stage, stage.limit) if settings.is_tuned and not is_free_threaded() else None

    def __call__(self, address: Any) -> Done:
        """Return what the task gives at an address."""
        if self._is_forced:
            self._force()
        elif self._watches:
            self._watch(address)
        remote = self._remote
        if remote is None:
            return self._here(address)
        if not self._is_trusted and not self._is_forced:
            return self._try(*remote, address)
        task, workers = remote
        try:
            return task.timed(address, workers)
        except WireClosedError:
            # The workers were told to end: the dataset went back to threads, or is about to end too.
            return self.task.timed(address)

    def _here(self, address: Any) -> Done:
        """Do a task in this thread; the first ones show whether several at a time hold each other up."""
        trial = self._trial
        if trial is not None and not trial.is_begun and not self.task.is_row_bound:
            trial = self._trial = None
        if trial is None or trial.is_over:
            return self.task.timed(address)
        is_alone = trial.begin()
        done = self.task.timed(address)
        trial.note(done, alone=is_alone)
        return done

    def _force(self) -> None:
        """Have workers, if there is anything for them to do."""
        if self._remote is not None:
            return
        with self._lock:
            route = None if self._remote else route_of(self.task.functions)
            if route is None:
                return
            try:
                self._start(route)
            except SetupError:
                raise
            except Exception as error:
                raise SetupError(
                    "a function cannot be sent to worker processes",
                    where=self.task.name,
                    expected="functions, and what they refer to, that can be pickled",
                    received=f"{type(error).__name__}: {error}",
                    fix="open files and connections inside of the function; or leave options.workers at 'auto'",
                ) from error

    def _start(self, route: Route) -> None:
        if not sys.executable:
            raise SetupError("there is no interpreter to start worker processes with", where="sys.executable")
        self._remote = RemoteTask(self.task, route), self._crew.hire()
        self.stage.limit = max(self.stage.limit, 2 * self._settings.processes)
        self.stage.workers = "processes"

    def _watch(self, address: Any) -> None:
        """Look at what was measured, now and then, and decide."""
        figures = self.stage.figures()
        if figures.wait_seconds < (_FIRST_LOOK if self._digest is None else _SECOND_LOOK):
            return
        with self._lock:
            if not self._watches:
                return
            if self._before is not None:
                self._compare(figures)
            elif self._digest is None:
                self._digest = self._digest_of_functions()
                self._watches = bool(self._digest)
            elif self._is_held_up(figures) and self._is_worthwhile(figures, address):
                self._switch(figures)

    def _digest_of_functions(self) -> str:
        """Return what tells whether the functions have changed; empty where they cannot go to workers."""
        route = route_of(self.task.functions)
        if route is None:
            return ""
        try:
            users = [getattr(getattr(function, "step", None), "function", function) for function in route.sent]
            return hashlib.blake2b(by_value(users)).hexdigest()
        except Exception as error:
            self.stage.note = f"threads: its functions cannot be sent to processes ({type(error).__name__}: {error})"
            return ""

    def _is_worthwhile(self, figures: Figures, address: Any) -> bool:
        """Return whether what is left takes longer than starting processes.

        What is left of later passes is not known: as much is expected to come as there was.
        """
        each = figures.wait_seconds / max(figures.chunks, 1)
        left, feed = 0.0, self.task.feed
        if isinstance(feed, RowFeed):
            left = (len(feed.view) - address[1]) / feed.rows * each
        elif isinstance(feed, BlockFeed):
            left = (feed.source.num_blocks / feed.window - address[0]) * address[2] * each
        return max(left, figures.wait_seconds) >= _WORTHWHILE

    def _switch(self, figures: Figures) -> None:
        if self._digest_of_functions() != self._digest:
            self.stage.note = self.stage.note or "threads: its functions refer to something that changes meanwhile"
            self._watches = False
            return
        route = route_of(self.task.functions)
        if route is None:
            self._watches = False
            return
        try:
            remote = RemoteTask(self.task, route)
        except Exception as error:
            self.stage.note = f"threads: {type(error).__name__}: {error}"
            self._watches = False
            return
        self.stage.note = "processes: on threads, its tasks wait for each other, as they all run Python"
        self._before, self._remote = figures, (remote, self._crew.hire())

    def _try(self, remote: RemoteTask, workers: Workers, address: Any) -> Done:
        """Do a task here while the workers start, and once both here and there, to compare."""
        if workers.failure is not None:
            self._give_up(f"threads: processes could not start ({workers.failure})")
        done = self.task.timed(address)
        if not workers.is_ready or not done.chunk.length:
            return done
        with self._lock:
            if self._is_trusted or self._remote is None:
                return done
            try:
                agrees = is_same(done.chunk, remote.timed(address, workers).chunk)
            except Exception as error:
                self._retreat(f"threads: in a process, it fails with {type(error).__name__}: {error}")
                return done
            if not agrees:
                self._retreat("threads: its results differ from one call to the next, or from process to process")
                return done
            self._is_trusted = True
            self._before = self.stage.figures()
            self.stage.limit = max(self.stage.limit, 2 * self._settings.processes)
            self.stage.workers = "processes"
        return done

    def _compare(self, figures: Figures) -> None:
        """Go back to threads where processes turn out no quicker."""
        before = self._before
        if not self._is_trusted or before is None:
            return
        waited, elements = figures.wait_seconds - before.wait_seconds, figures.elements - before.elements
        if waited < _SECOND_LOOK or not elements:
            return
        self._watches = False
        if waited / elements > before.wait_seconds / max(before.elements, 1):
            self._retreat("threads: processes were tried, and were no quicker")

    def _give_up(self, note: str) -> None:
        with self._lock:
            self._retreat(note)

    def _retreat(self, note: str) -> None:
        """Go back to threads for good; the lock is held."""
        remote, self._remote = self._remote, None
        self._watches = self._is_trusted = False
        self.stage.note, self.stage.workers = note, "threads"
        if self._trial is not None and self._trial.found_contention:
            self.stage.limit = 1
        if remote is not None:
            self._crew.dismiss()

    def forget_workers(self, crew: Crew) -> None:
        """Do without worker processes, which are another process's, until some of the new crew are hired."""
        self._lock, self._crew = threading.Lock(), crew
        self._remote, self._before = None, None
        self._is_trusted = False
        self.stage.workers = "threads"

    def _is_held_up(self, figures: Figures) -> bool:
        """Return whether tasks wait for each other, while whoever needs their chunks waits for them."""
        share = figures.cpu_seconds / max(figures.busy_seconds, 1e-9)
        contends = share <= _SHARED or (self._trial is not None and self._trial.found_contention)
        return contends and figures.cpu_seconds >= _OCCUPIED * figures.wait_seconds


class Trial:
    """Finds out whether the tasks of a stage hold each other up in threads, and lets one run at a time if they do.

    A row function that never lets go of Python's lock is slower on two threads than on one. A few tasks run alone, then
    a few together: what counts is for which part of its time a task has a core, so that neither elements of different
    cost nor a busy machine are mistaken for it.

    Args:
        stage: The stage; its limit is set.
        limit: How many tasks may run at a time.
    """

    def __init__(self, stage: Stage, limit: int) -> None:
        self.is_begun, self.is_over, self.found_contention = False, limit < 2, False
        self._stage, self._limit = stage, limit
        self._lock = threading.Lock()
        self._running = 0
        self._seen = {True: [0, 0.0, 0.0], False: [0, 0.0, 0.0]}

    def begin(self) -> bool:
        """Count a task that begins; return whether no other one runs."""
        with self._lock:
            if not self.is_begun:
                self.is_begun, self._stage.limit = True, 1
            self._running += 1
            return self._running == 1 and self._stage.limit == 1

    def note(self, done: Done, *, alone: bool) -> None:
        """Take into account what a task took."""
        with self._lock:
            self._running -= 1
            if self.is_over:
                return
            seen = self._seen[alone]
            seen[:] = [seen[0] + 1, seen[1] + done.busy_seconds, seen[2] + done.cpu_seconds]
            if self._stage.limit == 1 and alone:
                if seen[0] >= _ALONE and seen[1] >= _LONG_ENOUGH:
                    self._stage.limit = self._limit
            elif not alone and seen[0] >= _TOGETHER * self._limit and seen[1] >= _LONG_ENOUGH * self._limit:
                self._judge()

    def _judge(self) -> None:
        shares = {alone: cpu / max(busy, 1e-9) for alone, (_, busy, cpu) in self._seen.items()}
        self.is_over = True
        self.found_contention = shares[False] <= _HELD_UP * shares[True]
        if self.found_contention:
            self._stage.limit = 1
            self._stage.note = "one at a time: its tasks run Python, and would wait for each other"
