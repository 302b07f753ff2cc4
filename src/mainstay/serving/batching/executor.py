"""The executor: the threads of a device, which run one batch each, and whose models take turns."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from mainstay.serving.batching.turns import Share, Turns, Work


class Executor(Protocol):
    """Where a batcher runs the batches that are too long for the event loop."""

    @property
    def threads(self) -> int:
        """How many batches run at a time."""

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nobody waits."""

    def join(self, take: Callable[[], Work | None], finish: Callable[[Any], None]) -> Share:
        """Become a user of it; see `Share`."""

    def ask(self, share: Share) -> None:
        """Ask for a turn: `take` is called when it comes, now or later, on the event loop."""

    def leave(self, share: Share) -> None:
        """No longer use it; what runs already is finished."""


class DeviceThread:
    """The thread of one device, or a few.

    What to run is asked for when a thread is free, not before, so that what waits grows into larger batches. More than
    one thread seldom makes a device faster: executions then wait for each other inside the compiler's runtime.

    Args:
        loop: The event loop that results go back to.
        threads: How many threads there are.
        name: The threads' name.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int = 1, name: str = "mainstay-device") -> None:
        self.threads = threads
        self._loop = loop
        self._free = threads
        self._turns = Turns()
        self._jobs: queue.SimpleQueue[tuple[Work, Share] | None] = queue.SimpleQueue()
        self._workers = [
            threading.Thread(target=self._work, name=name if threads == 1 else f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nobody waits."""
        return self._free == self.threads and not self._turns

    def join(self, take: Callable[[], Work | None], finish: Callable[[Any], None]) -> Share:
        """Become a user of the device; see `Share`."""
        return Share(take, finish)

    def ask(self, share: Share) -> None:
        """Ask for a turn: `take` is called when it comes, now or later, on the event loop."""
        self._turns.ask(share)
        self._give_turns()

    def leave(self, share: Share) -> None:
        """No longer use the device; what runs already is finished."""
        self._turns.leave(share)

    def close(self, seconds: float) -> bool:
        """End the threads once everything that they have begun has run.

        Args:
            seconds: How long to wait for that; what still runs then is abandoned.

        Returns:
            Whether the threads have ended.
        """
        end = time.monotonic() + seconds
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join(max(end - time.monotonic(), 0.0))
        return not any(worker.is_alive() for worker in self._workers)

    def _give_turns(self) -> None:
        while self._free:
            share = self._turns.next()
            if share is None:
                return
            work = share.take()
            if work is not None:
                self._free -= 1
                self._jobs.put((work, share))

    def _finish(self, share: Share, result: Any, seconds: float) -> None:
        self._free += 1
        self._turns.charge(share, seconds)
        try:
            share.finish(result)
        finally:
            self._give_turns()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, share = job
            started = time.perf_counter()
            result = work()
            seconds = time.perf_counter() - started
            try:
                self._loop.call_soon_threadsafe(self._finish, share, result, seconds)
            except RuntimeError:  # the loop is closed: this was abandoned, and nobody waits for the result
                return
            del job, work, share, result
