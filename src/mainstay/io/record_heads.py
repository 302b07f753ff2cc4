"""The heads of many short TFRecord frames found at once in NumPy: their lengths are small, so they hold zeros.

What looks like a head may be anything: it is one where its length matches its checksum and the frame before it ends.
"""

from __future__ import annotations

import functools

import google_crc32c
import numpy as np

_FRAME_BYTES = 16
_WINDOW = 1 << 19
_SHORTER_THAN = np.uint64(1 << 16)
_FEWEST_BYTES = 64
"""Where zeros stand closer together than these, looking at them takes longer than going from record to record."""


def find_heads(buffer: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the first records of a buffer, as far as they are shorter than 64 KiB.

    Args:
        buffer: ``[bytes]`` uint8.
        start: Where a frame begins.
        stop: Where the records end.

    Returns:
        Where each frame begins, ``[records]`` int64, each where the one before ends and all within `stop`; and the
        lengths of the records, ``[records]`` int64. Their checksums match. Which records follow, if any, is not said.
    """
    end = min(stop, start + _WINDOW)
    base = start - start % 2
    halves = np.ndarray(((end - base) // 2,), "<u2", buffer, base) == 0
    # At least the last six of the eight bytes of a length are zeros: two halves, wherever it begins.
    pairs = np.flatnonzero(halves[:-1] & halves[1:])
    if len(pairs) * _FEWEST_BYTES > end - base:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = np.stack([2 * pairs - 3, 2 * pairs - 2], 1).reshape(-1) + base
    places = places[(places >= start) & (places <= stop - _FRAME_BYTES)]
    lengths = _at(buffer, "<u8")[places]
    short = np.flatnonzero(lengths < _SHORTER_THAN)
    places = places[short]
    lengths, match = heads_match(buffer, places)
    places, lengths = places[match], lengths[match]
    ends = places + lengths + _FRAME_BYTES
    wrong = ends > stop
    wrong[1:] |= ends[:-1] != places[1:]
    wrong[:1] |= places[:1] != start
    count = int(wrong.argmax()) if wrong.any() else len(places)
    return places[:count], lengths[:count]


def heads_match(buffer: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the heads at some places; return their lengths, and which match their checksums.

    Args:
        buffer: ``[bytes]`` uint8.
        places: Where the frames begin, ``[records]`` int64, inside the buffer.
    """
    lengths = _at(buffer, "<u8")[places].view(np.int64)
    return lengths, masked(crc_of_eight(lengths)) == _at(buffer, "<u4")[places + 8]


def _at(buffer: np.ndarray, kind: str) -> np.ndarray:
    """Return the numbers that begin at each place of a buffer, as a view."""
    size = np.dtype(kind).itemsize
    return np.ndarray((max(len(buffer) - size + 1, 0),), kind, buffer, strides=(1,))


def masked(crc: np.ndarray) -> np.ndarray:
    """Return checksums as files hold them, uint32; see `masked_crc32c`."""
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)


@functools.cache
def _tables() -> tuple[list[np.ndarray], np.uint32]:
    """Return what each byte of eight adds to their CRC-32C, and the CRC of eight zeros."""
    zero = google_crc32c.value(bytes(8))
    tables = []
    for place in range(8):
        block = bytearray(8)
        rows = []
        for byte in range(256):
            block[place] = byte
            rows.append(google_crc32c.value(bytes(block)) ^ zero)
        tables.append(np.array(rows, np.uint32))
    return tables, np.uint32(zero)


def crc_of_eight(numbers: np.ndarray) -> np.ndarray:
    """Return the CRC-32C of each number's eight bytes: a CRC is linear, so each byte's part is looked up.

    Args:
        numbers: ``[n]`` int64.
    """
    tables, crc = _tables()
    total = np.full(len(numbers), crc, np.uint32)
    table_of = np.ascontiguousarray(numbers, "<i8").view(np.uint8).reshape(len(numbers), 8)
    used = 8 if len(numbers) and (numbers.max() >= 1 << 24 or numbers.min() < 0) else 3
    for place, table in enumerate(tables[:used]):
        total ^= table[table_of[:, place]]
    return total
