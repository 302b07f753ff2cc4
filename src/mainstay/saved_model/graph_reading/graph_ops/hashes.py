"""Strings to the numbers of buckets: FarmHash, SipHash, and the hash that TensorFlow had before them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.hostops import fingerprints64
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import flat, refused, scalar_string
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SEED = 0xDECAFCAFFE
_MASK = (1 << 64) - 1


@graph_op("StringToHashBucketFast", kind="host")
def fast(node: OpNode, text: Value) -> Value:
    """Return ``Fingerprint64(text) % num_buckets``."""
    return _buckets(node, fingerprints64(flat(text)), text)


@graph_op("StringToHashBucketStrong", kind="host")
def strong(node: OpNode, text: Value) -> Value:
    """Return ``SipHash(key, text) % num_buckets``."""
    key = node.attr("key", ())
    if len(key) != 2:
        raise refused(node, "a key is two numbers", received=key)
    return _buckets(node, sip_hashes(flat(text), (key[0] & _MASK, key[1] & _MASK)), text)


@graph_op("StringToHashBucket", kind="host")
def first(node: OpNode, text: Value) -> Value:
    """Return ``Hash64(text) % num_buckets``."""
    return _buckets(node, hashes64(flat(text)), text)


def _buckets(node: OpNode, hashes: Any, text: Value) -> Any:
    count = node.attr("num_buckets", 0)
    if count < 1:
        raise refused(node, "there is at least one bucket", received=count)
    return (hashes % np.uint64(count)).astype(np.int64).reshape(np.shape(text))


@graph_op("Fingerprint", kind="host")
def fingerprint(node: OpNode, data: Value, method: Value) -> Value:
    """Return the Fingerprint64 of each row, as bytes `[rows, 8]`."""
    if scalar_string(node, method, "method") != b"farmhash64":
        raise refused(node, "no such method", expected="farmhash64", received=flat(method))
    data = np.asarray(data)
    if data.ndim == 0 or not data.size:
        raise refused(node, "there are no rows", received=f"shape {list(data.shape)}")
    if data.dtype == object:
        hashes = fingerprints64(flat(data)).astype("<u8")
        rows = [row.tobytes() for row in hashes.reshape(len(data), -1)]
        hashes = hashes if data.size == len(data) else fingerprints64(rows).astype("<u8")
    else:
        hashes = fingerprints64([row.tobytes() for row in np.ascontiguousarray(data)]).astype("<u8")
    return np.frombuffer(hashes.tobytes(), np.uint8).reshape(len(data), 8)


def _words(items: list[bytes]) -> tuple[Any, Any, Any]:
    """Return the whole words of 8 bytes of strings `[items, words]`, the number of each, and the bytes left over."""
    sizes = np.fromiter(map(len, items), np.int64, len(items))
    width = int(sizes.max(initial=0)) // 8 + 1
    padded = b"".join(item.ljust(width * 8, b"\0") for item in items)
    words = np.frombuffer(padded, "<u8").reshape(len(items), width).astype(np.uint64)
    return words, sizes, words[np.arange(len(items)), sizes // 8]


def _in_classes(function: Any, items: list[bytes]) -> Any:
    """Return what a function gives for strings, called for those that have the same number of words."""
    classes = np.fromiter((len(item) // 8 for item in items), np.int64, len(items))
    result = np.empty(len(items), np.uint64)
    for size in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == size)
        with np.errstate(over="ignore"):
            result[rows] = function(*_words([items[row] for row in rows.tolist()]))
    return result


def hashes64(items: list[bytes]) -> Any:
    """Return the Hash64 of strings as uint64 `[items]`: MurmurHash64A with TensorFlow's seed."""
    return _in_classes(_hash64, items)


def _hash64(words: Any, sizes: Any, rest: Any) -> Any:
    shift = np.uint64(47)
    state = np.uint64(_SEED) ^ (sizes.astype(np.uint64) * _MULTIPLIER)
    for at in range(words.shape[1] - 1):
        word = words[:, at] * _MULTIPLIER
        state = (state ^ ((word ^ (word >> shift)) * _MULTIPLIER)) * _MULTIPLIER
    state = np.where(sizes % 8 != 0, (state ^ rest) * _MULTIPLIER, state)
    state = (state ^ (state >> shift)) * _MULTIPLIER
    return state ^ (state >> shift)


def sip_hashes(items: list[bytes], key: tuple[int, int]) -> Any:
    """Return the SipHash-2-4 (Aumasson and Bernstein, 2012) of strings as uint64 `[items]`.

    Example:
        >>> hex(int(sip_hashes([bytes(range(15))], (0x0706050403020100, 0x0F0E0D0C0B0A0908))[0]))
        '0xa129ca6149be45e5'
    """

    def function(words: Any, sizes: Any, rest: Any) -> Any:
        first, second = np.uint64(key[0]), np.uint64(key[1])
        state = [
            np.full(len(sizes), value)
            for value in (
                first ^ np.uint64(0x736F6D6570736575),
                second ^ np.uint64(0x646F72616E646F6D),
                first ^ np.uint64(0x6C7967656E657261),
                second ^ np.uint64(0x7465646279746573),
            )
        ]
        last = rest | (sizes.astype(np.uint64) << np.uint64(56))
        for word in [*words.T[:-1], last]:
            state[3] = state[3] ^ word
            _rounds(state, 2)
            state[0] = state[0] ^ word
        state[2] = state[2] ^ np.uint64(0xFF)
        _rounds(state, 4)
        return state[0] ^ state[1] ^ state[2] ^ state[3]

    return _in_classes(function, items)


def _turned(value: Any, bits: int) -> Any:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


def _rounds(state: list[Any], count: int) -> None:
    for _ in range(count):
        a, b, c, d = state
        a, c = a + b, c + d
        b, d = _turned(b, 13) ^ a, _turned(d, 16) ^ c
        a = _turned(a, 32)
        c, a = c + b, a + d
        b, d = _turned(b, 17) ^ c, _turned(d, 21) ^ a
        c = _turned(c, 32)
        state[:] = a, b, c, d
