"""Statistics of files and of tables in memory, in one pass and in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
from tensorflow_metadata.proto.v0 import statistics_pb2

from mainstay.core import DataError
from mainstay.io import Table, open_table
from mainstay.statistics import TableAccumulator, TableStatistics
from mainstay.validation.conversion import statistics_to_proto

Location: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Files: a file, a glob, a folder, or a sequence of those."""

Batches: TypeAlias = Iterable[pa.RecordBatch] | pa.Table | pa.RecordBatch | Mapping[str, Any]
"""A table in memory: Arrow batches, an Arrow table, or arrays by column name."""


def generate_statistics_from_csv(
    location: Location, *, dtypes: Mapping[str, str] | None = None, exclude: Sequence[str] = ()
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return the statistics of CSV files.

    Types are inferred from every row, and floats stay float64: the same data gives the same statistics from CSV,
    from Parquet and from memory.

    Args:
        location: A file, a glob, a folder, or a sequence of those.
        dtypes: The dtype of columns that shall not be inferred: ``int64``, ``float64``, ``bool``, ``string`` or
            ``timestamp``.
        exclude: Columns to leave out.

    Raises:
        ArgumentError: `dtypes` or `exclude` names an unknown column, or a dtype is unknown.
        DataError: Nothing is there, or the files are no table.
        StorageError: The file system refuses.
    """
    return _from_files(open_table(location, dtypes=dtypes, exclude=exclude))


def generate_statistics_from_parquet(
    location: Location, *, dtypes: Mapping[str, str] | None = None, exclude: Sequence[str] = ()
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return the statistics of Parquet files; arguments and errors as in `generate_statistics_from_csv`."""
    return _from_files(open_table(location, dtypes=dtypes, exclude=exclude))


def generate_statistics_from_batches(batches: Batches) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return the statistics of a table in memory.

    Integers of any size become int64, halves and decimals float64, dates and other timestamps timestamp[us].

    Args:
        batches: Arrow batches of one schema, an Arrow table, or a mapping of column names to arrays `[rows]`.

    Raises:
        DataError: There is no batch, the columns differ in length or schema, or a type is not supported.
    """
    accumulator: TableAccumulator | None = None
    for batch in _as_batches(batches):
        known = _as_known_types(batch)
        if accumulator is None:
            accumulator = TableAccumulator(known.schema)
        accumulator.update(known)
    if accumulator is None:
        raise DataError("there is no batch, not even an empty one, to tell the columns from", received="nothing")
    return statistics_to_proto(accumulator.result())


class _StatisticsSink:
    """Takes in the rows of a table that is scanned."""

    def __init__(self, schema: pa.Schema) -> None:
        self._accumulator = TableAccumulator(schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._accumulator.update(batch)

    def close(self) -> TableStatistics:
        return self._accumulator.result()

    def abort(self) -> None:
        """Nothing is left behind."""


def _from_files(table: Table) -> statistics_pb2.DatasetFeatureStatisticsList:
    return statistics_to_proto(table.scan(_StatisticsSink))


def _as_batches(batches: Batches) -> Iterator[pa.RecordBatch]:
    if isinstance(batches, pa.RecordBatch):
        yield batches
    elif isinstance(batches, pa.Table):
        yield from batches.to_batches() or [pa.RecordBatch.from_pylist([], schema=batches.schema)]
    elif isinstance(batches, Mapping):
        yield _from_mapping(batches)
    else:
        for batch in batches:
            if not isinstance(batch, pa.RecordBatch):
                raise DataError("batches are Arrow record batches", received=type(batch).__name__)
            yield batch


def _from_mapping(columns: Mapping[str, Any]) -> pa.RecordBatch:
    arrays: list[pa.Array] = []
    for name, values in columns.items():
        try:
            array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
            raise DataError(
                "the values of a column do not form one array", where=f"column {name!r}", received=error
            ) from error
        arrays.append(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    lengths = {name: len(array) for name, array in zip(columns, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError("columns have different numbers of rows", expected="one length", received=lengths)
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _as_known_types(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with its columns widened to the types that statistics know; others stay as they are."""
    fields, arrays = [], []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        target = _known_type(field.type)
        try:
            arrays.append(array if target == field.type else array.cast(target))
        except pa.ArrowInvalid as error:
            raise DataError(
                "a value does not fit the type that statistics use",
                where=f"column {field.name!r}",
                expected=target,
                received=error,
            ) from error
        fields.append(pa.field(field.name, target))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _known_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_float16(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.unit in ("s", "ms")):
        return pa.timestamp("us", getattr(kind, "tz", None))
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return kind
