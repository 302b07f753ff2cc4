"""Operators that make arrays of nothing but numbers and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from mainstay.saved_model.torch_programs.registry import operator


@operator("aten.full")
def _full(shape: Sequence[Any], value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.full(tuple(shape), value, dtype or _dtype_of(value))


@operator("aten.full_like")
def _full_like(x: Any, value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.full(x.shape, value, dtype or x.dtype)


@operator("aten.new_full")
def _new_full(x: Any, shape: Sequence[Any], value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.full(tuple(shape), value, dtype or x.dtype)


@operator("aten.zeros", "aten.empty")
def _zeros(shape: Sequence[Any], *, dtype: Any = None, **_: Any) -> Any:
    return jnp.zeros(tuple(shape), dtype or jnp.float32)


@operator("aten.zeros_like", "aten.empty_like")
def _zeros_like(x: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.zeros(x.shape, dtype or x.dtype)


@operator("aten.new_zeros", "aten.new_empty")
def _new_zeros(x: Any, shape: Sequence[Any], *, dtype: Any = None, **_: Any) -> Any:
    return jnp.zeros(tuple(shape), dtype or x.dtype)


@operator("aten.ones")
def _ones(shape: Sequence[Any], *, dtype: Any = None, **_: Any) -> Any:
    return jnp.ones(tuple(shape), dtype or jnp.float32)


@operator("aten.ones_like")
def _ones_like(x: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.ones(x.shape, dtype or x.dtype)


@operator("aten.new_ones")
def _new_ones(x: Any, shape: Sequence[Any], *, dtype: Any = None, **_: Any) -> Any:
    return jnp.ones(tuple(shape), dtype or x.dtype)


@operator("aten.arange")
def _arange(*bounds: Any, dtype: Any = None, **_: Any) -> Any:
    start, *rest = bounds
    if not rest:
        return jnp.arange(start, dtype=dtype)
    return jnp.arange(start, rest[0], rest[1] if len(rest) > 1 else None, dtype=dtype)


@operator("aten.linspace")
def _linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.linspace(start, end, steps, dtype=dtype or jnp.float32)


@operator("aten.scalar_tensor")
def _scalar(value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.asarray(value, dtype or _dtype_of(value))


@operator("aten.eye")
def _eye(rows: Any, columns: Any = None, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.eye(rows, columns, dtype=dtype or jnp.float32)


@operator("aten.tril")
def _lower(x: Any, diagonal: int = 0) -> Any:
    return jnp.tril(x, diagonal)


@operator("aten.triu")
def _upper(x: Any, diagonal: int = 0) -> Any:
    return jnp.triu(x, diagonal)


def _dtype_of(value: Any) -> Any:
    if isinstance(value, bool):
        return jnp.bool_
    return jnp.int32 if isinstance(value, int) else jnp.float32
