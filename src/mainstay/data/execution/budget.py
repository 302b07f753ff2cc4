"""The budget: how many bytes all stages of a dataset may hold between them, in queues and in tasks that run."""

from __future__ import annotations

import threading
from typing import Any

from mainstay.data.chunks import Chunk


class Budget:
    """Counts the bytes that wait between stages.

    It never makes anybody wait: a stage asks before it reads ahead, and one piece of work is always allowed to each,
    so that nothing stands still. What is held passes the limit by no more than that.

    Args:
        limit: How many bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.peak = 0
        self._lock = threading.Lock()

    def admits(self, num_bytes: int) -> bool:
        """Return whether so many more bytes keep to the limit."""
        return self.used + num_bytes <= self.limit

    def add(self, num_bytes: int) -> None:
        """Count bytes that are held from now on; a negative number gives them back."""
        with self._lock:
            self.used += num_bytes
            self.peak = max(self.peak, self.used)


def size_of(item: Any) -> int:
    """Return about how many bytes something takes that waits between stages; 0 for a mere address."""
    if isinstance(item, Chunk):
        return item.nbytes
    size = getattr(item, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(item, (bytes, bytearray, memoryview, str)):
        return len(item)
    if isinstance(item, (list, tuple)):
        return sum(map(size_of, item))
    return sum(map(size_of, item.values())) if isinstance(item, dict) else 0
