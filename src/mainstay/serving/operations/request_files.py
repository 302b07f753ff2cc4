"""Files of the request log: they grow up to a size or an age, and have their name only once they are whole."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mainstay.core import MainstayError, atomic_file, storage_errors
from mainstay.io import TFRecordWriter
from mainstay.serving.operations.logged_requests import LoggedRequest, prediction_log
from mainstay.serving.operations.logged_tables import table_of

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP_BYTES = 8 << 20


class RequestFile(Protocol):
    """A file that is being written."""

    @property
    def size(self) -> int:
        """About how many bytes it has."""

    def write(self, request: LoggedRequest, wall: float) -> bool:
        """Append a request; False where it does not fit in beside what is there, and another file has to begin."""

    def close(self) -> None:
        """Finish the file and give it its name."""

    def abort(self) -> None:
        """Throw the file away."""


class RecordFile:
    """A TFRecord file of ``PredictionLog``, as TF Serving reads it for warm-up."""

    suffix = ".tfrecord"

    def __init__(self, path: Path) -> None:
        self._writer = TFRecordWriter(path)
        self.size = 0

    def write(self, request: LoggedRequest, wall: float) -> bool:
        """Append a request."""
        record = prediction_log(request, wall)
        self._writer.write(record)
        self.size += len(record) + 16
        return True

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._writer.close()

    def abort(self) -> None:
        """Throw the file away."""
        self._writer.abort()


class ParquetFile:
    """A Parquet file with a row for each row of the requests; all of them have one schema."""

    suffix = ".parquet"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._context = atomic_file(path)
        self._file = self._context.__enter__()
        self._writer: Any = None
        self._schema: pa.Schema | None = None
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self.size = 0

    def write(self, request: LoggedRequest, wall: float) -> bool:
        """Append the rows of a request, if their schema is that of the file."""
        table = table_of(request, wall)
        if self._schema is None:
            self._schema = table.schema
        elif not table.schema.equals(self._schema, check_metadata=True):
            return False
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        self.size += table.nbytes
        if self._pending_bytes >= _ROW_GROUP_BYTES:
            self._write_group()
        return True

    def _write_group(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._pending:
            return
        with storage_errors(self._path):
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
            self._writer.write_table(pa.concat_tables(self._pending))
        self._pending, self._pending_bytes = [], 0

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._write_group()
            if self._writer is not None:
                with storage_errors(self._path):
                    self._writer.close()
        except BaseException:
            self.abort()
            raise
        self._context.__exit__(None, None, None)

    def abort(self) -> None:
        """Throw the file away."""
        stopped = KeyboardInterrupt()
        with contextlib.suppress(KeyboardInterrupt):
            self._context.__exit__(KeyboardInterrupt, stopped, None)


FORMATS: dict[str, type[RecordFile] | type[ParquetFile]] = {
    "": RecordFile,
    "tfrecord": RecordFile,
    "parquet": ParquetFile,
}
"""The kinds of files, by the ``type`` of a log collector in the models' configuration."""


class RequestFiles:
    """The files of a request log, of which each model, version and signature has its own.

    All methods are called on the thread that writes.

    Args:
        most_bytes: A file of about this size is finished.
        most_seconds: A file of this age is finished.
        clock: The time, in seconds, for the age of files.
    """

    def __init__(self, most_bytes: int, most_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._clock = clock
        self._open: dict[tuple[str, str, str, int, str], tuple[RequestFile, float]] = {}
        self._numbers = itertools.count()

    def write(self, prefix: str, kind: str, request: LoggedRequest) -> None:
        """Append a request to the file of its signature.

        Raises:
            StorageError: The file system refused; the file, with what was in it, is lost.
        """
        key = (prefix, kind, request.model, request.version, request.signature)
        wall = time.time() - time.monotonic()
        opened = self._open.get(key)
        if opened is None:
            opened = self._open[key] = self._new(prefix, kind)
        try:
            if not opened[0].write(request, wall):
                self._finish(key)
                opened = self._open[key] = self._new(prefix, kind)
                opened[0].write(request, wall)
        except MainstayError:
            del self._open[key]
            opened[0].abort()
            raise
        if opened[0].size >= self._most_bytes:
            self._finish(key)

    def _new(self, prefix: str, kind: str) -> tuple[RequestFile, float]:
        made = FORMATS[kind]
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = Path(f"{prefix}-{stamp}-{os.getpid()}-{next(self._numbers):05d}{made.suffix}")
        return made(path), self._clock()

    def _finish(self, key: tuple[str, str, str, int, str]) -> None:
        self._open.pop(key)[0].close()

    def finish_old(self) -> None:
        """Finish the files that are old enough."""
        now = self._clock()
        for key in [key for key, (_, since) in self._open.items() if now - since >= self._most_seconds]:
            self._finish(key)

    def close(self) -> None:
        """Finish every file.

        Raises:
            StorageError: The file system refused one of them; the others are finished all the same.
        """
        failure: MainstayError | None = None
        for key in list(self._open):
            try:
                self._finish(key)
            except MainstayError as error:
                failure = error
        if failure is not None:
            raise failure
