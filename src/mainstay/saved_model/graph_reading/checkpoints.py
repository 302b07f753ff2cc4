"""TensorBundles that TensorFlow wrote: several data files, tensors in slices, strings, every checksum verified.

Specification: TensorFlow's ``util/tensor_bundle``, and ``core/lib/strings/ordered_code`` for the keys of slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import FormatError, masked_crc32c, message_class
from mainstay.saved_model.graphs.dtypes import array_dtype, kind_of_number
from mainstay.saved_model.graphs.tensors import is_array_shape
from mainstay.saved_model.tables import decode_table

Array = np.ndarray[Any, Any]
Extents = tuple[tuple[int, int], ...]
"""The start and the length of a slice along each axis."""

_MOST_SHARDS = 100_000
_MOST_SLICES = 10_000
_VERSION = 1


class Checkpoint:
    """The tensors of a TensorBundle by name, read when they are asked for.

    Args:
        prefix: The path of its files without ``.index``.
        map_file: Gives the content of a file, mapped.

    Raises:
        FormatError: The index is malformed, or of an unknown version.
        StorageError: It cannot be read.
    """

    def __init__(self, prefix: Path, map_file: Callable[[Path], memoryview]) -> None:
        from google.protobuf.message import DecodeError

        self._prefix = prefix
        self._map_file = map_file
        self._shards: dict[int, memoryview] = {}
        table = decode_table(bytes(map_file(Path(f"{prefix}.index"))))
        try:
            header = message_class("tensorflow.BundleHeaderProto").FromString(table.pop(b"", b""))
            entry_class = message_class("tensorflow.BundleEntryProto")
            self._entries = {name: entry_class.FromString(value) for name, value in table.items()}
        except DecodeError as error:
            raise FormatError("the index of the weights holds a malformed entry", received=error) from error
        if header.endianness != 0 or header.version.min_consumer > _VERSION or header.num_shards > _MOST_SHARDS:
            raise FormatError(
                "the weights are stored in a way that is not read here",
                where=prefix,
                expected="little-endian, version 1",
                received=f"endianness {header.endianness}, min_consumer {header.version.min_consumer}",
            )
        self._num_shards = int(header.num_shards)

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._entries

    def names(self) -> list[str]:
        """Return the names of all tensors in order."""
        return [key.decode("utf-8", "replace") for key in self._entries if not key.startswith(b"\0")]

    def read(self, name: str, extents: Extents | None = None) -> Array:
        """Return a tensor, a view of the data file where it is stored as a whole.

        Args:
            name: Its name.
            extents: Which part of it, or None for all.

        Raises:
            FormatError: It is not there, is stored in an impossible way or fails its checksum.
        """
        entry = self._entry(name.encode(), name)
        whole = self._joined(entry, name) if entry.slices else self._stored(entry, self._shape(entry, name), name)
        if extents is None:
            return whole
        if len(extents) != whole.ndim or any(
            start < 0 or length < 0 or start + length > size
            for (start, length), size in zip(extents, whole.shape, strict=True)
        ):
            raise FormatError("a weight has no such part", where=name, expected=whole.shape, received=extents)
        return whole[tuple(slice(start, start + length) for start, length in extents)]

    def _entry(self, key: bytes, name: str) -> Any:
        entry = self._entries.get(key)
        if entry is None:
            raise FormatError("a weight is missing", where=self._prefix, expected=name)
        return entry

    def _shape(self, entry: Any, name: str) -> tuple[int, ...]:
        shape = tuple(int(dim.size) for dim in entry.shape.dim)
        if entry.shape.unknown_rank or min((0, *shape)) < 0 or not is_array_shape(shape):
            raise FormatError("a weight has an impossible shape", where=name, received=shape)
        return shape

    def _stored(self, entry: Any, shape: tuple[int, ...], name: str) -> Array:
        data = self._shard(int(entry.shard_id), name)
        start, size = int(entry.offset), int(entry.size)
        if start < 0 or size < 0 or start + size > len(data):
            raise FormatError(
                "a weight reaches past the end of the data file",
                where=name,
                expected=f"{len(data):,} bytes",
                received=f"bytes {start:,} to {start + size:,}",
            )
        content = data[start : start + size]
        kind = kind_of_number(entry.dtype)
        if kind == "string":
            return _strings(bytes(content), shape, name, entry.crc32c)
        if masked_crc32c(content) != entry.crc32c:
            raise _damaged(name)
        dtype = array_dtype(kind)
        if isinstance(kind, str) or size != math.prod(shape) * dtype.itemsize:
            raise FormatError(
                "the size of a weight does not follow from its shape",
                where=name,
                expected=f"{math.prod(shape) * dtype.itemsize} bytes for {kind}{list(shape)}",
                received=f"{size} bytes",
            )
        return np.frombuffer(content, np.uint8).view(dtype).reshape(shape)

    def _shard(self, number: int, name: str) -> memoryview:
        if not 0 <= number < self._num_shards:
            raise FormatError("a weight is in a file that is not there", where=name, received=f"file {number}")
        if number not in self._shards:
            path = f"{self._prefix}.data-{number:05d}-of-{self._num_shards:05d}"
            self._shards[number] = self._map_file(Path(path))
        return self._shards[number]

    def _joined(self, entry: Any, name: str) -> Array:
        """Return a tensor that is stored in slices."""
        shape = self._shape(entry, name)
        parts = []
        for stored in entry.slices:
            if len(stored.extent) != len(shape):
                raise FormatError("a slice of a weight has another rank", where=name, expected=len(shape))
            # An extent that states no length is all of its axis, which the key of the slice writes as length -1.
            stated = [
                (int(extent.start), int(extent.length) if extent.HasField("length") else -1) for extent in stored.extent
            ]
            extents = tuple(
                (start, size if length < 0 else length) for (start, length), size in zip(stated, shape, strict=True)
            )
            if any(start < 0 or start + length > size for (start, length), size in zip(extents, shape, strict=True)):
                raise FormatError("a slice of a weight reaches past it", where=name, expected=shape, received=extents)
            parts.append((extents, self._entry(slice_key(name, stated), name)))
        filled = sum(math.prod(length for _, length in extents) for extents, _ in parts)
        if filled != math.prod(shape) or _overlap([extents for extents, _ in parts]):
            raise FormatError("the slices of a weight do not make it up", where=name, expected=shape)
        self._refuse_twice_stored([part for _, part in parts], name)
        stored_parts = [
            (extents, self._stored(part, tuple(length for _, length in extents), name)) for extents, part in parts
        ]
        dtype = array_dtype(kind_of_number(entry.dtype))
        if any(array.dtype != dtype for _, array in stored_parts):
            raise FormatError("a slice of a weight has another dtype", where=name, expected=dtype)
        whole = np.empty(shape, dtype)
        for extents, array in stored_parts:
            whole[tuple(slice(start, start + length) for start, length in extents)] = array
        return whole

    @staticmethod
    def _refuse_twice_stored(parts: Sequence[Any], name: str) -> None:
        """Refuse slices that lie in the same bytes, with which a small file could fill the memory."""
        end = (-1, 0)
        for shard, start, size in sorted((part.shard_id, part.offset, part.size) for part in parts if part.size):
            if (shard, start) < end:
                raise FormatError("two slices of a weight lie in the same place", where=name, received=start)
            end = (shard, start + size)


def _overlap(boxes: Sequence[Extents]) -> bool:
    """Return whether two slices have an element in common."""
    if len(boxes) < 2 or not boxes[0]:
        return len(boxes) > 1
    if len(boxes) > _MOST_SLICES:
        return True
    corners = np.array(boxes, np.int64)
    starts, ends = corners[:, :, 0], corners[:, :, 0] + corners[:, :, 1]
    for index in range(len(boxes) - 1):
        if ((starts[index] < ends[index + 1 :]) & (starts[index + 1 :] < ends[index])).all(axis=1).any():
            return True
    return False


def _damaged(name: str) -> FormatError:
    return FormatError("a weight fails its checksum", where=name, fix="copy the saved model again")


def _strings(content: bytes, shape: tuple[int, ...], name: str, checksum: int) -> Array:
    """Return strings: their lengths as varints, a checksum of these, then the bytes of all.

    The checksum of the tensor counts the lengths as numbers of 32 bits, or 64 where one needs them.
    """
    count = math.prod(shape)
    if count > len(content):
        raise FormatError("a tensor of strings is cut off", where=name, received=f"{len(content)} bytes")
    lengths, position = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 63:
                raise FormatError("a tensor of strings is cut off", where=name, received=f"{len(content)} bytes")
            byte = content[position]
            position += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(length)
    if position + 4 + sum(lengths) != len(content):
        raise FormatError("the strings of a tensor do not fill it", where=name, received=f"{len(content)} bytes")
    counted = b"".join(length.to_bytes(4 if length < 1 << 32 else 8, "little") for length in lengths)
    if masked_crc32c(counted + content[position:]) != checksum:
        raise _damaged(name)
    position += 4
    values = np.empty(count, object)
    for index, length in enumerate(lengths):
        values[index] = content[position : position + length]
        position += length
    return values.reshape(shape)


def slice_key(name: str, extents: Sequence[tuple[int, int]]) -> bytes:
    """Return the key under which a slice of a tensor is stored.

    Example:
        >>> slice_key("w", [(0, 2)])
        b'\\x00w\\x00\\x01\\x01\\x01\\x80\\x82'
    """
    text = name.encode().replace(b"\0", b"\0\xff")  # UTF-8 has no byte 255, which would be escaped as well
    rank = len(extents)
    key = b"\0" + text + b"\0\x01" + (bytes([1, rank]) if rank else b"\0")
    return key + b"".join(_signed(number) for extent in extents for number in extent)


def _signed(number: int) -> bytes:
    """Return an integer in the form of `OrderedCode::WriteSignedNumIncreasing`."""
    bits = (~number if number < 0 else number).bit_length()
    length = bits // 7 + 1
    encoded = bytearray(number.to_bytes(10, "big", signed=True)[-length:])
    header = (0xFFFF << (16 - length)) & 0xFFFF  # as many leading ones as bytes
    encoded[0] ^= header >> 8
    if length > 1:
        encoded[1] ^= header & 0xFF
    return bytes(encoded)


def parse_slice(text: str, name: str) -> Extents | None:
    """Return the extents in a ``shape_and_slices`` of `RestoreV2`, such as ``10 4 0,5:-``; None for all.

    Raises:
        FormatError: It is malformed.
    """
    parts = text.split()
    if not parts:
        return None
    try:
        shape = [int(part) for part in parts[:-1]]
        pieces = parts[-1].split(":")
        if len(pieces) != len(shape):
            raise ValueError
        extents = []
        for size, piece in zip(shape, pieces, strict=True):
            start, length = (0, size) if piece == "-" else map(int, piece.split(","))
            extents.append((start, length))
    except ValueError as error:
        raise FormatError("a part of a weight is malformed", where=name, received=text) from error
    return tuple(extents)
