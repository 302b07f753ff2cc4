"""Tensors of the protocol: its names of dtypes, and values as raw bytes.

Source: the Open Inference Protocol's "Tensor Data", and Triton's extension for binary tensor data: numbers lie row by
row, the least byte first; each string has its length before it, in four bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  (makes bfloat16 a dtype of NumPy)
import numpy as np

from mainstay.core import RequestError

Array: TypeAlias = np.ndarray[Any, Any]

DATATYPES = {
    "bool": "BOOL",
    **{name: name.upper() for name in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")},
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "string": "BYTES",
}
"""What the protocol calls each dtype of `core.DTYPES`."""

DTYPES = {datatype: np.dtype(object if name == "string" else name) for name, datatype in DATATYPES.items()}
"""The dtypes of arrays by those names; strings are objects, `bytes`."""

_MOST_AXES = 32
_MOST_VALUES = 1 << 56  # NumPy counts their bytes in 64 bits, even of an array that has none


def datatype_of(array: Array) -> str:
    """Return what the protocol calls the dtype of an array."""
    return DATATYPES["string" if array.dtype.kind in "OSU" else array.dtype.name]


def checked_shape(shape: Any, name: str) -> tuple[int, ...]:
    """Return the shape of an input of a request.

    Raises:
        RequestError: It is no list of whole numbers from 0.
    """
    fine = isinstance(shape, Sequence) and not isinstance(shape, str | bytes) and len(shape) <= _MOST_AXES
    if fine and all(type(axis) is int and axis >= 0 for axis in shape):
        axes = tuple(shape)
        if math.prod(axis or 1 for axis in axes) <= _MOST_VALUES:
            return axes
    raise RequestError(
        f"the shape of input {name!r} is none", where="$.inputs", expected="a list of whole numbers from 0"
    )


def checked_dtype(datatype: Any, name: str) -> np.dtype[Any]:
    """Return the dtype that the protocol's name of one stands for.

    Raises:
        RequestError: It is no name of one.
    """
    dtype = DTYPES.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise RequestError(
            f"the datatype of input {name!r} is unknown",
            where="$.inputs",
            expected=f"one of {', '.join(DTYPES)}",
            received=str(datatype)[:64],
        )
    return dtype


def from_raw(data: bytes | memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> Array:
    """Return the tensor that raw bytes are; numbers share their memory.

    Raises:
        RequestError: They are too many or too few for the shape, or strings that do not end where the bytes do.
    """
    count = math.prod(shape)
    if dtype.kind == "O":
        return _strings(bytes(data), count, name).reshape(shape)
    if len(data) != count * dtype.itemsize:
        raise RequestError(
            f"unexpected total byte size {len(data)} for input '{name}', expecting {count * dtype.itemsize}",
            where="$.inputs",
        )
    values: Array = np.frombuffer(data, np.uint8 if dtype.kind == "b" else dtype) if count else np.empty(0, dtype)
    return (values != 0 if dtype.kind == "b" else values).reshape(shape)


def _strings(data: bytes, count: int, name: str) -> Array:
    values: list[bytes] = []
    at, size = 0, len(data)
    while at < size and len(values) <= count:
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        if start > size or at > size:
            raise RequestError(f"incomplete string length for inference input '{name}'", where="$.inputs")
        values.append(data[start:at])
    if len(values) != count or at != size:
        raise RequestError(
            f"unexpected number of string elements for input '{name}', expecting {count}", where="$.inputs"
        )
    array = np.empty(count, object)
    array[:] = values
    return array


def to_raw(array: Array) -> bytes:
    """Return the values of a tensor as raw bytes."""
    if array.dtype.kind in "OSU":
        return b"".join([struct.pack("<I", len(text)) + text for text in map(as_bytes, array.reshape(-1).tolist())])
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def as_bytes(value: Any) -> bytes:
    """Return a string of either kind as bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
