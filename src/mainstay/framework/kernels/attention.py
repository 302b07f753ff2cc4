"""Dot-product attention with the heads before the positions, the order in which XLA:CPU multiplies batches fastest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mainstay.framework.kernels.softmax import softmax
from mainstay.framework.kernels.switch import is_static, kernels_enabled

_HIDDEN = -0.7 * float(np.finfo(np.float32).max)
"""The product with a hidden key; a query that sees none sees all alike, as in `jax.nn`."""


def dot_product_attention(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, scale: float
) -> jax.Array:
    """Return softmax(query · key × scale) · value, equal to `jax.nn.dot_product_attention` up to rounding.

    Args:
        query: `[batch, queries, heads, depth]`.
        key: `[batch, keys, heads, depth]`.
        value: `[batch, keys, heads, depth]`.
        mask: Booleans of a shape that broadcasts to `[batch, heads, queries, keys]`: which keys a query may see.
        scale: The factor of the products.

    Returns:
        `[batch, queries, heads, depth]`.
    """
    query, key, value = (jnp.transpose(array, (0, 2, 1, 3)) for array in (query, key, value))
    products = jnp.einsum("bnqd,bnkd->bnqk", query, key) * jnp.asarray(scale, query.dtype)
    if mask is not None:
        products = jnp.where(mask, products, _HIDDEN)
    return jnp.transpose(jnp.einsum("bnqk,bnkd->bnqd", softmax(products), value), (0, 2, 1, 3))


def attention_with(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras' `dot_product_attention` for `float32` without groups and bias, with `plain` for everything else."""

    def attention(
        query: Any,
        key: Any,
        value: Any,
        bias: Any = None,
        mask: Any = None,
        scale: Any = None,
        is_causal: bool = False,
        flash_attention: Any = None,
        attn_logits_soft_cap: Any = None,
    ) -> Any:
        special = bias is not None or flash_attention or attn_logits_soft_cap is not None
        if not special and kernels_enabled() and _covered(query, key, value, mask):
            if is_causal:
                causal = jnp.tril(jnp.ones((query.shape[1], key.shape[1]), bool))
                mask = causal if mask is None else jnp.logical_and(mask, causal)
            factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
            return dot_product_attention(query, key, value, mask, factor)
        return plain(query, key, value, bias, mask, scale, is_causal, flash_attention, attn_logits_soft_cap)

    return attention


def _covered(query: Any, key: Any, value: Any, mask: Any) -> bool:
    arrays = (query, key, value)
    if not all(isinstance(array, jax.Array) and array.ndim == 4 and array.dtype == jnp.float32 for array in arrays):
        return False
    if mask is not None and not (isinstance(mask, jax.Array) and mask.ndim == 4 and mask.dtype == bool):
        return False
    batch, _, heads, depth = query.shape
    keys = (batch, key.shape[1], heads, depth)
    return is_static(*arrays) and key.shape == keys and value.shape == keys
