"""FarmHash Fingerprint64 (Google, 2014; farmhashna::Hash64): the hash under TensorFlow's StringToHashBucketFast.

It is computed one by one for a few strings and over whole arrays for many. Both follow the same text: the short
names are those of the published algorithm.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A uint64 array; NumPy's stubs lose its type in arithmetic."""

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_FEW = 48
_LONGEST_IN_STEP = 1024
_u64 = struct.Struct("<Q").unpack_from
_u32 = struct.Struct("<I").unpack_from


def fingerprint64(data: bytes) -> int:
    """Return the Fingerprint64 of one string of bytes, 0 to 2**64 - 1."""
    size = len(data)
    if size <= 16:
        return _up_to_16(data, size)
    if size <= 32:
        return _up_to_32(data, size)
    return _up_to_64(data, size) if size <= 64 else _beyond_64(data, size)


def fingerprints64(items: Sequence[bytes]) -> Array:
    """Return the Fingerprint64 of every string of bytes as uint64 `[items]`."""
    if len(items) <= _FEW:
        return np.array([fingerprint64(item) for item in items], np.uint64)
    sizes = np.fromiter(map(len, items), np.int64, len(items))
    result = np.empty(len(items), np.uint64)
    for low, high, kernel in _CLASSES:
        rows = np.flatnonzero((sizes >= low) & (sizes <= high))
        if len(rows) > _FEW:
            result[rows] = kernel(_Bytes([items[row] for row in rows.tolist()], sizes[rows]))
        else:
            result[rows] = [fingerprint64(items[row]) for row in rows.tolist()]
    for row in np.flatnonzero(sizes > _LONGEST_IN_STEP).tolist():
        result[row] = fingerprint64(items[row])
    return result


def _rotate(value: int, shift: int) -> int:
    return ((value >> shift) | (value << (64 - shift))) & _MASK


def _shift_mix(value: int) -> int:
    return value ^ (value >> 47)


def _hash_16(u: int, v: int, mul: int) -> int:
    a = ((u ^ v) * mul) & _MASK
    b = ((v ^ _shift_mix(a)) * mul) & _MASK
    return (_shift_mix(b) * mul) & _MASK


def _up_to_16(s: bytes, size: int) -> int:
    mul = (_K2 + size * 2) & _MASK
    if size >= 8:
        a = (_u64(s, 0)[0] + _K2) & _MASK
        b = _u64(s, size - 8)[0]
        c = (_rotate(b, 37) * mul + a) & _MASK
        d = ((_rotate(a, 25) + b) * mul) & _MASK
        return _hash_16(c, d, mul)
    if size >= 4:
        return _hash_16((size + (_u32(s, 0)[0] << 3)) & _MASK, _u32(s, size - 4)[0], mul)
    if size == 0:
        return _K2
    y = s[0] + (s[size >> 1] << 8)
    z = size + (s[size - 1] << 2)
    return (_shift_mix((y * _K2 ^ z * _K0) & _MASK) * _K2) & _MASK


def _up_to_32(s: bytes, size: int) -> int:
    mul = (_K2 + size * 2) & _MASK
    a = (_u64(s, 0)[0] * _K1) & _MASK
    b = _u64(s, 8)[0]
    c = (_u64(s, size - 8)[0] * mul) & _MASK
    d = (_u64(s, size - 16)[0] * _K2) & _MASK
    u = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    return _hash_16(u, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, mul)


def _up_to_64(s: bytes, size: int) -> int:
    mul = (_K2 + size * 2) & _MASK
    a = (_u64(s, 0)[0] * _K2) & _MASK
    b = _u64(s, 8)[0]
    c = (_u64(s, size - 8)[0] * mul) & _MASK
    d = (_u64(s, size - 16)[0] * _K2) & _MASK
    y = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    z = _hash_16(y, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, mul)
    e = (_u64(s, 16)[0] * mul) & _MASK
    f = _u64(s, 24)[0]
    g = ((y + _u64(s, size - 32)[0]) * mul) & _MASK
    h = ((z + _u64(s, size - 24)[0]) * mul) & _MASK
    u = (_rotate((e + f) & _MASK, 43) + _rotate(g, 30) + h) & _MASK
    return _hash_16(u, (e + _rotate((f + a) & _MASK, 18) + g) & _MASK, mul)


def _weak_hash(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = struct.unpack_from("<4Q", s, at)
    a = (a + w) & _MASK
    b = _rotate((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotate(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def _beyond_64(s: bytes, size: int) -> int:
    x, y = 81, (81 * _K1 + 113) & _MASK
    z = (_shift_mix((y * _K2 + 113) & _MASK) * _K2) & _MASK
    v0 = v1 = w0 = w1 = 0
    x = (x * _K2 + _u64(s, 0)[0]) & _MASK
    for at in range(0, (size - 1) // 64 * 64, 64):
        x = (_rotate((x + y + v0 + _u64(s, at + 8)[0]) & _MASK, 37) * _K1) & _MASK
        y = (_rotate((y + v1 + _u64(s, at + 48)[0]) & _MASK, 42) * _K1) & _MASK
        x ^= w1
        y = (y + v0 + _u64(s, at + 40)[0]) & _MASK
        z = (_rotate((z + w0) & _MASK, 33) * _K1) & _MASK
        v0, v1 = _weak_hash(s, at, (v1 * _K1) & _MASK, (x + w0) & _MASK)
        w0, w1 = _weak_hash(s, at + 32, (z + w1) & _MASK, (y + _u64(s, at + 16)[0]) & _MASK)
        z, x = x, z
    mul = (_K1 + ((z & 0xFF) << 1)) & _MASK
    at = size - 64
    w0 = (w0 + ((size - 1) & 63)) & _MASK
    v0 = (v0 + w0) & _MASK
    w0 = (w0 + v0) & _MASK
    x = (_rotate((x + y + v0 + _u64(s, at + 8)[0]) & _MASK, 37) * mul) & _MASK
    y = (_rotate((y + v1 + _u64(s, at + 48)[0]) & _MASK, 42) * mul) & _MASK
    x ^= (w1 * 9) & _MASK
    y = (y + v0 * 9 + _u64(s, at + 40)[0]) & _MASK
    z = (_rotate((z + w0) & _MASK, 33) * mul) & _MASK
    v0, v1 = _weak_hash(s, at, (v1 * mul) & _MASK, (x + w0) & _MASK)
    w0, w1 = _weak_hash(s, at + 32, (z + w1) & _MASK, (y + _u64(s, at + 16)[0]) & _MASK)
    z, x = x, z
    u = (_hash_16(v0, w0, mul) + _shift_mix(y) * _K0 + z) & _MASK
    return _hash_16(u, (_hash_16(v1, w1, mul) + x) & _MASK, mul)


class _Bytes:
    """Many strings of bytes in one buffer, to be read at an offset that each string has for itself."""

    def __init__(self, items: list[bytes], sizes: Array) -> None:
        self.data = np.frombuffer(b"".join(items) + bytes(8), np.uint8)
        self.starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        self.sizes = sizes

    def u64(self, at: Array | int) -> Array:
        places = (self.starts + at)[:, None] + np.arange(8)
        return self.data[places].view("<u8").ravel().astype(np.uint64, copy=False)

    def u32(self, at: Array | int) -> Array:
        places = (self.starts + at)[:, None] + np.arange(4)
        return self.data[places].view("<u4").ravel().astype(np.uint64)

    def u8(self, at: Array | int) -> Array:
        return self.data[self.starts + at].astype(np.uint64)

    def narrowed(self, rows: Array) -> _Bytes:
        part = object.__new__(_Bytes)
        part.data, part.starts, part.sizes = self.data, self.starts[rows], self.sizes[rows]
        return part


_N0, _N1, _N2 = np.uint64(_K0), np.uint64(_K1), np.uint64(_K2)


def _turn(value: Array, shift: int) -> Array:
    return (value >> np.uint64(shift)) | (value << np.uint64(64 - shift))


def _mix(value: Array) -> Array:
    return value ^ (value >> np.uint64(47))


def _hash_16_many(u: Array, v: Array, mul: Array) -> Array:
    a = (u ^ v) * mul
    b = (v ^ _mix(a)) * mul
    return _mix(b) * mul


def _multiplier(s: _Bytes) -> Array:
    return _N2 + s.sizes.astype(np.uint64) * np.uint64(2)


def _many_0(s: _Bytes) -> Array:
    return np.full(len(s.sizes), _N2)


def _many_3(s: _Bytes) -> Array:
    y = s.u8(0) + (s.u8(s.sizes >> 1) << np.uint64(8))
    z = s.sizes.astype(np.uint64) + (s.u8(s.sizes - 1) << np.uint64(2))
    return _mix(y * _N2 ^ z * _N0) * _N2


def _many_7(s: _Bytes) -> Array:
    u = s.sizes.astype(np.uint64) + (s.u32(0) << np.uint64(3))
    return _hash_16_many(u, s.u32(s.sizes - 4), _multiplier(s))


def _many_16(s: _Bytes) -> Array:
    mul = _multiplier(s)
    a = s.u64(0) + _N2
    b = s.u64(s.sizes - 8)
    return _hash_16_many(_turn(b, 37) * mul + a, (_turn(a, 25) + b) * mul, mul)


def _many_32(s: _Bytes) -> Array:
    mul = _multiplier(s)
    a = s.u64(0) * _N1
    b = s.u64(8)
    c = s.u64(s.sizes - 8) * mul
    d = s.u64(s.sizes - 16) * _N2
    return _hash_16_many(_turn(a + b, 43) + _turn(c, 30) + d, a + _turn(b + _N2, 18) + c, mul)


def _many_64(s: _Bytes) -> Array:
    mul = _multiplier(s)
    a = s.u64(0) * _N2
    b = s.u64(8)
    c = s.u64(s.sizes - 8) * mul
    d = s.u64(s.sizes - 16) * _N2
    y = _turn(a + b, 43) + _turn(c, 30) + d
    z = _hash_16_many(y, a + _turn(b + _N2, 18) + c, mul)
    e = s.u64(16) * mul
    f = s.u64(24)
    g = (y + s.u64(s.sizes - 32)) * mul
    h = (z + s.u64(s.sizes - 24)) * mul
    return _hash_16_many(_turn(e + f, 43) + _turn(g, 30) + h, e + _turn(f + a, 18) + g, mul)


def _weak_hash_many(s: _Bytes, at: Array | int, a: Array, b: Array) -> tuple[Array, Array]:
    w, x, y, z = s.u64(at), s.u64(at + 8), s.u64(at + 16), s.u64(at + 24)
    a = a + w
    b = _turn(b + a + z, 21)
    c = a
    a = a + x + y
    b = b + _turn(a, 44)
    return a + z, b + c


def _many_long(s: _Bytes) -> Array:
    """Hash strings of more than 64 bytes: all take a step of 64 bytes at a time, for as long as each has one."""
    blocks = (s.sizes - 1) // 64
    x = s.u64(0) + np.uint64((81 * _K2) & _MASK)
    y = np.full(len(s.sizes), (81 * _K1 + 113) & _MASK, np.uint64)
    z = _mix(y * _N2 + np.uint64(113)) * _N2
    zeros = np.zeros(len(s.sizes), np.uint64)
    state = np.stack([x, y, z, zeros, zeros, zeros, zeros])
    for step in range(int(blocks.max())):
        rows = np.flatnonzero(blocks > step)
        state[:, rows] = _long_step(s.narrowed(rows), step * 64, state[:, rows], _N1, 1)
    x, y, z, v0, v1, w0, w1 = state
    mul = _N1 + ((z & np.uint64(0xFF)) << np.uint64(1))
    w0 = w0 + ((s.sizes - 1) & 63).astype(np.uint64)
    v0 = v0 + w0
    w0 = w0 + v0
    last = np.stack([x, y, z, v0, v1, w0, w1])
    x, y, z, v0, v1, w0, w1 = _long_step(s, s.sizes - 64, last, mul, 9)
    return _hash_16_many(_hash_16_many(v0, w0, mul) + _mix(y) * _N0 + z, _hash_16_many(v1, w1, mul) + x, mul)


def _long_step(s: _Bytes, at: Array | int, state: Array, mul: Any, factor: int) -> Array:
    x, y, z, v0, v1, w0, w1 = state
    scale = np.uint64(factor)
    x = _turn(x + y + v0 + s.u64(at + 8), 37) * mul
    y = _turn(y + v1 + s.u64(at + 48), 42) * mul
    x = x ^ (w1 * scale)
    y = y + v0 * scale + s.u64(at + 40)
    z = _turn(z + w0, 33) * mul
    v0, v1 = _weak_hash_many(s, at, v1 * mul, x + w0)
    w0, w1 = _weak_hash_many(s, at + 32, z + w1, y + s.u64(at + 16))
    return np.stack([z, y, x, v0, v1, w0, w1])


_CLASSES: tuple[tuple[int, int, Callable[[_Bytes], Array]], ...] = (
    (0, 0, _many_0),
    (1, 3, _many_3),
    (4, 7, _many_7),
    (8, 16, _many_16),
    (17, 32, _many_32),
    (33, 64, _many_64),
    (65, _LONGEST_IN_STEP, _many_long),
)
