"""Arrow strings of any encoding, counted at once: distinct values, lengths, and what is not fit to be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import ArgumentError
from mainstay.statistics.hashing import hash_strings

Array: TypeAlias = np.ndarray[Any, Any]

INVALID_VALUE = "__BYTES_VALUE__"
"""Stands for every value that is not valid UTF-8, as in TensorFlow Data Validation."""

LARGE_VALUE = "__LARGE_BYTES__"
"""Stands for every value of more than `LARGE_LENGTH` bytes, as in TensorFlow Data Validation."""

LARGE_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class StringRuns:
    """The distinct values of some strings (large_string, `[runs]`), their int64 counts, `[runs]`, and totals.

    Lengths are in bytes and those of the original values, `large_hashes` the hashes of the large ones.
    """

    values: pa.Array
    counts: Array
    count: int
    bytes: int
    min_length: int
    max_length: int
    invalid_utf8: int
    large: int
    large_hashes: Array


def present_strings(values: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> Iterator[pa.Array]:
    """Yield the values that are not missing as large_string or large_binary chunks or dictionaries of these.

    Raises:
        ArgumentError: The values are no strings.
    """
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        try:
            values = pa.array(values, from_pandas=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise ArgumentError("counts are of strings", expected="strings", received=error) from error
    kind = values.type
    encoded = pa.types.is_dictionary(kind)
    target = _large_type(kind.value_type if encoded else kind)
    if target is None:
        raise ArgumentError("counts are of strings", expected="strings", received=kind)
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        if chunk.null_count:
            chunk = chunk.drop_null()
        if len(chunk):
            yield chunk if encoded else chunk.cast(target)


def count_strings(chunks: Sequence[pa.Array]) -> StringRuns:
    """Return the runs of chunks that `present_strings` yielded; there is at least one value."""
    parts = [_count_dictionary(chunk) for chunk in chunks if pa.types.is_dictionary(chunk.type)]
    for target in (pa.large_string(), pa.large_binary()):
        plain = [chunk for chunk in chunks if chunk.type == target]
        if plain:
            counted = pc.value_counts(pa.chunked_array(plain))
            parts.append((counted.field(0), counted.field(1).to_numpy(zero_copy_only=False)))
    totals: list[tuple[int, int, int, int]] = []
    invalid_utf8, large = 0, 0
    hashes = [np.zeros(0, np.uint64)]
    kept: list[tuple[pa.Array, Array]] = []
    for raw, counts in parts:
        lengths = pc.binary_length(raw).to_numpy(zero_copy_only=False)
        totals.append((int(counts.sum()), int(np.dot(lengths, counts)), int(lengths.min()), int(lengths.max())))
        values, counts, bad = _replace(raw, counts)
        invalid_utf8 += bad
        if totals[-1][3] > LARGE_LENGTH:
            over = pc.binary_length(values).to_numpy(zero_copy_only=False) > LARGE_LENGTH
            hashes.append(hash_strings(values.filter(pa.array(over))))
            large += int(counts[over].sum())
            values, counts = _fold(values, counts, over, LARGE_VALUE)
        kept.append((values, counts))
    values, counts = _unite(kept)
    count, size, low, high = zip(*totals, strict=True)
    return StringRuns(
        values, counts, sum(count), sum(size), min(low), max(high), invalid_utf8, large, np.concatenate(hashes)
    )


def unite_runs(values: Sequence[pa.Array], counts: Sequence[Array]) -> tuple[pa.Array, list[Array]]:
    """Return distinct values in the order of their first appearance, and each array of counts added up by value.

    Args:
        values: Chunks of large_string, `[runs]` in all.
        counts: Arrays of int64 below 2**53, `[runs]` each.
    """
    encoded = pa.concat_arrays(values).dictionary_encode()
    places = encoded.indices.to_numpy(zero_copy_only=False)
    size = len(encoded.dictionary)
    return encoded.dictionary, [np.bincount(places, weights=array, minlength=size).astype(np.int64) for array in counts]


def _large_type(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_null(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def _count_dictionary(chunk: pa.Array) -> tuple[pa.Array, Array]:
    target = _large_type(chunk.type.value_type)
    indices = chunk.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(indices, minlength=len(chunk.dictionary))
    present = np.flatnonzero(counts)
    values = chunk.dictionary.take(pa.array(present)).cast(target)
    if len(values.unique()) < len(values):
        values, (united,) = unite_runs([values], [counts[present]])
        return values, united
    return values, counts[present]


def _replace(values: pa.Array, counts: Array) -> tuple[pa.Array, Array, int]:
    """Return the values as large_string, those that are not UTF-8 replaced, and how many rows those were."""
    encoded = values.cast(pa.large_binary())
    try:
        return encoded.cast(pa.large_string()), counts, 0
    except pa.ArrowInvalid:
        bad = np.fromiter((not _is_utf8(value) for value in encoded.to_pylist()), bool, len(encoded))
    rows = int(counts[bad].sum())
    good = encoded.filter(pa.array(~bad)).cast(pa.large_string())
    values, folded = _fold(good, counts[~bad], np.zeros(len(good), bool), INVALID_VALUE, rows)
    return values, folded, rows


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fold(values: pa.Array, counts: Array, folded: Array, name: str, more: int = 0) -> tuple[pa.Array, Array]:
    """Return the runs with the `folded` ones, and `more` rows, replaced by one run of the value `name`."""
    kept = values.filter(pa.array(~folded))
    total = int(counts[folded].sum()) + more
    return _unite([(kept, counts[~folded]), (pa.array([name], pa.large_string()), np.array([total]))])


def _unite(parts: Sequence[tuple[pa.Array, Array]]) -> tuple[pa.Array, Array]:
    if len(parts) == 1:
        return parts[0]
    values, (counts,) = unite_runs([values for values, _ in parts], [np.concatenate([counts for _, counts in parts])])
    return values, counts
