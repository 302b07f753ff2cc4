"""Operations on strings with TensorFlow's names; they work on bytes where TensorFlow's do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.hostops.attributes import INT64_MAX, Attr, choice, integer, text
from mainstay.hostops.farmhash import fingerprints64
from mainstay.hostops.registry import HostOp, Kernel, Site, register
from mainstay.hostops.signatures import NUMBERS, strings, takes
from mainstay.hostops.words import SHORT, Words, row_count, to_bytes

Array = np.ndarray[Any, Any]

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_ASCII_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_ASCII_SPACE = " \t\n\v\f\r"


def hash_buckets(tokens: list[str], num_buckets: int) -> Array:
    """Return ``Fingerprint64(token) % num_buckets`` of every token as int64 `[tokens]`."""
    hashes = fingerprints64([to_bytes(token) for token in tokens])
    return np.asarray(hashes % np.uint64(num_buckets)).astype(np.int64)


def _mapped(function: Callable[[str], str]) -> Kernel:
    return lambda x: x.map(function)


def _bind_lower(site: Site) -> Kernel:
    return _mapped(str.lower if site.attrs["encoding"] else lambda token: token.translate(_ASCII_LOWER))


def _bind_upper(site: Site) -> Kernel:
    return _mapped(str.upper if site.attrs["encoding"] else lambda token: token.translate(_ASCII_UPPER))


def _bytes_of(token: str) -> int:
    return len(token) if token.isascii() else len(to_bytes(token))


def _characters_of(token: str) -> int:
    return len(token) if token.isascii() else sum((byte & 0xC0) != 0x80 for byte in to_bytes(token))


def _bind_length(site: Site) -> Kernel:
    measure = _bytes_of if site.attrs["unit"] == "BYTE" else _characters_of
    return lambda x: x.pick(np.fromiter(map(measure, x.tokens), np.int64, len(x.tokens)))


def _bind_hash(site: Site) -> Kernel:
    num_buckets = site.attrs["num_buckets"]
    return lambda x: x.pick(hash_buckets(x.tokens, num_buckets))


def _bind_join(site: Site) -> Kernel:
    separator = site.attrs["separator"]

    def join(*columns: Words) -> Words:
        if all(column.codes is None for column in columns):
            return Words(_join_rows(columns, separator))
        rows = row_count(columns)
        joined = columns[0]
        for column in columns[1:]:
            joined = _join_two(joined, column, separator, rows)
        return joined

    return join


def _join_rows(columns: tuple[Words, ...], separator: str) -> list[str]:
    rows = row_count(columns)
    spread = [column.tokens if len(column.tokens) == rows else column.tokens[:1] * rows for column in columns]
    return [separator.join(parts) for parts in zip(*spread, strict=True)]


def _join_two(left: Words, right: Words, separator: str, rows: int) -> Words:
    width = max(len(right.tokens), 1)
    codes, pairs = _distinct(left.coded(rows).astype(np.int64) * width + right.coded(rows))
    tokens = [left.tokens[pair // width] + separator + right.tokens[pair % width] for pair in pairs.tolist()]
    return Words(tokens, codes)


def _distinct(numbers: Array) -> tuple[Array, Array]:
    """Return the position of each number among the distinct ones, and those."""
    encoded = pa.array(numbers).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_numpy()


def _bind_as_string(site: Site) -> Kernel:
    dtype = site.dtypes[0]
    if dtype == "bool":
        return lambda x: Words(["false", "true"], x.astype(np.int64))
    if dtype in ("int32", "int64"):
        return lambda x: _written(x, x.dtype, str)
    bits = np.dtype(f"int{8 * np.dtype(dtype).itemsize}")
    return lambda x: _written(np.ascontiguousarray(x).view(bits), x.dtype, "%f".__mod__)


def _written(bits: Array, dtype: np.dtype[Any], write: Callable[[Any], str]) -> Words:
    """Return numbers, given by their bits so that either zero stays itself, as strings."""
    if len(bits) <= SHORT:
        return Words([write(number) for number in bits.view(dtype).tolist()])
    codes, distinct = _distinct(np.ascontiguousarray(bits))
    return Words([write(number) for number in distinct.view(dtype).tolist()], codes)


def _spelling(default: str, *others: str) -> Attr:
    return Attr(choice(default, *others), default)


_STRING = takes(("string",))
_STRING_TO_INT = takes(("string",), gives="int64")
_ENCODING: Mapping[str, Attr] = {"encoding": _spelling("", "utf-8")}

for _op in (
    HostOp("AsString", 1, takes(("bool", *NUMBERS), gives="string"), _bind_as_string, shape="rows"),
    HostOp("StringLower", 1, _STRING, _bind_lower, attrs=_ENCODING, shape="rows"),
    HostOp("StringUpper", 1, _STRING, _bind_upper, attrs=_ENCODING, shape="rows"),
    HostOp("StringStrip", 1, _STRING, lambda site: _mapped(lambda token: token.strip(_ASCII_SPACE)), shape="rows"),
    HostOp(
        "StringLength",
        1,
        _STRING_TO_INT,
        _bind_length,
        attrs={"unit": _spelling("BYTE", "UTF8_CHAR")},
        shape="rows",
    ),
    HostOp("StringJoin", 1, strings, _bind_join, attrs={"separator": Attr(text, "")}, shape="rows"),
    HostOp(
        "StringToHashBucketFast",
        1,
        _STRING_TO_INT,
        _bind_hash,
        attrs={"num_buckets": Attr(integer(1, INT64_MAX))},
        shape="rows",
    ),
):
    register(_op)
