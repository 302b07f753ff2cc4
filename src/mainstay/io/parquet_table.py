"""Parquet files as a table: their many types made into the few of a table, row group by row group."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mainstay.core import DataError, storage_errors
from mainstay.io.csv_values import asked_for
from mainstay.io.parquet_values import Converter, asked_type, common_type, converter, refuse_type, table_type
from mainstay.io.table import Table, check_names, check_same_columns, first_failure, select_columns

_BATCH_BYTES = 16 << 20
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class _Part:
    """What the footer of a file says: the types of its columns, and the size of a row in bytes."""

    path: Path
    schema: pa.Schema
    row_bytes: int


class ParquetTable(Table):
    """A table in Parquet files; see `open_table`.

    Args:
        files: The files, one or more.
        dtypes: The dtype of each column that shall have another one than the file says.
        exclude: The columns to leave out.
        batch_rows: The most rows of a batch.
    """

    def __init__(
        self, files: Sequence[Path], *, dtypes: Mapping[str, str], exclude: Sequence[str], batch_rows: int
    ) -> None:
        self._parts = tuple(_read_footer(file) for file in files)
        first = self._parts[0]
        for part in self._parts[1:]:
            check_same_columns(part.schema.names, part.path, first.schema.names, first.path)
        super().__init__(files, select_columns(first.schema.names, exclude, dtypes), batch_rows)
        self._dtypes = {name: dtype for name, dtype in dtypes.items() if asked_for(dtype)}
        self._schema = pa.schema([(name, self._type_of(name)) for name in self.column_names])

    @property
    def schema(self) -> pa.Schema:
        """The name and type of every column, as the footers say; see `Table.schema`."""
        return self._schema

    def _type_of(self, name: str) -> pa.DataType:
        result: Any = None
        for part in self._parts:
            source = part.schema.field(name).type
            known = table_type(source)
            if known is None:
                raise refuse_type(part.path, name, source)
            if name in self._dtypes and (known := asked_type(source, self._dtypes[name])) is None:
                raise DataError(
                    f"the column {name!r} cannot become {self._dtypes[name]}",
                    where=part.path,
                    received=source,
                    fix="give it another dtype, or none",
                )
            common = known if result is None else common_type(result, known)
            if common is None:
                raise DataError(
                    f"the column {name!r} has different types in the files of the table",
                    where=part.path,
                    expected=f"{result}, as in the files before it",
                    received=source,
                    fix=f"read it as text with dtypes={{{name!r}: 'string'}}, or exclude it",
                )
            result = common
        return result

    def _read(self, columns: tuple[str, ...]) -> Generator[pa.RecordBatch, None, None]:
        schema = pa.schema([self._schema.field(name) for name in columns])
        for part in self._parts:
            converters = {
                field.name: converter(part.schema.field(field.name).type, field.type, self._dtypes.get(field.name))
                for field in schema
            }
            rows = min(self._batch_rows, max(_BATCH_BYTES // part.row_bytes, 1))
            start = 0
            with _opened(part.path) as file:
                batches = file.iter_batches(batch_size=rows, columns=list(columns))
                while (batch := _next(batches, part.path)) is not None:
                    arrays = [self._converted(part.path, start, name, batch, converters[name]) for name in columns]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                    start += batch.num_rows

    def _converted(self, path: Path, start: int, name: str, batch: pa.RecordBatch, convert: Converter) -> pa.Array:
        array = batch.column(name)
        try:
            return convert(array)
        except pa.ArrowInvalid as error:
            row = first_failure(len(array), lambda low, high: _fits(array.slice(low, high - low), convert))
            kind = self._dtypes.get(name, self._schema.field(name).type)
            raise DataError(
                f"a value of the column {name!r} is no {kind}",
                where=f"{path}, row {start + row + 1:,}",
                expected=f"values that are {kind}",
                received=_shown(array[row]),
                fix="correct the value, or give the column another dtype, such as 'string', or exclude it",
            ) from error


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "the Parquet file is truncated or damaged, or uses what is not supported",
            where=path,
            received=str(error),
            fix="copy or write it again",
        ) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    with storage_errors(path, "read"), open(path, "rb"):
        pass
    with _damage(path):
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES, page_checksum_verification=True)
    with file:
        yield file


def _read_footer(path: Path) -> _Part:
    with _opened(path) as file, _damage(path):
        schema, metadata = file.schema_arrow, file.metadata
        num_bytes = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        row_bytes = max(num_bytes // max(metadata.num_rows, 1), 1)
    check_names(schema.names, path)
    return _Part(path, schema, row_bytes)


def _next(batches: Iterator[pa.RecordBatch], path: Path) -> pa.RecordBatch | None:
    with _damage(path):
        return next(batches, None)


def _fits(array: pa.Array, convert: Converter) -> bool:
    try:
        convert(array)
    except pa.ArrowInvalid:
        return False
    return True


def _shown(scalar: pa.Scalar) -> str:
    """Return a value for a message; instants beyond Python's years as their number."""
    try:
        return repr(scalar.as_py())
    except (OverflowError, ValueError):
        return repr(scalar.value)
