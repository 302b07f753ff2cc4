"""Columns: what flows between host operations, values with one leading axis and a mask of what is missing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from mainstay.core import TransformError
from mainstay.hostops.words import SHORT, from_bytes, object_array

Values: TypeAlias = Any
"""Values of a column: a NumPy array `[rows]` of bool, int64, float64, float32, datetime64[us] or object (str),
or an Arrow array of strings, plain or dictionary-encoded."""

Array = np.ndarray[Any, Any]

NUMBER_DTYPES = ("bool", "int32", "int64", "float32", "float64")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chunk.

    Args:
        values: The values, `[rows]`. Where a value is missing, what stands here is unspecified.
        missing: True where a value is missing, `[rows]` bool; None where nothing is.
    """

    values: Values
    missing: Array | None = None

    def __len__(self) -> int:
        return len(self.values)


def column_from_arrow(array: pa.Array) -> Column:
    """Return the column of an Arrow array: numbers as NumPy arrays, strings as they are.

    Integers become int64, decimals and halves float64, dates and timestamps datetime64[us] in UTC, rounded down.
    NaN is a value, not a missing one.

    Raises:
        TransformError: The type is none that host operations know, such as a list.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type) and (array.dictionary.null_count or not _is_text(array.type.value_type)):
        array = array.dictionary_decode()
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if pa.types.is_null(kind):
        return Column(np.zeros(len(array), np.float64), np.ones(len(array), bool))
    if pa.types.is_dictionary(kind) or _is_text(kind):
        return Column(array, missing)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return Column(array.view(pa.string() if pa.types.is_binary(kind) else pa.large_string()), missing)
    if pa.types.is_string_view(kind):
        return Column(array.cast(pa.large_string()), missing)
    return Column(_numbers(array), missing)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(array: pa.Array) -> Array:
    kind = array.type
    if pa.types.is_boolean(kind):
        if array.null_count:
            array = array.fill_null(False)
        values: Array = array.to_numpy(zero_copy_only=False)
        return values
    if pa.types.is_timestamp(kind):
        return _microseconds(_buffer(array, np.int64), kind.unit)
    if pa.types.is_date(kind):
        days = _buffer(array.cast(pa.date32()), np.int32).astype("datetime64[D]")
        return np.asarray(days.astype("datetime64[us]"))
    if pa.types.is_decimal(kind):
        return _buffer(array.cast(pa.float64()), np.float64)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if pa.types.is_uint64(kind) and array.null_count:
            array = array.fill_null(0)
        numbers: Array = _numpy_values(_buffer(array, np.dtype(kind.to_pandas_dtype()))).values
        return numbers
    raise TransformError(
        "host operations cannot read a column of this type",
        expected="numbers, booleans, strings, dates or timestamps",
        received=str(kind),
        fix="exclude the column",
    )


def _buffer(array: pa.Array, dtype: Any) -> Array:
    """Return the numbers of an Arrow array without a copy, whatever stands where one is missing."""
    data = array.buffers()[1]
    if data is None or not len(array):
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype, len(array), array.offset * np.dtype(dtype).itemsize)


def _microseconds(counts: Array, unit: str) -> Array:
    """Return Arrow's counts of a unit since the epoch as datetime64[us], rounded down."""
    scaled: Any = counts // 1000 if unit == "ns" else counts * {"us": 1, "ms": 1000, "s": 1_000_000}[unit]
    moments: Any = scaled.view("datetime64[us]")
    return np.asarray(moments)


def columns_from_batch(batch: pa.RecordBatch) -> dict[str, Column]:
    """Return the columns of a record batch by name; see `column_from_arrow`."""
    return {name: column_from_arrow(batch.column(index)) for index, name in enumerate(batch.schema.names)}


def as_column(value: Any, dtype: str | None = None, *, where: str | None = None) -> Column:
    """Return `value` as a column: a `Column`, an Arrow array, a NumPy array or a sequence with None for missing.

    Among strings a float NaN counts as missing too, as pandas has it, and bytes are taken as UTF-8. A number is
    rounded to float64 before it is to float32, so that it becomes the same in a list as in an array.

    Args:
        value: What a caller handed in.
        dtype: The dtype that is wanted, a name of `core.DTYPES`; None keeps what comes. A ``string`` input
            also takes datetime64, which `DecodeTimestamp` passes through.
        where: The place that an error names, such as ``$.fare``.

    Raises:
        TransformError: The values are not of that dtype and cannot become it without loss.
    """
    try:
        column = _read(value)
        return column if dtype is None else _with_dtype(column, dtype)
    except TransformError as error:
        if where is None:
            raise
        raise TransformError(
            error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix
        ) from None


def _read(value: Any) -> Column:
    if isinstance(value, (list, tuple)):
        return _from_list(value)
    if isinstance(value, Column):
        return value if isinstance(value.values, pa.Array) or value.values.dtype.kind != "O" else _again(value)
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return column_from_arrow(value)
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "biufM":
        return _numpy_values(value)
    return _from_anything(value)


def _again(column: Column) -> Column:
    """Return a column of objects checked again: whoever made it may have left anything where a value is missing."""
    if column.missing is None:
        return _from_objects(column.values)
    rows = column.values.copy()
    rows[column.missing] = None
    return _from_objects(rows)


def _from_anything(value: Any) -> Column:
    if isinstance(value, (str, bytes, Mapping, Set)) or not hasattr(value, "__len__"):
        raise TransformError(
            "a column is no sequence of values",
            expected="an array or a list, one value per row",
            received=f"{type(value).__name__} {value!r}",
        )
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.ndim == 0:
            raise TransformError("a column has no rows", expected="one leading axis", received=repr(value))
        return _numpy_values(array) if array.dtype.kind in "biufM" else _from_objects(array)
    return _from_list(list(value))


def _from_objects(array: Array) -> Column:
    """Return the column of an array of objects or of NumPy strings."""
    if array.ndim == 1 and array.dtype == object and len(array) > SHORT:
        try:
            return column_from_arrow(pa.array(array, pa.string()))
        except (pa.ArrowException, UnicodeError, TypeError):
            pass
    return _from_list(array.tolist())


def _numpy_values(array: Array) -> Column:
    kind = array.dtype.kind
    if kind == "M":
        missing = np.isnat(array)
        return Column(array.astype("datetime64[us]", copy=False), missing if missing.any() else None)
    if kind == "u" and array.dtype.itemsize == 8 and len(array) and int(array.max()) > np.iinfo(np.int64).max:
        raise TransformError("a whole number is beyond 64 bits with a sign", received=int(array.max()))
    if kind in "iu":
        return Column(array.astype(np.int64, copy=False))
    if array.dtype in (np.bool_, np.float32, np.float64):
        return Column(array)
    with np.errstate(all="ignore"):
        return Column(array.astype(np.float64))


_FLOATS = {float, int}
_BLANKS: dict[type, Any] = {float: 0.0, int: 0, str: "", bool: False}


def _from_list(rows: list[Any] | tuple[Any, ...]) -> Column:
    kinds = set(map(type, rows))
    if type(None) in kinds and len(kinds) == 2:
        (kind,) = kinds - {type(None)}
        if kind in _BLANKS:
            blank = _BLANKS[kind]
            filled = _from_list([blank if row is None else row for row in rows])
            return Column(filled.values, np.array([row is None for row in rows], bool))
    if kinds == {str}:
        return Column(object_array(rows))  # type: ignore[arg-type]
    try:
        if kinds == {float} or kinds == _FLOATS:
            return Column(np.array(rows, np.float64))
        if kinds == {int}:
            return Column(np.array(rows, np.int64))
    except OverflowError:
        pass
    return Column(np.array(rows, bool)) if kinds == {bool} else _from_mixed(rows)


def _from_mixed(rows: list[Any] | tuple[Any, ...]) -> Column:
    """Return the column of a list with missing values, bytes, dates or values that do not fit."""
    items = [from_bytes(item) if isinstance(item, bytes) else item for item in rows]
    if any(isinstance(item, str) for item in items):
        items = [None if isinstance(item, float) and item != item else item for item in items]
        wrong = next((item for item in items if not isinstance(item, str) and item is not None), None)
        if wrong is not None:
            raise TransformError(
                "a column mixes strings with other values", expected="only strings", received=repr(wrong)
            )
    absent = [item is None for item in items]
    missing = np.array(absent, bool) if any(absent) else None
    present = [item for item in items if item is not None]
    if not present:
        return Column(np.zeros(len(items), np.float64), missing)
    if isinstance(present[0], str):
        return Column(object_array(["" if item is None else str(item) for item in items]), missing)
    array = _plain_array(present)
    if missing is None:
        return _numpy_values(array)
    values = np.zeros((len(items), *array.shape[1:]), array.dtype)
    values[~missing] = array
    column = _numpy_values(values)
    return Column(column.values, missing if column.missing is None else missing | column.missing)


def _plain_array(items: list[Any]) -> Array:
    if isinstance(items[0], datetime.date):
        items = [_naive(item) for item in items]
    elif any(type(item) is int for item in items) and not all(isinstance(item, (int, np.integer)) for item in items):
        items = [item if isinstance(item, bool) or not isinstance(item, int) else _as_float(item) for item in items]
    try:
        array = np.asarray(items)
    except (ValueError, OverflowError, TypeError) as error:
        raise TransformError("a column's values do not form one array", received=str(error)) from error
    if array.dtype.kind in "uO" and all(type(item) is int for item in items):
        array = np.array([_as_float(item) for item in items])
    if array.dtype.kind not in "biufM" or array.ndim > 2:
        raise TransformError(
            "a column's values do not form one array of numbers",
            expected="numbers of up to 64 bits with one leading axis",
            received=f"{items[0]!r} among others (dtype {array.dtype}, shape {array.shape})",
        )
    return array


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        raise TransformError("a whole number is beyond what a float holds", received=number) from None


def _naive(moment: Any) -> np.datetime64:
    if not isinstance(moment, datetime.date):
        raise TransformError("a column mixes dates with other values", received=repr(moment))
    if isinstance(moment, datetime.datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(moment, "us")


def _with_dtype(column: Column, dtype: str) -> Column:
    values = column.values
    if dtype == "string":
        if isinstance(values, pa.Array) or values.dtype.kind in "OM":
            return column
        if _nothing(column):
            return Column(object_array([""] * len(values)), column.missing)
    elif not isinstance(values, pa.Array) and values.dtype == dtype:
        return column
    elif _nothing(column):
        return Column(np.zeros(len(values), dtype), column.missing)
    elif not isinstance(values, pa.Array) and values.dtype.kind in _WIDENED.get(dtype, ""):
        return Column(_convert(values, dtype), column.missing)
    received = values.type if isinstance(values, pa.Array) else values.dtype
    raise TransformError(
        "a column has the wrong type",
        expected=dtype,
        received="string" if str(received) == "object" else received,
        fix="convert the values before they are handed in",
    )


_WIDENED = {"int32": "bi", "int64": "bi", "float32": "bif", "float64": "bif"}


def _nothing(column: Column) -> bool:
    return len(column) == 0 or (column.missing is not None and bool(column.missing.all()))


def _convert(values: Array, dtype: str) -> Array:
    if dtype == "int32" and values.dtype.kind == "i" and len(values):
        info = np.iinfo(np.int32)
        if int(values.min()) < info.min or int(values.max()) > info.max:
            raise TransformError("a whole number is beyond 32 bits", expected=dtype, received=int(np.abs(values).max()))
    if dtype == "float32" and values.dtype.kind != "f":
        values = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)
