"""The crew: the worker processes that the stages of a dataset share, there as long as one of them has use for it."""

from __future__ import annotations

import threading

from mainstay.data.execution.workers import Workers


class Crew:
    """Worker processes for whoever hires them; they end when nobody needs them any more.

    Args:
        count: How many processes there are at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._workers: Workers | None = None
        self._employers = 0

    def hire(self) -> Workers:
        """Return the workers, on their way if there were none."""
        with self._lock:
            self._employers += 1
            if self._workers is None:
                self._workers = Workers(self._count)
            return self._workers

    def dismiss(self) -> None:
        """Do without the workers; the last one who does ends them."""
        with self._lock:
            self._employers -= 1
            workers = None if self._employers else self._workers
            if workers is not None:
                self._workers = None
        if workers is not None:
            workers.close()

    def close(self, seconds: float = 0.0) -> None:
        """End the workers.

        Args:
            seconds: How long to wait for that.
        """
        workers = self._workers
        if workers is not None:
            workers.close(seconds)
