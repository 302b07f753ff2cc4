"""Strings of bytes to numbers, as ``tf.io.decode_raw``: a column of strings of one length is read as one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.io.binary_columns import binary_column, binary_parts
from mainstay.io.staging import host_function

_WHOLE = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_TYPES = frozenset({*_WHOLE, "float16", "float32", "float64", "complex64", "bool"})


@host_function(is_columnar=True)
def decode_raw(input_bytes: Any, out_type: Any, little_endian: bool = True) -> np.ndarray:
    """Read the bytes of strings as numbers.

    Args:
        input_bytes: One string, a list or an array of strings, or an Arrow array; all of one length.
        out_type: The dtype of the numbers: whole, floating, bool or complex64.
        little_endian: Whether the lowest byte of a number comes first.

    Returns:
        ``[*shape of the strings, numbers in each]``: a view of the bytes where they are in the machine's order and the
        strings are an Arrow array.

    Raises:
        ArgumentError: `out_type` is not a type of numbers.
        DataError: The strings differ in length, or a length is no multiple of a number's size.

    >>> decode_raw(b"\\x01\\x00\\x02\\x00", "uint16").tolist()
    [1, 2]
    """
    try:
        dtype = np.dtype(getattr(out_type, "name", out_type))
    except TypeError:
        dtype = np.dtype(object)
    if dtype.name not in _TYPES:
        raise ArgumentError("bytes are read as numbers", where="out_type", expected=sorted(_TYPES), received=out_type)
    shape: tuple[int, ...]
    if isinstance(input_bytes, bytes | str):
        shape, column = (), binary_column([input_bytes])
    else:
        column = binary_column(input_bytes)
        shape = input_bytes.shape if isinstance(input_bytes, np.ndarray) else (len(column),)
    data, bounds = binary_parts(column)
    lengths = np.diff(bounds)
    size = int(lengths[0]) if len(lengths) else 0
    other = np.flatnonzero(lengths != size)
    if len(other):
        raise DataError(
            "the strings differ in length",
            where=f"input_bytes[{other[0]}]",
            expected=f"{size} bytes, as the first has",
            received=f"{lengths[other[0]]} bytes",
        )
    if size % dtype.itemsize:
        raise DataError(
            "the length is no multiple of a number's size",
            where="input_bytes",
            expected=f"a multiple of {dtype.itemsize} for {dtype.name}",
            received=f"{size} bytes",
        )
    flat = data[int(bounds[0]) : int(bounds[-1])]
    numbers: np.ndarray
    if dtype.kind == "b":
        numbers = flat != 0
    else:
        numbers = flat.view(dtype.newbyteorder("<" if little_endian else ">")).astype(dtype, copy=False)
    return numbers.reshape(*shape, size // dtype.itemsize)
