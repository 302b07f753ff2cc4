"""TFRecord frames in a buffer: where the records are, whether they match their checksums, and many written at once.

Nothing here trusts a length that it read. The C library and the NumPy path find the same records and stop at the same
place.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable
from typing import Any

import google_crc32c
import numpy as np

from mainstay.core import ADDRESS, ArgumentError, address_of, masked_crc32c, native_function
from mainstay.io.binary_columns import binary_column, binary_parts, with_gaps
from mainstay.io.record_heads import crc_of_eight, find_heads, heads_match, masked

HEAD_BYTES = 12
"""What stands before a record: its length and the checksum of that."""
FRAME_BYTES = 16
"""What a record needs beside its content."""

_BLOCK = 1 << 16
_PIECE = 1 << 10
"""How many records are copied at a time for their checksums."""
_MANY, _FEW, _MOST_FAILURES = 256, 32, 3
"""Fewer records than many are followed one by one, and so are the next few where no heads are found at once."""
_INT64 = ctypes.c_int64


def scan_records(
    buffer: np.ndarray, start: int = 0, stop: int | None = None, max_records: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Find the records of a buffer; the checksums of their lengths are compared, those of their contents are not.

    Args:
        buffer: ``[bytes]`` uint8, such as a mapped file.
        start: Where a frame begins.
        stop: Where to stop; the end of the buffer unless given.
        max_records: How many to find at most.

    Returns:
        Where each record's content begins, ``[records]`` int64; its length, ``[records]`` int64; and where the scan
        ended. An end before `stop`, with fewer records than asked for, is the frame of a record that is cut off or
        damaged: `describe_damage` says which.
    """
    offsets, lengths, _, end = _scan(buffer, start, stop, max_records, 1)
    return offsets, lengths, end


def index_records(
    buffer: np.ndarray, stride: int, start: int = 0, stop: int | None = None
) -> tuple[np.ndarray, int, int]:
    """Find where every `stride`-th record begins, so that a later reader need not scan a file from its start.

    Args:
        buffer: ``[bytes]`` uint8.
        stride: How many records from one entry to the next.
        start: Where a frame begins.
        stop: Where to stop; the end of the buffer unless given.

    Returns:
        Where the frames of record 0, `stride`, 2 `stride`, ... begin, int64; the number of all records; and where the
        scan ended, as `scan_records` gives it.

    Raises:
        ArgumentError: The stride is not positive.
    """
    if stride < 1:
        raise ArgumentError("a stride is at least 1", where="stride", received=stride)
    offsets, _, count, end = _scan(buffer, start, stop, None, stride)
    return offsets - HEAD_BYTES, count, end


def describe_damage(buffer: np.ndarray, position: int, stop: int | None = None) -> str | None:
    """Say what is wrong with the frame at a position where a scan ended.

    Args:
        buffer: ``[bytes]`` uint8.
        position: Where the frame begins.
        stop: Where the records end; the end of the buffer unless given.

    Returns:
        What is wrong in a few words, or None where the frame is whole and its length matches its checksum.
    """
    left = (len(buffer) if stop is None else stop) - position
    if left < HEAD_BYTES:
        return f"the file ends inside a record's head, after {left} of {HEAD_BYTES} bytes"
    head = buffer[position : position + HEAD_BYTES].tobytes()
    length, checksum = struct.unpack("<QI", head)
    if masked_crc32c(head[:8]) != checksum:
        return "the length of a record does not match its checksum"
    if length + FRAME_BYTES > left:
        return f"the file ends inside a record of {length:,} bytes, after {left - HEAD_BYTES:,}"
    return None


def check_records(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> int:
    """Compare the contents of records with their checksums.

    Args:
        buffer: ``[bytes]`` uint8.
        offsets: Where the contents begin, ``[records]``.
        lengths: How long they are, ``[records]``.

    Returns:
        The number of the first record that is outside the buffer or does not match its checksum, or -1.
    """
    offsets, lengths = np.ascontiguousarray(offsets, np.int64), np.ascontiguousarray(lengths, np.int64)
    check = native_function("mainstay_check_records", _INT64, ADDRESS, _INT64, ADDRESS, ADDRESS, _INT64)
    if check is not None:
        addresses = address_of(offsets), address_of(lengths)
        return int(check(address_of(buffer), len(buffer), *addresses, len(offsets)))
    return _check_numpy(np.ascontiguousarray(buffer), offsets, lengths)


def _check_numpy(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> int:
    outside = (offsets < 0) | (lengths < 0) | (offsets > len(buffer) - 4 - lengths)
    inside = int(outside.argmax()) if outside.any() else len(offsets)
    found: list[int] = []
    for start in range(0, inside, _PIECE):
        piece = slice(start, min(start + _PIECE, inside))
        found += map(google_crc32c.value, _contents(buffer, offsets[piece], lengths[piece]))
    ends = offsets[:inside] + lengths[:inside]
    stored = np.ndarray((max(len(buffer) - 3, 0),), "<u4", buffer, strides=(1,))[ends]
    wrong = np.flatnonzero(masked(np.array(found, np.uint32)) != stored)
    if len(wrong):
        return int(wrong[0])
    return -1 if inside == len(offsets) else inside


def _contents(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> Iterable[bytes]:
    """Return the contents of records; short ones all at once, where there is little between them."""
    room = int(offsets[-1] + lengths[-1] - offsets[0])
    if room <= 2 * int(lengths.sum()) + 2 * FRAME_BYTES * len(offsets) and room <= len(offsets) << 15:
        every = with_gaps(buffer, offsets, lengths)
        if every is not None:
            contents: list[bytes] = every.to_pylist()
            return contents[::2]
    view = buffer.data
    return (bytes(view[at : at + size]) for at, size in zip(offsets.tolist(), lengths.tolist(), strict=True))


def frame_records(records: Any) -> np.ndarray:
    """Return many records, each in its frame, one behind the other.

    Args:
        records: An Arrow array of bytes, or a list of ``bytes``.

    Returns:
        ``[bytes]`` uint8: what `frame_record` gives for each of them.

    >>> frame_records([b"abc"]).tobytes().hex()
    '0300000000000000b099490e6162636e57f121'
    """
    column = binary_column(records)
    data, narrow = binary_parts(column)
    bounds = narrow.astype(np.int64)
    count = len(bounds) - 1
    out = np.empty(int(bounds[-1] - bounds[0]) + FRAME_BYTES * count, np.uint8)
    frame = native_function("mainstay_frame_records", None, ADDRESS, ADDRESS, _INT64, ADDRESS)
    if frame is not None:
        frame(address_of(data), address_of(bounds), count, address_of(out))
        return out
    view, position = data.data, 0
    lengths = np.diff(bounds)
    heads = np.empty((count, HEAD_BYTES), np.uint8)
    heads[:, :8] = lengths.astype("<u8").view(np.uint8).reshape(count, 8)
    heads[:, 8:] = masked(crc_of_eight(lengths)).astype("<u4").view(np.uint8).reshape(count, 4)
    target, head_view = out.data, heads.reshape(-1).data
    ends = bounds.tolist()
    for number in range(count):
        record = view[ends[number] : ends[number + 1]]
        target[position : position + HEAD_BYTES] = head_view[number * HEAD_BYTES : (number + 1) * HEAD_BYTES]
        position += HEAD_BYTES
        target[position : position + len(record)] = record
        position += len(record)
        target[position : position + 4] = masked_crc32c(record).to_bytes(4, "little")
        position += 4
    return out


def _scan(
    buffer: np.ndarray, start: int, stop: int | None, limit: int | None, stride: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return offsets and lengths of every stride-th record, the number of all, and where the scan ended."""
    stop = len(buffer) if stop is None else stop
    if buffer.dtype != np.uint8 or not 0 <= start <= stop <= len(buffer):
        raise ArgumentError(
            "a scan wants bytes and a range inside them",
            expected=f"uint8, 0 <= start <= stop <= {len(buffer):,}",
            received=f"{buffer.dtype}, start {start:,}, stop {stop:,}",
        )
    scan = _scan_native if native_function("mainstay_abi_version", ctypes.c_uint64) else _scan_numpy
    found: list[tuple[np.ndarray, np.ndarray]] = []
    count, position = 0, start
    while position < stop and (limit is None or count < limit):
        wanted = _BLOCK * stride if limit is None else min(_BLOCK * stride, limit - count)
        offsets, lengths, passed, position = scan(buffer, position, stop, wanted, stride)
        found.append((offsets, lengths))
        count += passed
        if passed < wanted:
            break
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), 0, position
    if len(found) == 1:
        return *found[0], count, position
    return np.concatenate([o for o, _ in found]), np.concatenate([n for _, n in found]), count, position


def _scan_native(
    buffer: np.ndarray, start: int, stop: int, limit: int, stride: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    kinds = (ADDRESS, _INT64, _INT64, _INT64, _INT64, ADDRESS, ADDRESS, ADDRESS)
    scan = native_function("mainstay_scan_records", _INT64, *kinds)
    if scan is None:
        return _scan_numpy(buffer, start, stop, limit, stride)
    room = min(limit, (stop - start) // FRAME_BYTES) // stride + 1
    offsets, lengths, end = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(1, np.int64)
    addresses = address_of(offsets), address_of(lengths), address_of(end)
    count = int(scan(address_of(buffer), start, stop, limit, stride, *addresses))
    kept = -(-count // stride)
    return offsets[:kept].copy(), lengths[:kept].copy(), count, int(end[0])


def _scan_numpy(
    buffer: np.ndarray, start: int, stop: int, limit: int, stride: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    buffer = np.ascontiguousarray(buffer)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    count, position, failures = 0, start, 0
    while count < limit and stop - position >= FRAME_BYTES:
        if failures > _MOST_FAILURES or limit - count < _MANY:
            wanted = limit - count
        else:
            starts, lengths = find_heads(buffer, position, stop)
            starts, lengths = starts[: limit - count], lengths[: limit - count]
            failures += len(starts) < _FEW
            if len(starts):
                found.append((starts, lengths))
                count, position = count + len(starts), int(starts[-1] + lengths[-1]) + FRAME_BYTES
                continue
            wanted = min(_FEW, limit - count)
        starts, lengths = _follow(buffer, position, stop, wanted)
        found.append((starts, lengths))
        count += len(starts)
        if len(starts):
            position = int(starts[-1] + lengths[-1]) + FRAME_BYTES
        if len(starts) < wanted:
            break
    starts, lengths = (
        (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else _follow(buffer, 0, 0, 0)
    )
    return (starts + HEAD_BYTES)[::stride], lengths[::stride], count, position


def _follow(buffer: np.ndarray, position: int, stop: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Go from record to record; return where their frames begin, and the lengths of the records."""
    view = buffer[:stop].data
    read = struct.Struct("<Q").unpack_from
    positions: list[int] = []
    append, last = positions.append, stop - FRAME_BYTES
    for _ in range(limit):
        if position > last:
            break
        append(position)
        position += read(view, position)[0] + FRAME_BYTES
    if position > stop:
        positions.pop()
    starts = np.array(positions, np.int64)
    lengths, match = heads_match(buffer, starts)
    count = len(starts) if match.all() else int(match.argmin())
    return starts[:count], lengths[:count]
