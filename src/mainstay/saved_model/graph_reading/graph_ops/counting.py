"""How often numbers are there: in sparse and ragged rows, and counts as sparse tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, check_bytes, flat, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_places import checked
from mainstay.saved_model.graph_reading.graph_ops.unicode_text import check_splits
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer


def _counted(node: OpNode, rows: Array, numbers: Array, shape: tuple[int, int], weights: Value) -> Array:
    """Return how often each number up to the width is in each row, or the sum of its weights."""
    height, width = shape
    weights = np.asarray(weights)
    dtype = weights.dtype
    if width < 0 or (numbers < 0).any():
        raise refused(node, "numbers and sizes are not negative", received=[width, int(numbers.min(initial=0))])
    if weights.size and weights.shape != numbers.shape:
        raise refused(node, "weights do not fit", expected=numbers.shape, received=weights.shape)
    check_bytes(node, height * width * dtype.itemsize)
    inside = numbers < width
    counts = np.zeros((height, width), dtype)
    at = rows[inside], numbers[inside]
    if node.attr("binary_output", False):
        counts[at] = 1
    else:
        np.add.at(counts, at, weights[inside] if weights.size else dtype.type(1))
    return counts


@graph_op("SparseBincount", kind="host")
def sparse_bincount(node: OpNode, indices: Value, values: Value, shape: Value, size: Value, weights: Value) -> Value:
    """Count the numbers of a sparse vector, or of each row of a sparse matrix."""
    places, numbers, sizes = checked(node, indices, values, shape)
    if len(sizes) == 1:
        return _counted(node, places[:, 0] * 0, numbers, (1, integer(size)), weights)[0]
    return _counted(node, places[:, 0], numbers, (int(sizes[0]), integer(size)), weights)


def _rows(node: OpNode, splits: Value, values: Array) -> tuple[Array, int]:
    bounds = flat(splits)
    check_splits(node, bounds, len(values))
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)), len(bounds) - 1


@graph_op("RaggedBincount", kind="host")
def ragged_bincount(node: OpNode, splits: Value, values: Value, size: Value, weights: Value) -> Value:
    """Count the numbers of each row of a ragged matrix."""
    values = np.asarray(values)
    rows, count = _rows(node, splits, values)
    return _counted(node, rows, values, (count, integer(size)), weights)


def _sparse_counts(node: OpNode, rows: Array, numbers: Array, outer: tuple[int, ...], weights: Value) -> Any:
    least, most = node.attr("minlength", -1), node.attr("maxlength", -1)
    weights = np.asarray(weights)
    if (numbers < 0).any():
        raise refused(node, "numbers are not negative", received=int(numbers.min()))
    if weights.size and weights.size != numbers.size:
        raise refused(node, "weights do not fit", expected=numbers.size, received=weights.size)
    width = max(int(numbers.max(initial=-1)) + 1, least)
    kept = np.ones(len(numbers), bool) if most < 0 else numbers < most
    width = width if most < 0 else min(width, most)
    rows, numbers = rows[kept], numbers[kept].astype(np.int64)
    cells, codes = np.unique(rows * max(width, 1) + numbers, return_inverse=True)
    counts = np.zeros(len(cells), weights.dtype)
    if node.attr("binary_output", False):
        counts[:] = 1
    else:
        np.add.at(counts, codes, weights.ravel()[kept] if weights.size else weights.dtype.type(1))
    places = np.stack([cells // max(width, 1), cells % max(width, 1)], axis=1)
    return places[:, 2 - len(outer) - 1 :], counts, np.array([*outer, width], np.int64)


@graph_op("DenseCountSparseOutput", kind="host")
def count_dense(node: OpNode, values: Value, weights: Value) -> tuple[Value, ...]:
    """Count the numbers of a vector, or of each row of a matrix, into a sparse tensor."""
    array = np.asarray(values)
    if array.ndim not in (1, 2):
        raise refused(node, "numbers are a vector or a matrix", received=list(array.shape))
    rows = np.repeat(np.arange(array.size // max(array.shape[-1], 1)), array.shape[-1])
    found: tuple[Value, ...] = _sparse_counts(node, rows, array.ravel(), array.shape[:-1], weights)
    return found


@graph_op("SparseCountSparseOutput", kind="host")
def count_sparse(node: OpNode, indices: Value, values: Value, shape: Value, weights: Value) -> tuple[Value, ...]:
    """Count the numbers of a sparse vector, or of each row of a sparse matrix, into a sparse tensor."""
    places, numbers, sizes = checked(node, indices, values, shape)
    rows = places[:, 0] if len(sizes) > 1 else places[:, 0] * 0
    found: tuple[Value, ...] = _sparse_counts(node, rows, numbers, tuple(sizes[:-1].tolist()), weights)
    return found


@graph_op("RaggedCountSparseOutput", kind="host")
def count_ragged(node: OpNode, splits: Value, values: Value, weights: Value) -> tuple[Value, ...]:
    """Count the numbers of each row of a ragged matrix into a sparse tensor."""
    values = np.asarray(values)
    rows, count = _rows(node, splits, values)
    found: tuple[Value, ...] = _sparse_counts(node, rows, values, (count,), weights)
    return found
