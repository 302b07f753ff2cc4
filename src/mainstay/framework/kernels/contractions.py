"""A contraction of an array's last axis with a matrix, as `EinsumDense` has it, as a product of two matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.framework.kernels.products import flat_matmul
from mainstay.framework.kernels.switch import is_static, kernels_enabled


def einsum_with(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras' `einsum`, with `plain` for all but contractions like ``abc,cd->abd`` of `float32`.

    With the several axes of attention heads on either side, XLA's own product is as fast.
    """

    def einsum(subscripts: Any, *operands: Any, **kwargs: Any) -> Any:
        if kernels_enabled() and len(operands) == 2 and not kwargs and _is_product(subscripts):
            x, matrix = map(jnp.asarray, operands)
            if _covered(subscripts, x, matrix):
                return flat_matmul(x, matrix)
        return plain(subscripts, *operands, **kwargs)

    return einsum


def _is_product(subscripts: Any) -> bool:
    """Return whether an equation contracts the last of three or more axes with the first axis of a matrix."""
    if not isinstance(subscripts, str):
        return False
    operands, _, result = subscripts.replace(" ", "").partition("->")
    left, _, right = operands.partition(",")
    letters = left + right[1:]
    return (
        len(left) > 2
        and len(right) == 2
        and left[-1] == right[0]
        and result == left[:-1] + right[1]
        and letters.isalpha()
        and len(set(letters)) == len(letters)
    )


def _covered(subscripts: str, x: jax.Array, matrix: jax.Array) -> bool:
    return (
        x.dtype == matrix.dtype == jnp.float32
        and x.ndim == len(subscripts.replace(" ", "").partition(",")[0])
        and matrix.ndim == 2
        and x.shape[-1] == matrix.shape[0]
        and is_static(x, matrix)
    )
