"""Depthwise convolution as shifted multiply-adds, and its kernel gradient as one pass over image and cotangent."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.framework.kernels.bilinear import bilinear_map, transposes, varies_over_a_mesh
from mainstay.framework.kernels.convolution import rewritten
from mainstay.framework.kernels.windows import MOST_TAPS, Window, per_axis, spatial_axes, taps, window_of


def depthwise_convolution(image: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Return the depthwise convolution of images, channels last; differentiable in every way, any number of times.

    Args:
        image: `[batch, *spatial, channels]`.
        kernel: `[*window, channels, multiplier]`, of the same dtype.
        window: How the kernel slides over the spatial axes.

    Returns:
        `[batch, *windows, channels * multiplier]`; channel ``c * multiplier + m`` is channel ``c`` under kernel ``m``.
    """
    result = _map(image, kernel, window)
    return result.reshape(*result.shape[:-2], result.shape[-2] * result.shape[-1])


def depthwise_with(plain: Callable[..., Any], default_format: Callable[[], str]) -> Callable[..., Any]:
    """Return Keras' `depthwise_conv` for `float32` and `float64` images, with `plain` for everything else."""

    def rewrite(image: jax.Array, kernel: jax.Array, strides: Any, padding: str, dilation_rate: Any) -> Any:
        if varies_over_a_mesh(image, kernel):
            return None
        window = window_of(
            image.shape,
            spatial_axes(image.ndim, "channels_last"),
            size=kernel.shape[:-2],
            strides=per_axis(strides, image.ndim - 2),
            padding=padding,
            dilation=per_axis(dilation_rate, image.ndim - 2),
        )
        if window.num_taps <= MOST_TAPS and all(count > 0 for count in window.output_sizes(image.shape)):
            return depthwise_convolution(image, kernel, window)
        return None

    return rewritten(plain, rewrite, default_format)


def _output(image: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    weights = kernel.reshape(window.num_taps, *kernel.shape[-2:])
    shifted = zip(taps(image, window), weights, strict=True)
    if kernel.shape[-1] == 1:
        products = [(tap * weight[:, 0])[..., None] for tap, weight in shifted]
    else:
        products = [tap[..., None] * weight for tap, weight in shifted]
    output: jax.Array = functools.reduce(lax.add, products)
    return output


def _kernel(image: jax.Array, cotangent: jax.Array, window: Window, _shapes: Any) -> jax.Array:
    """Return the sums over batch and space; all positions of the kernel in one pass over each example."""
    multiplier = cotangent.shape[-1]
    products = [tap * cotangent[..., index] for tap in taps(image, window) for index in range(multiplier)]
    sums = lax.reduce(
        tuple(products),
        (jnp.zeros((), image.dtype),) * len(products),
        lambda left, right: tuple(map(lax.add, left, right)),
        window.axes,
    )
    stacked = jnp.stack([jnp.sum(one, 0) for one in sums])
    return jnp.swapaxes(stacked.reshape(*window.size, multiplier, image.shape[-1]), -1, -2)


_plain = transposes(_output)
_map = bilinear_map("depthwise_convolution", _plain | {"kernel": _kernel}, _plain)
