"""The threads of a dataset: started when there is work for them, gone when there has been none for a while."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

Work: TypeAlias = Callable[[], None]

_IDLE_SECONDS = 10.0


class Pool:
    """Threads that do what they are given, in that order.

    They are daemons, so that a function of the user that never returns cannot keep the interpreter from ending.

    Args:
        size: How many threads there are at most.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._is_closed = False

    def submit(self, work: Work) -> None:
        """Have a thread do something that raises nothing; does nothing once the pool is closed."""
        with self._lock:
            if self._is_closed:
                return
            self._queue.put(work)
            if self._idle.acquire(blocking=False) or len(self._threads) >= self.size:
                return
            thread = threading.Thread(target=self._run, name="mainstay-data", daemon=True)
            # Started before anybody can see it: what has not been started cannot be waited for.
            thread.start()
            self._threads.add(thread)

    @property
    def is_busy(self) -> bool:
        """Whether something waits for a thread."""
        return not self._queue.empty()

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
                del work
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self) -> Work | None:
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            self._idle.release()
        while True:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                # Whoever submits takes the token of an idle thread; where it is gone, work is on its way.
                if self._idle.acquire(blocking=False):
                    return None

    def close(self) -> None:
        """Have the threads end after what they are doing; what waits is dropped."""
        with self._lock:
            self._is_closed = True
            while not self._queue.empty():
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    break
            for _ in self._threads:
                self._queue.put(None)

    def join(self, seconds: float) -> None:
        """Wait for the threads to end, but no longer than that."""
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
