"""The stage as the engine sees it: what it has done, how long that took, and how far ahead it should work."""

from __future__ import annotations

import threading
from dataclasses import dataclass

_CHEAP = 30e-6
_FIRST_DEPTH = 2
_MOST_DEPTH = 64
_LONG_WAIT = 0.1


@dataclass(frozen=True)
class Figures:
    """What a stage has done so far.

    Args:
        chunks: How many chunks it gave.
        elements: How many elements.
        num_bytes: How many bytes they took.
        busy_seconds: How long its tasks took, added up over threads and processes.
        cpu_seconds: How long they used a core.
        wait_seconds: How long whoever takes its chunks waited for them.
        depth: How many tasks it has under way at a time.
        workers: Where they run: ``threads`` or ``processes``.
    """

    chunks: int
    elements: int
    num_bytes: int
    busy_seconds: float
    cpu_seconds: float
    wait_seconds: float
    depth: int
    workers: str


class Stage:
    """Counts what the tasks of one stage do, in all passes, and tunes how many are under way.

    The depth is a feedback loop: it grows when a chunk was not ready in time, and shrinks when every chunk has long
    been. All numbers are kept per chunk, so that they cost nothing beside the work.

    Args:
        name: What the stage does, for reports.
        limit: How many tasks may run at a time.
        most: What the limit may grow to where tasks use no core but wait, for a disk or a network.
        is_tuned: Whether the depth follows the need; else it is a little more than what may run.
    """

    def __init__(self, name: str, *, limit: int, most: int | None = None, is_tuned: bool = True) -> None:
        self.name, self.limit, self._most = name, limit, most or limit
        self.depth = _FIRST_DEPTH if is_tuned else limit + 1
        self.workers = "threads"
        self.note = ""
        """Why the tasks run where they do, where there was a choice."""
        self.largest: int | None = None
        """The size of the largest chunk so far, in bytes; None before the first."""
        self._is_tuned = is_tuned
        self._lock = threading.Lock()
        self._chunks = self._elements = self._bytes = 0
        self._busy = self._cpu = self._wait = 0.0
        self._typical: float | None = None
        self._slack = 0

    def worked(self, elements: int, num_bytes: int, busy: float, cpu: float) -> None:
        """Count a task that is done; times in seconds."""
        with self._lock:
            self._chunks += 1
            self._elements += elements
            self._bytes += num_bytes
            self._busy += busy
            self._cpu += cpu
            self.largest = max(self.largest or 0, num_bytes)
            self._typical = busy if self._typical is None else 0.8 * self._typical + 0.2 * busy

    @property
    def is_cheap(self) -> bool:
        """Whether handing a task to a thread would take about as long as doing it."""
        return self._typical is not None and self._chunks > 4 and self._typical < _CHEAP and self._is_tuned

    def waited(self, seconds: float) -> None:
        """Count how long a chunk was waited for; seconds, 0 where it was ready."""
        if seconds == 0:
            self._slack += 1
            if self._is_tuned and self._slack > 4 * self.depth and self.depth > _FIRST_DEPTH:
                self.depth, self._slack = self.depth - 1, 0
            return
        with self._lock:
            self._wait += seconds
            self._slack = 0
            if self._is_tuned:
                most = min(_MOST_DEPTH, max(8, 4 * self.limit))
                self.depth = min(most, self.depth + max(1, self.depth // 2))
                idles = self._cpu < min(self._wait / 4, self._busy / 8)
                if self._wait > _LONG_WAIT and idles and self.workers == "threads":
                    self.limit = max(self.limit, min(self._most, self.limit + 1))

    def figures(self) -> Figures:
        """Return what was counted so far."""
        with self._lock:
            return Figures(
                self._chunks,
                self._elements,
                self._bytes,
                self._busy,
                self._cpu,
                self._wait,
                self.depth,
                self.workers,
            )
