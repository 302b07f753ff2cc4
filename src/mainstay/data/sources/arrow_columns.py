"""Arrow's columns as those of a dataset: which types there are, what a missing value becomes, and what is refused.

- Numbers and booleans keep their type; decimals become float64.
- Timestamps and dates become microseconds since 1970 (int64), in UTC.
- Text and bytes become strings, encoded by a dictionary or not.
- Lists become `Ragged`, of fixed size an axis; structs become dicts.
- A missing float is NaN, a missing string and a missing list are empty; elsewhere a default must be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import DataError
from mainstay.data.columns import Array, Column
from mainstay.data.structures import Structure
from mainstay.io import Ragged


class MissingValueError(Exception):
    """A value without a default is missing.

    Args:
        row: Which row, counted from the beginning of the array.
    """

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type to which a column is cast before it is handed out, or None where there is none.

    Two files agree on a column if these are equal.
    """
    types = pa.types
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_decimal(kind):
        return pa.float64()
    if types.is_timestamp(kind) or types.is_date(kind):
        return pa.timestamp("us", getattr(kind, "tz", None))
    if _is_text(kind):
        return pa.large_binary() if types.is_large_string(kind) or types.is_large_binary(kind) else pa.binary()
    if types.is_fixed_size_list(kind):
        inner = plain_type(kind.value_type)
        return None if inner is None else pa.list_(inner, kind.list_size)
    if types.is_list(kind) or types.is_large_list(kind):
        inner = plain_type(kind.value_type)
        if inner is None or types.is_struct(inner):
            return None
        return pa.large_list(inner) if types.is_large_list(kind) else pa.list_(inner)
    if types.is_struct(kind):
        inners = [(field.name, plain_type(field.type)) for field in kind]
        return None if not inners or any(inner is None for _, inner in inners) else pa.struct(inners)
    return kind if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) else None


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
    )


def refused(where: str, name: str, kind: pa.DataType) -> DataError:
    """Return the error that says that a column has a type that datasets do not have."""
    return DataError(
        f"the column {name!r} is of a type that a dataset does not have",
        where=where,
        expected="numbers, booleans, text, bytes, dates, timestamps, decimals, lists or structs of those",
        received=kind,
        fix="leave the column out with columns=[…], or write its values as numbers or text",
    )


def convert(array: pa.Array | pa.ChunkedArray, default: Any = None) -> Structure:
    """Return the column of an Arrow array whose type `plain_type` knows; a dict of columns for a struct.

    Args:
        array: The values.
        default: What stands for a missing value; None for the rules of this module.

    Raises:
        MissingValueError: A value is missing that has no default.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    target: Any = plain_type(array.type)
    if pa.types.is_struct(target):
        _refuse_nulls(array)
        return {
            field.name: convert(part, _part(default, field.name))
            for field, part in zip(target, array.flatten(), strict=True)
        }
    return _convert(array, target, default)


def _part(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, Mapping) else None


def _convert(array: pa.Array, target: Any, default: Any) -> Column:
    types = pa.types
    if types.is_fixed_size_list(target):
        _refuse_nulls(array)
        values = _convert(array.flatten(), target.value_type, None)
        if isinstance(values, pa.Array):
            values = _objects(values)
        return values.reshape(len(array), target.list_size, *values.shape[1:])
    if types.is_list(target) or types.is_large_list(target):
        values = _convert(array.flatten(), target.value_type, None)
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        splits = np.zeros(len(array) + 1, np.int64)
        np.cumsum(lengths, out=splits[1:])
        return Ragged(values, splits)
    if types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if array.type != target:
        if types.is_fixed_size_binary(array.type):
            array = array.cast(pa.binary())
        loses = types.is_timestamp(array.type) or types.is_decimal(array.type)
        array = array.cast(target, safe=not loses)
    if array.null_count:
        array = _filled(array, default)
    if types.is_timestamp(target):
        array = array.cast(pa.int64())
    if types.is_binary(target) or types.is_large_binary(target):
        return array
    numbers: Array = array.to_numpy(zero_copy_only=False)
    return numbers


def _filled(array: pa.Array, default: Any) -> pa.Array:
    kind = array.type
    if default is None:
        if pa.types.is_floating(kind):
            return array
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            _refuse_nulls(array)
        default = b""
    if pa.types.is_timestamp(kind):
        return array.fill_null(pa.scalar(default, pa.int64()).cast(kind))
    value = default.encode() if isinstance(default, str) else default
    return array.fill_null(pa.scalar(value, kind))


def _refuse_nulls(array: pa.Array) -> None:
    if array.null_count:
        raise MissingValueError(int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0]))


def _objects(values: pa.Array) -> Array:
    objects = np.empty(len(values), object)
    objects[:] = values.to_pylist()
    return objects


def missing(where: str, name: str, kind: Any) -> DataError:
    """Return the error that says that a value without a default is missing."""
    return DataError(
        f"a value of the column {name!r} is missing",
        where=where,
        expected=kind,
        received="nothing",
        fix=f"give a default, such as defaults={{{name!r}: 0}}; for floats a missing value is NaN",
    )
