"""Arithmetic of sparse tensors: products, sums, reductions, and what is done cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, check_bytes, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_places import checked, numbered, placed
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers, is_known, known


@graph_op("SparseTensorDenseMatMul")
def matmul(node: OpNode, indices: Value, values: Value, shape: Value, matrix: Value) -> Value:
    """Multiply a sparse matrix by a dense one."""
    sizes = np.array(integers(shape))
    if node.attr("adjoint_a", False):
        indices, values, sizes = indices[:, ::-1], values.conj(), sizes[::-1]
    if node.attr("adjoint_b", False):
        matrix = matrix.conj().T
    if len(sizes) != 2 or np.ndim(matrix) != 2 or sizes[1] != np.shape(matrix)[0]:
        raise refused(node, "the matrices do not fit", expected=sizes.tolist(), received=np.shape(matrix))
    if is_known(indices):
        checked(node, indices, indices[:, 0], sizes)
    if is_known(indices, values, matrix):
        check_bytes(node, int(sizes[0]) * np.shape(matrix)[1] * values.dtype.itemsize)
        product = np.zeros((int(sizes[0]), np.shape(matrix)[1]), values.dtype)
        np.add.at(product, indices[:, 0], values[:, None] * matrix[indices[:, 1]])
        return product
    zeros = jnp.zeros((int(sizes[0]), np.shape(matrix)[1]), values.dtype)
    return zeros.at[indices[:, 0]].add(values[:, None] * jnp.asarray(matrix)[indices[:, 1]])


def _groups(node: OpNode, places: Array, sizes: Array, axes: Value) -> tuple[Array, Array, Array]:
    """Return the number of the group of each value when axes are reduced, the sizes that stay, and which those are."""
    reduced = [axis + len(sizes) if axis < 0 else axis for axis in integers(axes)]
    if any(not 0 <= axis < len(sizes) for axis in reduced):
        raise refused(node, "no such axes", expected=len(sizes), received=known(axes).tolist())
    kept = np.array([axis for axis in range(len(sizes)) if axis not in reduced], np.int64)
    return numbered(places[:, kept], sizes[kept]), sizes[kept], kept


def _reduced(values: Array, groups: Array, count: int, is_sum: bool) -> Array:
    if is_sum:
        total = np.zeros(count, values.dtype)
        np.add.at(total, groups, values)
        return total
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    largest = np.zeros(count, values.dtype)
    if len(starts):
        largest[groups[order][starts]] = np.maximum.reduceat(values[order], starts)
    return largest


@graph_op("SparseReduceSum", "SparseReduceMax", kind="host")
def reduce(node: OpNode, indices: Value, values: Value, shape: Value, axes: Value) -> Value:
    """Reduce a sparse tensor to a dense one; cells that have no value do not count."""
    places, values, sizes = checked(node, indices, values, shape)
    groups, outer, kept = _groups(node, places, sizes, axes)
    count = int(np.prod(outer))
    check_bytes(node, count * values.dtype.itemsize)
    dense = _reduced(values, groups, count, "Sum" in node.op)
    if node.attr("keep_dims", False):
        outer = np.where(np.isin(np.arange(len(sizes)), kept), sizes, 1)
    return dense.reshape(outer)


@graph_op("SparseReduceSumSparse", "SparseReduceMaxSparse", kind="host")
def reduce_sparse(node: OpNode, indices: Value, values: Value, shape: Value, axes: Value) -> tuple[Value, ...]:
    """Reduce a sparse tensor to a sparse one."""
    places, values, sizes = checked(node, indices, values, shape)
    groups, outer, kept = _groups(node, places, sizes, axes)
    found, codes = np.unique(groups, return_inverse=True)
    reduced = _reduced(values, codes, len(found), "Sum" in node.op)
    target = placed(found, outer)
    if node.attr("keep_dims", False):
        wide = np.zeros((len(found), len(sizes)), np.int64)
        wide[:, kept] = target
        target, outer = wide, np.where(np.isin(np.arange(len(sizes)), kept), sizes, 1)
    return target, reduced, outer.astype(np.int64)


@graph_op("SparseSoftmax", kind="host")
def softmax(node: OpNode, indices: Value, values: Value, shape: Value) -> Value:
    """Return the softmax of the values of each row, the last axis, alone."""
    places, values, sizes = checked(node, indices, values, shape)
    if len(sizes) < 2:
        raise refused(node, "there are at least two axes", received=sizes.tolist())
    _, codes = np.unique(numbered(places[:, :-1], sizes[:-1]), return_inverse=True)
    count = int(codes.max(initial=-1)) + 1
    raised = np.exp(values - _reduced(values, codes, count, False)[codes])
    return np.asarray(raised / _reduced(raised, codes, count, True)[codes])


def _dense_at(node: OpNode, places: Array, sizes: Array, dense: Array) -> Array:
    """Return what a dense array has at places of a shape that it is broadcast to."""
    if dense.ndim > len(sizes):
        raise refused(node, "the dense array has more axes", expected=len(sizes), received=dense.ndim)
    inner = sizes[len(sizes) - dense.ndim :]
    if any(have not in (1, want) for have, want in zip(dense.shape, inner.tolist(), strict=True)):
        raise refused(node, "the dense array cannot be broadcast", expected=sizes.tolist(), received=dense.shape)
    aligned = places[:, len(sizes) - dense.ndim :]
    return dense[tuple(np.where(size == 1, 0, aligned[:, axis]) for axis, size in enumerate(dense.shape))]


_CELL_BY_CELL: dict[str, Callable[[Any, Any], Any]] = {
    "SparseDenseCwiseAdd": np.add,
    "SparseDenseCwiseMul": np.multiply,
    "SparseDenseCwiseDiv": np.divide,
}


@graph_op(*_CELL_BY_CELL, kind="host")
def cell_by_cell(node: OpNode, indices: Value, values: Value, shape: Value, dense: Value) -> Value:
    """Compute a sparse tensor with a dense one where the sparse one has values."""
    places, values, sizes = checked(node, indices, values, shape)
    other = _dense_at(node, places, sizes, np.asarray(dense))
    if node.op == "SparseDenseCwiseDiv" and values.dtype.kind in "iu":
        if (other == 0).any():
            raise refused(node, "a number is divided by zero")
        return (np.sign(values) * np.sign(other) * (np.abs(values) // np.abs(other))).astype(values.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _CELL_BY_CELL[node.op](values, other).astype(values.dtype)


@graph_op("SparseTensorDenseAdd", kind="host")
def add_dense(node: OpNode, indices: Value, values: Value, shape: Value, dense: Value) -> Value:
    """Add a sparse tensor to a dense one."""
    places, values, sizes = checked(node, indices, values, shape)
    total = np.array(dense)
    if total.shape != tuple(sizes.tolist()):
        raise refused(node, "the tensors differ in shape", expected=sizes.tolist(), received=total.shape)
    np.add.at(total, tuple(places.T), values)
    return total


def _united(
    node: OpNode, one: tuple[Value, ...], other: tuple[Value, ...], compute: Callable[[Any, Any], Any]
) -> tuple[Array, Array, Array]:
    """Return two sparse tensors as one, in the order of their places; what one lacks is 0."""
    places, values, sizes = checked(node, *one)
    more, others, sizes_too = checked(node, *other)
    if sizes.tolist() != sizes_too.tolist():
        raise refused(node, "the tensors differ in shape", expected=sizes.tolist(), received=sizes_too.tolist())
    numbers = np.concatenate([numbered(places, sizes), numbered(more, sizes)])
    cells, codes = np.unique(numbers, return_inverse=True)
    sides = np.zeros((2, len(cells)), values.dtype)
    sides[0, codes[: len(values)]] = values
    sides[1, codes[len(values) :]] = others
    return placed(cells, sizes), compute(sides[0], sides[1]), sizes


@graph_op("SparseSparseMaximum", "SparseSparseMinimum", kind="host")
def extreme(node: OpNode, *both: Value) -> tuple[Value, ...]:
    """Return the larger, or the smaller, of two sparse tensors in each cell that one of them has."""
    compute = np.maximum if node.op == "SparseSparseMaximum" else np.minimum
    return _united(node, both[:3], both[3:], compute)[:2]


@graph_op("SparseAdd", kind="host")
def add(node: OpNode, *both: Value) -> tuple[Value, ...]:
    """Add two sparse tensors; sums nearer to 0 than the threshold are left out."""
    places, total, sizes = _united(node, both[:3], both[3:6], np.add)
    kept = np.abs(total) >= np.asarray(both[6])[()]
    return places[kept], total[kept], sizes
