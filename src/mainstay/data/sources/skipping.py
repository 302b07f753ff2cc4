"""Damaged records that are left out: counted, so that nobody overlooks them, and said once in the log."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

_MOST = 100_000

_log = logging.getLogger(__name__)


class Skipped:
    """Which places of which files were left out; a place that is met again in a later pass counts once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: set[tuple[str, int]] = set()

    def add(self, path: Path, position: int, why: Exception) -> None:
        """Count a record, or the rest of a file.

        Args:
            path: The file.
            position: Where in it, in bytes.
            why: What is wrong.
        """
        with self._lock:
            is_new = (str(path), position) not in self._places and len(self._places) < _MOST
            if is_new:
                self._places.add((str(path), position))
            total = len(self._places)
        if is_new:
            reason = why.one_line() if hasattr(why, "one_line") else str(why)
            _log.warning("left out (%s so far): %s", f"{total:,}", reason)

    def count(self) -> int:
        """Return how many places were left out so far; from 100,000 on no more are counted."""
        with self._lock:
            return len(self._places)

    def __getstate__(self) -> dict[str, Any]:
        return {"_places": self._places}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._places = state["_places"]
