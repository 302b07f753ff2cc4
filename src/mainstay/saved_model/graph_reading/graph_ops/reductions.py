"""Reductions along axes, positions of extremes, running sums and products."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device, product, scalar_size
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, backend_of, integer, integers, is_symbolic

Reduce = Callable[[Any, Any, tuple[int, ...], bool], Any]
"""The module of the array, the array, the axes, and whether they stay with size one."""


def lowest(dtype: Any) -> Any:
    """Return the smallest value of a dtype: minus infinity for floats."""
    if jnp.issubdtype(dtype, jnp.floating):
        return np.asarray(-np.inf, dtype)
    return np.asarray(False) if dtype == np.bool_ else np.asarray(np.iinfo(dtype).min, dtype)


def highest(dtype: Any) -> Any:
    """Return the largest value of a dtype: infinity for floats."""
    if jnp.issubdtype(dtype, jnp.floating):
        return np.asarray(np.inf, dtype)
    return np.asarray(True) if dtype == np.bool_ else np.asarray(np.iinfo(dtype).max, dtype)


def _sum(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.sum(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _mean(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    """Return the mean; that of integers loses its fraction."""
    count = product([x.shape[axis] for axis in axes])
    if not isinstance(count, int):
        return jnp.mean(x, axis=axes, keepdims=keep, dtype=x.dtype)
    if jnp.issubdtype(x.dtype, jnp.integer):
        total = _sum(xp, x, axes, keep)
        return total if not count else xp.asarray(xp.trunc(total / count), x.dtype)
    if xp is not np:
        return jnp.mean(x, axis=axes, keepdims=keep, dtype=x.dtype)
    return _sum(xp, x, axes, keep) / np.asarray(count, x.dtype)


def _prod(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.prod(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _max(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.max(x, axis=axes, keepdims=keep, initial=lowest(x.dtype))


def _min(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.min(x, axis=axes, keepdims=keep, initial=highest(x.dtype))


def _euclidean(xp: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    squares = x * xp.conj(x) if jnp.issubdtype(x.dtype, jnp.complexfloating) else x * x
    return xp.sqrt(_sum(xp, squares, axes, keep)).astype(x.dtype)


_SYMBOLIC = {"Prod": operator.mul, "Sum": operator.add}


def _register(name: str, reduce: Reduce) -> None:
    @graph_op(name)
    def reduction(node: OpNode, x: Value, axis: Value) -> Value:
        """Reduce along axes."""
        axes = tuple(sorted({each % np.ndim(x) for each in integers(axis)})) if np.ndim(x) else ()
        if is_symbolic(x):
            if name in _SYMBOLIC and len(axes) == np.ndim(x) == 1 and not node.attr("keep_dims"):
                return scalar_size(functools.reduce(_SYMBOLIC[name], x.tolist()), node.attr("T"))
            x = on_device(x, node.attr("T"))
        if not axes:
            return x
        xp = backend_of(x)
        with np.errstate(all="ignore"):
            result = reduce(xp, np.asarray(x) if xp is np else x, axes, bool(node.attr("keep_dims", False)))
        return np.asarray(result) if xp is np else result


_register("Sum", _sum)
_register("Mean", _mean)
_register("Prod", _prod)
_register("Max", _max)
_register("Min", _min)
_register("All", lambda xp, x, axes, keep: xp.all(x, axis=axes, keepdims=keep))
_register("Any", lambda xp, x, axes, keep: xp.any(x, axis=axes, keepdims=keep))
_register("EuclideanNorm", _euclidean)


@graph_op("ArgMax")
def arg_max(node: OpNode, x: Value, axis: Value) -> Value:
    """Return where the largest element is, the first one of equals; NaN is never it."""
    return _position(node, x, axis, largest=True)


@graph_op("ArgMin")
def arg_min(node: OpNode, x: Value, axis: Value) -> Value:
    """Return where the smallest element is, the first one of equals; NaN is never it."""
    return _position(node, x, axis, largest=False)


def _position(node: OpNode, x: Value, axis: Value, *, largest: bool) -> Value:
    xp = backend_of(x)
    if jnp.issubdtype(x.dtype, jnp.floating):
        x = xp.where(xp.isnan(x), lowest(x.dtype) if largest else highest(x.dtype), x)
    find = xp.argmax if largest else xp.argmin
    return xp.asarray(find(x, integer(axis))).astype(node.attr("output_type", np.dtype(np.int64)))


def _running(node: OpNode, x: Any, axis: int, function: Callable[..., Any], start: Any) -> Any:
    """Return running results along an axis; `exclusive` leaves each element itself out."""
    axis %= x.ndim
    backwards = bool(node.attr("reverse", False))
    if node.attr("exclusive", False):
        whole = x.shape[axis]
        edge = [(0, 0, 0)] * x.ndim
        edge[axis] = (0, 1, 0) if backwards else (1, 0, 0)
        padded = lax.pad(x, jnp.asarray(start, x.dtype), edge)
        cut = slice(1, None) if backwards else slice(0, whole)
        x = padded[(slice(None),) * axis + (cut,)]
    return function(x, axis=axis, reverse=backwards)


@graph_op("Cumsum")
def cumsum(node: OpNode, x: Value, axis: Value) -> Value:
    """Return running sums."""
    if backend_of(x) is np and not node.attr("exclusive", False) and not node.attr("reverse", False):
        return np.cumsum(x, integer(axis), dtype=None if x.dtype == object else x.dtype)
    return _running(node, on_device(x, node.attr("T")), integer(axis), lax.cumsum, 0)


@graph_op("Cumprod")
def cumprod(node: OpNode, x: Value, axis: Value) -> Value:
    """Return running products."""
    return _running(node, on_device(x, node.attr("T")), integer(axis), lax.cumprod, 1)


@graph_op("CumulativeLogsumexp")
def cumulative_logsumexp(node: OpNode, x: Value, axis: Value) -> Value:
    """Return the logarithms of running sums of exponentials."""
    return _running(node, jnp.asarray(x), integer(axis), lax.cumlogsumexp, -np.inf)
