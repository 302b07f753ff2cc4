"""Parsed lists as their specifications want them: dense, filled up, divided into rows of rows, or placed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.io.binary_columns import is_binary, to_objects
from mainstay.io.example_features import (
    BYTES,
    KIND_DTYPES,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    kind_of,
)
from mainstay.io.example_plan import Place, Plan, fill_value, shape_of
from mainstay.io.ragged import Ragged


def assemble(plan: Plan, columns: list[Any], place: Place) -> dict[str, Any]:
    """Return the columns of a plan by name.

    Args:
        plan: What was asked for.
        columns: What a parser returned: one for each field of the plan.
        place: Where the records come from, for errors.

    Raises:
        DataError: What divides or places values contradicts them.
    """
    lists = {wanted.name.decode(): column for wanted, column in zip(plan.fields, columns, strict=True)}
    return {
        key: _column(key, spec, lists, place) if (shape := plan.shapes.get(key)) is None else _fixed(lists[key], shape)
        for key, spec in plan.features.items()
    }


def assemble_one(plan: Plan, columns: list[Any]) -> dict[str, Any]:
    """Return the features of one record by name: what `assemble` returns, without the first axis.

    Args:
        plan: What was asked for.
        columns: What a parser returned for the record; single strings may be ``bytes`` already.
    """
    found, rest = {}, {}
    for key, spec in plan.features.items():
        shape = plan.shapes.get(key)
        if shape is None:
            rest[key] = spec
            continue
        column = columns[plan.number_of[key.encode()]]
        if isinstance(column, np.ndarray):
            found[key] = column[0, 0] if shape == () else column.reshape(shape)
        else:
            found[key] = column if isinstance(column, bytes) else _plain(_fixed(column, shape)[0])
    if not rest:
        return found
    lists = {wanted.name.decode(): column for wanted, column in zip(plan.fields, columns, strict=True)}
    found |= {key: _plain(_column(key, spec, lists, Place())[0]) for key, spec in rest.items()}
    return {key: found[key] for key in plan.features}


def _plain(value: Any) -> Any:
    """Return a value of a column, a string as ``bytes``."""
    return value.as_py() if hasattr(value, "as_py") else value


def _fixed(column: Any, shape: tuple[int, ...]) -> Any:
    if not is_binary(column):
        return column.reshape(len(column), *shape)
    return column if shape == () else to_objects(column).reshape(-1, *shape)


def _column(key: str, spec: Any, lists: dict[str, Any], place: Place) -> Any:
    if isinstance(spec, FixedLenSequenceFeature):
        return _sequence(key, spec, lists[key], place)
    if isinstance(spec, RaggedFeature):
        return _partitioned(key, spec, lists, place)
    if isinstance(spec, SparseFeature):
        return _placed(key, spec, lists, place)
    return lists[key]


def _sequence(key: str, spec: FixedLenSequenceFeature, column: Ragged, place: Place) -> np.ndarray:
    shape = shape_of(spec.shape, key)
    entry = math.prod(shape)
    lengths = column.row_lengths()
    odd = np.flatnonzero(lengths % entry)
    if len(odd):
        raise DataError(
            "the number of values is no multiple of an entry's",
            where=place.of(int(odd[0]), key),
            expected=f"a multiple of {entry}",
            received=int(lengths[odd[0]]),
        )
    dense = column.to_tensor(fill_value(spec, kind_of(spec.dtype), key))
    return dense.reshape(len(column), dense.shape[1] // entry, *shape)


def _partitioned(key: str, spec: RaggedFeature, lists: dict[str, Any], place: Place) -> Ragged:
    column: Ragged = lists[key if spec.value_key is None else spec.value_key]
    dtype = np.dtype(getattr(spec.row_splits_dtype, "name", spec.row_splits_dtype))
    values, splits = column.values, column.splits
    if dtype == np.int32 and splits[-1] > np.iinfo(np.int32).max:
        raise DataError("the splits do not fit in int32", where=key, received=int(splits[-1]), fix="ask for int64")
    for partition in reversed(spec.partitions):
        counts = np.diff(splits)
        if isinstance(partition, RaggedFeature.UniformRowLength):
            odd = np.flatnonzero(counts % partition.length)
            if len(odd):
                raise DataError(
                    "the values cannot be divided into rows of this length",
                    where=place.of(int(odd[0]), key),
                    expected=f"a multiple of {partition.length}",
                    received=int(counts[odd[0]]),
                )
            total = len(values) // partition.length
            if isinstance(values, np.ndarray):
                values = values.reshape(total, partition.length, *values.shape[1:])
            else:
                values = Ragged(values, (np.arange(total + 1) * partition.length).astype(dtype))
            splits = splits // partition.length
            continue
        lengths = [
            _lengths(partition, marks, int(count), place.of(row, key))
            for row, (marks, count) in enumerate(zip(lists[partition.key], counts, strict=True))
        ]
        flat = np.concatenate([np.empty(0, np.int64), *lengths])
        inner = np.zeros(len(flat) + 1, dtype)
        np.cumsum(flat, out=inner[1:])
        values = Ragged(values, inner)
        splits = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum([len(rows) for rows in lengths], out=splits[1:])
    return Ragged(values, splits.astype(dtype, copy=False))


def _lengths(partition: Any, marks: np.ndarray, count: int, where: str) -> np.ndarray:
    """Return the lengths of the rows into which an example's `count` values are divided."""
    if isinstance(partition, RaggedFeature.RowLengths):
        lengths = marks
    elif isinstance(partition, RaggedFeature.ValueRowIds):
        rising = len(marks) == count and (count == 0 or marks[0] >= 0) and (np.diff(marks) >= 0).all()
        # An id far beyond the values would ask for as many empty rows.
        if rising and (count == 0 or marks[-1] < 1 << 31):
            return np.bincount(marks) if count else np.empty(0, np.int64)
        lengths = np.array([-1])
    elif isinstance(partition, RaggedFeature.RowStarts):
        lengths = np.diff(np.append(marks, count)) if not len(marks) or marks[0] == 0 else np.array([-1])
    elif isinstance(partition, RaggedFeature.RowLimits):
        lengths = np.diff(np.insert(marks, 0, 0))
    else:
        lengths = np.diff(marks) if not len(marks) or marks[0] == 0 else np.array([-1])
    # Each alone is checked too: a sum of large ones wraps.
    if ((lengths < 0) | (lengths > count)).any() or sum(lengths.tolist()) != count:
        raise DataError(
            f"the partition {partition.key!r} does not divide the values",
            where=where,
            expected=f"{type(partition).__name__} of {count} value{'' if count == 1 else 's'}",
            received=marks.tolist(),
        )
    return lengths


def _placed(key: str, spec: SparseFeature, lists: dict[str, Any], place: Place) -> np.ndarray:
    values: Ragged = lists[spec.value_key]
    keys = [spec.index_key] if isinstance(spec.index_key, str) else list(spec.index_key)
    size, kind = shape_of(spec.size, key), kind_of(spec.dtype)
    counts = values.row_lengths()
    rows = np.repeat(np.arange(len(values)), counts)
    dense = np.full((len(values), *size), b"" if kind == BYTES else 0, KIND_DTYPES[kind])
    flat = rows.copy()
    for axis, (name, length) in enumerate(zip(keys, size, strict=True)):
        indices: Ragged = lists[name]
        odd = np.flatnonzero(indices.row_lengths() != counts)
        if len(odd):
            raise DataError(
                "there are not as many places as values",
                where=place.of(int(odd[0]), name),
                expected=int(counts[odd[0]]),
                received=int(indices.row_lengths()[odd[0]]),
            )
        outside = np.flatnonzero((indices.values < 0) | (indices.values >= length))
        if len(outside):
            raise DataError(
                "a place is outside the column",
                where=place.of(int(rows[outside[0]]), name),
                expected=f"0 to {length - 1} on axis {axis}",
                received=int(indices.values[outside[0]]),
            )
        flat = flat * length + indices.values
    kept, first = np.unique(flat, return_index=True)
    if len(kept) != len(flat):
        again = int(np.setdiff1d(np.arange(len(flat)), first)[0])
        raise DataError("a place is given twice", where=place.of(int(rows[again]), key), fix="write each place once")
    dense.reshape(-1)[flat] = to_objects(values.values) if is_binary(values.values) else values.values
    return dense
