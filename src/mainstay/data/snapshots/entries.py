"""Entries of a cache on disk: snapshots that appear whole under their key, or not at all, whoever else writes there."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import threading
from pathlib import Path
from typing import IO, Any

from mainstay.core import StorageError, install, storage_errors
from mainstay.data.chunks import Chunk
from mainstay.data.snapshots.manifest import NAME
from mainstay.data.snapshots.reading import Snapshot, open_snapshot
from mainstay.data.snapshots.writing import SnapshotWriter
from mainstay.data.structures import Structure

_log = logging.getLogger("mainstay.data")
_ALIVE = "writer"


class Entry:
    """The place of one entry.

    Args:
        folder: The folder of the cache.
        key: What tells the entry from others.
        compression: A name of `manifest.COMPRESSIONS`.
    """

    def __init__(self, folder: Path, key: str, compression: str) -> None:
        self.path, self.compression = folder / key, compression
        self.lock = threading.Lock()
        self._snapshot: Snapshot | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "compression": self.compression, "_snapshot": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.lock = threading.Lock()

    def find(self, skeleton: Structure = None) -> Snapshot | None:
        """Return the entry, if it is there.

        Args:
            skeleton: The structure of the elements; None for that on file, where named tuples are tuples.

        Raises:
            IntegrityError: It was changed since it was written.
        """
        if self._snapshot is None and (self.path / NAME).is_file():
            self._snapshot = open_snapshot(self.path)
        if self._snapshot is not None and skeleton is not None and repr(self._snapshot.skeleton) != repr(skeleton):
            self._snapshot = self._snapshot.shaped_as(skeleton)
        return self._snapshot

    def begin(self) -> EntryWriter:
        """Return a writer of the entry."""
        return EntryWriter(self)


class EntryWriter:
    """Writes an entry beside its place, and moves it there when it is whole.

    Args:
        entry: The entry.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        path = entry.path
        with storage_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path.parent)
            self._folder = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial"
            self._folder.mkdir()
            self._alive = _hold(self._folder / _ALIVE)
        self._writer = SnapshotWriter(self._folder, entry.compression)

    def add(self, chunk: Chunk) -> None:
        """Write further elements."""
        self._writer.add(chunk)

    def finish(self, spec: Structure) -> None:
        """Let the entry appear; where another writer was quicker, its entry, of the same key, stands."""
        manifest = self._writer.finish(spec)
        self._alive.close()
        (self._folder / _ALIVE).unlink()
        try:
            install(self._folder, self._entry.path)
        except StorageError:
            if self._entry.find() is None:
                raise
        _log.info("%s: cached %d elements", self._entry.path, manifest.rows)
        self.close()

    def close(self) -> None:
        """Remove what was not finished."""
        self._alive.close()
        if self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)


def _hold(path: Path) -> IO[bytes]:
    """Return a file that is locked for as long as this process lives and keeps it open."""
    file = open(path, "xb")  # noqa: SIM115 the caller closes it
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _clear(folder: Path) -> None:
    """Remove what writers left behind that died before they could: those whose lock is free."""
    if sys.platform == "win32":
        return
    import fcntl

    for path in folder.glob(f".*.partial/{_ALIVE}"):
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)
        except OSError:
            continue
