"""One event file on disk: records come from any thread, and a thread of the file's own writes them."""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from mainstay.core import ArgumentError, StorageError, message_class, storage_errors
from mainstay.summary.tracing import wait_for_compiled_summaries

_MOST_PENDING_BYTES = 64 << 20
_numbers = itertools.count()
_open_files: weakref.WeakSet[EventFile] = weakref.WeakSet()


class EventFile:
    """A file of framed `tensorflow.Event` records, the first of which says the version.

    Records wait in memory until there are more than `max_queue`, or `flush_seconds` have passed, or somebody calls
    `flush`. The file ends with a whole record at any time: a write that fails half way is taken back. A failure is
    raised by the next call and by each one after it. A process that was forked writes a file of its own.

    Args:
        folder: Where the file shall be; missing folders are made.
        max_queue: How many records may wait.
        flush_seconds: How long a record may wait.
        suffix: The end of the file's name.
        clock: Seconds since 1970; dates the file.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_queue: int = 10,
        flush_seconds: float = 120.0,
        suffix: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(folder)
        self.path: Path | None = None
        self._max_queue = max_queue
        self._flush_seconds = flush_seconds
        self._suffix = suffix
        self._clock = clock
        self._closed = self._abandoned = False
        self._start()
        self._open()
        _open_files.add(self)

    def _start(self) -> None:
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._failure: StorageError | None = None
        self._is_reported = False
        self._descriptor: int | None = None
        self._size = 0

    def _open(self) -> None:
        from mainstay.io import frame_record  # loads Arrow, which importing this room alone need not

        self._frame = frame_record
        host = socket.gethostname().replace("/", "_")
        with storage_errors(self.folder, "write events into"):
            self.folder.mkdir(parents=True, exist_ok=True)
            while self._descriptor is None:
                now = self._clock()
                name = f"events.out.tfevents.{int(now):010d}.{host}.{os.getpid()}.{next(_numbers)}{self._suffix}"
                with contextlib.suppress(FileExistsError):
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
                    self._descriptor = os.open(self.folder / name, flags, 0o666)
            self.path = self.folder / name
            event = message_class("tensorflow.Event")(wall_time=now, file_version="brain.Event:2")
            event.source_metadata.writer = "mainstay.summary"
            self._write(self._frame(event.SerializeToString()))
        threading.Thread(target=self._write_when_due, name=f"writer of {name}", daemon=True).start()

    def add(self, record: bytes) -> None:
        """Queue a serialized event.

        Raises:
            ArgumentError: The file is closed.
            StorageError: An earlier record could not be written.
        """
        with self._changed:
            if self._closed:
                raise ArgumentError(
                    "the summary writer is closed", where=self.path, fix="write before close(), or make another writer"
                )
            self._raise_failure()
            if self._descriptor is None:  # this process is the child of the one that opened the file
                self._open()
            self._pending.append(record)
            self._pending_bytes += len(record)
            if self._is_due():
                self._changed.notify_all()
            while self._pending_bytes > _MOST_PENDING_BYTES and self._failure is None:
                self._changed.wait()

    def flush(self) -> None:
        """Write what waits, so that other processes see it.

        Raises:
            StorageError: The file system refused, now or before.
        """
        self._write_pending()
        self._raise_failure()

    def close(self) -> None:
        """Write what waits and close the file; does nothing the second time.

        Raises:
            StorageError: The file system refused, now or before. The file is closed all the same.
        """
        if self._end():
            self._raise_failure()

    def close_at_exit(self) -> None:
        """Close the file; raise a failure only where no caller has seen it yet.

        Raises:
            StorageError: The file system refused.
        """
        if self._end() and not self._is_reported:
            self._raise_failure()

    def abandon(self) -> None:
        """Let the writing thread close the file; the garbage collector, which calls this, may interrupt anything."""
        with self._changed:
            self._closed = self._abandoned = True
            self._changed.notify_all()

    def wait_for_size(self, size: int, timeout: float) -> bool:
        """Wait until the writing thread has made the file at least `size` bytes long; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._size >= size, timeout)

    def _is_due(self) -> bool:
        return len(self._pending) > self._max_queue or self._pending_bytes > _MOST_PENDING_BYTES

    def _write_when_due(self) -> None:
        changed = self._changed
        while True:
            with changed:
                changed.wait_for(lambda: self._closed or self._is_due(), self._flush_seconds)
                finished = self._closed
            if finished:
                self._finish()
                if self._abandoned and not self._is_reported:
                    self._raise_failure()  # shown by threading.excepthook: nobody else will ask
                return
            self._write_pending()

    def _end(self) -> bool:
        """Close the file; return whether it was open."""
        with self._changed:
            if self._closed:
                return False
            self._closed = True
            self._changed.notify_all()
        self._finish()
        return True

    def _finish(self) -> None:
        self._write_pending()
        with self._writing:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _write_pending(self) -> None:
        """Write what waits, in order; a failure is kept for the callers."""
        with self._writing:
            with self._changed:
                records, self._pending, self._pending_bytes = self._pending, [], 0
            try:
                if records and self._failure is None:
                    with storage_errors(self.path or self.folder, "write the summaries to"):
                        self._write(b"".join(map(self._frame, records)))
            except StorageError as error:
                self._failure = error
            with self._changed:
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file is closed")
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the file was deleted while it was written")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with contextlib.suppress(OSError):  # the first failure is the one to report
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            error, self._is_reported = self._failure, True
            raise StorageError(error.summary, where=error.where, fix=error.fix) from error

    def _forget(self) -> None:
        """Give the file up in a forked process: its lines, locks and thread belong to the parent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._start()


def _forget_files() -> None:
    for file in list(_open_files):
        file._forget()


def _close_files() -> None:
    wait_for_compiled_summaries()
    with contextlib.ExitStack() as stack:  # closes each one, also after another has failed
        for file in list(_open_files):
            stack.callback(file.close_at_exit)


atexit.register(_close_files)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_files)
