"""Order and counts: the largest elements, membership in them, search in sorted values, histograms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import DataError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, backend_of, integer, known


def _top(x: Value, count: int, index_dtype: Any) -> tuple[Value, Value]:
    if backend_of(x) is np:
        x = np.asarray(x)
        order = np.argsort(_descending(x), axis=-1, kind="stable")[..., :count]
        return np.take_along_axis(x, order, -1), order.astype(index_dtype)
    values, indices = lax.top_k(jnp.asarray(x), count)
    return values, indices.astype(index_dtype)


def _descending(x: np.ndarray[Any, Any]) -> Any:
    """Return keys whose ascending order is the descending order of the elements."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return -x
    return ~x if np.issubdtype(x.dtype, np.integer) else np.logical_not(x)


@graph_op("TopKV2")
def top_k_v2(node: OpNode, x: Value, count: Value) -> Value:
    """Return the largest elements of each row and where they are, the first of equals first."""
    wanted = integer(count)
    _refuse_too_many(node, x, wanted)
    return _top(x, wanted, node.attr("index_type", np.dtype(np.int32)))


@graph_op("TopK")
def top_k(node: OpNode, x: Value) -> Value:
    """Return the largest elements of each row and where they are, the first of equals first."""
    _refuse_too_many(node, x, node.attr("k"))
    return _top(x, node.attr("k"), np.int32)


def _refuse_too_many(node: OpNode, x: Value, count: Any) -> None:
    width = np.shape(x)[-1]
    if isinstance(width, int) and isinstance(count, int) and count > width:
        raise DataError(
            "a row has fewer elements than are asked for", where=node.name, expected=f"at most {width}", received=count
        )


@graph_op("ApproxTopK")
def approximate_top_k(node: OpNode, x: Value) -> Value:
    """Return the largest (or smallest) elements along an axis; here the exact ones."""
    axis = node.attr("reduction_dimension", -1) % np.ndim(x)
    largest = node.attr("is_max_k", True)
    moved = jnp.moveaxis(jnp.asarray(x), axis, -1)
    values, indices = lax.top_k(moved if largest else -moved, node.attr("k"))
    values = values if largest else -values
    return jnp.moveaxis(values, -1, axis), jnp.moveaxis(indices.astype(jnp.int32), -1, axis)


@graph_op("NthElement")
def nth_element(node: OpNode, x: Value, position: Value) -> Value:
    """Return the element of each row that stands at a position once it is sorted."""
    xp = backend_of(x)
    ordered = xp.sort(x, axis=-1)
    place = integer(position)
    return ordered[..., -1 - place if node.attr("reverse", False) else place]


@graph_op("InTopK", "InTopKV2")
def in_top_k(node: OpNode, predictions: Value, targets: Value, count: Value | None = None) -> Value:
    """Return whether the prediction for each target is among the largest; equals of the last one count too."""
    wanted = np.asarray(node.attr("k")) if count is None else count
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    classes = predictions.shape[-1]
    inside = (targets >= 0) & (targets < classes)
    own = jnp.take_along_axis(predictions, jnp.where(inside, targets, 0)[:, None], 1)
    larger = jnp.sum(predictions > own, axis=1)
    finite = jnp.all(jnp.isfinite(predictions), axis=1)
    return inside & finite & (larger < jnp.asarray(wanted))


@graph_op("Bucketize")
def bucketize(node: OpNode, x: Value) -> Value:
    """Return the number of boundaries that are not larger than each element."""
    xp = backend_of(x)
    boundaries = np.asarray(node.attr("boundaries", ()), np.float32)
    keys = np.asarray(x) if xp is np else jnp.asarray(x)
    if not jnp.issubdtype(keys.dtype, jnp.floating):
        keys = keys.astype(np.float64)
    wide = boundaries.astype(keys.dtype)
    return xp.searchsorted(xp.asarray(wide), keys, side="right").astype(np.int32)


@graph_op("LowerBound")
def lower_bound(node: OpNode, rows: Value, values: Value) -> Value:
    """Return how many elements of each sorted row are smaller than each value."""
    return _bounds(node, rows, values, "left")


@graph_op("UpperBound")
def upper_bound(node: OpNode, rows: Value, values: Value) -> Value:
    """Return how many elements of each sorted row are not larger than each value."""
    return _bounds(node, rows, values, "right")


def _bounds(node: OpNode, rows: Value, values: Value, side: str) -> Value:
    dtype = node.attr("out_type", np.dtype(np.int32))

    def search(row: Any, wanted: Any) -> Any:
        return jnp.searchsorted(row, wanted, side=side)

    return jax.vmap(search)(jnp.asarray(rows), jnp.asarray(values)).astype(dtype)


@graph_op("HistogramFixedWidth")
def histogram_fixed_width(node: OpNode, values: Value, limits: Value, count: Value) -> Value:
    """Count elements in bins of equal width; what lies outside is in the first or the last bin."""
    values, limits = jnp.asarray(values), jnp.asarray(limits)
    bins = integer(count)
    width = (limits[1] - limits[0]) / jnp.asarray(bins, limits.dtype)
    place = jnp.floor((values - limits[0]) / width)
    inside = jnp.clip(place, 0, bins - 1).astype(jnp.int32).ravel()
    return jnp.zeros(bins, node.attr("dtype", np.dtype(np.int32))).at[inside].add(1)


@graph_op("Bincount")
def bincount(node: OpNode, values: Value, count: Value, weights: Value) -> Value:
    """Count how often each number occurs, or add up its weights."""
    return _counts(jnp.ravel(values), integer(count), weights, node.dtype("T"), binary=False)


@graph_op("DenseBincount")
def dense_bincount(node: OpNode, values: Value, count: Value, weights: Value) -> Value:
    """Count how often each number occurs in a vector or in each row, or whether it does."""
    bins, binary, dtype = integer(count), node.attr("binary_output", False), node.dtype("T")
    if np.ndim(values) < 2:
        return _counts(jnp.ravel(values), bins, weights, dtype, binary=binary)
    weighted = bool(np.size(weights))

    def one(row: Any, weight: Any) -> Any:
        return _counts(row, bins, weight, dtype, binary=binary)

    amounts = jnp.asarray(weights) if weighted else np.zeros(0, dtype)
    return jax.vmap(one, (0, 0 if weighted else None))(jnp.asarray(values), amounts)


def _counts(values: Any, bins: int, weights: Value, dtype: Any, *, binary: bool) -> Any:
    zeros = jnp.zeros(bins, dtype)
    reference = zeros.at[values]
    if binary:
        return reference.set(jnp.ones((), dtype), mode="drop", wrap_negative_indices=False)
    amounts = jnp.ravel(weights) if np.size(weights) else jnp.ones((), dtype)
    return reference.add(amounts, mode="drop", wrap_negative_indices=False)


@graph_op("ListDiff", kind="host")
def list_diff(node: OpNode, x: Value, y: Value) -> Value:
    """Return the elements of a vector that another one lacks, and where they are."""
    x = known(x)
    kept = np.flatnonzero(~np.isin(x, known(y)))
    return x[kept], kept.astype(node.attr("out_idx", np.dtype(np.int32)))
