"""Sparse tensors as three arrays: places `[count, axes]` int64, values `[count]`, and the dense shape `[axes]`."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_MOST_CELLS = 1 << 62


def checked(node: OpNode, indices: Value, values: Value, shape: Value) -> tuple[Array, Array, Array]:
    """Return the three arrays of a sparse tensor.

    Raises:
        RequestError: They do not fit each other, or a place is outside.
    """
    places, values, sizes = np.asarray(indices, np.int64), np.asarray(values), np.asarray(shape, np.int64)
    if places.ndim != 2 or sizes.ndim != 1 or places.shape != (len(values), len(sizes)):
        raise refused(
            node,
            "indices, values and shape do not fit",
            expected="[count, axes], [count], [axes]",
            received=f"{list(places.shape)}, {list(np.shape(values))}, {list(sizes.shape)}",
        )
    check_places(node, places, sizes)
    return places, values, sizes


def check_places(node: OpNode, places: Array, sizes: Array) -> None:
    """Check that places are inside.

    Raises:
        RequestError: One is not, or the shape is negative or has more cells than can be counted.
    """
    cells = 1
    for size in sizes.tolist():
        cells *= max(size, 1)
    if (sizes < 0).any() or cells > _MOST_CELLS:
        raise refused(node, "no such shape", received=sizes.tolist())
    outside = (places < 0) | (places >= sizes)
    if outside.any():
        wrong = places[int(np.argmax(outside.any(axis=1)))]
        raise refused(node, "a place is outside", expected=f"inside {sizes.tolist()}", received=wrong.tolist())


def numbered(places: Array, sizes: Array) -> Array:
    """Return the number of each place in the order of its axes."""
    number = np.zeros(len(places), np.int64)
    for axis, size in enumerate(sizes.tolist()):
        number = number * size + places[:, axis]
    return number


def placed(numbers: Array, sizes: Array) -> Array:
    """Return the places of numbers, the reverse of `numbered`."""
    places = np.empty((len(numbers), len(sizes)), np.int64)
    for axis in range(len(sizes) - 1, -1, -1):
        size = max(int(sizes[axis]), 1)
        places[:, axis] = numbers % size
        numbers = numbers // size
    return places


def within_rows(rows: Array, count: int) -> tuple[Array, Array]:
    """Return the place of each element among those of its row, and the number of elements of each row.

    Args:
        rows: The row of each element, in rising order.
        count: The number of rows.
    """
    counts = np.bincount(rows, minlength=count).astype(np.int64)
    starts = np.cumsum(counts) - counts
    return np.arange(len(rows)) - starts[rows], counts
