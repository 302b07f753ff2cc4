"""A content hash for each row: what a split into training and evaluation rests on, today and in ten years.

`docs/formats/row-hash.md` specifies it. A change of any hash is a new version, and moves rows between splits.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import ArgumentError
from mainstay.io.table import check_columns

ROW_HASH_VERSION = 1
"""The version of the function; hashes of different versions have nothing to do with each other."""

_Words = np.ndarray[Any, Any]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_EXACT_INTEGERS = 1 << 53
_SLICE_BYTES = 1 << 20
_STEPWISE_WORDS = 8


def hash_rows(batch: pa.RecordBatch, columns: Sequence[str] | None = None) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a hash of the content of each row.

    Equal rows have equal hashes, whatever batch, file or format they come in and in whatever order their
    columns stand. Integers and floats of the same value are equal, -0.0 and 0.0 are, and true and 1 are; a missing
    value, NaN included, counts as nothing, as if the row had no such column.

    Args:
        batch: Columns of numbers, booleans, timestamps and strings, plain or dictionary-encoded.
        columns: The columns that count; None for all.

    Returns:
        `[rows]` uint64, uniform over all 64 bits.

    Raises:
        ArgumentError: A column is unknown, or of another type.

    Example:
        >>> hash_rows(pa.record_batch({"fare": [12.5], "company": ["Flash Cab"]}))
        array([6330344387660060684], dtype=uint64)
    """
    names = batch.schema.names if columns is None else check_columns(columns, batch.schema.names)
    total = np.zeros(batch.num_rows, np.uint64)
    for name in names:
        _add_column(total, name, batch.column(batch.schema.names.index(name)))
    return _mix(total)


def _add_column(total: _Words, name: str, array: pa.Array) -> None:
    """Add the hashes of a column's values, 0 where one is missing, to the sums of the rows."""
    if pa.types.is_null(array.type) or not len(array):
        return
    seed = np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], "<u8")[0]
    hashes, missing = _hash_values(name, array, seed)
    if missing is not None:
        hashes[missing] = 0
    total += hashes


def _hash_values(name: str, array: pa.Array, seed: np.uint64) -> tuple[_Words, _Words | None]:
    """Return the hash of each value, and where a value is missing."""
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if pa.types.is_dictionary(kind):
        hashes, absent = _hash_values(name, array.dictionary, seed)
        if absent is not None:
            hashes[absent] = 0
        indices = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return (hashes[indices] if len(hashes) else np.zeros(len(array), np.uint64)), missing
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _mix(_string_words(array) + seed), missing
    if pa.types.is_floating(kind):
        numbers = _numbers(array.cast(pa.float64()), np.float64)
        nan = np.isnan(numbers)
        if nan.any():
            missing = nan if missing is None else missing | nan
        return _mix((numbers + 0.0).view(np.uint64) + seed), missing
    if pa.types.is_boolean(kind):
        return _mix(
            array.to_numpy(zero_copy_only=False).astype(bool).astype(np.float64).view(np.uint64) + seed
        ), missing
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return _mix(_integer_words(_integers(name, array)) + seed), missing
    raise ArgumentError(
        f"rows with a column of this type have no hash: {name!r}",
        expected="numbers, booleans, timestamps or strings",
        received=kind,
        fix="leave the column out",
    )


def _integers(name: str, array: pa.Array) -> _Words:
    try:
        if pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64())
        return _numbers(array.cast(pa.int64()), np.int64)
    except pa.ArrowInvalid as error:
        raise ArgumentError(
            f"a value of the column {name!r} has no hash", expected="an int64, or whole microseconds", received=error
        ) from error


def _numbers(array: pa.Array, dtype: Any) -> _Words:
    """Return the values of an array; where one is null, any."""
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def _integer_words(integers: _Words) -> _Words:
    """Return the bits of the nearest floats, plus a multiple of what the floats are off by."""
    floats = integers.astype(np.float64)
    words = floats.view(np.uint64)
    if integers.max() <= _EXACT_INTEGERS and integers.min() >= -_EXACT_INTEGERS:
        return words
    top = floats >= 2.0**63
    nearest = np.where(top, 0.0, floats).astype(np.int64).view(np.uint64) + top.astype(np.uint64) * np.uint64(1 << 63)
    return words + (integers.view(np.uint64) - nearest) * _GOLDEN


def _mix(words: _Words) -> _Words:
    """Return the finaliser of splitmix64 (Steele, Lea and Flood, 2014) of each word; the array is overwritten."""
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words


def _string_words(array: pa.Array) -> _Words:
    """Return a word for each string, about a MiB of text at a time."""
    _, offsets, data = array.buffers()
    kind = np.int64 if pa.types.is_large_string(array.type) else np.int32
    edges = np.frombuffer(offsets, kind)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    first = int(edges[0])
    content = np.zeros(int(edges[-1]) - first + 8, np.uint8)
    if data is not None:
        content[:-8] = np.frombuffer(data, np.uint8)[first : int(edges[-1])]
    words = _overlapping_words(content)
    result = np.empty(len(array), np.uint64)
    for start, stop in _slices(edges):
        result[start:stop] = _hash_strings(words, edges[start : stop + 1] - first)
    return result


def _slices(edges: _Words) -> Iterator[tuple[int, int]]:
    start, count = 0, len(edges) - 1
    while start < count:
        stop = int(np.searchsorted(edges, edges[start] + _SLICE_BYTES, side="right"))
        stop = min(max(stop - 1, start + 1), count)
        yield start, stop
        start = stop


def _overlapping_words(content: _Words) -> _Words:
    """Return the little-endian word that begins at each byte, as a view."""
    words: _Words = np.ndarray(len(content) - 7, "<u8", content, strides=(1,))
    if sys.byteorder == "big":
        words = words.astype(np.uint64)
    return words


def _hash_strings(words: _Words, edges: _Words) -> _Words:
    """Return the sum of the mixed words of each string, its bytes' number times a constant added.

    Up to eight words a string, the first words of all strings are mixed at once, then the second words, and so
    on; beyond, all words of all strings.
    """
    starts, lengths = edges[:-1], np.diff(edges)
    result = lengths.astype(np.uint64) * _GOLDEN
    most = -(-int(lengths.max()) // 8)
    if most <= _STEPWISE_WORDS:
        rows: Any = slice(None)
        for index in range(most):
            if index or not lengths.all():
                rows = np.flatnonzero(lengths > 8 * index)
            left = np.minimum(lengths[rows] - 8 * index, 8)
            result[rows] += _mix_word(words, starts[rows] + 8 * index, left, index)
        return result
    counts = -(-lengths // 8)
    ends = np.cumsum(counts)
    index_of = np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
    left = np.minimum(np.repeat(lengths, counts) - 8 * index_of, 8)
    mixed = _mix_word(words, np.repeat(starts, counts) + 8 * index_of, left, index_of)
    sums = np.append(np.uint64(0), np.cumsum(mixed))
    result += sums[ends] - sums[ends - counts]
    return result


def _mix_word(words: _Words, positions: _Words, lengths: _Words, index: Any) -> _Words:
    """Return the mixed words of at most eight bytes each, told apart by their index in the string."""
    kept = _KEPT[lengths]
    return _mix((words[positions] & kept) ^ (np.atleast_1d(index + 1).astype(np.uint64) * _GOLDEN))


_KEPT = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)
