"""Convolution where XLA:CPU has a slow path: the gradient of single positions, and large images without a border."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.framework.kernels.products import flat_matmul
from mainstay.framework.kernels.switch import is_static, kernels_enabled
from mainstay.framework.kernels.windows import per_axis

_MANY = 1 << 22
"""From this many elements on, all windows together, a convolution without a border misses XLA's fast path."""


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def pointwise_convolution(image: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """Return the convolution with a window of one position: where a gradient is asked for, a matrix product.

    Without a gradient XLA's own convolution is faster, which becomes one with what stands before and after it.

    Args:
        image: `[batch, *spatial, channels]`.
        kernel: `[1, …, 1, channels, filters]`.
        strides: Steps along each spatial axis.
    """
    space = "".join(map(str, range(len(strides))))
    layout = (f"N{space}C", f"{space}IO", f"N{space}C")
    return lax.conv_general_dilated(image, kernel, strides, "VALID", dimension_numbers=layout)


@pointwise_convolution.defjvp
def _pointwise_convolution_jvp(
    strides: tuple[int, ...], primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return jax.jvp(lambda image, kernel: _product(image, kernel, strides), primals, tangents)


def _product(image: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    if any(step > 1 for step in strides):
        image = lax.slice(image, (0,) * image.ndim, image.shape, (1, *strides, 1))
    return flat_matmul(image, kernel.reshape(kernel.shape[-2:]))


def unpadded_convolution(image: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return the convolution of the places where the window lies inside of the image, strides 1.

    XLA:CPU has a fast path for images that get a border of zeros, which those without one miss. The places that see
    the border are cut off again.

    Args:
        image: `[batch, height, width, channels]`.
        kernel: `[rows, columns, channels, filters]`.
    """
    borders = [((size - 1) // 2, size // 2) for size in kernel.shape[:2]]
    padded = lax.conv_general_dilated(image, kernel, (1, 1), borders, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    starts = [low for low, _ in borders]
    height, width = (image.shape[axis + 1] - kernel.shape[axis] + 1 for axis in (0, 1))
    return padded[:, starts[0] : starts[0] + height, starts[1] : starts[1] + width]


def _is_slow_unpadded(image: jax.Array, kernel: jax.Array) -> bool:
    if image.ndim != 4:
        return False
    batch, height, width, _ = image.shape
    rows, columns, channels, filters = kernel.shape
    elements = batch * (height - rows + 1) * (width - columns + 1) * rows * columns * channels
    fits = height >= rows and width >= columns
    return fits and channels >= 16 and filters >= 32 and elements >= _MANY


def conv_with(plain: Callable[..., Any], default_format: Callable[[], str]) -> Callable[..., Any]:
    """Return Keras' `conv` that goes around the slow paths, and is `plain` for everything else."""

    def rewrite(image: jax.Array, kernel: jax.Array, strides: Any, padding: str, dilation_rate: Any) -> Any:
        steps = per_axis(strides, image.ndim - 2)
        if math.prod(kernel.shape[:-2]) == 1:
            return pointwise_convolution(image, kernel, steps)
        undilated = set(steps) == set(per_axis(dilation_rate, image.ndim - 2)) == {1}
        if undilated and padding == "valid" and _is_slow_unpadded(image, kernel):
            return unpadded_convolution(image, kernel)
        return None

    return rewritten(plain, rewrite, default_format)


def rewritten(
    plain: Callable[..., Any], rewrite: Callable[..., Any], default_format: Callable[[], str]
) -> Callable[..., Any]:
    """Return a convolution with Keras' arguments: what `rewrite` gives, and `plain` where that is None.

    Args:
        plain: Keras' own.
        rewrite: Takes image, kernel, strides, padding and dilation; both arrays are `float32` or `float64`, channels
            last, of known shape and with the same channels.
        default_format: Keras' setting.
    """

    def convolution(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:
        image, weights = jnp.asarray(inputs), jnp.asarray(kernel)
        result = None
        if kernels_enabled() and (data_format or default_format()) == "channels_last" and _covered(image, weights):
            result = rewrite(image, weights, strides, padding, dilation_rate)
        if result is None:
            return plain(inputs, kernel, strides, padding, data_format, dilation_rate)
        return result

    return convolution


def _covered(image: jax.Array, kernel: jax.Array) -> bool:
    return (
        image.dtype == kernel.dtype
        and image.dtype in (jnp.float32, jnp.float64)
        and image.ndim == kernel.ndim
        and image.shape[-1] == kernel.shape[-2]
        and is_static(image, kernel)
    )
