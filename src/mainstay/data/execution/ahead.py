"""Reading ahead: a thread that pulls what can only be read in order, so that others need not wait for it."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from mainstay.data.execution.budget import Budget, size_of
from mainstay.data.execution.forks import refuse_fork
from mainstay.data.streams import close_iterator

T = TypeVar("T")

_FIRST_COUNT = 2
_MOST_COUNT = 16
_SLOW_PULL = 200e-6

_running: weakref.WeakSet[Ahead[Any]] = weakref.WeakSet()


class Ahead(Generic[T]):
    """Items of an iterator, pulled by a thread of their own.

    The thread starts with the first item that is asked for. It alone touches the iterator, and closes it.

    Args:
        items: The iterator.
        budget: What the items that wait are counted in.
        size: How many elements wait at most, in whole items; None lets the need decide.
        elements_of: Says how many elements there are in an item.
    """

    def __init__(
        self,
        items: Iterator[T],
        budget: Budget,
        *,
        size: int | None = None,
        elements_of: Callable[[T], int] = lambda item: 1,
    ) -> None:
        self._items, self._budget, self._size, self._elements_of = items, budget, size, elements_of
        self.count = _FIRST_COUNT
        self._elements = 0
        self.wait_seconds = 0.0
        self.is_ended = False
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._queue: deque[tuple[T, int]] = deque()
        self._largest = 0
        self._error: BaseException | None = None
        self._is_exhausted = self._is_closed = False
        self._thread: threading.Thread | None = None

    def take(self, *, block: bool = True) -> T | None:
        """Return the next item; None at the end, and where there is none yet and `block` is false.

        Raises:
            BaseException: Whatever the iterator raised.
        """
        refuse_fork(self._pid)
        with self._changed:
            if self._thread is None and not self._is_closed:
                self._start()
            if not self._queue and not self._is_exhausted:
                if not block:
                    return None
                self._wait()
            if self._queue:
                item, size = self._queue.popleft()
                self._budget.add(-size)
                self._elements -= self._elements_of(item)
                self._changed.notify_all()
                return item
            self.is_ended = True
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._pull, name="mainstay-data-ahead", daemon=True)
        _running.add(self)
        self._thread.start()

    def _wait(self) -> None:
        start = time.perf_counter()
        while not self._queue and not self._is_exhausted and not self._is_closed:
            self._changed.wait()
        self.wait_seconds += time.perf_counter() - start
        self.count = min(_MOST_COUNT, self.count + 1)

    def _has_room(self) -> bool:
        if not self._queue:
            return True
        has_fewer = len(self._queue) < self.count if self._size is None else self._elements < self._size
        return has_fewer and self._budget.admits(self._largest)

    def _pull(self) -> None:
        error: BaseException | None = None
        try:
            while self._may_go_on():
                item = next(self._items, None)
                if item is None:
                    break
                self._put(item)
                del item
        except BaseException as raised:
            error = raised
        try:
            close_iterator(self._items)
        except BaseException as raised:
            error = error or raised
        self._items = iter(())
        with self._changed:
            self._is_exhausted, self._error = True, error
            self._changed.notify_all()

    def _may_go_on(self) -> bool:
        with self._changed:
            while not self._is_closed and not self._has_room():
                self._changed.wait()
            return not self._is_closed

    def _put(self, item: T) -> None:
        size = size_of(item)
        with self._changed:
            if not self._is_closed:
                self._largest = max(self._largest, size)
                self._budget.add(size)
                self._elements += self._elements_of(item)
                self._queue.append((item, size))
                self._changed.notify_all()

    def close(self) -> None:
        """End; the thread does so as soon as the iterator has given what it is at."""
        if self._pid != os.getpid():
            return
        with self._changed:
            self._is_closed = True
            self._budget.add(-sum(size for _, size in self._queue))
            self._queue.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            close_iterator(self._items)

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, but no longer than that."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)


class Pulling(Generic[T]):
    """Items of an iterator for a stage: pulled as they are needed, or by a thread once that turns out to be slow.

    Args:
        items: The iterator.
        budget: What the items that wait are counted in.
        is_quick: Whether it is known to take no time, as with mere addresses.
    """

    def __init__(self, items: Iterator[T], budget: Budget, *, is_quick: bool = False) -> None:
        self._items, self._budget, self._is_quick = items, budget, is_quick
        self._pulls, self._seconds = 0, 0.0
        self._ahead: Ahead[T] | None = None
        self.is_ended = False

    @property
    def count(self) -> int:
        """How many items wait at most; 0 as long as they are pulled when they are needed."""
        return 0 if self._ahead is None else self._ahead.count

    def take(self, *, block: bool) -> T | None:
        """Return the next item; None at the end, and where there is none yet and `block` is false."""
        if self._ahead is not None:
            item = self._ahead.take(block=block)
            self.is_ended = self._ahead.is_ended
            return item
        start = time.perf_counter()
        item = next(self._items, None)
        self._seconds += time.perf_counter() - start
        self._pulls += 1
        if item is None:
            self.is_ended = True
        elif not self._is_quick and self._seconds / self._pulls > _SLOW_PULL:
            self._ahead = Ahead(self._items, self._budget)
        return item

    def close(self) -> None:
        """End, and close the iterator."""
        if self._ahead is not None:
            self._ahead.close()
        else:
            close_iterator(self._items)


def close_all(seconds: float) -> None:
    """End every thread that reads ahead, and wait for them, but no longer than that."""
    running = list(_running)
    for ahead in running:
        ahead.close()
    deadline = time.monotonic() + seconds
    for ahead in running:
        ahead.join(max(0.0, deadline - time.monotonic()))
