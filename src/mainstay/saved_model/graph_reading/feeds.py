"""What a caller hands to a graph: arrays of the graph's dtypes, strings as `bytes`; shapes are left to the graph."""

from __future__ import annotations

from typing import Any

import jax
import ml_dtypes
import numpy as np
import pyarrow as pa

from mainstay.core import RequestError
from mainstay.hostops import Column
from mainstay.saved_model.graphs.dtypes import Kind

Array = np.ndarray[Any, Any]


def feed(value: Any, kind: Kind, where: str) -> Any:
    """Return a value as an array of a kind.

    Integers take the dtype where they fit, other numbers that of a floating point input.

    Args:
        value: An array-like of NumPy, JAX, Arrow or plain Python, or a `Column`.
        kind: The dtype that the graph wants, or ``"string"``.
        where: The input, for messages.

    Raises:
        RequestError: It is no array, or of another dtype.
    """
    if isinstance(value, jax.Array) and value.dtype == kind:
        return value
    if kind == "string" and isinstance(value, list | tuple):
        # NumPy's own strings lose zeros at their end, which a serialised tf.Example may have.
        value = np.array(value, object)
    array = _plain(value, where)
    if kind == "string":
        return _strings(array, where)
    if isinstance(kind, str):
        raise RequestError("an input is no array", where=where, expected=kind, received=type(value).__name__)
    if array.dtype == kind:
        return array
    return _converted(array, kind, where)


def _plain(value: Any, where: str) -> Array:
    if isinstance(value, Column):
        if value.missing is not None and bool(value.missing.any()):
            row = int(np.argmax(value.missing))
            raise RequestError("a value is missing", where=f"{where}[{row}]", expected="a value in every row")
        value = value.values
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        if value.null_count:
            raise RequestError("a value is missing", where=where, expected="a value in every row")
        value = value.to_numpy(zero_copy_only=False)
    try:
        if isinstance(value, str | bytes):
            array = np.empty((), object)
            array[()] = value
            return array
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError("the values do not form one array", where=where, received=error) from error


def _strings(array: Array, where: str) -> Array:
    if array.dtype.kind == "S":
        # NumPy's own byte strings lose zero bytes at their end, and cannot tell.
        return array.astype(object)
    if array.dtype.kind not in "OU" and array.size:
        raise RequestError("an input has the wrong dtype", where=where, expected="string", received=array.dtype)
    result = np.empty(array.shape, object)
    flat = result.reshape(-1)
    for index, item in enumerate(array.reshape(-1).tolist()):
        if isinstance(item, str):
            flat[index] = item.encode("utf-8", "surrogateescape")
        elif isinstance(item, bytes):
            flat[index] = item
        else:
            raise RequestError(
                "an input has the wrong dtype", where=where, expected="string", received=type(item).__name__
            )
    return result


def _converted(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    is_float = dtype.kind == "f" or dtype in (np.dtype(ml_dtypes.bfloat16),) or dtype.name.startswith("float8")
    if array.size == 0 and array.dtype.kind in "fO":
        return array.astype(dtype)
    if dtype.kind in "iu" and array.dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = int(array.min(initial=0)), int(array.max(initial=0))
        if low < info.min or high > info.max:
            raise RequestError(
                "an integer is out of range",
                where=where,
                expected=f"{info.min} to {info.max}, {dtype}",
                received=low if low < info.min else high,
            )
        return array.astype(dtype)
    numbers = array.dtype.kind in "iuf" or array.dtype == ml_dtypes.bfloat16
    if (is_float and numbers) or (dtype.kind == "c" and array.dtype.kind in "iufc"):
        with np.errstate(over="ignore"):
            return array.astype(dtype)
    received = "string" if array.dtype.kind in "OSU" else array.dtype
    raise RequestError("an input has the wrong dtype", where=where, expected=dtype, received=received)


def answer(value: Any) -> Array:
    """Return a result of a graph as a NumPy array; strings are object arrays of `bytes`."""
    return np.asarray(value)
