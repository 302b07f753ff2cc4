"""The mean and the variance of a batch with the short derivative: no term that is zero on paper is computed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.framework.kernels.switch import is_static, kernels_enabled


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _mean_and_variance(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Return the mean and the variance over some axes, which are kept with size 1.

    The forward numbers are those of `jax.numpy.mean` and `jax.numpy.var`. The derivative of `jax.numpy.var` averages
    the centred values once more, which is a whole pass over the batch for a sum that is zero; this one does not.
    Differentiable forward and backward, any number of times.
    """
    mean = jnp.mean(x, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


@_mean_and_variance.defjvp
def _mean_and_variance_jvp(
    axes: tuple[int, ...], primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    mean, variance = _mean_and_variance(primals[0], axes)
    moved = 2 * jnp.mean((primals[0] - mean) * tangents[0], axes, keepdims=True)
    return (mean, variance), (jnp.mean(tangents[0], axes, keepdims=True), moved)


mean_and_variance = jax.jit(_mean_and_variance, static_argnums=1)


def moments_with(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras' `moments` for `float32` and `float64`, with `plain` for everything else."""

    def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
        if (
            not synchronized
            and kernels_enabled()
            and isinstance(x, jax.Array)
            and x.dtype in (jnp.float32, jnp.float64)
            and is_static(x)
        ):
            axes = tuple(axis % x.ndim for axis in ((axes,) if isinstance(axes, int) else axes))
            mean, variance = mean_and_variance(x, axes)
            return (mean, variance) if keepdims else (jnp.squeeze(mean, axes), jnp.squeeze(variance, axes))
        return plain(x, axes, keepdims, synchronized)

    return moments
