"""Operators that reduce axes, and those that sort and accumulate along one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.torch_programs.registry import operator

Axes = int | Sequence[int] | None


def _axes(axes: Axes) -> Any:
    """Return axes as JAX takes them: an empty list stands for all of them."""
    if axes is None or isinstance(axes, int):
        return axes
    return tuple(axes) or None


def _reduction(reduce: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, axes: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        return reduce(x if dtype is None else x.astype(dtype), axis=_axes(axes), keepdims=keepdim)

    return run


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": jnp.sum,
    "mean": jnp.mean,
    "amax": jnp.max,
    "amin": jnp.min,
    "prod": jnp.prod,
    "any": jnp.any,
    "all": jnp.all,
}
for _name, _function in _REDUCTIONS.items():
    operator(f"aten.{_name}")(_reduction(_function))


@operator("aten.logsumexp")
def _logsumexp(x: Any, axes: Axes, keepdim: bool = False) -> Any:
    return jax.nn.logsumexp(x, axis=_axes(axes), keepdims=keepdim)


@operator("aten.var")
def _variance(x: Any, axes: Any = None, *rest: Any, correction: Any = 1, keepdim: bool = False) -> Any:
    if isinstance(axes, bool):
        axes, correction = None, int(axes)
    if rest:
        correction, keepdim = int(rest[0]), rest[1] if len(rest) > 1 else keepdim
    return jnp.var(x, axis=_axes(axes), ddof=1 if correction is None else correction, keepdims=keepdim)


@operator("aten.std")
def _deviation(x: Any, *arguments: Any, **options: Any) -> Any:
    return jnp.sqrt(_variance(x, *arguments, **options))


@operator("aten.var_mean")
def _variance_and_mean(x: Any, axes: Any = None, *, correction: Any = 1, keepdim: bool = False) -> tuple[Any, Any]:
    mean = jnp.mean(x, axis=_axes(axes), keepdims=keepdim)
    return _variance(x, axes, correction=correction, keepdim=keepdim), mean


@operator("aten.linalg_vector_norm")
def _norm(x: Any, ord: Any = 2, axes: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Any:  # noqa: A002
    x = x if dtype is None else x.astype(dtype)
    size = jnp.abs(x)
    axis = _axes(axes)
    if ord == float("inf"):
        return jnp.max(size, axis=axis, keepdims=keepdim)
    if ord == float("-inf"):
        return jnp.min(size, axis=axis, keepdims=keepdim)
    if ord == 0:
        return jnp.sum(size != 0, axis=axis, keepdims=keepdim)
    return jnp.power(jnp.sum(jnp.power(size, ord), axis=axis, keepdims=keepdim), 1 / ord)


@operator("aten.argmax")
def _argmax(x: Any, axis: int | None = None, keepdim: bool = False) -> Any:
    return jnp.argmax(x, axis=axis, keepdims=keepdim)


@operator("aten.argmin")
def _argmin(x: Any, axis: int | None = None, keepdim: bool = False) -> Any:
    return jnp.argmin(x, axis=axis, keepdims=keepdim)


@operator("aten.max")
def _max(x: Any, axis: Any = None, keepdim: bool = False) -> Any:
    if axis is None:
        return jnp.max(x)
    if not isinstance(axis, int):
        return jnp.maximum(x, axis)
    return jnp.max(x, axis=axis, keepdims=keepdim), jnp.argmax(x, axis=axis, keepdims=keepdim)


@operator("aten.min")
def _min(x: Any, axis: Any = None, keepdim: bool = False) -> Any:
    if axis is None:
        return jnp.min(x)
    if not isinstance(axis, int):
        return jnp.minimum(x, axis)
    return jnp.min(x, axis=axis, keepdims=keepdim), jnp.argmin(x, axis=axis, keepdims=keepdim)


@operator("aten.cumsum")
def _cumulative_sum(x: Any, axis: int, *, dtype: Any = None) -> Any:
    return jnp.cumsum(x, axis=axis, dtype=dtype) if x.ndim else x


@operator("aten.cumprod")
def _cumulative_product(x: Any, axis: int, *, dtype: Any = None) -> Any:
    return jnp.cumprod(x, axis=axis, dtype=dtype) if x.ndim else x


@operator("aten.sort")
def _sort(x: Any, axis: int = -1, descending: bool = False, *, stable: bool = False) -> tuple[Any, Any]:
    del stable  # It always is.
    order = jnp.argsort(x, axis=axis, stable=True, descending=descending)
    return jnp.take_along_axis(x, order, axis), order


@operator("aten.topk")
def _top(x: Any, count: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Any, Any]:  # noqa: A002
    del sorted  # It always is.
    moved = jnp.moveaxis(x, axis, -1)
    values, places = lax.top_k(moved if largest else -moved, count)
    return jnp.moveaxis(values if largest else -values, -1, axis), jnp.moveaxis(places, -1, axis)


@operator("aten._softmax", "aten.softmax")
def _softmax(x: Any, axis: int, *_: Any, dtype: Any = None) -> Any:
    return jax.nn.softmax(x if dtype is None else x.astype(dtype), axis)


@operator("aten._log_softmax", "aten.log_softmax")
def _log_softmax(x: Any, axis: int, *_: Any, dtype: Any = None) -> Any:
    return jax.nn.log_softmax(x if dtype is None else x.astype(dtype), axis)
