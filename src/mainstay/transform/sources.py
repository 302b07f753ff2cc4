"""Sources: the data that is analysed, as typed columns that can be read chunk by chunk, more than once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mainstay.core import TransformError
from mainstay.hostops import Column, as_column, column_from_arrow

CHUNK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Source:
    """Data to analyse.

    Args:
        dtypes: The dtype of every column that host operations can read; ``timestamp`` for times.
        unusable: The type of every other column.
        read: Yields chunks of the columns of these names.
        find_missing: Gives the names of those columns that have a missing value.
    """

    dtypes: Mapping[str, str]
    unusable: Mapping[str, str]
    read: Callable[[Sequence[str]], Iterator[dict[str, Column]]]
    find_missing: Callable[[Sequence[str]], frozenset[str]]


def open_source(data: Any) -> Source:
    """Return a mapping of arrays, a table, record batches, or an object with `schema` and `batches()` as a source.

    Raises:
        TransformError: It is none of these, or can be read only once.
    """
    if isinstance(data, Mapping):
        return _from_arrays(data)
    if isinstance(data, pa.RecordBatch):
        data = [data]
    if isinstance(data, pa.Table):
        table = data
        return _from_batches(table.schema, lambda names: table.select(names).to_batches())
    if isinstance(data, (list, tuple)):
        return _from_list(data)
    schema, batches = getattr(data, "schema", None), getattr(data, "batches", None)
    if isinstance(schema, pa.Schema) and callable(batches):
        chosen = "columns" in inspect.signature(batches).parameters
        return _from_batches(schema, lambda names: batches(columns=list(names)) if chosen else batches())
    raise TransformError(
        "this data cannot be analysed",
        expected="a mapping of arrays, a pyarrow.Table, a list of record batches, or an object with `schema` and "
        "`batches()`",
        received=type(data).__name__,
        fix="collect the record batches in a list: analysis may read them more than once"
        if _reads_once(data)
        else None,
    )


def _reads_once(data: Any) -> bool:
    return hasattr(data, "__next__") or isinstance(data, pa.RecordBatchReader)


def _from_list(batches: Sequence[Any]) -> Source:
    if not batches or not all(isinstance(batch, pa.RecordBatch) for batch in batches):
        raise TransformError(
            "a list to analyse holds no record batches",
            expected="one pyarrow.RecordBatch or more",
            received=f"{len(batches)} items" if not batches else type(batches[0]).__name__,
        )
    for index, batch in enumerate(batches):
        if not batch.schema.equals(batches[0].schema):
            raise TransformError(
                "the record batches differ in schema",
                where=f"batch {index}",
                expected=batches[0].schema,
                received=batch.schema,
            )
    return _from_batches(batches[0].schema, lambda names: iter(batches))


def _from_batches(schema: pa.Schema, batches: Callable[[Sequence[str]], Any]) -> Source:
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise TransformError("column names come twice", received=", ".join(map(repr, twice)))
    dtypes = {field.name: dtype for field in schema if (dtype := _dtype_of(field.type)) is not None}
    unusable = {field.name: str(field.type) for field in schema if field.name not in dtypes}

    def read(names: Sequence[str]) -> Iterator[dict[str, Column]]:
        for batch in batches(names):
            places = {name: batch.schema.get_field_index(name) for name in names}
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                part = batch if batch.num_rows <= CHUNK_ROWS else batch.slice(start, CHUNK_ROWS)
                yield {name: column_from_arrow(part.column(place)) for name, place in places.items()}

    def find_missing(names: Sequence[str]) -> frozenset[str]:
        found = {name for name in names if pa.types.is_null(schema.field(name).type)}
        for batch in batches(names):
            places = {name: batch.schema.get_field_index(name) for name in names if name not in found}
            found.update(name for name, place in places.items() if _misses(batch.column(place)))
        return frozenset(found)

    return Source(dtypes, unusable, read, find_missing)


def _misses(array: pa.Array) -> bool:
    return bool(array.null_count or (pa.types.is_dictionary(array.type) and array.dictionary.null_count))


def _dtype_of(kind: pa.DataType) -> str | None:
    """Return the dtype that `column_from_arrow` makes of an Arrow type; None where it refuses it."""
    try:
        column = column_from_arrow(pa.array([], kind))
    except (TransformError, pa.ArrowException):
        return None
    return _dtype_of_values(column.values)


def _dtype_of_values(values: Any) -> str:
    if isinstance(values, pa.Array) or values.dtype.kind == "O":
        return "string"
    return "timestamp" if values.dtype.kind == "M" else str(values.dtype)


def _from_arrays(data: Mapping[str, Any]) -> Source:
    columns: dict[str, Column] = {}
    for name, value in data.items():
        if not isinstance(name, str):
            raise TransformError("a column has no proper name", expected="a string", received=repr(name))
        columns[name] = as_column(value, where=f"$.{name}")
    rows = {name: len(column) for name, column in columns.items()}
    if len(set(rows.values())) > 1:
        raise TransformError("the columns differ in length", received=rows)
    flat = {name: column for name, column in columns.items() if getattr(column.values, "ndim", 1) == 1}
    unusable = {name: f"an array of shape {columns[name].values.shape}" for name in columns if name not in flat}

    def read(names: Sequence[str]) -> Iterator[dict[str, Column]]:
        for start in range(0, next(iter(rows.values()), 0), CHUNK_ROWS):
            yield {name: _slice(flat[name], start) for name in names}

    def find_missing(names: Sequence[str]) -> frozenset[str]:
        return frozenset(name for name in names if flat[name].missing is not None)

    dtypes = {name: _dtype_of_values(column.values) for name, column in flat.items()}
    return Source(dtypes, unusable, read, find_missing)


def _slice(column: Column, start: int) -> Column:
    stop = start + CHUNK_ROWS
    missing = None if column.missing is None else column.missing[start:stop]
    return Column(column.values[start:stop], missing)
