"""What becomes of the types of a Parquet file: the few that a table has, or a refusal that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import DataError
from mainstay.io.csv_values import asked_for, convert

Converter = Callable[[pa.Array], pa.Array]
"""Makes an array of a file into one of the table's type; raises `pyarrow.ArrowInvalid` where a value does not fit."""

_NAIVE, _UTC = pa.timestamp("us"), pa.timestamp("us", "UTC")


def table_type(source: pa.DataType) -> pa.DataType | None:
    """Return the type that a Parquet column has in a table, or None where tables have no such columns."""
    types = pa.types
    if types.is_dictionary(source):
        return table_type(source.value_type)
    if types.is_null(source) or types.is_boolean(source):
        return source
    if types.is_integer(source):
        return pa.int64()
    if types.is_floating(source) or types.is_decimal(source):
        return source if types.is_float32(source) else pa.float64()
    if types.is_date(source):
        return _NAIVE
    if types.is_timestamp(source):
        return _NAIVE if source.tz is None else _UTC
    texts = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    if any(is_text(source) for is_text in (*texts, types.is_fixed_size_binary, types.is_time)):
        return pa.string()
    return None


def refuse_type(file: Path, name: str, source: pa.DataType) -> DataError:
    """Return the error that says that a column's type cannot be part of a table."""
    nested = pa.types.is_nested(source)
    return DataError(
        f"the column {name!r} is {'nested' if nested else 'of a type that tables do not have'}",
        where=file,
        expected="numbers, booleans, strings, dates or timestamps",
        received=source,
        fix=f"exclude the column, or write its {'parts as columns of their own' if nested else 'values as numbers'}",
    )


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type of a column that has these two in two files, or None where there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = (pa.int64(), pa.float32(), pa.float64())
    return pa.float64() if one in numbers and other in numbers else None


def asked_type(source: pa.DataType, dtype: str) -> pa.DataType | None:
    """Return the type of a column for which a user gave a dtype, or None where its values can never have it."""
    known = table_type(source)
    asked = asked_for(dtype)[0].type
    if known is None:
        return None
    if pa.types.is_timestamp(known):
        return known if asked == _NAIVE else asked if asked == pa.string() else None
    if asked == _NAIVE:
        return asked if known in (pa.string(), pa.null()) else None
    return asked


def converter(source: pa.DataType, target: pa.DataType, dtype: str | None) -> Converter:
    """Return what makes arrays of a file's type into the table's type.

    Args:
        source: The type in the file.
        target: The type in the table.
        dtype: What a user asked for, or None.
    """

    first = source if dtype and pa.types.is_uint64(source) else table_type(source)

    def apply(array: pa.Array) -> pa.Array:
        plain = _without_nothing(_cast(array, first))
        if plain.type == target:
            return plain
        return _without_nothing(_as_asked(plain, target, dtype) if dtype else _cast(plain, target))

    return apply


def _cast(array: pa.Array, target: Any) -> pa.Array:
    """Cast without loss, but for integers that become floats and times finer than a microsecond."""
    if array.type == target:
        return array
    if pa.types.is_dictionary(array.type):
        return _cast(array.cast(array.type.value_type), target)
    rounds = pa.types.is_integer(array.type) and pa.types.is_floating(target)
    cuts = pa.types.is_timestamp(array.type) and array.type.unit == "ns"
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    return array.cast(target, safe=not (rounds or cuts))


def _as_asked(array: pa.Array, target: pa.DataType, dtype: str) -> pa.Array:
    if pa.types.is_string(array.type):
        values = convert(array, asked_for(dtype)[0])
        if values is None:
            raise pa.ArrowInvalid(f"not {dtype}")
        return values
    if pa.types.is_boolean(target) and not pa.types.is_null(array.type):
        is_one = pc.equal(array, pa.scalar(1).cast(array.type))
        if not pc.all(pc.or_(is_one, pc.equal(array, pa.scalar(0).cast(array.type)))).as_py() and len(array):
            raise pa.ArrowInvalid("neither 0 nor 1")
        return is_one
    return _cast(array, target)


def _without_nothing(array: pa.Array) -> pa.Array:
    """Return the values with nulls for NaN and for empty strings."""
    nothing = None
    if pa.types.is_floating(array.type):
        nothing = pc.is_nan(array)
    elif pa.types.is_string(array.type):
        nothing = pc.equal(pc.binary_length(array), 0)
    return array if nothing is None or not pc.any(nothing).as_py() else pc.if_else(nothing, None, array)
