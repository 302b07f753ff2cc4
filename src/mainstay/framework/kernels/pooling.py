"""Max and average pooling as arithmetic on shifted slices, whose gradients XLA:CPU vectorises."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.framework.kernels.switch import is_static, kernels_enabled
from mainstay.framework.kernels.windows import MOST_TAPS, Window, is_float, per_axis, spatial_axes, taps, window_of

_BEYOND_CACHE = 1 << 24
"""From this many bytes on, strided windows are read faster by XLA's own window loop."""


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_pool(x: jax.Array, window: Window) -> jax.Array:
    """Return the maximum of each window; a NaN in it makes it NaN. In the gradient the first maximum takes all.

    Differentiable forward and backward, any number of times.
    """
    if _suits_xla(x, window):
        return _reduce_window(x, window, -jnp.inf, lax.max)
    return functools.reduce(lax.max, taps(x, window, -jnp.inf))


@_max_pool.defjvp
def _max_pool_jvp(window: Window, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest, *others = taps(primals[0], window, -jnp.inf)
    winner = jnp.zeros(largest.shape, jnp.int8)
    for index, tap in enumerate(others, start=1):
        larger = (tap > largest) | (tap != tap)
        largest = jnp.where(larger, tap, largest)
        winner = jnp.where(larger, jnp.int8(index), winner)
    moved = [jnp.where(winner == index, tap, 0) for index, tap in enumerate(taps(tangents[0], window))]
    return largest, functools.reduce(lax.add, moved)


max_pool = jax.jit(_max_pool, static_argnums=1)


@functools.partial(jax.jit, static_argnums=1)
def average_pool(x: jax.Array, window: Window) -> jax.Array:
    """Return the average of each window, padding not counted."""
    total = _window_sum(x, window)
    if not any(any(pads) for pads in window.pads):
        return total / window.num_taps
    shape = [x.shape[axis] if axis in window.axes else 1 for axis in range(x.ndim)]
    return total / _reduce_window(jnp.ones(shape, x.dtype), window, 0.0, lax.add)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _window_sum(x: jax.Array, window: Window) -> jax.Array:
    if _suits_xla(x, window):
        return _reduce_window(x, window, 0.0, lax.add)
    return functools.reduce(lax.add, taps(x, window))


@_window_sum.defjvp
def _window_sum_jvp(
    window: Window, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return _window_sum(primals[0], window), functools.reduce(lax.add, taps(tangents[0], window))


def pooled(
    plain: Callable[..., Any],
    rewrite: Callable[[jax.Array, Window], jax.Array],
    default_format: Callable[[], str],
) -> Callable[..., Any]:
    """Return a pooling function with Keras' arguments that uses `rewrite` where it is faster and `plain` elsewhere."""

    def pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: Any = None) -> Any:
        if kernels_enabled() and padding in ("same", "valid") and isinstance(inputs, jax.Array):
            axes = spatial_axes(inputs.ndim, data_format or default_format())
            size = per_axis(pool_size, len(axes))
            steps = size if strides is None else per_axis(strides, len(axes))
            if is_static(inputs) and is_float(inputs) and 1 < math.prod(size) <= MOST_TAPS:
                window = window_of(inputs.shape, axes, size=size, strides=steps, padding=padding)
                if all(count > 0 for count in window.output_sizes(inputs.shape)):
                    return rewrite(inputs, window)
        # Keras' own default for the strides counts batch and channels twice.
        return plain(inputs, pool_size, pool_size if strides is None else strides, padding, data_format)

    return pool


def _suits_xla(x: jax.Array, window: Window) -> bool:
    """Return whether XLA's own window loop is faster where no gradient is asked for.

    Windows that do not overlap become one with the convolution before them; large strided ones read memory in order.
    """
    if not window.overlaps:
        return True
    return any(stride > 1 for stride in window.strides) and x.size * x.dtype.itemsize >= _BEYOND_CACHE


def _reduce_window(x: jax.Array, window: Window, start: float, combine: Callable[[Any, Any], Any]) -> jax.Array:
    size, strides, pads = [1] * x.ndim, [1] * x.ndim, [(0, 0)] * x.ndim
    for index, axis in enumerate(window.axes):
        size[axis], strides[axis], pads[axis] = window.size[index], window.strides[index], window.pads[index]
    reduced: jax.Array = lax.reduce_window(x, start, combine, size, strides, pads)
    return reduced
