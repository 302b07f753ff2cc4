"""Values: what a user's function may return, and the element that it becomes.

Python's numbers become what TensorFlow makes of them: int32, float32 and bool, int64 where 32 bits do not hold one.
A list is the value of an array. Everything that is an array keeps its dtype.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import DataError
from mainstay.data.columns import Nested
from mainstay.data.structures import Structure
from mainstay.io import Ragged

_INT32 = 2**31
_NARROW = {"int64": np.dtype("int32"), "float64": np.dtype("float32"), "uint64": np.dtype("uint32")}
_READY = (np.generic, bytes, Ragged, Nested)
_SCALARS = frozenset({bytes, *(np.dtype(code).type for code in "?bhilqBHILQefd")})
"""The types that most functions return, known at a glance."""


def as_element(result: Any) -> Structure:
    """Return what a user's function gave as an element: arrays, NumPy scalars, bytes and `Ragged` in a structure.

    Raises:
        DataError: A part of it is no array and no string.

    >>> as_element((1, [0.5, 1.5]))
    (np.int32(1), array([0.5, 1.5], dtype=float32))
    """
    kind = type(result)
    if kind in _SCALARS:
        return result
    if kind is np.ndarray and result.dtype.kind in "biuf":
        return result
    if kind is tuple:
        return tuple([as_element(item) for item in result])
    if kind is dict:
        return {key: as_element(item) for key, item in result.items()}
    if isinstance(result, tuple):
        items = [as_element(item) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else tuple(items)
    if isinstance(result, Mapping):
        return {key: as_element(item) for key, item in result.items()}
    return None if result is None else as_leaf(result)


def as_leaf(value: Any) -> Any:
    """Return one value as an array, a NumPy scalar, bytes or a `Ragged`.

    Raises:
        DataError: It is none of them, and cannot become one.
    """
    if isinstance(value, np.str_):
        return str(value).encode("utf-8", "surrogateescape")
    if isinstance(value, (np.bytes_, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, _READY):
        return value
    if isinstance(value, (bool, int, float)):
        return _number(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return _of_list(value)
    return _of_object(value)


def _number(value: bool | int | float) -> Any:
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, float):
        return np.float32(value)
    return np.int32(value) if -_INT32 <= value < _INT32 else np.int64(value)


def _of_list(values: list[Any]) -> Any:
    if any(isinstance(value, Ragged) for value in values):
        raise DataError("a list of ragged rows is no array", fix="return one Ragged, or give each row a key in a dict")
    leaves = [as_leaf(value) for value in values]
    if leaves and isinstance(leaves[0], bytes):
        strings = np.empty(len(leaves), object)
        strings[:] = leaves
        return strings
    if len({np.shape(leaf) for leaf in leaves}) > 1:
        raise DataError(
            "a list of different lengths is no array",
            received=f"{values!r:.80}",
            fix="return mainstay.io.Ragged.from_rows(…)",
        )
    return np.array(leaves) if leaves else np.zeros(0, np.float32)


def _of_object(value: Any) -> Any:
    """Return an array of NumPy, JAX, Keras or anything that converts to one."""
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        value = np.asarray(value.to_pylist(), object) if _holds_strings(value.type) else value.to_numpy()
    array = np.asarray(value)
    if array.dtype.kind in "SU":
        return _of_strings(array)
    if array.dtype == object and not isinstance(value, np.ndarray):
        raise DataError(
            "a function returned something that is no array and no string",
            expected="arrays, numbers and strings, in dicts and tuples",
            received=f"{type(value).__name__}: {value!r:.80}",
        )
    if array.dtype == object:
        return _of_strings(array)
    if "jax" in sys.modules and getattr(value, "weak_type", False):
        array = array.astype(_NARROW.get(array.dtype.name, array.dtype), copy=False)
    return array if array.ndim or isinstance(value, np.ndarray) else array[()]


def _holds_strings(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )


def _bytes(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _of_strings(array: np.ndarray[Any, Any]) -> Any:
    flat = [
        item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item
        for item in array.reshape(-1).tolist()
    ]
    wrong = next((item for item in flat if not isinstance(item, bytes)), None)
    if wrong is not None:
        raise DataError(
            "an array holds neither numbers nor strings",
            received=f"{type(wrong).__name__}: {wrong!r:.80}",
            fix="give it a dtype",
        )
    if not array.ndim:
        return flat[0]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)
