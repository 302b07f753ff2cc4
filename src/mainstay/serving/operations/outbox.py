"""A bounded queue to a thread that writes: whoever puts something in never waits, and what does not fit is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from mainstay.core import MainstayError
from mainstay.serving.status import logger

Item = TypeVar("Item")

_COMPLAIN_SECONDS = 60.0


class Outbox(Generic[Item]):
    """Items on their way to a file or to another machine.

    Args:
        write: Writes items; called on the thread of the outbox, with at least one item.
        name: What is written, for the thread's name and for log lines.
        limit: The most items that wait; more are dropped.
        interval_seconds: How long an item waits at most before it is written.
        tick: Called on the thread about that often, whether there was anything to write or not.

    Attributes:
        dropped: How many items did not fit, or could not be written.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], None],
        *,
        name: str,
        limit: int = 16384,
        interval_seconds: float = 0.25,
        tick: Callable[[], None] | None = None,
    ) -> None:
        self._write = write
        self._tick = tick
        self._name = name
        self._limit = limit
        self._interval = interval_seconds
        self._items: deque[Item] = deque()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._asked = 0
        self._served = 0
        self._closing = False
        self._complained = float("-inf")
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name=f"mainstay-{name.replace(' ', '-')}", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Queue an item.

        Returns:
            Whether it fitted.
        """
        waiting = len(self._items)
        if waiting >= self._limit:
            self.dropped += 1
            return False
        self._items.append(item)
        if waiting == self._limit >> 1:  # half full: the writer need not wait for its time
            self._wake.set()
        return True

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until what was put in before has been written.

        Returns:
            Whether it was, within `seconds`.
        """
        with self._idle:
            self._asked += 1
            mine = self._asked
            self._wake.set()
            return self._idle.wait_for(lambda: self._served >= mine or not self._thread.is_alive(), seconds)

    def close(self, seconds: float = 10.0) -> bool:
        """Write what waits and end the thread, or give up after `seconds`.

        Returns:
            Whether the thread has ended.
        """
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            closing, asked = self._closing, self._asked
            self._drain()
            if self._tick is not None:
                self._tick()
            with self._idle:
                self._served = asked
                self._idle.notify_all()
            if closing:
                return

    def _drain(self) -> None:
        items = self._items
        taken = [items.popleft() for _ in range(len(items))]
        if not taken:
            return
        try:
            self._write(taken)
        except Exception as error:
            # Nobody waits for the result, and the server goes on; the count of what is lost is a metric.
            self.dropped += len(taken)
            self.complain(error, self.dropped)

    def complain(self, error: Exception, lost: int) -> None:
        """Log that items are lost, and how many by now, at most once a minute."""
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            logger.warning("the %s loses entries, %d so far: %s", self._name, lost, _line(error))


def _line(error: Exception) -> str:
    return error.one_line() if isinstance(error, MainstayError) else f"{type(error).__name__}: {error}"
