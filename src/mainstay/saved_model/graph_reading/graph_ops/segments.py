"""Segments: rows that belong together are added up, averaged, multiplied or compared.

Where the number of segments is the largest index plus one it depends on the data, so that these operations run on the
host; those that get the number run inside of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mainstay.core import DataError
from mainstay.saved_model.graph_reading.graph_ops.conversion import float_facts
from mainstay.saved_model.graph_reading.graph_ops.indexing import check_indices, take
from mainstay.saved_model.graph_reading.graph_ops.reductions import highest, lowest
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer, known


def _count(ids: Value) -> int:
    """Return the number of segments: one more than the last index."""
    last = known(ids)
    return int(last[-1]) + 1 if last.size else 0


def _on_host(data: Value, ids: Value, count: int, how: str) -> Any:
    data, ids = known(data), known(ids)
    if np.any(ids[1:] < ids[:-1]):
        raise DataError("the indices of segments are not sorted", expected="ascending indices")
    check_indices(ids, count)
    start: Any = {"add": 0, "multiply": 1, "maximum": 0, "minimum": 0}[how]
    result = np.full((count, *data.shape[1:]), start, data.dtype)
    if not ids.size:
        return result
    begins = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    result[ids[begins]] = getattr(np, how).reduceat(data, begins, axis=0, dtype=data.dtype)
    return result


def _means(total: Any, ids: Any, count: int, power: float) -> Any:
    """Divide sums by the number of their rows to a power; segments without rows stay zero."""
    rows = np.maximum(np.bincount(ids, minlength=count), 1).astype(np.float64) ** power
    rows = rows.reshape(-1, *[1] * (total.ndim - 1))
    if np.issubdtype(total.dtype, np.integer):
        return np.trunc(total / rows).astype(total.dtype)
    return (total / rows.astype(total.dtype)).astype(total.dtype)


def _register_sorted(name: str, how: str, *, mean: bool = False) -> None:
    @graph_op(f"Segment{name}", kind="host")
    def segment(_node: OpNode, data: Value, ids: Value) -> Value:
        """Reduce the rows of each segment."""
        count = _count(ids)
        total = _on_host(data, ids, count, how)
        return _means(total, known(ids), count, 1.0) if mean else total


_register_sorted("Sum", "add")
_register_sorted("Mean", "add", mean=True)
_register_sorted("Prod", "multiply")
_register_sorted("Max", "maximum")
_register_sorted("Min", "minimum")


def _register_unsorted(name: str, reduce: Callable[..., Any], start: Callable[[Any], Any]) -> None:
    def segment(_node: OpNode, data: Value, ids: Value, num: Value) -> Value:
        """Reduce the rows of each segment; rows with a negative index belong to none."""
        count = integer(num)
        data, ids = jnp.asarray(data), jnp.asarray(ids)
        rest = data.shape[ids.ndim :]
        flat = data.reshape(-1, *rest) if ids.ndim != 1 else data
        initial = jnp.full((count, *rest), start(data.dtype), data.dtype)
        return reduce(initial.at[ids.reshape(-1)])(flat, mode="drop", wrap_negative_indices=False)

    graph_op(f"UnsortedSegment{name}")(segment)
    if name in ("Sum", "Prod"):
        graph_op(f"Segment{name}V2")(segment)


def _finite_lowest(dtype: Any) -> Any:
    return float_facts(dtype).min if jnp.issubdtype(dtype, jnp.floating) else lowest(dtype)


def _finite_highest(dtype: Any) -> Any:
    return float_facts(dtype).max if jnp.issubdtype(dtype, jnp.floating) else highest(dtype)


_register_unsorted("Sum", lambda reference: reference.add, lambda dtype: 0)
_register_unsorted("Prod", lambda reference: reference.multiply, lambda dtype: 1)
_register_unsorted("Max", lambda reference: reference.max, _finite_lowest)
_register_unsorted("Min", lambda reference: reference.min, _finite_highest)


@graph_op("SegmentMaxV2", "SegmentMinV2")
def segment_extreme_v2(node: OpNode, data: Value, ids: Value, num: Value) -> Value:
    """Return the largest or smallest rows of each segment."""
    data, count = jnp.asarray(data), integer(num)
    largest = node.op == "SegmentMaxV2"
    start = _finite_lowest(data.dtype) if largest else _finite_highest(data.dtype)
    reference = jnp.full((count, *data.shape[1:]), start, data.dtype).at[jnp.asarray(ids)]
    reduce = reference.max if largest else reference.min
    return reduce(data, mode="drop", wrap_negative_indices=False)


_POWERS = {"Sum": 0.0, "Mean": 1.0, "SqrtN": 0.5}


def _register_sparse(name: str, power: float) -> None:
    @graph_op(f"SparseSegment{name}", kind="host")
    def on_host(_node: OpNode, data: Value, indices: Value, ids: Value) -> Value:
        """Gather rows, and reduce those of each segment."""
        rows, count = take(known(data), known(indices)), _count(ids)
        total = _on_host(rows, ids, count, "add")
        return _means(total, known(ids), count, power) if power else total

    @graph_op(f"SparseSegment{name}WithNumSegments")
    def on_device(_node: OpNode, data: Value, indices: Value, ids: Value, num: Value) -> Value:
        """Gather rows, and reduce those of each segment."""
        rows, ids, count = jnp.asarray(take(jnp.asarray(data), indices)), jnp.asarray(ids), integer(num)
        total = jax.ops.segment_sum(rows, ids, count)
        if not power:
            return total
        sizes = jax.ops.segment_sum(jnp.ones(ids.shape, rows.dtype), ids, count)
        divisor = jnp.maximum(sizes, 1) ** jnp.asarray(power, rows.dtype)
        return total / divisor.reshape(-1, *[1] * (total.ndim - 1))


for _name, _power in _POWERS.items():
    _register_sparse(_name, _power)
