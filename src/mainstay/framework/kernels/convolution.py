"""Convolution whose kernel gradient is matrix products where that is faster, and 1×1 convolution as one product."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.framework.kernels.bilinear import bilinear_map, transposes, varies_over_a_mesh
from mainstay.framework.kernels.switch import is_static, kernels_enabled
from mainstay.framework.kernels.windows import Window, per_axis, spatial_axes, taps, window_of

_MOST_TAPS = 9
_FEW_CHANNELS = 4
_SOME_CHANNELS = range(17, 33)
_IN_CACHE = 9 << 19
"""Up to this many bytes the image is read again and again from the cache, once per position of the kernel."""


def convolution(image: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Return a convolution of images, channels last; differentiable forward and backward, any number of times.

    Args:
        image: `[batch, *spatial, channels]`.
        kernel: `[*window, channels, filters]`, of the same dtype.
        window: How the kernel slides over the spatial axes.

    Returns:
        `[batch, *windows, filters]`.
    """
    return _map(image, kernel, window)


def pointwise_convolution(image: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """Return the convolution with a window of one position: a matrix product over the channels.

    Args:
        image: `[batch, *spatial, channels]`.
        kernel: `[1, …, 1, channels, filters]`.
        strides: Steps along each spatial axis.
    """
    if any(step > 1 for step in strides):
        image = lax.slice(image, (0,) * image.ndim, image.shape, (1, *strides, 1))
    # As one matrix: XLA:CPU multiplies arrays of more dimensions, and their gradients, several times slower.
    flat = jnp.matmul(image.reshape(-1, image.shape[-1]), kernel.reshape(kernel.shape[-2:]))
    return flat.reshape(*image.shape[:-1], kernel.shape[-1])


def conv_with(plain: Callable[..., Any], default_format: Callable[[], str]) -> Callable[..., Any]:
    """Return Keras' `conv` with the rewrites for the shapes that gain by them, and `plain` for everything else."""

    def conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:
        image, weights = jnp.asarray(inputs), jnp.asarray(kernel)
        if kernels_enabled() and (data_format or default_format()) == "channels_last" and _covered(image, weights):
            steps = per_axis(strides, image.ndim - 2)
            if math.prod(weights.shape[:-2]) == 1:
                return pointwise_convolution(image, weights, steps)
            window = window_of(
                image.shape,
                spatial_axes(image.ndim, "channels_last"),
                size=weights.shape[:-2],
                strides=steps,
                padding=padding,
                dilation=per_axis(dilation_rate, image.ndim - 2),
            )
            if _gains(image, window) and all(count > 0 for count in window.output_sizes(image.shape)):
                return convolution(image, weights, window)
        return plain(inputs, kernel, strides, padding, data_format, dilation_rate)

    return conv


def _covered(image: jax.Array, kernel: jax.Array) -> bool:
    return (
        image.dtype == kernel.dtype
        and image.dtype in (jnp.float32, jnp.float64)
        and image.ndim == kernel.ndim
        and image.shape[-1] == kernel.shape[-2]
        and is_static(image, kernel)
        and not varies_over_a_mesh(image, kernel)
    )


def _gains(image: jax.Array, window: Window) -> bool:
    channels = image.shape[-1]
    in_cache = channels in _SOME_CHANNELS and image.size * image.dtype.itemsize <= _IN_CACHE
    return window.num_taps <= _MOST_TAPS and (channels <= _FEW_CHANNELS or in_cache)


def _output(image: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    spatial = "DHW"[-len(window.axes) :]
    numbers = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    return lax.conv_general_dilated(
        image, kernel, window.strides, window.pads, rhs_dilation=window.dilation, dimension_numbers=numbers
    )


def _kernel(image: jax.Array, cotangent: jax.Array, window: Window, _shapes: Any) -> jax.Array:
    channels, filters = image.shape[-1], cotangent.shape[-1]
    flat = cotangent.reshape(-1, filters)
    shifted = taps(image, window)
    if channels <= _FEW_CHANNELS:
        columns = lax.concatenate(shifted, image.ndim - 1).reshape(-1, window.num_taps * channels)
        return _contract(columns, flat).reshape(*window.size, channels, filters)
    products = [_contract(tap.reshape(-1, channels), flat) for tap in shifted]
    return jnp.stack(products).reshape(*window.size, channels, filters)


def _contract(left: jax.Array, right: jax.Array) -> jax.Array:
    return lax.dot_general(left, right, (((0,), (0,)), ((), ())))


_plain = transposes(_output)
_map = bilinear_map("convolution", _plain | {"kernel": _kernel}, _plain)
