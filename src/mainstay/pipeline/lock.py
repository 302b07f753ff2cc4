"""One run at a time in a folder: a lock that the system releases however the process ends."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from mainstay.core import PipelineError, SetupError, storage_errors
from mainstay.pipeline.layout import Layout


@contextlib.contextmanager
def folder_lock(layout: Layout) -> Iterator[None]:
    """Hold the lock of a pipeline's folder within the block; processes and threads exclude each other alike.

    Raises:
        PipelineError: Somebody else holds it.
        SetupError: The platform has no such locks.
        StorageError: The folder cannot be made or written to.
    """
    try:
        import fcntl
    except ImportError as error:
        raise SetupError(
            "running a pipeline needs POSIX file locks", received=os.name, fix="use Linux or macOS"
        ) from error
    folder, path = layout.folder, layout.lock
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                with storage_errors(path, "lock"):
                    raise
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            raise PipelineError(
                "another run is using this folder",
                where=folder,
                received=f"process {holder}" if holder else None,
                fix="wait for it to end, or choose another folder",
            ) from None
        with storage_errors(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
