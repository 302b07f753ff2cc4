"""The worker processes of a stage, as their parent sees them: started, given work, replaced when killed, and ended."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from mainstay.core import SetupError
from mainstay.data.columns import Column
from mainstay.data.execution.payload import Payload
from mainstay.data.execution.wire import WireClosedError, receive, send, send_memory

_LOG = logging.getLogger("mainstay.data")
_START_SECONDS = 120.0
_END_SECONDS = 2.0
_REQUESTS = 2
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)

_all: weakref.WeakSet[Workers] = weakref.WeakSet()


class WorkerGoneError(Exception):
    """A worker process ended before it answered.

    Args:
        reason: How it ended.
        was_at_it: Whether it had begun what it was asked; else that only waited behind something else.
    """

    def __init__(self, reason: str, *, was_at_it: bool) -> None:
        super().__init__(reason)
        self.reason, self.was_at_it = reason, was_at_it


class Worker:
    """One worker process.

    It is asked by several threads at a time, and answers in the order in which it was asked: while it sends one
    answer, the next request is already there.
    """

    def __init__(self) -> None:
        self.load = 0
        """How many requests it has been given and not answered."""
        self._lock = threading.Lock()
        self._last = threading.Lock()
        self._is_broken = False
        self._knows: set[int] = set()
        self.wire, theirs = socket.socketpair()
        their_end, self._lifeline = os.pipe()
        with theirs:
            try:
                self.process = _start(theirs.fileno(), their_end)
            except SetupError:
                self.wire.close()
                os.close(self._lifeline)
                raise
            finally:
                os.close(their_end)
        with contextlib.suppress(WireClosedError):
            environ = {"PYTHONPATH": os.environ.get("PYTHONPATH")}
            send(self.wire, {"path": list(sys.path), "environ": environ})

    def wait_until_ready(self) -> None:
        """Wait until the worker can be asked.

        Raises:
            SetupError: It could not start, or takes too long to.
        """
        self.wire.settimeout(_START_SECONDS)
        try:
            receive(self.wire)
        except (WireClosedError, TimeoutError) as error:
            raise SetupError(
                "a worker process could not start",
                received=self.ending() if isinstance(error, WireClosedError) else f"nothing for {_START_SECONDS:.0f} s",
                fix="see what it wrote to standard error; options.workers = 'threads' does without processes",
            ) from error
        self.wire.settimeout(None)

    def ask(
        self, payload: Payload, request: Any, columns: tuple[Column, ...], where: Callable[[int], str]
    ) -> tuple[Any, Any]:
        """Return the answer to a request.

        Args:
            payload: The task that is to be done.
            request: Where to do it: an address, or what belongs to columns.
            columns: The columns that belong to it.
            where: Says where an element of the chunk comes from.

        Raises:
            WorkerGoneError: The worker ended.
        """
        mine = threading.Lock()
        mine.acquire()
        with self._lock:
            try:
                if payload.number not in self._knows:
                    self._knows.add(payload.number)
                    task = ("task", payload.number, payload.places)
                    send_memory(self.wire, task, payload.descriptor, payload.size)
                send(self.wire, ("do", payload.number, request), columns)
            except (WireClosedError, OSError) as error:
                if not isinstance(error, WireClosedError) and not self._is_broken:
                    raise
                raise WorkerGoneError(self.ending(), was_at_it=False) from error
            before, self._last = self._last, mine
        with before:
            try:
                return self._answer(where)
            except (WireClosedError, OSError) as error:
                was_at_it, self._is_broken = not self._is_broken, True
                raise WorkerGoneError(self.ending(), was_at_it=was_at_it) from error
            finally:
                mine.release()

    def _answer(self, where: Callable[[int], str]) -> tuple[Any, Any]:
        while True:
            answer, columns = receive(self.wire)
            if answer[0] != "where":
                return answer, columns
            address = where(answer[1])
            with self._lock:
                send(self.wire, ("there", address))

    def ending(self) -> str:
        """Return how the process ended, as far as that is known by now."""
        try:
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "still running, but its connection is gone"
        if code >= 0:
            return f"exit status {code}"
        try:
            return f"killed by signal {-code} ({signal.Signals(-code).name})"
        except ValueError:
            return f"killed by signal {-code}"

    def let_go(self) -> None:
        """Have the process end at once, whatever it is at."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        with contextlib.suppress(OSError):
            self.wire.shutdown(socket.SHUT_RDWR)

    def reap(self, deadline: float) -> None:
        """Wait for the process to end; kill it at the deadline."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.wire.close()

    def forget(self) -> None:
        """Close what a forked process has of it."""
        self.process.returncode = 0
        self.wire.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def _start(wire: int, lifeline: int) -> subprocess.Popen[bytes]:
    environ = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "JAX_PLATFORMS": "cpu"}
    environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    command = [sys.executable, "-P", "-m", "mainstay.data.execution.worker", str(wire), str(lifeline), str(os.getpid())]
    try:
        # In a group of its own: Ctrl-C on the terminal is for the parent, which ends its workers.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=environ, pass_fds=(wire, lifeline), process_group=0
        )
    except OSError as error:
        raise SetupError(
            "a worker process could not start",
            received=error,
            fix="options.workers = 'threads' does without processes",
        ) from error


class Workers:
    """Several worker processes, for all tasks of a dataset.

    A thread of their own starts them, replaces those that were killed, and waits for them at the end: on Linux a
    process asks to be killed with the thread that started it, so that this thread has to live as long as they do.

    Args:
        count: How many processes.
    """

    def __init__(self, count: int) -> None:
        self.restarts = 0
        """How many processes were started in place of one that had been killed."""
        self._changed = threading.Condition()
        self._workers: list[Worker] = []
        self._failure: BaseException | None = None
        self._is_closed = False
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._wanted.put(count)
        self._keeper = threading.Thread(target=self._keep, name="mainstay-data-workers", daemon=True)
        _all.add(self)
        self._keeper.start()

    @property
    def is_ready(self) -> bool:
        """Whether there are workers to ask."""
        return bool(self._workers)

    @property
    def failure(self) -> BaseException | None:
        """Why they could not start, if they could not."""
        return self._failure

    def _keep(self) -> None:
        started: list[Worker] = []
        while (wanted := self._wanted.get()) is not None:
            fresh: list[Worker] = []
            try:
                for _ in range(wanted):
                    fresh.append(Worker())
                    started.append(fresh[-1])
                for worker in fresh:
                    worker.wait_until_ready()
                    self._admit(worker)
            except BaseException as error:
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
        for worker in started:
            worker.let_go()
        deadline = time.monotonic() + _END_SECONDS
        for worker in started:
            worker.reap(deadline)

    def _admit(self, worker: Worker) -> None:
        with self._changed:
            if not self._is_closed:
                self._workers.append(worker)
                self._changed.notify_all()

    def ask(
        self, payload: Payload, request: Any, columns: tuple[Column, ...], where: Callable[[int], str]
    ) -> tuple[Any, Any]:
        """Return the answer of the worker that has the least to do.

        Raises:
            WorkerGoneError: The worker ended; another one is on its way.
            SetupError: There are no workers, and none can be started.
        """
        worker = self._acquire()
        try:
            return worker.ask(payload, request, columns, where)
        except WorkerGoneError as gone:
            self._replace(worker, gone)
            raise
        finally:
            with self._changed:
                worker.load -= 1
                self._changed.notify()

    def _acquire(self) -> Worker:
        with self._changed:
            while True:
                if self._is_closed:
                    raise WireClosedError("the workers were told to end")
                if self._workers:
                    worker = min(self._workers, key=lambda worker: worker.load)
                    if worker.load < _REQUESTS:
                        worker.load += 1
                        return worker
                elif self._failure is not None:
                    raise self._failure
                self._changed.wait()

    def _replace(self, worker: Worker, gone: WorkerGoneError) -> None:
        with self._changed:
            if worker not in self._workers or self._is_closed:
                return
            self._workers.remove(worker)
            self.restarts += 1
            self._wanted.put(1)
        _LOG.warning("a worker process ended (%s); another one takes its place", gone.reason)

    def close(self, seconds: float = 0.0) -> None:
        """End the processes, whatever they are at.

        Args:
            seconds: How long to wait for that.
        """
        with self._changed:
            first, self._is_closed = not self._is_closed, True
            for worker in self._workers:
                worker.let_go()
            self._changed.notify_all()
        if first:
            self._wanted.put(None)
        if seconds and self._keeper is not threading.current_thread():
            self._keeper.join(seconds)

    def forget(self) -> None:
        """Close what a forked process has of them: they are another process's."""
        self._changed = threading.Condition()
        self._is_closed = True
        for worker in self._workers:
            worker.forget()
        self._workers = []


def _forget_all() -> None:
    for workers in list(_all):
        workers.forget()
    _all.clear()


os.register_at_fork(after_in_child=_forget_all)
