"""Packing: a chunk as one piece of memory and a description of what lies where in it, and back without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.data.columns import Array, Column, Loose
from mainstay.io import Ragged

_ALIGNMENT = 64
_SMALL_ROW = 4096


@dataclass
class Parcel:
    """Buffers that are to lie one after the other, each where a cache line begins."""

    size: int = 0
    parts: list[tuple[int, Any]] = field(default_factory=list)

    def add(self, buffer: Any, num_bytes: int) -> int:
        """Add a buffer; return where it will lie."""
        offset = self.size
        if num_bytes:
            self.parts.append((offset, buffer))
            self.size = -(-(offset + num_bytes) // _ALIGNMENT) * _ALIGNMENT
        return offset


def pack_columns(columns: Sequence[Column]) -> tuple[Any, Parcel]:
    """Return a description of columns, and the buffers that it refers to."""
    parcel = Parcel()
    return [_pack(column, parcel) for column in columns], parcel


def _pack(column: Column, parcel: Parcel) -> Any:
    if isinstance(column, np.ndarray):
        if column.dtype.hasobject:
            return _pack_objects(column, parcel)
        array = np.ascontiguousarray(column)
        return "array", array.dtype, column.shape, parcel.add(array.reshape(-1).view(np.uint8), array.nbytes)
    if isinstance(column, pa.Array):
        return _pack_strings(column, parcel)
    if isinstance(column, Ragged):
        return "ragged", _pack(column.values, parcel), _pack(column.splits, parcel)
    if isinstance(column, Loose):
        return "loose", [_pack_row(row, parcel) for row in column.rows]
    return "value", column


def _pack_row(row: Any, parcel: Parcel) -> Any:
    if isinstance(row, Ragged) or (isinstance(row, np.ndarray) and row.nbytes > _SMALL_ROW):
        return _pack(row, parcel)
    return "value", row


def _pack_objects(column: Array, parcel: Parcel) -> Any:
    items = column.reshape(-1).tolist()
    if not all(type(item) is bytes for item in items):
        return "value", column
    lengths = np.fromiter(map(len, items), np.int64, len(items))
    data = b"".join(items)
    return "objects", column.shape, _pack(lengths, parcel), len(data), parcel.add(data, len(data))


def _pack_strings(column: pa.Array, parcel: Parcel) -> Any:
    is_large = pa.types.is_large_binary(column.type)
    if column.null_count or not (is_large or pa.types.is_binary(column.type)):
        return "value", column
    _, offsets, values = column.buffers()
    dtype = np.dtype(np.int64 if is_large else np.int32)
    if not len(column) or offsets is None:
        return "value", column
    ends = np.frombuffer(offsets, dtype)[column.offset : column.offset + len(column) + 1]
    start, stop = int(ends[0]), int(ends[-1])
    size = stop - start
    data = None if values is None else np.frombuffer(values, np.uint8)[start:stop]
    place = parcel.add(data, size)
    return "strings", is_large, len(column), _pack(ends - ends[0], parcel), size, place


def unpack_columns(description: Any, memory: Array) -> tuple[Column, ...]:
    """Return the columns that `pack_columns` described; they look at the memory (uint8), and keep it."""
    return tuple(_unpack(part, memory) for part in description)


def _unpack(part: Any, memory: Array) -> Column:
    kind, *rest = part
    if kind == "value":
        return rest[0]
    if kind == "array":
        dtype, shape, offset = rest
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        return memory[offset : offset + size].view(dtype).reshape(shape) if size else np.empty(shape, dtype)
    if kind == "ragged":
        return Ragged(_unpack(rest[0], memory), _unpack(rest[1], memory))
    if kind == "loose":
        return Loose([_unpack(row, memory) for row in rest[0]])
    if kind == "objects":
        return _unpack_objects(rest, memory)
    return _unpack_strings(rest, memory)


def _unpack_objects(rest: Any, memory: Array) -> Array:
    shape, lengths, size, offset = rest
    data = memory[offset : offset + size].tobytes()
    ends = np.cumsum(_unpack(lengths, memory)).tolist()
    items = np.empty(len(ends), object)
    items[:] = [data[start:stop] for start, stop in zip([0, *ends], ends, strict=False)]
    return items.reshape(shape)


def _unpack_strings(rest: Any, memory: Array) -> pa.Array:
    is_large, length, ends, size, offset = rest
    buffers = [None, pa.py_buffer(_unpack(ends, memory)), pa.py_buffer(memory[offset : offset + size])]
    return pa.Array.from_buffers(pa.large_binary() if is_large else pa.binary(), length, buffers)
