"""Hashes of whole arrays: 64 bits for every number or string, the same on every machine and in every process."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Array: TypeAlias = np.ndarray[Any, Any]

_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LONG = 256


def hash_numbers(values: Array) -> Array:
    """Return the hashes of int64 or float64 values, `[rows] uint64`; -0.0 must have become 0.0 before.

    The mix is the finaliser of splitmix64 (Steele, Lea and Flood, 2014), a bijection: only equal bits collide.
    """
    return _mix(values.view(np.uint64) + _GOLDEN)


def hash_strings(values: pa.Array) -> Array:
    """Return the hashes of a large_string array without nulls by its values' bytes, `[rows] uint64`.

    Eight bytes of every string are mixed in at a time; the few strings of more than 256 bytes go through BLAKE2.
    """
    count = len(values)
    _, offsets_buffer, data_buffer = values.buffers()
    offsets = np.frombuffer(offsets_buffer, "<i8", count + 1, values.offset * 8) if count else np.zeros(1, np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.zeros(last - first + 8, np.uint8)
    if last > first:
        data[: last - first] = np.frombuffer(data_buffer, np.uint8, last - first, first)
    words = np.lib.stride_tricks.as_strided(data[:8].view("<u8"), (last - first + 1,), (1,))
    starts = offsets[:-1] - first
    lengths = np.diff(offsets)
    hashes = _mix(lengths.astype(np.uint64) + _GOLDEN)
    short = lengths <= _LONG
    rows = np.flatnonzero(short & (lengths > 0))
    position = 0
    while rows.size:
        word = words[starts[rows] + position]
        left = np.minimum(lengths[rows] - position, 8).astype(np.uint64)
        word &= np.uint64(0xFFFFFFFFFFFFFFFF) >> (np.uint64(64) - left * np.uint64(8))
        hashes[rows] = _mix((hashes[rows] ^ word) * _GOLDEN + _GOLDEN)
        position += 8
        rows = rows[lengths[rows] > position]
    for row in np.flatnonzero(~short):
        text = data[starts[row] : starts[row] + lengths[row]].tobytes()
        hashes[row] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return hashes


def _mix(state: Array) -> Array:
    scratch = state >> np.uint64(30)
    state ^= scratch
    state *= _FIRST
    np.right_shift(state, np.uint64(27), out=scratch)
    state ^= scratch
    state *= _SECOND
    np.right_shift(state, np.uint64(31), out=scratch)
    state ^= scratch
    return state
