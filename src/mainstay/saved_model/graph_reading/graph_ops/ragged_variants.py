"""Ragged tensors as single values, as the loops of `tf.map_fn` carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, refused
from mainstay.saved_model.graph_reading.graph_ops.ragged import checked_splits, splits_of
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value


@dataclass(frozen=True, eq=False)
class RaggedValue:
    """A ragged tensor, or a dense one if it has no splits, as one element of an array of objects.

    Args:
        splits: Where the rows of each ragged axis begin, the outermost first.
        values: The values.
    """

    splits: tuple[Array, ...]
    values: Array


def _objects(elements: list[RaggedValue], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


@graph_op("RaggedTensorToVariant", kind="host")
def to_variant(node: OpNode, *given: Value) -> Value:
    """Return a ragged tensor as one value, or as one for each row."""
    values = np.asarray(given[-1])
    splits = checked_splits(node, given[:-1], values)
    if not node.attr("batched_input", False):
        return _objects([RaggedValue(tuple(splits), values)], ())
    if not splits:
        return _objects([RaggedValue((), row) for row in values], (len(values),))
    rows = [_row(splits, values, at) for at in range(len(splits[0]) - 1)]
    return _objects(rows, (len(rows),))


def _row(splits: list[Array], values: Array, at: int) -> RaggedValue:
    start, stop = int(splits[0][at]), int(splits[0][at + 1])
    inner: list[Array] = []
    for each in splits[1:]:
        part = each[start : stop + 1]
        start, stop = int(part[0]), int(part[-1])
        inner.append(part - start)
    return RaggedValue(tuple(inner), values[start:stop])


@graph_op("RaggedTensorFromVariant", kind="host")
def from_variant(node: OpNode, encoded: Value) -> tuple[Value, ...]:
    """Return the ragged tensor that has these as its rows."""
    rank, dtype = node.attr("output_ragged_rank", 0), node.dtype("Tsplits")
    array = np.asarray(encoded, object)
    elements: list[Any] = array.ravel().tolist()
    if any(not isinstance(each, RaggedValue) for each in elements):
        raise refused(node, "a value is no ragged tensor", received=[type(each).__name__ for each in elements][:4])
    inner = len(elements[0].splits) if elements else max(rank - array.ndim, 0)
    if any(len(each.splits) != inner for each in elements) or inner + array.ndim != rank:
        raise refused(node, "ragged tensors do not fit", expected=f"{rank} ragged axes", received=inner + array.ndim)
    if array.ndim == 0:
        return *(each.astype(dtype) for each in elements[0].splits), elements[0].values
    outer = [np.arange(int(np.prod(array.shape[:axis])) + 1) * array.shape[axis] for axis in range(1, array.ndim)]
    lengths = [len(each.splits[0]) - 1 if inner else len(each.values) for each in elements]
    outer.append(splits_of(np.array(lengths, np.int64)))
    nested = [
        splits_of(np.concatenate([np.diff(each.splits[level]) for each in elements] or [np.zeros(0, np.int64)]))
        for level in range(inner)
    ]
    kind = node.dtype("Tvalues")
    values = np.concatenate([each.values for each in elements]) if elements else np.zeros(0, kind)
    return *(each.astype(dtype) for each in outer + nested), values
