"""Files of lines that other programs may move away: they are opened again, and nothing is ever overwritten."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mainstay.core import storage_errors

STDERR = "stderr"


class LineFile:
    """A file that lines are appended to; ``stderr`` stands for the standard error stream.

    A file that was moved or deleted, as programs do that rotate logs, is made anew with the next lines.

    Args:
        path: Where it is; missing folders are made.

    Raises:
        StorageError: It cannot be opened for writing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = None if os.fspath(path) == STDERR else Path(path)
        self._file = -1
        self._reopen = False
        self._open()

    def reopen(self) -> None:
        """Open the file anew before the next lines."""
        self._reopen = True

    def write(self, data: bytes) -> None:
        """Append whole lines.

        Raises:
            StorageError: The file system refused; some of it may have been written.
        """
        if self._path is None:
            sys.stderr.write(data.decode("utf-8", "replace"))
            sys.stderr.flush()
            return
        if self._reopen or self._moved(self._path):
            self._open()
        with storage_errors(self._path):
            while data:
                data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _moved(self, path: Path) -> bool:
        if self._file < 0:
            return True
        try:
            there = path.stat()
        except OSError:
            return True
        mine = os.fstat(self._file)
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def _open(self) -> None:
        if self._path is None:
            return
        self._reopen = False
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Not to hang on a pipe that nobody reads, and not readable for everybody: it says who asked for what.
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        self.close()
        self._file = file
