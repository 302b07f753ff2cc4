"""Ragged tensors: values, and for each ragged axis where its rows begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, check_bytes, flat, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_layout import filled_rows
from mainstay.saved_model.graph_reading.graph_ops.unicode_text import check_splits
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer, integers


def checked_splits(node: OpNode, nested: Sequence[Value], values: Array) -> list[Array]:
    """Return the splits of a ragged tensor, the outermost first.

    Raises:
        RequestError: They do not fit each other, or the values.
    """
    splits = [np.asarray(each, np.int64) for each in nested]
    inner = [*(len(each) - 1 for each in splits[1:]), len(values)]
    for each, count in zip(splits, inner, strict=True):
        check_splits(node, each.tolist(), count)
    return splits


def row_ids(splits: Array) -> Array:
    """Return the row of each value."""
    return np.repeat(np.arange(len(splits) - 1), np.diff(splits))


def splits_of(lengths: Array) -> Array:
    """Return where rows of these lengths begin, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


@graph_op("RaggedTensorToTensor", kind="host")
def to_tensor(node: OpNode, shape: Value, values: Value, default: Value, *partitions: Value) -> Value:
    """Return the rows side by side in one array, cut or filled up to one length."""
    values, kinds = np.asarray(values), node.attr("row_partition_types", ())
    nested = _splits(node, kinds, partitions, len(values))
    axes = len(nested) + 1
    wanted = list(integers(shape)) if np.ndim(shape) else [-1] * (axes + values.ndim - 1)
    inner = list(values.shape[1:])
    if len(wanted) != axes + len(inner) or any(
        want not in (-1, have) for want, have in zip(wanted[axes:], inner, strict=True)
    ):
        raise refused(node, "the shape does not fit", expected=f"{axes} axes and {inner}", received=wanted)
    rows = len(nested[0]) - 1
    sizes = [rows if wanted[0] < 0 else wanted[0]]
    target = np.where(np.arange(rows) < sizes[0], np.arange(rows), -1)
    for level, splits in enumerate(nested):
        lengths = np.diff(splits)
        size = int(lengths.max(initial=0)) if wanted[level + 1] < 0 else wanted[level + 1]
        row = row_ids(splits)
        column = np.arange(len(row)) - splits[:-1][row]
        target = np.where((target[row] >= 0) & (column < size), target[row] * size + column, -1)
        sizes.append(size)
    cells = int(np.prod(sizes))
    check_bytes(node, cells * int(np.prod(inner)) * values.dtype.itemsize)
    dense = np.empty((cells, *inner), values.dtype)
    dense[:] = np.asarray(default) if np.ndim(default) else np.asarray(default)[()]
    dense[target[target >= 0]] = values[target >= 0]
    return dense.reshape(*sizes, *inner)


def _splits(node: OpNode, kinds: Sequence[bytes], partitions: Sequence[Value], count: int) -> list[Array]:
    """Return the splits of each ragged axis, given as splits, or as the row of each value and the number of rows."""
    if not kinds or len(kinds) != len(partitions):
        raise refused(node, "there are no partitions", received=kinds)
    nested: list[Array] = []
    rows = None
    for at, (kind, partition) in enumerate(zip(kinds, partitions, strict=True)):
        if kind == b"FIRST_DIM_SIZE" and at == 0:
            rows = integer(partition)
        elif kind == b"ROW_SPLITS":
            nested.append(np.asarray(partition, np.int64))
            rows = int(nested[-1][-1]) if len(nested[-1]) else 0
        elif kind == b"VALUE_ROWIDS" and rows is not None:
            ids = np.asarray(partition, np.int64)
            if ids.size and ((np.diff(ids) < 0).any() or ids[0] < 0 or ids[-1] >= rows):
                raise refused(node, "the rows of values are out of order", expected=f"below {rows}", received=ids[:8])
            nested.append(splits_of(np.bincount(ids, minlength=rows)))
            rows = len(ids)
        else:
            raise refused(node, "no such partition", received=kind)
    inner = [*(len(each) - 1 for each in nested[1:]), count]
    for each, expected in zip(nested, inner, strict=True):
        check_splits(node, each.tolist(), expected)
    return nested


@graph_op("RaggedGather", kind="host")
def gather(node: OpNode, *given: Value) -> tuple[Value, ...]:
    """Return rows of a ragged tensor by their numbers."""
    rank, dtype = node.attr("PARAMS_RAGGED_RANK", 1), node.dtype("Tsplits")
    values, indices = np.asarray(given[rank]), np.asarray(given[rank + 1])
    splits = checked_splits(node, given[:rank], values)
    count = len(splits[0]) - 1
    picked = indices.ravel()
    if picked.size and not 0 <= picked.min() <= picked.max() < count:
        raise refused(node, "no such row", expected=f"0 to {count - 1}", received=picked.tolist()[:8])
    outer = []
    for axis in range(indices.ndim - 1):
        size = int(np.prod(indices.shape[: axis + 1]))
        outer.append(np.arange(size + 1) * indices.shape[axis + 1])
    inner = []
    for each in splits:
        lengths = np.diff(each)[picked]
        inner.append(splits_of(lengths))
        picked = np.repeat(each[picked] - inner[-1][:-1], lengths) + np.arange(inner[-1][-1])
    return *(each.astype(dtype) for each in outer + inner), values[picked]


@graph_op("RaggedRange", kind="host")
def ranges(node: OpNode, starts: Value, limits: Value, deltas: Value) -> tuple[Value, ...]:
    """Return one range for each start, limit and step."""
    dtype = np.asarray(starts).dtype
    try:
        start, limit, delta = np.broadcast_arrays(*(np.atleast_1d(each) for each in (starts, limits, deltas)))
    except ValueError as error:
        raise refused(node, "starts, limits and deltas differ in length", received=error) from error
    if (delta == 0).any():
        raise refused(node, "a range has a step of 0")
    if dtype.kind == "f":
        sizes = np.ceil((limit - start) / delta)
    else:
        wide = limit.astype(object) - start.astype(object)
        sizes = np.array([-(-int(gap) // int(step)) for gap, step in zip(wide, delta, strict=True)], object)
    total = float(np.maximum(sizes, 0).sum())
    check_bytes(node, int(total * dtype.itemsize) if np.isfinite(total) else 1 << 62)
    splits = splits_of(np.maximum(sizes, 0).astype(np.int64))
    row = row_ids(splits)
    steps = (np.arange(len(row)) - splits[:-1][row]).astype(dtype)
    return splits.astype(node.dtype("Tsplits")), (start[row] + steps * delta[row]).astype(dtype)


@graph_op("RaggedTensorToSparse", kind="host")
def to_sparse(node: OpNode, *given: Value) -> tuple[Value, ...]:
    """Return a ragged tensor as a sparse one."""
    values = np.asarray(given[-1])
    splits = checked_splits(node, given[:-1], values)
    columns = [np.arange(len(splits[0]) - 1)]
    sizes = [len(splits[0]) - 1]
    for each in splits:
        row = row_ids(each)
        columns = [column[row] for column in columns]
        columns.append(np.arange(len(row)) - each[:-1][row])
        sizes.append(int(np.diff(each).max(initial=0)))
    inner = values.shape[1:]
    places = np.stack(columns, axis=1)
    if inner:
        within = np.stack(np.unravel_index(np.arange(int(np.prod(inner))), inner), axis=1)
        places = np.concatenate([np.repeat(places, len(within), axis=0), np.tile(within, (len(places), 1))], axis=1)
    return places.astype(np.int64), values.ravel(), np.array([*sizes, *inner], np.int64)


@graph_op("RaggedFillEmptyRows", kind="host")
def fill_empty_rows(node: OpNode, ids: Value, values: Value, rows: Value, default: Value) -> tuple[Value, ...]:
    """Give every row that has no value one."""
    ids, count = np.asarray(ids), integer(rows)
    if ids.size and not 0 <= ids.min() <= ids.max() < count:
        raise refused(node, "no such row", expected=f"0 to {count - 1}", received=flat(ids)[:8])
    return filled_rows(ids, np.asarray(values), count, default)
