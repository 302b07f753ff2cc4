"""Sets along the last axis: what two of them share, what one has alone, how large they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, refused, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_layout import ordered
from mainstay.saved_model.graph_reading.graph_ops.sparse_places import checked, numbered, placed
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_Groups = dict[int, set[Any]]


def _of_dense(node: OpNode, values: Value) -> tuple[_Groups, Array, Any]:
    array = np.asarray(values)
    if array.ndim < 2:
        raise refused(node, "sets have at least two axes", received=list(array.shape))
    rows = array.reshape(-1, array.shape[-1]).tolist()
    return {number: set(row) for number, row in enumerate(rows)}, np.array(array.shape[:-1], np.int64), array.dtype


def _of_sparse(node: OpNode, indices: Value, values: Value, shape: Value) -> tuple[_Groups, Array, Any]:
    places, content, sizes = checked(node, indices, values, shape)
    if len(sizes) < 2:
        raise refused(node, "sets have at least two axes", received=sizes.tolist())
    number = numbered(places, sizes)
    if node.attr("validate_indices", True) and (number[1:] <= number[:-1]).any():
        raise refused(node, "places are repeated or out of order", received=places[:4].tolist())
    places, content, sizes = ordered(places, content, sizes)
    found: _Groups = {}
    for group, value in zip(numbered(places[:, :-1], sizes[:-1]).tolist(), content.tolist(), strict=True):
        found.setdefault(group, set()).add(value)
    return found, sizes[:-1], content.dtype


def _combined(node: OpNode, one: tuple[_Groups, Array, Any], other: tuple[_Groups, Array, Any]) -> tuple[Array, ...]:
    operation = node.text("set_operation")
    if operation not in ("a-b", "b-a", "intersection", "union"):
        raise refused(node, "no such operation", expected="a-b, b-a, intersection or union", received=operation)
    if one[1].tolist() != other[1].tolist():
        raise refused(node, "the sets differ in shape", expected=one[1].tolist(), received=other[1].tolist())
    numbers: list[int] = []
    columns: list[int] = []
    values: list[Any] = []
    for group in sorted(one[0].keys() | other[0].keys()):
        a, b = one[0].get(group, set()), other[0].get(group, set())
        chosen = {"a-b": a - b, "b-a": b - a, "intersection": a & b, "union": a | b}[operation]
        numbers += [group] * len(chosen)
        columns += range(len(chosen))
        values += sorted(chosen)
    outer = placed(np.array(numbers, np.int64), one[1])
    places = np.concatenate([outer, np.array(columns, np.int64)[:, None]], axis=1)
    content = strings(values) if one[2].kind == "O" else np.array(values, one[2])
    return places, content, np.array([*one[1].tolist(), max(columns, default=-1) + 1], np.int64)


@graph_op("DenseToDenseSetOperation", kind="host")
def dense_and_dense(node: OpNode, one: Value, other: Value) -> tuple[Value, ...]:
    """Combine the sets of two arrays."""
    return _combined(node, _of_dense(node, one), _of_dense(node, other))


@graph_op("DenseToSparseSetOperation", kind="host")
def dense_and_sparse(node: OpNode, one: Value, *other: Value) -> tuple[Value, ...]:
    """Combine the sets of an array and of a sparse tensor."""
    return _combined(node, _of_dense(node, one), _of_sparse(node, *other))


@graph_op("SparseToSparseSetOperation", kind="host")
def sparse_and_sparse(node: OpNode, *both: Value) -> tuple[Value, ...]:
    """Combine the sets of two sparse tensors."""
    return _combined(node, _of_sparse(node, *both[:3]), _of_sparse(node, *both[3:]))


@graph_op("SetSize", kind="host")
def size(node: OpNode, *sparse: Value) -> Value:
    """Return how many distinct values each set has."""
    groups, outer, _ = _of_sparse(node, *sparse)
    sizes = np.zeros(int(np.prod(outer)), np.int32)
    for group, content in groups.items():
        sizes[group] = len(content)
    return sizes.reshape(outer)
