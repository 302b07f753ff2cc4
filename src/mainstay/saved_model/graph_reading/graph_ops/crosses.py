"""Crosses of features: every combination of the values that several columns have in a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mainstay.hostops import fingerprints64
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import (
    Array,
    check_bytes,
    flat,
    refused,
    scalar_string,
    strings,
)
from mainstay.saved_model.graph_reading.graph_ops.hashes import sip_hashes
from mainstay.saved_model.graph_reading.graph_ops.ragged import splits_of
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_places import checked, within_rows
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer

_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)
_LARGEST = np.uint64(2**63 - 1)

_Column = tuple[Array, Array]
"""The values of a column, row after row, and where the rows begin."""


def _columns(node: OpNode, given: Sequence[Value], dense: Sequence[Value]) -> list[_Column]:
    count = node.attr("N", 0)
    sparse = [checked(node, *given[at : 3 * count : count]) for at in range(count)]
    if any(len(sizes) != 2 for _, _, sizes in sparse) or any(np.ndim(each) != 2 for each in dense):
        raise refused(node, "columns are matrices")
    heights = {int(sizes[0]) for _, _, sizes in sparse} | {len(each) for each in dense}
    if len(heights) != 1:
        raise refused(node, "the columns differ in height", received=sorted(heights))
    height = heights.pop()
    found = [_sparse_column(places, values, height) for places, values, _ in sparse]
    return found + [(np.ravel(each), np.arange(height + 1) * np.shape(each)[1]) for each in dense]


def _sparse_column(places: Array, values: Array, height: int) -> _Column:
    order = np.argsort(places[:, 0], kind="stable")
    return values[order], splits_of(np.bincount(places[:, 0], minlength=height))


def _combinations(node: OpNode, columns: Sequence[_Column]) -> tuple[Array, list[Array]]:
    """Return where the crosses of each row begin, and for each column which of its values each cross takes."""
    lengths = np.array([np.diff(splits) for _, splits in columns], np.int64)
    counts = np.prod(lengths.astype(object), axis=0)
    check_bytes(node, int(counts.sum()) * 8 * len(columns))
    splits = splits_of(counts.astype(np.int64))
    row = np.repeat(np.arange(lengths.shape[1]), np.diff(splits))
    rest = np.arange(len(row)) - splits[:-1][row]
    taken: list[Array] = [np.zeros(0, np.int64)] * len(columns)
    for at in range(len(columns) - 1, -1, -1):
        length = np.maximum(lengths[at][row], 1)
        taken[at] = columns[at][1][:-1][row] + rest % length
        rest = rest // length
    return splits, taken


def _hashed(values: Array, hashes: Callable[[list[bytes]], Array]) -> Array:
    if values.dtype.kind == "O":
        return np.asarray(hashes(values.tolist()))
    return values.astype(np.int64).view(np.uint64)


def joined(first: Array, second: Array) -> Array:
    """Return the fingerprint of two fingerprints: TensorFlow's `FingerprintCat64`."""
    with np.errstate(over="ignore"):
        mixed = second * _MULTIPLIER
        result = (first ^ _MULTIPLIER ^ ((mixed ^ (mixed >> _SHIFT)) * _MULTIPLIER)) * _MULTIPLIER
        result = (result ^ (result >> _SHIFT)) * _MULTIPLIER
        return np.asarray(result ^ (result >> _SHIFT))


def _in_buckets(hashes: Array, buckets: int) -> Array:
    return (hashes % (np.uint64(buckets) if buckets > 0 else _LARGEST)).astype(np.int64)


def _cross_hashes(
    columns: Sequence[_Column],
    taken: Sequence[Array],
    start: int | None,
    hashes: Callable[[list[bytes]], Array] = fingerprints64,
) -> Array:
    parts = [_hashed(values, hashes)[picked] for (values, _), picked in zip(columns, taken, strict=True)]
    if start is not None:
        parts.insert(0, np.full(len(parts[0]), start & (2**64 - 1), np.uint64))
    result = parts[0]
    for part in parts[1:]:
        result = joined(result, part)
    return result


def _cross_words(columns: Sequence[_Column], taken: Sequence[Array], separator: bytes) -> Array:
    words = [
        [value if isinstance(value, bytes) else b"%d" % value for value in values[picked].tolist()]
        for (values, _), picked in zip(columns, taken, strict=True)
    ]
    return strings(map(separator.join, zip(*words, strict=True)))


def _as_sparse(splits: Array, values: Array) -> tuple[Array, Array, Array]:
    rows = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
    column, counts = within_rows(rows, len(splits) - 1)
    places = np.stack([rows, column], axis=1).astype(np.int64)
    return places, values, np.array([len(splits) - 1, counts.max(initial=0)], np.int64)


@graph_op("SparseCross", kind="host")
def sparse_cross(node: OpNode, *given: Value) -> tuple[Value, ...]:
    """Return the crosses of sparse and dense columns, hashed from a key or spelled out."""
    columns = _columns(node, given, given[3 * node.attr("N", 0) :])
    splits, taken = _combinations(node, columns)
    if not node.attr("hashed_output", False):
        return _as_sparse(splits, _cross_words(columns, taken, b"_X_"))
    hashes = _cross_hashes(columns, taken, node.attr("hash_key", 0))
    return _as_sparse(splits, _in_buckets(hashes, node.attr("num_buckets", 0)))


@graph_op("SparseCrossV2", kind="host")
def sparse_cross_v2(node: OpNode, *given: Value) -> tuple[Value, ...]:
    """Return the crosses of sparse and dense columns, spelled out with a separator."""
    columns = _columns(node, given, given[3 * node.attr("N", 0) : -1])
    splits, taken = _combinations(node, columns)
    return _as_sparse(splits, _cross_words(columns, taken, scalar_string(node, given[-1], "sep")))


@graph_op("SparseCrossHashed", kind="host")
def sparse_cross_hashed(node: OpNode, *given: Value) -> tuple[Value, ...]:
    """Return the crosses of sparse and dense columns, hashed, by SipHash with a salt if asked for."""
    buckets, strong, salt = given[-3:]
    columns = _columns(node, given, given[3 * node.attr("N", 0) : -3])
    splits, taken = _combinations(node, columns)
    key, sparse = flat(salt), node.attr("N", 0)
    if len(key) != 2:
        raise refused(node, "a salt is two numbers", received=key)
    first, second = (number & (2**64 - 1) for number in key)
    is_strong = bool(np.asarray(strong)[()])
    if is_strong and any(values.dtype.kind != "O" for values, _ in columns[sparse:]):
        raise refused(node, "TensorFlow has no strong hash for dense numbers")
    columns = [(_low_bytes(values), splits) for values, splits in columns[:sparse]] + columns[sparse:]
    hashes = _cross_hashes(
        columns, taken, None, (lambda items: sip_hashes(items, (first, second))) if is_strong else fingerprints64
    )
    return _as_sparse(splits, _in_buckets(hashes, integer(buckets)))


def _low_bytes(values: Array) -> Array:
    """Return numbers as the strings that TensorFlow hashes for them here: their four lowest bytes."""
    if values.dtype.kind == "O":
        return values
    return strings(row.tobytes() for row in values.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :4])


@graph_op("RaggedCross", kind="host")
def ragged_cross(node: OpNode, *given: Value) -> tuple[Value, ...]:
    """Return the crosses of ragged, sparse and dense columns, as a ragged matrix."""
    order = node.text("input_order")
    ragged, sparse = order.count("R"), node.attr("Nsparse", 0)
    rest = iter(given)
    values, splits = list(itertools.islice(rest, ragged)), list(itertools.islice(rest, ragged))
    places, contents, shapes = (list(itertools.islice(rest, sparse)) for _ in range(3))
    kinds: dict[str, list[Any]] = {
        "R": [(np.asarray(v), np.asarray(s, np.int64)) for v, s in zip(values, splits, strict=True)],
        "S": [
            _sparse_column(found, content, int(sizes[0]))
            for found, content, sizes in (checked(node, *each) for each in zip(places, contents, shapes, strict=True))
        ],
        "D": [(np.ravel(each), np.arange(len(each) + 1) * np.shape(each)[1]) for each in rest],
    }
    if any(order.count(kind) != len(columns) for kind, columns in kinds.items()) or len(order) < 1:
        raise refused(node, "the order does not fit the columns", received=order)
    columns: list[_Column] = [kinds[kind].pop(0) for kind in order]
    if len({len(bounds) for _, bounds in columns}) != 1:
        raise refused(node, "the columns differ in height", received=[len(bounds) - 1 for _, bounds in columns])
    bounds, taken = _combinations(node, columns)
    if node.attr("hashed_output", False):
        hashes = _cross_hashes(columns, taken, node.attr("hash_key", 0))
        made = _in_buckets(hashes, node.attr("num_buckets", 0))
    else:
        made = _cross_words(columns, taken, b"_X_")
    return made, bounds.astype(node.dtype("out_row_splits_type"))
