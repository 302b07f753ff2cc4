"""Examples at rest: Arrow IPC files, written whole or not at all and read a batch at a time.

They are uncompressed, so that a column of a batch is one read of the file; and read, not mapped, so that
memory stays small whatever the size of the file.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from mainstay.core import ArgumentError, DataError, atomic_file, storage_errors
from mainstay.io.abandoning import abandon
from mainstay.io.table import check_columns

_MAGIC = b"ARROW1\0\0"


def _width(kind: pa.DataType) -> float:
    """Return how many bits a value takes, which for texts and lists nobody knows."""
    try:
        return 0 if pa.types.is_null(kind) else float(kind.bit_width)
    except ValueError:
        return math.inf


class ArrowWriter:
    """A file of record batches that appears, whole, when it is closed; a `Sink`.

    Args:
        path: Where the file shall be; missing parent folders are made, a file that is there is replaced.
        schema: The schema of the batches.

    Raises:
        StorageError: The file system refused.

    As a context manager it closes at the end of the block, and aborts where the block raises.
    """

    def __init__(self, path: str | os.PathLike[str], schema: pa.Schema) -> None:
        self.path = Path(path)
        self.schema = schema
        self.num_rows = 0
        self._file: Any = atomic_file(self.path)
        handle = self._file.__enter__()
        self._open = True
        self._writer = pa.ipc.new_file(handle, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; where it has no rows, nothing is written.

        Raises:
            ArgumentError: The batch has another schema, or the file is closed.
            StorageError: The file system refused.
        """
        if not self._open:
            raise ArgumentError("the file is closed", where=self.path)
        if not batch.schema.equals(self.schema):
            raise ArgumentError(
                "a batch has another schema", where=self.path, expected=self.schema, received=batch.schema
            )
        if batch.num_rows:
            with storage_errors(self.path):
                self._writer.write_batch(batch)
            self.num_rows += batch.num_rows

    def close(self) -> Path:
        """Finish the file, and return its path; a second call changes nothing.

        Raises:
            StorageError: The file system refused; nothing is left behind.
        """
        if self._open:
            try:
                with storage_errors(self.path):
                    self._writer.close()
            except BaseException:
                self.abort()
                raise
            self._open = False
            self._file.__exit__(None, None, None)
        return self.path

    def abort(self) -> None:
        """Throw the file away; what was at its path before is untouched. On a closed file, nothing happens."""
        if self._open:
            self._open = False
            abandon(self._file)

    def __enter__(self) -> ArrowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class ArrowFile:
    """A file that an `ArrowWriter` wrote.

    It holds no handle between calls: it may be shared by threads and sent to other processes.

    Args:
        path: The file.

    Raises:
        DataError: It is no such file, or it is truncated.
        StorageError: It cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self._reader(None) as reader:
            self._schema: pa.Schema = reader.schema
            self._num_batches: int = reader.num_record_batches
        self._num_rows: int | None = None

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches."""
        return self._schema

    @property
    def num_batches(self) -> int:
        """How many batches there are."""
        return self._num_batches

    @property
    def num_rows(self) -> int:
        """How many rows there are in all batches."""
        if self._num_rows is None:
            narrowest = min(self.schema.names, key=lambda name: _width(self.schema.field(name).type), default=None)
            names = None if narrowest is None else (narrowest,)
            self._num_rows = sum(batch.num_rows for batch in self._batches(names))
        return self._num_rows

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the batches in order.

        Args:
            columns: The columns that are wanted, in that order; None for all. Only these are read.

        Raises:
            ArgumentError: A column is unknown or comes twice.
            DataError: The file is damaged.
            StorageError: It cannot be read.
        """
        names = None if columns is None else check_columns(columns, self.schema.names)
        return self._batches(names)

    def _batches(self, names: tuple[str, ...] | None) -> Iterator[pa.RecordBatch]:
        with self._reader(names) as reader:
            for index in range(self.num_batches):
                yield self._get(reader, index, names)

    def read(self, index: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Return one batch.

        Args:
            index: Which one, from 0.
            columns: The columns that are wanted, in that order; None for all. Only these are read.

        Raises:
            ArgumentError: There is no such batch, or a column is unknown or comes twice.
            DataError: The file is damaged.
            StorageError: It cannot be read.
        """
        if not 0 <= index < self.num_batches:
            raise ArgumentError(
                "there is no such batch", where=self.path, expected=f"0 to {self.num_batches - 1}", received=index
            )
        names = None if columns is None else check_columns(columns, self.schema.names)
        with self._reader(names) as reader:
            return self._get(reader, index, names)

    @contextlib.contextmanager
    def _reader(self, names: tuple[str, ...] | None) -> Iterator[Any]:
        with storage_errors(self.path, "read"), open(self.path, "rb", buffering=0) as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DataError("this is no Arrow file", where=self.path, fix="make the examples again")
        fields = None if names is None else [self.schema.names.index(name) for name in names]
        with self._damage(), pa.OSFile(str(self.path)) as source:
            options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
            yield pa.ipc.open_file(source, options=options)

    def _get(self, reader: Any, index: int, names: tuple[str, ...] | None = None) -> pa.RecordBatch:
        with self._damage():
            batch = reader.get_batch(index)
            batch.validate()
        return batch if names is None else batch.select(list(names))

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                "the Arrow file is truncated or damaged",
                where=self.path,
                received=str(error),
                fix="make the examples again",
            ) from error
