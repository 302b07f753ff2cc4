"""What is chosen by values: places that are true, distinct elements, partitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers


@graph_op("Where", kind="host")
def where(node: OpNode, condition: Value) -> Value:
    """Return the places of what is not zero, `[count, axes]`."""
    if not np.ndim(condition):
        raise refused(node, "a condition has at least one axis")
    return np.argwhere(np.asarray(condition) != 0).astype(np.int64)


@graph_op("Unique", kind="host")
def unique(node: OpNode, x: Value) -> tuple[Value, ...]:
    """Return distinct elements in the order of their first places, and which of them each element is."""
    return _unique(node, x, ())[:2]


@graph_op("UniqueWithCounts", kind="host")
def unique_with_counts(node: OpNode, x: Value) -> tuple[Value, ...]:
    """Return what `Unique` does, and how often each is there."""
    return _unique(node, x, ())


@graph_op("UniqueV2", kind="host")
def unique_v2(node: OpNode, x: Value, axis: Value) -> tuple[Value, ...]:
    """Return the distinct parts along an axis, and which of them each part is."""
    return _unique(node, x, integers(axis))[:2]


@graph_op("UniqueWithCountsV2", kind="host")
def unique_with_counts_v2(node: OpNode, x: Value, axis: Value) -> tuple[Value, ...]:
    """Return what `UniqueV2` does, and how often each is there."""
    return _unique(node, x, integers(axis))


def _unique(node: OpNode, x: Value, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    x, dtype = np.asarray(x), node.dtype("out_idx")
    if len(axes) > 1 or (not axes and x.ndim != 1) or (axes and not -x.ndim <= axes[0] < x.ndim):
        raise refused(node, "no such axis", expected=f"one of {x.ndim}", received=axes)
    axis = axes[0] if axes else 0
    first, codes, counts = distinct(np.moveaxis(x, axis, 0))
    return np.take(x, first, axis), codes.astype(dtype), counts.astype(dtype)


def distinct(rows: Array) -> tuple[Array, Array, Array]:
    """Return the distinct rows of an array.

    Args:
        rows: ``[n, ...]``.

    Returns:
        Where each distinct row is first, ``[distinct]`` in rising order; which distinct row each row is, ``[n]``; how
        many each is, ``[distinct]``.
    """
    if rows.ndim == 1 and rows.dtype.kind in "biufc":
        _, first, codes, counts = np.unique(
            rows, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
        )
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return first[order], place[codes], counts[order]
    keys: list[Any] = rows.tolist()
    if rows.ndim > 1:
        keys = list(map(tuple, rows.reshape(len(rows), -1).tolist()))
    found: dict[Any, int] = {}
    codes = np.fromiter((found.setdefault(key, len(found)) for key in keys), np.int64, len(keys))
    first = np.full(len(found), len(keys))
    np.minimum.at(first, codes, np.arange(len(keys)))
    return first, codes, np.bincount(codes, minlength=len(found))


@graph_op("DynamicPartition", kind="host")
def dynamic_partition(node: OpNode, data: Value, partitions: Value) -> tuple[Value, ...]:
    """Return the rows of each partition."""
    data, partitions, count = np.asarray(data), np.asarray(partitions), node.attr("num_partitions", 1)
    if data.shape[: partitions.ndim] != partitions.shape:
        raise refused(node, "partitions do not fit", expected=data.shape, received=partitions.shape)
    if partitions.size and not 0 <= partitions.min() <= partitions.max() < count:
        raise refused(node, "no such partition", expected=f"0 to {count - 1}", received=int(partitions.max()))
    flat = partitions.ravel()
    order = np.argsort(flat, kind="stable")
    rows = data.reshape(flat.size, *data.shape[partitions.ndim :])[order]
    ends = np.cumsum(np.bincount(flat, minlength=count))
    return tuple(np.split(rows, ends[:-1]))
