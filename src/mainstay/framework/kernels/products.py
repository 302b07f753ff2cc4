"""The product of a batch of sequences with a matrix as a product of two matrices: its gradients are faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.framework.kernels.switch import is_static, kernels_enabled


def flat_matmul(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Return `jax.numpy.matmul` of an array and a matrix, computed as the product of two matrices.

    Args:
        x: `[..., features]`.
        matrix: `[features, units]`.

    Returns:
        `[..., units]`.
    """
    product = jnp.matmul(x.reshape(-1, x.shape[-1]), matrix)
    return product.reshape(*x.shape[:-1], matrix.shape[-1])


def matmul_with(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras' `matmul`, with `plain` for all but `float32` arrays of three and more dimensions times a matrix."""

    def matmul(x1: Any, x2: Any) -> Any:
        if kernels_enabled() and getattr(x1, "ndim", 0) > 2 and getattr(x2, "ndim", 0) == 2:
            x, matrix = jnp.asarray(x1), jnp.asarray(x2)
            if x.dtype == matrix.dtype == jnp.float32 and is_static(x, matrix) and x.shape[-1] == matrix.shape[0]:
                return flat_matmul(x, matrix)
        return plain(x1, x2)

    return matmul
