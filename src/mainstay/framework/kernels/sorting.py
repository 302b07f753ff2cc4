"""Sorting floats as integers: one machine comparison each, where XLA compares floats with NaNs and zeros told apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.framework.kernels.switch import is_static, kernels_enabled


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _sort(x: jax.Array, axis: int) -> jax.Array:
    return _floats(lax.sort(_ordered(x), dimension=axis))


@_sort.defjvp
def _sort_jvp(axis: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    order = jnp.argsort(primals[0], axis)
    return jnp.take_along_axis(primals[0], order, axis), jnp.take_along_axis(tangents[0], order, axis)


sort = jax.jit(_sort, static_argnums=1)
"""Sort a `float32` array along an axis in ascending order, NaNs last."""


def sort_with(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras' `sort` for `float32`, with `plain` for everything else."""

    def sorted_array(x: Any, axis: Any = -1) -> Any:
        array = jnp.asarray(x)
        known = isinstance(axis, int) and -array.ndim <= axis < array.ndim
        if known and array.dtype == jnp.float32 and is_static(array) and kernels_enabled():
            return sort(array, axis % array.ndim)
        return plain(x, axis)

    return sorted_array


def _ordered(x: jax.Array) -> jax.Array:
    """Return integers in the order of the floats: of negative ones all bits but the sign are turned round."""
    bits = lax.bitcast_convert_type(jnp.where(jnp.isnan(x), jnp.float32(jnp.nan), x), jnp.int32)
    return jnp.where(bits < 0, bits ^ jnp.int32(0x7FFFFFFF), bits)


def _floats(ordered: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(jnp.where(ordered < 0, ordered ^ jnp.int32(0x7FFFFFFF), ordered), jnp.float32)
