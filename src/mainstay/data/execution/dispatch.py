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

    def __call__(self, address: Any) -> Done:
        """Return what the task gives at an address."""
        if self._is_forced:
            self._force()
        elif self._watches:
            self._watch(address)
        remote = self._remote
        if remote is None:
            return self.task.timed(address)
        if not self._is_trusted and not self._is_forced:
            return self._try(*remote, address)
        task, workers = remote
        try:
            return task.timed(address, workers)
        except WireClosedError:
            # The workers were told to end: the dataset went back to threads, or is about to end too.
            return self.task.timed(address)

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
            elif _is_held_up(figures) and self._is_worthwhile(figures, address):
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
        share = figures.cpu_seconds / figures.busy_seconds
        self.stage.note = f"processes: on threads, a task had a core for {share:.0%} of its time"
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
        if remote is not None:
            self._crew.dismiss()

    def forget_workers(self, crew: Crew) -> None:
        """Do without worker processes, which are another process's, until some of the new crew are hired."""
        self._lock, self._crew = threading.Lock(), crew
        self._remote, self._before = None, None
        self._is_trusted = False
        self.stage.workers = "threads"


def _is_held_up(figures: Figures) -> bool:
    """Return whether tasks wait for each other: each has a core for part of its time, all together for most of it."""
    share = figures.cpu_seconds / max(figures.busy_seconds, 1e-9)
    return share <= _SHARED and figures.cpu_seconds >= _OCCUPIED * figures.wait_seconds
