"""Work on a chunk that two threads share while no other thread is at the same: at the start, when everybody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_FEWEST = 8


class SharedWork:
    """Runs work on a range of rows, in two halves at once where nothing else of it runs.

    In the middle of a pipeline every thread has a chunk of its own, and halves would only cost; before the first batch
    there is nothing else to do for the others. Threads may share one. A copy, in this or another process, begins anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedWork, ()

    def run(self, work: Callable[[int, int], None], count: int) -> None:
        """Do work on the rows from 0 to `count`.

        Args:
            work: Takes the first row and the one behind the last; what it raises for the lowest rows is raised.
            count: How many rows there are.
        """
        with self._lock:
            is_alone = not self._running
            self._running += 1
        try:
            if not is_alone or count < _FEWEST:
                work(0, count)
                return
            middle = count // 2
            with ThreadPoolExecutor(1, "mainstay-half") as other:
                rest = other.submit(work, middle, count)
                work(0, middle)
                rest.result()
        finally:
            with self._lock:
                self._running -= 1
