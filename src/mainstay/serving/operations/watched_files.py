"""Files that are read again when they change."""

from __future__ import annotations

import os
from collections.abc import Iterable

Stamp = tuple[int, int, int, int]


def stamp_of(path: str | os.PathLike[str]) -> Stamp | None:
    """Return what changes when a file does: device, inode, size and time in nanoseconds; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class WatchedFiles:
    """Tells when any of some files is another one than before.

    Links are followed, so that a mounted Kubernetes secret is seen to change.

    Args:
        paths: The files.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self._paths = tuple(paths)
        self._stamps = self._look()

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(stamp_of(path) for path in self._paths)

    def changed(self) -> bool:
        """Whether a file has changed since this was last asked."""
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        return True
