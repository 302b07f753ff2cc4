"""Pooling over windows, of images and volumes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.convolutions import is_static
from mainstay.saved_model.graph_reading.graph_ops.reductions import lowest
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers
from mainstay.saved_model.graph_reading.graph_ops.windows import MOST_TAPS, Layout, Window, layout_of, taps, window_of

_BEYOND_CACHE = 1 << 24
"""From this many bytes on, strided windows are read faster by XLA's own window loop."""


def _window(node: OpNode, x: Any, size: Sequence[int], strides: Sequence[int]) -> Window:
    layout = layout_of(node, x.ndim)
    if any(size[axis] != 1 for axis in (0, layout.channels)):
        return _channel_window(node, x, size, strides)
    return window_of(node, x.shape, layout, size=layout.of_space(size), strides=layout.of_space(strides))


def _channel_window(node: OpNode, x: Any, size: Sequence[int], strides: Sequence[int]) -> Window:
    """Return a window over the channels: they take the place of one spatial axis, which may not be pooled too."""
    layout = layout_of(node, x.ndim)
    if size[0] != 1 or any(size[axis] != 1 for axis in layout.spatial):
        raise ModelError("a pool spans the batch, or both channels and space", where=node.name, received=tuple(size))
    across = Layout((layout.channels, *layout.spatial[1:]), layout.spatial[0])
    return window_of(node, x.shape, across, size=across.of_space(size), strides=across.of_space(strides))


def _reduced(x: Any, window: Window, start: Any, combine: Any) -> Any:
    """Combine the elements of each window."""

    def plain(x: Any) -> Any:
        return lax.reduce_window(
            x,
            jnp.asarray(start, x.dtype),
            combine,
            window.full(window.size, 1),
            window.full(window.strides, 1),
            window.full(window.pads, (0, 0)),
        )

    def shifted(x: Any) -> Any:
        return functools.reduce(combine, taps(x, window, start))

    if is_static(x) and not _suits_xla(x, window) and window.num_taps <= MOST_TAPS and 0 not in window.counts(x.shape):
        return lax.platform_dependent(x, cpu=shifted, default=plain)
    return plain(x)


def _suits_xla(x: Any, window: Window) -> bool:
    """Return whether XLA's own window loop is faster on CPUs: windows are apart, or large and strided."""
    is_strided = any(stride > 1 for stride in window.strides)
    return not window.overlaps or (is_strided and bool(x.size * x.dtype.itemsize >= _BEYOND_CACHE))


def _max_pool(node: OpNode, x: Value, size: Sequence[int], strides: Sequence[int]) -> Any:
    x = jnp.asarray(x)
    return _reduced(x, _window(node, x, size, strides), lowest(x.dtype), lax.max)


@graph_op("MaxPool", "MaxPool3D")
def max_pool(node: OpNode, x: Value) -> Value:
    """Return the largest element of each window."""
    return _max_pool(node, x, node.attr("ksize"), node.attr("strides"))


@graph_op("MaxPoolV2")
def max_pool_v2(node: OpNode, x: Value, size: Value, strides: Value) -> Value:
    """Return the largest element of each window."""
    return _max_pool(node, x, integers(size), integers(strides))


@graph_op("AvgPool", "AvgPool3D")
def average_pool(node: OpNode, x: Value) -> Value:
    """Return the average of each window; padding does not count."""
    x = jnp.asarray(x)
    window = _window(node, x, node.attr("ksize"), node.attr("strides"))
    total = _reduced(x, window, 0, lax.add)
    if not window.is_padded:
        return total / jnp.asarray(window.num_taps, x.dtype)
    ones = jnp.ones([x.shape[axis] if axis in window.layout.spatial else 1 for axis in range(x.ndim)], x.dtype)
    return total / _reduced(ones, window, 0, lax.add)


@graph_op("MaxPoolWithArgmax")
def max_pool_with_argmax(node: OpNode, x: Value) -> Value:
    """Return the largest element of each window, and where it is in the flat image (or batch)."""
    x = jnp.asarray(x)
    layout = Layout((1, 2), 3)
    window = window_of(
        node, x.shape, layout, size=layout.of_space(node.attr("ksize")), strides=layout.of_space(node.attr("strides"))
    )
    inner = x.shape[1] * x.shape[2] * x.shape[3]
    places = jnp.arange(inner, dtype=jnp.int64).reshape(1, *x.shape[1:])
    if node.attr("include_batch_in_index", False):
        places = places + inner * jnp.arange(x.shape[0], dtype=jnp.int64)[:, None, None, None]
    best: Any = None
    where: Any = None
    for value, place in zip(taps(x, window, lowest(x.dtype)), taps(places, window, -1), strict=True):
        if best is None:
            best, where = value, jnp.broadcast_to(place, value.shape)
            continue
        better = (value > best) | ((where < 0) & (place >= 0))
        best, where = jnp.where(better, value, best), jnp.where(better, place, where)
    return best, where.astype(node.attr("Targmax", np.dtype(np.int64)))
