"""TensorBundle, TensorFlow's checkpoint format: named arrays in data files that are mapped, never copied.

`variables.index` is a table (see `tables`) of a header under the empty key and a `tensorflow.BundleEntryProto`
under each name; `variables.data-00000-of-00001` and further ones hold the arrays, little-endian, row by row.
TensorFlow allows any offset; ours are multiples of 64 bytes, so that XLA uses a mapped array where it lies.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ml_dtypes
import numpy as np

from mainstay.core import FormatError, ModelError, masked_crc32c, message_class
from mainstay.saved_model.graphs.tensors import is_array_shape
from mainstay.saved_model.tables import decode_table, encode_table, encode_varint

INDEX_FILE = "variables/variables.index"
DATA_FILE = "variables/variables.data-00000-of-00001"

MOST_SHARD_BYTES = 1 << 31
"""How large a data file may become before another one is begun."""

_ALIGNMENT = 64
_PRODUCER = 1
_MOST_SHARDS = 99_999

_DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(dtype)
    for number, dtype in {
        1: np.float32,
        2: np.float64,
        3: np.int32,
        4: np.uint8,
        5: np.int16,
        6: np.int8,
        8: np.complex64,
        9: np.int64,
        10: np.bool_,
        14: ml_dtypes.bfloat16,
        17: np.uint16,
        18: np.complex128,
        19: np.float16,
        22: np.uint32,
        23: np.uint64,
        24: ml_dtypes.float8_e5m2,
        25: ml_dtypes.float8_e4m3fn,
    }.items()
}
_STRING = 7
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where a tensor lies in the data file.

    Args:
        dtype: Its dtype.
        shape: Its shape.
        offset: Its first byte.
        size: Its length in bytes.
        file: The path of the data file that it lies in.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    size: int
    file: str = DATA_FILE


def data_file(shard: int, shards: int) -> str:
    """Return the path of one of the data files of a bundle."""
    return f"variables/variables.data-{shard:05}-of-{shards:05}"


def write_bundle(
    folder: Path,
    tensors: Mapping[str, np.ndarray[Any, Any]],
    *,
    most: int = MOST_SHARD_BYTES,
) -> None:
    """Write `tensors` to the files of a bundle under `folder`.

    Args:
        folder: The artifact.
        tensors: Arrays of numbers by name.
        most: How large a data file may become before another one is begun; a tensor is never split.

    Raises:
        ModelError: A tensor has a dtype that a bundle cannot hold.
        OSError: The file system refused.
    """
    contents = {name: _stored_array(name, array) for name, array in tensors.items()}
    names = sorted(contents, key=str.encode)
    shards = _shards([len(contents[name].data) for name in names], most)
    header = message_class("tensorflow.BundleHeaderProto")(num_shards=shards[-1] + 1 if shards else 1)
    header.version.producer = _PRODUCER
    items = [(b"", header.SerializeToString())]
    (folder / INDEX_FILE).parent.mkdir(parents=True, exist_ok=True)
    for shard in range(header.num_shards):
        with open(folder / data_file(shard, header.num_shards), "xb") as file:
            for name in (name for name, place in zip(names, shards, strict=True) if place == shard):
                items.append((name.encode(), _write_tensor(file, contents[name], shard)))
    with open(folder / INDEX_FILE, "xb") as file:
        file.write(encode_table(items))


def add_strings(folder: Path, strings: Mapping[str, bytes]) -> None:
    """Add single strings to the bundle under `folder`; one is made if there is none.

    Args:
        folder: The artifact.
        strings: The strings by name.

    Raises:
        OSError: The file system refused.
    """
    if not (folder / INDEX_FILE).exists():
        write_bundle(folder, {})
    table = decode_table((folder / INDEX_FILE).read_bytes())
    shards = message_class("tensorflow.BundleHeaderProto").FromString(table[b""]).num_shards
    with open(folder / data_file(shards - 1, shards), "ab") as file:
        for name, text in sorted(strings.items()):
            table[name.encode()] = _write_tensor(file, _stored_string(text), shards - 1)
    (folder / INDEX_FILE).write_bytes(encode_table(sorted(table.items())))


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor as it is stored.

    Args:
        number: TensorFlow's number of its dtype.
        shape: Its shape.
        data: Its bytes.
        checked: What its checksum is of, where that is not `data`.
    """

    number: int
    shape: tuple[int, ...]
    data: memoryview
    checked: bytes | None = None


def _stored_array(name: str, value: Any) -> _Stored:
    array = np.asarray(value)
    if array.dtype not in _NUMBERS:
        raise ModelError(
            "a weight has a dtype that cannot be saved",
            where=name,
            expected=", ".join(str(dtype) for dtype in _NUMBERS),
            received=array.dtype,
        )
    data = np.ascontiguousarray(array).view(np.uint8).reshape(-1).data if array.size else b""
    return _Stored(_NUMBERS[array.dtype], array.shape, memoryview(data))


def _stored_string(text: bytes) -> _Stored:
    """Return a string as TensorFlow stores it: its length, a checksum of that, and its bytes."""
    length = struct.pack("<I", len(text))
    checksum = struct.pack("<I", masked_crc32c(length))
    data = encode_varint(len(text)) + checksum + text
    return _Stored(_STRING, (), memoryview(data), length + checksum + text)


def _shards(sizes: Sequence[int], most: int) -> list[int]:
    """Return the number of the data file that each tensor goes to, so that none but a single tensor is too large."""
    places: list[int] = []
    shard = filled = 0
    for size in sizes:
        start = -(-filled // _ALIGNMENT) * _ALIGNMENT
        if filled and start + size > most:
            shard, start = shard + 1, 0
        places.append(shard)
        filled = start + size
    return places


def _write_tensor(file: IO[bytes], stored: _Stored, shard: int) -> bytes:
    """Write a tensor at an aligned place and return its entry in the index."""
    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
    entry = message_class("tensorflow.BundleEntryProto")(
        dtype=stored.number, shard_id=shard, offset=file.tell(), size=len(stored.data)
    )
    entry.crc32c = masked_crc32c(stored.data if stored.checked is None else stored.checked)
    entry.shape.SetInParent()
    for length in stored.shape:
        entry.shape.dim.add(size=length)
    file.write(stored.data)
    return bytes(entry.SerializeToString())


def read_index(index: bytes) -> dict[str, TensorEntry]:
    """Return where each tensor of a bundle lies; tensors of strings, which hold no weights, are left out.

    Args:
        index: The content of the index file.

    Raises:
        FormatError: The index is malformed, or the bundle is of a kind that is not read here: big-endian, partitioned
            tensors.
    """
    from google.protobuf.message import DecodeError

    table = decode_table(index)
    try:
        header = message_class("tensorflow.BundleHeaderProto").FromString(table.pop(b"", b""))
        entry_class = message_class("tensorflow.BundleEntryProto")
        entries = {name.decode(): entry_class.FromString(value) for name, value in table.items()}
    except (DecodeError, UnicodeDecodeError) as error:
        raise FormatError("the index of the weights holds a malformed entry", received=error) from error
    if not 1 <= header.num_shards <= _MOST_SHARDS or header.endianness != 0 or header.version.min_consumer > _PRODUCER:
        raise FormatError(
            "the weights are stored in a way that is not read here",
            expected=f"1 to {_MOST_SHARDS} data files, little-endian",
            received=f"num_shards {header.num_shards}, endianness {header.endianness}, "
            f"min_consumer {header.version.min_consumer}",
        )
    return {name: _entry(name, entry, header.num_shards) for name, entry in entries.items() if entry.dtype != _STRING}


def _entry(name: str, entry: Any, shards: int) -> TensorEntry:
    shape = tuple(dim.size for dim in entry.shape.dim)
    dtype = _DTYPES.get(entry.dtype)
    inside = 0 <= entry.shard_id < shards
    known = not entry.shape.unknown_rank and min((0, *shape)) >= 0 and is_array_shape(shape)
    if dtype is None or entry.slices or not inside or not known:
        raise FormatError(
            "a weight is stored in a way that is not read here",
            where=name,
            expected="a whole array of numbers",
            received=f"dtype {entry.dtype}, shape {shape}, shard {entry.shard_id}, {len(entry.slices)} slices",
        )
    if entry.offset < 0 or entry.size != math.prod(shape) * dtype.itemsize:
        raise FormatError(
            "the size of a weight does not follow from its shape",
            where=name,
            expected=f"{math.prod(shape) * dtype.itemsize} bytes for {dtype}{list(shape)}",
            received=f"{entry.size} bytes at offset {entry.offset}",
        )
    return TensorEntry(dtype, shape, entry.offset, entry.size, data_file(entry.shard_id, shards))


def read_tensor(name: str, entry: TensorEntry, data: memoryview) -> np.ndarray[Any, Any]:
    """Return a tensor as a read-only view of the data file.

    Args:
        name: Its name, for messages.
        entry: Where it lies.
        data: The mapped data file.

    Raises:
        FormatError: It reaches past the end of the file.
    """
    if entry.offset + entry.size > len(data):
        raise FormatError(
            "a weight reaches past the end of the data file",
            where=name,
            expected=f"{len(data):,} bytes",
            received=f"bytes {entry.offset:,} to {entry.offset + entry.size:,}",
        )
    flat = np.frombuffer(data[entry.offset : entry.offset + entry.size], np.uint8)
    return flat.view(entry.dtype).reshape(entry.shape)
