"""Sparse tensors put into another layout: dense, reshaped, joined, cut, ordered."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, check_bytes, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_places import check_places, checked, numbered, placed
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer, integers


@graph_op("SparseToDense", kind="host")
def to_dense(node: OpNode, indices: Value, shape: Value, values: Value, default: Value) -> Value:
    """Return an array with values at places, and the default elsewhere."""
    sizes, values = np.asarray(shape, np.int64), np.asarray(values)
    places = np.asarray(indices, np.int64)
    places = places.reshape(-1, 1) if places.ndim < 2 else places
    if sizes.ndim != 1 or places.shape[1] != len(sizes) or values.shape not in ((), (len(places),)):
        raise refused(node, "indices, values and shape do not fit", received=[places.shape, values.shape, sizes.shape])
    check_places(node, places, sizes)
    check_bytes(node, int(np.prod(sizes)) * values.dtype.itemsize)
    order = numbered(places, sizes)
    if node.attr("validate_indices", True) and (order[1:] <= order[:-1]).any():
        raise refused(node, "places are repeated or out of order", received=places[:4].tolist())
    dense = np.empty(int(np.prod(sizes)), values.dtype)
    dense[:] = np.asarray(default)[()]
    dense[order] = values
    return dense.reshape(sizes)


@graph_op("SparseReshape", kind="host")
def reshape(node: OpNode, indices: Value, shape: Value, new_shape: Value) -> tuple[Value, ...]:
    """Return the places in another shape of as many cells."""
    places, sizes, wanted = np.asarray(indices, np.int64), np.asarray(shape, np.int64), list(integers(new_shape))
    check_places(node, places, sizes)
    cells = int(np.prod(sizes, dtype=object))
    if -1 in wanted:
        rest = int(np.prod([size for size in wanted if size != -1], dtype=object))
        if wanted.count(-1) > 1 or rest < 1 or cells % rest:
            raise refused(node, "the shapes do not fit", expected=sizes.tolist(), received=wanted)
        wanted[wanted.index(-1)] = cells // rest
    if min(wanted, default=0) < 0 or int(np.prod(wanted, dtype=object)) != cells:
        raise refused(node, "the shapes do not fit", expected=sizes.tolist(), received=wanted)
    target = np.array(wanted, np.int64)
    return placed(numbered(places, sizes), target), target


@graph_op("SparseReorder", kind="host")
def reorder(node: OpNode, indices: Value, values: Value, shape: Value) -> tuple[Value, ...]:
    """Return a sparse tensor in the order of its places."""
    return ordered(*checked(node, indices, values, shape))[:2]


def ordered(places: Array, values: Array, sizes: Array) -> tuple[Array, Array, Array]:
    """Return a sparse tensor in the order of its places."""
    number = numbered(places, sizes)
    if (number[1:] >= number[:-1]).all():
        return places, values, sizes
    order = np.argsort(number, kind="stable")
    return places[order], values[order], sizes


@graph_op("SparseConcat", kind="host")
def concat(node: OpNode, *parts: Value) -> tuple[Value, ...]:
    """Join sparse tensors along an axis."""
    count = len(parts) // 3
    tensors = [checked(node, *parts[at::count]) for at in range(count)]
    sizes = [tensor[2] for tensor in tensors]
    axes = len(sizes[0])
    axis = node.attr("concat_dim", 0)
    axis = axis + axes if axis < 0 else axis
    alike = {tuple(np.delete(size, axis).tolist()) for size in sizes if len(size) == axes and axis < axes}
    if not 0 <= axis < axes or len(alike) > 1 or any(len(size) != axes for size in sizes):
        raise refused(node, "sparse tensors do not fit", received=[size.tolist() for size in sizes])
    offset, moved = 0, []
    for places, _, size in tensors:
        shifted = places.copy()
        shifted[:, axis] += offset
        moved.append(shifted)
        offset += int(size[axis])
    total = sizes[0].copy()
    total[axis] = offset
    return ordered(np.concatenate(moved), np.concatenate([values for _, values, _ in tensors]), total)


@graph_op("SparseSlice", kind="host")
def cut(node: OpNode, indices: Value, values: Value, shape: Value, start: Value, size: Value) -> tuple[Value, ...]:
    """Return a window of a sparse tensor."""
    places, values, sizes = checked(node, indices, values, shape)
    first, extent = np.asarray(start, np.int64), np.asarray(size, np.int64)
    if first.shape != sizes.shape or extent.shape != sizes.shape:
        raise refused(node, "the window does not fit", expected=len(sizes), received=[first.tolist(), extent.tolist()])
    stop = np.minimum(first + extent, sizes)
    kept = ((places >= first) & (places < stop)).all(axis=1)
    return places[kept] - first, values[kept], np.maximum(stop - first, 0)


@graph_op("SparseSplit", kind="host")
def split(node: OpNode, axis: Value, indices: Value, values: Value, shape: Value) -> tuple[Value, ...]:
    """Cut a sparse tensor along an axis into parts that differ by one at most, the longer ones first."""
    places, values, sizes = checked(node, indices, values, shape)
    along, count = integer(axis), node.attr("num_split", 1)
    along = along + len(sizes) if along < 0 else along
    if not 0 <= along < len(sizes) or not 1 <= count <= sizes[along]:
        raise refused(node, "no such split", expected=sizes.tolist(), received=[along, count])
    lengths = np.full(count, sizes[along] // count)
    lengths[: sizes[along] % count] += 1
    ends = np.cumsum(lengths)
    part = np.searchsorted(ends, places[:, along], side="right")
    results: list[list[Array]] = [[], [], []]
    for at in range(count):
        inside = places[part == at]
        inside[:, along] -= ends[at] - lengths[at]
        extent = sizes.copy()
        extent[along] = lengths[at]
        for result, array in zip(results, (inside, values[part == at], extent), strict=True):
            result.append(array)
    return tuple(array for result in results for array in result)


@graph_op("SparseFillEmptyRows", kind="host")
def fill_empty_rows(node: OpNode, indices: Value, values: Value, shape: Value, default: Value) -> tuple[Value, ...]:
    """Give every row that has no value one, at its first place."""
    places, values, sizes = checked(node, indices, values, shape)
    if not len(sizes):
        raise refused(node, "there are no rows", received=sizes.tolist())
    rows, filled, is_empty, new_place = filled_rows(places[:, 0], values, int(sizes[0]), default)
    target = np.zeros((len(rows), len(sizes)), np.int64)
    target[:, 0] = rows
    target[new_place] = places
    return target, filled, is_empty, new_place


def filled_rows(rows: Array, values: Array, count: int, default: Value) -> tuple[Array, Array, Array, Array]:
    """Return rows and values in the order of the rows, each empty row with the default; which rows were empty; and
    where each value is now."""
    is_empty = np.bincount(rows, minlength=count) == 0
    all_rows = np.concatenate([rows, np.flatnonzero(is_empty)])
    order = np.argsort(all_rows, kind="stable")
    both = np.empty(len(all_rows), values.dtype)
    both[: len(values)] = values
    both[len(values) :] = np.asarray(default)[()]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return all_rows[order], both[order], is_empty, place[: len(rows)]
