"""The worker process: does the tasks that it is sent until its parent closes the wire, or is no more.

It is a program of its own, started with ``python -m``: nothing is forked, so neither threads nor JAX are copied half
alive, and a script needs no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array
from mainstay.data.execution.failures import Failure, describe_failure
from mainstay.data.execution.pickling import method_to_bytes, of_buffers
from mainstay.data.execution.task import apply
from mainstay.data.execution.wire import WireClosedError, receive, send
from mainstay.data.feeds import Feed
from mainstay.data.functions.function import Function

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def main(arguments: list[str]) -> None:
    """Work until the parent is done or gone.

    Args:
        arguments: The descriptors of the wire and the lifeline, and the id of the parent.
    """
    wire, lifeline, parent = map(int, arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent, lifeline)
    with contextlib.suppress(WireClosedError):
        Worker(socket.socket(fileno=wire)).work()


def _die_with(parent: int, lifeline: int) -> None:
    """End at once when the parent does, whatever this process is at."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        # Nothing is ever written to a lifeline: it becomes readable when its other end is closed.
        while not select.select([lifeline], [], [], _LOOK_SECONDS)[0] and os.getppid() == parent:
            pass
        os._exit(0)

    threading.Thread(target=watch, name="mainstay-data-lifeline", daemon=True).start()


@dataclass
class Worker:
    """Does what comes over a wire, one thing after the other.

    Args:
        wire: The wire.
    """

    wire: socket.socket
    _tasks: dict[int, tuple[Feed | None, tuple[Function, ...]] | Failure] = field(default_factory=dict)
    _early: deque[Any] = field(default_factory=deque)
    _described: tuple[Any, bytes] | None = None

    def work(self) -> None:
        """Say that all is ready, and do what comes.

        Raises:
            WireClosedError: The parent is done.
        """
        greeting, _ = receive(self.wire)
        sys.path[:] = greeting["path"]
        for name, value in greeting["environ"].items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        send(self.wire, ("ready",))
        while True:
            request, columns = self._early.popleft() if self._early else receive(self.wire)
            kind, number, what = request
            if kind == "task":
                self._learn(number, what, columns[0])
            else:
                self._answer(number, what, columns)
            del request, what, columns

    def _learn(self, number: int, places: list[tuple[int, int]], memory: Array) -> None:
        """Read a task; what goes wrong is the answer to every request for it."""
        try:
            data, *buffers = [memory[start : start + size] for start, size in places]
            self._tasks[number] = of_buffers(data, buffers)
        except BaseException as error:
            self._tasks[number] = describe_failure(error)

    def _answer(self, number: int, request: Any, columns: tuple[Any, ...]) -> None:
        start, cpu = time.perf_counter(), time.process_time()
        task = self._tasks[number]
        if isinstance(task, Failure):
            send(self.wire, ("error", task))
            return
        feed, functions = task
        try:
            chunk = apply(functions, self._load(feed, request, columns))
            origin = self._origin(chunk, feed)
        except BaseException as error:
            send(self.wire, ("error", describe_failure(error)))
            return
        spent = time.perf_counter() - start, time.process_time() - cpu
        send(self.wire, ("done", chunk.skeleton, chunk.length, origin, *spent), chunk.columns)

    def _load(self, feed: Feed | None, request: Any, columns: tuple[Any, ...]) -> Chunk:
        if feed is not None:
            return feed.load(request)
        skeleton, length, has_origin = request
        origin = Origin(self._ask, range(length)) if has_origin else None
        return Chunk(skeleton, columns, length, origin)

    def _origin(self, chunk: Chunk, feed: Feed | None) -> Any:
        """Return what the parent needs to say where the elements come from."""
        if chunk.origin is None:
            return None
        describe = chunk.origin.describe
        if describe == self._ask:
            return chunk.origin.indices, None
        if self._described is None or self._described[0] != describe:
            try:
                self._described = describe, method_to_bytes(describe, getattr(feed, "source", None))
            except Exception:
                return None
        return chunk.origin.indices, self._described[1]

    def _ask(self, index: int) -> str:
        """Return where an element of the chunk at hand comes from: the parent knows."""
        send(self.wire, ("where", int(index)))
        while True:
            answer, columns = receive(self.wire)
            if answer[0] == "there":
                return str(answer[1])
            self._early.append((answer, columns))


if __name__ == "__main__":
    main(sys.argv[1:])
