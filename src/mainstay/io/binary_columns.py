"""Columns of strings: from whatever a user holds to contiguous Arrow arrays of bytes, and back to Python's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import DataError

BINARY_LIMIT = 2**31 - 1
"""The most bytes of an Arrow array with offsets of 32 bits; larger columns have offsets of 64."""

_MOST_AGAIN = 64
"""How many times the last piece is copied at most, for something to be behind it."""


def is_binary(column: Any) -> bool:
    """Return whether a column is an Arrow array of bytes or of text."""
    return isinstance(column, pa.Array) and (
        pa.types.is_binary(column.type)
        or pa.types.is_large_binary(column.type)
        or pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
    )


def binary_column(values: Any, *, where: str = "the column") -> Any:
    """Return strings as an Arrow array of bytes without nulls.

    Args:
        values: An Arrow array of bytes or text, an array of objects or of fixed-width strings, or a list of ``bytes``
            and ``str``; text becomes UTF-8.
        where: The place for an error.

    Returns:
        A ``pyarrow.BinaryArray``, or a ``LargeBinaryArray`` where 2 GiB are not enough.

    Raises:
        DataError: Something is neither bytes nor text, or is null.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if is_binary(values):
        if values.null_count:
            raise DataError("a string is null", where=where, received=f"{values.null_count} nulls", fix="fill them")
        if pa.types.is_string(values.type):
            return values.cast(pa.binary())
        return values.cast(pa.large_binary()) if pa.types.is_large_string(values.type) else values
    rows: Sequence[Any] = values.ravel().tolist() if isinstance(values, np.ndarray) else values
    encoded = [row.encode() if isinstance(row, str) else row for row in rows]
    for number, row in enumerate(encoded):
        if not isinstance(row, bytes | bytearray | memoryview):
            raise DataError("this is not a string", where=f"{where}[{number}]", received=repr(row))
    large = sum(map(len, encoded)) > BINARY_LIMIT
    return pa.array(encoded, pa.large_binary() if large else pa.binary())


def binary_parts(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes and the boundaries of an Arrow array of bytes, without a copy.

    Args:
        column: A ``BinaryArray`` or ``LargeBinaryArray``, which may be a slice of another.

    Returns:
        The data, uint8, and ``len(column) + 1`` offsets into it, int32 or int64; the first need not be 0.
    """
    kind = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    _, offsets, data = column.buffers()
    if offsets is None or not len(column):
        return np.empty(0, np.uint8), np.zeros(1, kind)
    bounds = np.frombuffer(offsets, kind)[column.offset : column.offset + len(column) + 1]
    return (np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)), bounds


def binary_from_parts(data: np.ndarray, offsets: np.ndarray) -> Any:
    """Return the Arrow array of bytes that shares the given parts.

    Args:
        data: uint8, contiguous.
        offsets: int32 or int64, one more than there are strings; monotone, inside `data`.
    """
    kind = pa.large_binary() if offsets.dtype == np.int64 else pa.binary()
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def with_gaps(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Any:
    """Return an Arrow array over a buffer whose every second string is a piece of it, the others what is between them.

    Args:
        data: ``[bytes]`` uint8.
        starts: Where the pieces begin, ``[n]`` int64; they are known to lie inside the buffer.
        sizes: How long they are, ``[n]`` int64.

    Returns:
        The array of ``2 n - 1`` strings; None where there are no pieces, or they do not lie one behind the other.
    """
    ends = starts + sizes
    if not len(starts) or (starts[1:] < ends[:-1]).any():
        return None
    low, high = int(starts[0]), int(ends[-1])
    bounds = np.empty(2 * len(starts), np.int64 if high - low > BINARY_LIMIT else np.int32)
    bounds[::2], bounds[1::2] = starts - low, ends - low
    return binary_from_parts(data[low:high], bounds)


def copy_pieces(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, *, behind: int = 0) -> Any:
    """Return pieces of a buffer as an Arrow array of bytes: a copy, one behind the other.

    Args:
        data: ``[bytes]`` uint8.
        starts: Where the pieces begin, ``[n]`` int64; they are known to lie inside the buffer.
        sizes: How long they are, ``[n]`` int64.
        behind: How many bytes may be read behind the last piece in the new buffer, where that costs little.
    """
    count = len(starts)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    narrow = offsets if offsets[-1] > BINARY_LIMIT else offsets.astype(np.int32)
    every = with_gaps(data, starts, sizes)
    if every is None:
        view = data.data
        pieces = [view[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
        return binary_from_parts(np.frombuffer(b"".join([*pieces, bytes(behind)]), np.uint8), narrow)
    last = int(sizes[-1])
    again = -(-behind // last) if last else _MOST_AGAIN + 1
    wanted = np.arange(0, 2 * (count + (again if again <= _MOST_AGAIN else 0)), 2)
    wanted[count:] = 2 * (count - 1)
    return binary_from_parts(binary_parts(every.take(pa.array(wanted)))[0], narrow)


def to_objects(column: Any) -> np.ndarray:
    """Return an Arrow array of bytes as an array of objects of Python's ``bytes``.

    >>> to_objects(binary_column(["a", b"b"])).tolist()
    [b'a', b'b']
    """
    objects: np.ndarray = column.to_numpy(zero_copy_only=False)
    return objects
