"""A pseudo-random permutation that is computed position by position, so that a shuffle needs no memory.

Positions are encrypted by a Feistel network of six rounds over the next even number of bits; one that falls outside
of the range is encrypted again until it falls inside (Black and Rogaway, "Ciphers with arbitrary finite domains",
2002). The permutation is part of what a checkpoint means and never changes.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np

from mainstay.core import ADDRESS, address_of, native_function
from mainstay.data.columns import Array

_ROUNDS = 6
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


def permute(positions: Array, length: int, key: int) -> Array:
    """Return where some positions of ``range(length)`` lie after a shuffle.

    Args:
        positions: int64 ``[n]``, each from 0 to `length`.
        length: How many positions there are.
        key: 64 bits that choose the permutation.

    Returns:
        int64 ``[n]``: different positions get different ones.

    >>> sorted(permute(np.arange(5), 5, key=7).tolist())
    [0, 1, 2, 3, 4]
    """
    if length < 2:
        return positions.copy()
    bits = max(1, ((length - 1).bit_length() + 1) // 2)
    keys = _round_keys(key)
    native = native_function(
        "mainstay_permute", None, ADDRESS, ctypes.c_int64, ctypes.c_uint64, ctypes.c_int32, ADDRESS
    )
    if native is None:
        return _walk(positions.astype(np.uint64), length, bits, keys)
    result = np.array(positions, np.int64)
    native(address_of(result), result.size, length, bits, address_of(keys))
    return result


@lru_cache(maxsize=256)
def _round_keys(key: int) -> Array:
    """Return the keys of the rounds: the first outputs of SplitMix64 from `key`."""
    mask, state, keys = 2**64 - 1, key & (2**64 - 1), []
    for _ in range(_ROUNDS):
        state = (state + 0x9E3779B97F4A7C15) & mask
        word = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
        keys.append(word ^ (word >> 31))
    return np.array(keys, np.uint64)


def _walk(places: Array, length: int, bits: int, keys: Array) -> Array:
    places = _encrypt(places, bits, keys)
    outside = np.flatnonzero(places >= length)
    while outside.size:
        moved = _encrypt(places[outside], bits, keys)
        places[outside] = moved
        outside = outside[moved >= length]
    return places.astype(np.int64)


def _encrypt(places: Array, bits: int, keys: Array) -> Array:
    half, mask = np.uint64(bits), np.uint64((1 << bits) - 1)
    left, right = places >> half, places & mask
    for round_key in keys:
        word = (right + round_key) * _FIRST
        word ^= word >> np.uint64(29)
        word *= _SECOND
        left, right = right, left ^ ((word >> np.uint64(33)) & mask)
    return (left << half) | right
