"""Products of matrices, of any number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Dimension, Value, product

_KERNELS = {"float32", "float64", "float16", "bfloat16", "int32", "int64", "complex64", "complex128"}


@lowering("dot_general")
def dot_general(graph: Graph, equation: Equation, left: Value, right: Value) -> Value:
    """Write a contraction as one product of matrices, with as little turning as its axes allow."""
    (left_sums, right_sums), (left_batch, right_batch) = equation.params["dimension_numbers"]
    dtype = equation.dtype
    accumulated = dtype
    if dtype.name not in _KERNELS:
        accumulated = np.dtype(np.int64 if dtype.itemsize > 4 or dtype == np.uint32 else np.int32)
    left, right = (graph.full(graph.cast(value, accumulated)) for value in (left, right))
    made = contract(graph, left, right, ((left_sums, right_sums), (left_batch, right_batch)))
    return graph.cast(graph.reshape(made, equation.shape), dtype)


def contract(graph: Graph, left: Value, right: Value, numbers: Any) -> Value:
    """Return the product of two values over pairs of axes.

    Args:
        graph: Where to write it.
        left: One value.
        right: The other, of the same dtype.
        numbers: The pairs of axes that are summed over, and those that stay, as in `jax.lax.dot_general`.

    Returns:
        The product: axes that stay, those of `left` alone, those of `right` alone.
    """
    (left_sums, right_sums), (left_batch, right_batch) = numbers
    left_free = _others(left, (*left_sums, *left_batch))
    right_free = _others(right, (*right_sums, *right_batch))
    shape = (
        *(left.shape[axis] for axis in (*left_batch, *left_free)),
        *(right.shape[axis] for axis in right_free),
    )
    left_sums, right_sums = _best_order(left_sums, right_sums)
    one, one_turned = _matrix(graph, left, (left_batch, left_free, left_sums))
    other, other_turned = _matrix(graph, right, (right_batch, right_sums, right_free))
    made_shape = (*one.shape[: len(left_batch)], product([left.shape[a] for a in left_free]),
                  product([right.shape[a] for a in right_free]))  # fmt: skip
    if left_batch:
        made = graph.op("BatchMatMulV2", [one, other], left.dtype, made_shape, adj_x=one_turned, adj_y=other_turned)
    else:
        made = graph.op(
            "MatMul", [one, other], left.dtype, made_shape, transpose_a=one_turned, transpose_b=other_turned
        )
    return graph.reshape(made, shape)


def _others(value: Value, taken: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis for axis in range(len(value.shape)) if axis not in taken)


def _best_order(left: Sequence[int], right: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the pairs of axes in the order in which the left side has them, which need not be turned then."""
    pairs = sorted(zip(left, right, strict=True))
    return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)


def _matrix(
    graph: Graph, value: Value, groups: tuple[Sequence[int], Sequence[int], Sequence[int]]
) -> tuple[Value, bool]:
    """Return a value as matrices of rows and columns, each made of a group of axes, and whether they are turned."""
    batch, rows, columns = (tuple(group) for group in groups)
    turned = (
        value.dtype.kind != "c" and _in_order((*batch, *columns, *rows)) and not _in_order((*batch, *rows, *columns))
    )
    first, second = (columns, rows) if turned else (rows, columns)
    value = graph.transpose(value, (*batch, *first, *second))
    sizes: list[Dimension] = list(value.shape)
    middle = len(batch) + len(first)
    shape = (*sizes[: len(batch)], product(sizes[len(batch) : middle]), product(sizes[middle:]))
    return graph.full(graph.reshape(value, shape)), turned


def _in_order(axes: Sequence[int]) -> bool:
    return list(axes) == sorted(axes)
