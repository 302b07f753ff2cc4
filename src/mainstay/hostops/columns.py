"""Columns: what flows between host operations, values with one leading axis and a mask of what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from mainstay.core import TransformError

Values: TypeAlias = Any
"""Values of a column: a NumPy array `[rows]` of bool, int64, float64, float32, datetime64[us] or object (str),
or an Arrow array of strings, plain or dictionary-encoded."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chunk.

    Args:
        values: The values, `[rows]`. Where a value is missing, what stands here is unspecified.
        missing: True where a value is missing, `[rows]` bool; None where nothing is.
    """

    values: Values
    missing: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.values)


def column_from_arrow(array: pa.Array) -> Column:
    """Return the column of an Arrow array: numbers as NumPy arrays, strings as they are.

    Integers become int64, decimals and halves float64, dates and timestamps datetime64[us] in UTC. NaN is a
    value, not a missing one.

    Raises:
        TransformError: The type is none that host operations know, such as a list.
    """
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
        return Column(array, missing)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Column(array, missing)
    if pa.types.is_null(kind):
        return Column(np.zeros(len(array), np.float64), np.ones(len(array), bool))
    target = _numeric_target(kind)
    if target is None:
        raise TransformError(
            "host operations cannot read a column of this type",
            expected="numbers, booleans, strings, dates or timestamps",
            received=str(kind),
            fix="exclude the column",
        )
    arrow_type, dtype = target
    if missing is not None:
        array = array.fill_null(pa.scalar(0, pa.int64()).cast(kind) if not pa.types.is_boolean(kind) else False)
    if array.type != arrow_type:
        array = array.cast(arrow_type, safe=False)
    return Column(array.to_numpy(zero_copy_only=False).astype(dtype, copy=False), missing)


def _numeric_target(kind: pa.DataType) -> tuple[pa.DataType, str] | None:
    if pa.types.is_boolean(kind):
        return pa.bool_(), "bool"
    if pa.types.is_integer(kind):
        return pa.int64(), "int64"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return (kind, "float32") if pa.types.is_float32(kind) else (pa.float64(), "float64")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("us"), "datetime64[us]"
    return None


def columns_from_batch(batch: pa.RecordBatch) -> dict[str, Column]:
    """Return the columns of a record batch by name; see `column_from_arrow`."""
    return {name: column_from_arrow(batch.column(index)) for index, name in enumerate(batch.schema.names)}


def as_column(value: Any, dtype: str | None = None) -> Column:
    """Return `value` as a column: a `Column`, an Arrow array, a NumPy array or a sequence with None for missing.

    Args:
        value: What a caller handed in.
        dtype: The dtype that is wanted, a name of `core.DTYPES`; None keeps what comes. A ``string`` input
            also takes datetime64, which `DecodeTimestamp` passes through.

    Raises:
        TransformError: The values are not of that dtype and cannot become it without loss.
    """
    if isinstance(value, Column):
        column = value
    elif isinstance(value, pa.ChunkedArray):
        column = column_from_arrow(value.combine_chunks())
    elif isinstance(value, pa.Array):
        column = column_from_arrow(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufM":
        column = Column(_numpy_values(value))
    else:
        column = _from_sequence(value)
    return column if dtype is None else _with_dtype(column, dtype)


def _numpy_values(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]", copy=False)
    return array if array.dtype in (np.bool_, np.float32, np.float64) else array.astype(np.float64)


def _from_sequence(value: Any) -> Column:
    items = [v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else v for v in value]
    missing = np.fromiter((v is None for v in items), bool, len(items))
    present = [v for v in items if v is not None]
    mask = missing if missing.any() else None
    if any(isinstance(v, str) for v in present):
        wrong = next((v for v in present if not isinstance(v, str)), None)
        if wrong is not None:
            raise TransformError(
                "a column mixes strings with other values", expected="only strings", received=repr(wrong)
            )
        strings = np.empty(len(items), object)
        strings[:] = ["" if v is None else v for v in items]
        return Column(strings, mask)
    if not present:
        return Column(np.zeros(len(items), np.float64), mask)
    filler = type(present[0])()
    try:
        array = np.asarray([filler if v is None else v for v in items])
    except (ValueError, OverflowError, TypeError) as error:
        raise TransformError("a column's values do not form one array", received=str(error)) from error
    if array.ndim != 1 or array.dtype.kind not in "biufM":
        raise TransformError(
            "a column's values do not form one array of numbers",
            expected="numbers of up to 64 bits with one leading axis",
            received=f"dtype {array.dtype}, shape {array.shape}",
        )
    return Column(_numpy_values(array), mask)


def _with_dtype(column: Column, dtype: str) -> Column:
    values = column.values
    if dtype == "string":
        if isinstance(values, pa.Array) or values.dtype.kind in "OM":
            return column
        if column.missing is not None and bool(column.missing.all()):
            return Column(np.full(len(values), "", object), column.missing)
    elif not isinstance(values, pa.Array):
        if values.dtype == dtype:
            return column
        if _widens(values.dtype, np.dtype(dtype)) or (column.missing is not None and bool(column.missing.all())):
            return Column(values.astype(dtype), column.missing)
        if dtype == "float32" and values.dtype == np.float64:
            return Column(values.astype(np.float32), column.missing)
    received = values.type if isinstance(values, pa.Array) else values.dtype
    raise TransformError(
        "a column has the wrong type",
        expected=dtype,
        received="string" if str(received) == "object" else received,
        fix="convert the values before they are handed in",
    )


def _widens(have: np.dtype[Any], want: np.dtype[Any]) -> bool:
    allowed = {"b": "if", "i": "if", "u": "iuf"}
    return want.kind in allowed.get(have.kind, "")
