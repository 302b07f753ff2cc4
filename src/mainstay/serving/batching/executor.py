"""The executor: one thread that owns a device and runs batches on it, one after the other."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol


class Executor(Protocol):
    """Where a batcher sends the executions that are too long for the event loop."""

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work`, which raises nothing, elsewhere and hand its result to `done` on the event loop."""


class DeviceThread:
    """The executor thread of one device.

    A second thread would not make a device faster; it would only make executions wait for each other inside the
    compiler's runtime instead of in the batcher, where they grow into larger batches.

    Args:
        loop: The event loop that results go back to.
        name: The thread's name.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "mainstay-device") -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work` on the thread and hand its result to `done` on the event loop."""
        self._jobs.put((work, done))

    def close(self, seconds: float) -> bool:
        """End the thread once everything that was submitted has run.

        Args:
            seconds: How long to wait for that; what still runs then is abandoned.

        Returns:
            Whether the thread has ended.
        """
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            result = work()
            try:
                self._loop.call_soon_threadsafe(done, result)
            except RuntimeError:  # the loop is closed: this was abandoned, and nobody waits for the result
                return
