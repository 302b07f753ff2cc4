"""Columns as Arrow arrays and back: no copy where memory allows, every dtype and shape as it was.

Each Arrow array comes with a layout, a JSON object that says what it stands for; see docs/formats/dataset-snapshot.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa

from mainstay.core import DTYPES, DataError, FormatError
from mainstay.data.columns import Array, Column, Loose, strings
from mainstay.io import Ragged

_STAND_INS = {"bool": "uint8", "bfloat16": "uint16"}
_NUMBERS = tuple(dtype for dtype in DTYPES if dtype != "string")


def encode(column: Column) -> tuple[pa.Array, dict[str, Any]]:
    """Return a column as an Arrow array of the same length, and its layout.

    Raises:
        DataError: It holds arrays of several dtypes, or arrays beside lists.
    """
    if isinstance(column, pa.Array):
        return column, {"kind": "strings"}
    if isinstance(column, Ragged):
        values, layout = encode(column.values)
        return _lists(values, column.splits), {"kind": "lists", "values": layout}
    if isinstance(column, Loose):
        return _encode_loose(column)
    if column.dtype == object and column.ndim == 1:
        return strings(column.tolist()), {"kind": "strings"}
    flat, dtype = _flat(column)
    shape = list(column.shape[1:])
    size = math.prod(shape)
    if not size:
        flat = pa.nulls(len(column))
    elif shape:
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    return flat, {"kind": "arrays", "dtype": dtype, "shape": shape}


def _flat(array: Array) -> tuple[pa.Array, str]:
    """Return the values of an array in a row, and the name of their dtype."""
    if array.dtype == object:
        return strings(array.reshape(-1).tolist()).cast(pa.large_binary()), "string"
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(-1)
    name = array.dtype.name
    if name not in _NUMBERS:
        raise DataError("a snapshot holds numbers and strings", expected=", ".join(_NUMBERS), received=name)
    return pa.array(array.view(_STAND_INS.get(name, name))), name


def _lists(values: pa.Array, splits: Array) -> pa.Array:
    kind = pa.ListArray if splits.dtype == np.int32 else pa.LargeListArray
    return kind.from_arrays(pa.array(splits), values)


def _encode_loose(column: Loose) -> tuple[pa.Array, dict[str, Any]]:
    rows = list(column.rows)
    if all(isinstance(row, bytes) for row in rows):
        return strings(rows), {"kind": "strings"}
    if all(isinstance(row, Ragged) for row in rows):
        splits = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in rows])])
        values, layout = encode(Ragged.concatenate(rows))
        return _lists(values, splits), {"kind": "batches of lists", "values": layout}
    dtypes = {row.dtype if isinstance(row, np.ndarray) else type(row) for row in rows}
    if len(dtypes) != 1 or not isinstance(rows[0], np.ndarray):
        raise DataError(
            "elements of one component are of several kinds",
            expected="arrays of one dtype",
            received=", ".join(sorted(map(str, dtypes))),
        )
    sizes = np.concatenate([np.zeros(1, np.int64), np.cumsum([row.size for row in rows])])
    flat, dtype = _flat(np.concatenate([row.reshape(-1) for row in rows]))
    ranks = np.concatenate([np.zeros(1, np.int64), np.cumsum([row.ndim for row in rows])])
    shapes = np.array([axis for row in rows for axis in row.shape], np.int64)
    fields = [_lists(pa.array(shapes), ranks), _lists(flat, sizes)]
    return pa.StructArray.from_arrays(fields, ["shape", "values"]), {"kind": "loose", "dtype": dtype}


def decode(array: pa.Array, layout: Any) -> Column:
    """Return the column that an Arrow array stands for, read-only, where it lies.

    Raises:
        FormatError: The array does not fit its layout, or the layout is unknown.
    """
    try:
        return _decoders[layout["kind"]](array, layout)
    except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException) as error:
        raise FormatError(
            "a column does not fit its layout", expected=layout, received=f"{array.type}: {error}"
        ) from error


def _decode_strings(array: pa.Array, _layout: Any) -> Column:
    if array.null_count or not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise ValueError("not strings")
    return array


def _decode_arrays(array: pa.Array, layout: Any) -> Column:
    shape = tuple(layout["shape"])
    if any(type(axis) is not int or axis < 0 for axis in shape):
        raise ValueError("no shape")
    size = math.prod(shape)
    if not size:
        return np.empty((len(array), *shape), _dtype(layout["dtype"]))
    flat = array.flatten() if shape else array
    return _unflat(flat, layout["dtype"]).reshape(len(array), *shape)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "string":
        return np.dtype(object)
    if name not in _NUMBERS:
        raise ValueError("unknown dtype")
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _unflat(values: pa.Array, name: str) -> Array:
    if name == "string":
        objects = np.empty(len(values), object)
        objects[:] = values.to_pylist()
        return objects
    numbers: Array = values.to_numpy(zero_copy_only=True)
    if numbers.dtype != _STAND_INS.get(name, name):
        raise ValueError("another dtype")
    return numbers.view(_dtype(name))


def _decode_lists(array: pa.Array, layout: Any) -> Ragged:
    splits = array.offsets.to_numpy(zero_copy_only=True)
    return Ragged(decode(array.flatten(), layout["values"]), splits - splits[0] if splits[0] else splits)


def _decode_batches(array: pa.Array, layout: Any) -> Loose:
    return Loose(_Batches(_decode_lists(array, layout)))


def _decode_loose(array: pa.Array, layout: Any) -> Loose:
    shapes, values = array.flatten()
    flat = Ragged(_unflat(values.flatten(), layout["dtype"]), values.offsets.to_numpy())
    return Loose(_Shaped(_decode_lists(shapes, {"values": {"kind": "arrays", "dtype": "int64", "shape": []}}), flat))


class _Batches(Sequence[Any]):
    """The batches of lists of a column, each a `Ragged` that is cut out when it is asked for."""

    def __init__(self, lists: Ragged) -> None:
        self._lists = lists

    def __len__(self) -> int:
        return len(self._lists)

    def __getitem__(self, index: Any) -> Any:
        return _Batches(self._lists[index]) if isinstance(index, slice) else self._lists[index]


class _Shaped(Sequence[Any]):
    """Arrays of different shapes, each cut out when it is asked for."""

    def __init__(self, shapes: Ragged, values: Ragged) -> None:
        self._shapes, self._values = shapes, values

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Shaped(self._shapes[index], self._values[index])
        return self._values[index].reshape(self._shapes[index])


_decoders = {
    "strings": _decode_strings,
    "arrays": _decode_arrays,
    "lists": _decode_lists,
    "batches of lists": _decode_batches,
    "loose": _decode_loose,
}
