"""Operators that multiply matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.saved_model.torch_programs.registry import operator


@operator("aten.mm", "aten.bmm", "aten.matmul", "aten.mv", "aten.dot")
def _product(x: Any, y: Any) -> Any:
    return jnp.matmul(x, y)


@operator("aten.addmm", "aten.baddbmm", "aten.addmv")
def _product_and_sum(bias: Any, x: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    product = jnp.matmul(x, y)
    product = product if alpha == 1 else product * alpha
    return product + (bias if beta == 1 else bias * beta)


@operator("aten.linear")
def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    product = jnp.matmul(x, jnp.transpose(weight))
    return product if bias is None else product + bias


@operator("aten.einsum")
def _einsum(equation: str, operands: Sequence[Any], **_: Any) -> Any:
    return jnp.einsum(equation, *operands)


@operator("aten.scaled_dot_product_attention")
def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    del dropout_p  # An exported program for inference drops nothing out.
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = jnp.repeat(key, groups, -3), jnp.repeat(value, groups, -3)
    scores = jnp.matmul(query, jnp.swapaxes(key, -1, -2)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        scores = jnp.where(attn_mask, scores, -jnp.inf) if attn_mask.dtype == jnp.bool_ else scores + attn_mask
    weights = jax.nn.softmax(scores, -1)
    if attn_mask is not None:
        # A query that may look at nothing gets zeros.
        weights = jnp.where(jnp.all(scores == -jnp.inf, -1, keepdims=True), 0.0, weights)
    return jnp.matmul(weights, value)
