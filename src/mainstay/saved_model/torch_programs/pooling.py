"""Operators that pool windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.saved_model.torch_programs.registry import operator
from mainstay.saved_model.torch_programs.spans import each_axis


def _windows(
    x: Any, axes: int, spans: tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]], ceil_mode: bool
) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]], tuple[int, ...]]:
    """Return windows, strides, paddings and dilations over all axes of `x`; rounding up pads more at the end."""
    kernel, stride, padding, dilation = (each_axis(span, axes) for span in spans)
    around = []
    for length, size, step, pad, rate in zip(x.shape[-axes:], kernel, stride, padding, dilation, strict=True):
        reach = rate * (size - 1) + 1
        after = pad
        if ceil_mode:
            count = -(-(length + 2 * pad - reach) // step) + 1
            # The last window has to begin inside the input or the padding before it.
            count -= (count - 1) * step >= length + pad
            after = max((count - 1) * step + reach - length - pad, pad)
        around.append((pad, after))
    one = (1,) * (x.ndim - axes)
    return one + kernel, one + stride, [(0, 0)] * (x.ndim - axes) + around, one + dilation


def _max_pool(x: Any, axes: int, spans: tuple[Any, Any, Any, Any], ceil_mode: bool) -> Any:
    least = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min
    window, stride, padding, dilation = _windows(x, axes, spans, ceil_mode)
    return lax.reduce_window(x, np.asarray(least, x.dtype), lax.max, window, stride, padding, window_dilation=dilation)


@operator("aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d")
def _max_pool_alone(
    x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    axes = len(kernel)
    return _max_pool(x, axes, (kernel, stride or kernel, padding, dilation), ceil_mode)


@operator("aten.max_pool2d_with_indices", "aten.max_pool3d_with_indices")
def _max_pool_with_places(
    x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Any, Any]:
    axes = 2 if len(kernel) < 3 else 3
    kernel = each_axis(kernel, axes)
    largest = _max_pool(x, axes, (kernel, stride or kernel, padding, dilation), ceil_mode)
    # The places of the largest elements only serve the way back; who does use them is told.
    return largest, _Unused("the places of the largest elements of windows")


class _Unused:
    """Stands for a result that inference does not use."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __jax_array__(self) -> Any:
        raise NotImplementedError(f"{self._what} are not computed")


@operator("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d")
def _average_pool(
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    axes = len(kernel)
    spans = (kernel, stride or kernel, padding, (1,) * axes)
    window, strides, around, _ = _windows(x, axes, spans, ceil_mode)
    zero = np.zeros((), x.dtype)
    total = lax.reduce_window(x, zero, lax.add, window, strides, around)
    if divisor_override:
        return total / divisor_override
    # Padding counts where it was asked for, but never what rounding up added.
    inside = jnp.ones(x.shape[-axes:], x.dtype)
    pad = each_axis(padding, axes)
    if count_include_pad:
        inside = jnp.pad(inside, [(amount, amount) for amount in pad], constant_values=1)
        more = [(0, max(after - amount, 0)) for (_, after), amount in zip(around[-axes:], pad, strict=True)]
    else:
        more = list(around[-axes:])
    counts = lax.reduce_window(inside, zero, lax.add, window[-axes:], strides[-axes:], more)
    return total / counts


def _adaptive_pool(x: Any, size: Sequence[int], reduce: Callable[[Any, int], Any]) -> Any:
    """Return the axes of `size` cut into so many parts of about one length, each reduced to one element."""
    for axis, count in enumerate(size, x.ndim - len(size)):
        length = x.shape[axis]
        if count == length:
            continue
        parts = [
            reduce(lax.slice_in_dim(x, length * at // count, math.ceil(length * (at + 1) / count), axis=axis), axis)
            for at in range(count)
        ]
        x = jnp.stack(parts, axis)
    return x


@operator("aten._adaptive_avg_pool2d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool1d")
@operator("aten._adaptive_avg_pool3d", "aten.adaptive_avg_pool3d")
def _adaptive_average_pool(x: Any, size: Sequence[int]) -> Any:
    return _adaptive_pool(x, size, jnp.mean)


@operator("aten.adaptive_max_pool2d", "aten.adaptive_max_pool1d")
def _adaptive_max_pool(x: Any, size: Sequence[int]) -> tuple[Any, Any]:
    return _adaptive_pool(x, size, jnp.max), _Unused("the places of the largest elements of windows")
