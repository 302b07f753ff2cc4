"""Convolution with a window of one position: its gradient as that of a matrix product."""

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


def conv_with(plain: Callable[..., Any], default_format: Callable[[], str]) -> Callable[..., Any]:
    """Return Keras' `conv` with windows of one position as a product, and `plain` for everything else."""

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
            return pointwise_convolution(image, weights, per_axis(strides, image.ndim - 2))
        return plain(inputs, kernel, strides, padding, data_format, dilation_rate)

    return conv


def _covered(image: jax.Array, kernel: jax.Array) -> bool:
    return (
        image.dtype == kernel.dtype
        and image.dtype in (jnp.float32, jnp.float64)
        and image.ndim == kernel.ndim
        and math.prod(kernel.shape[:-2]) == 1
        and image.shape[-1] == kernel.shape[-2]
        and is_static(image, kernel)
    )
