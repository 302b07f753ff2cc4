"""Operators that take elements by their places, or put them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from mainstay.saved_model.torch_programs.registry import operator


@operator("aten.embedding")
def _embedding(weight: Any, places: Any, *_: Any, **__: Any) -> Any:
    return jnp.take(weight, places, axis=0, mode="clip")


@operator("aten.select")
def _select(x: Any, axis: int, place: Any) -> Any:
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = place
    return x[tuple(index)]


@operator("aten.index_select")
def _index_select(x: Any, axis: int, places: Any) -> Any:
    return jnp.take(x, places, axis=axis, mode="clip")


@operator("aten.index")
def _index(x: Any, places: Sequence[Any]) -> Any:
    _refuse_masks(places)
    return x[tuple(slice(None) if place is None else place for place in places)]


@operator("aten.index_put", "aten._unsafe_index_put")
def _index_put(x: Any, places: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    masks = [place for place in places if place is not None and place.dtype == jnp.bool_]
    if len(masks) == len(places) == 1 and not accumulate and jnp.ndim(values) == 0:
        mask = masks[0].reshape(masks[0].shape + (1,) * (x.ndim - masks[0].ndim))
        return jnp.where(mask, jnp.asarray(values, x.dtype), x)
    _refuse_masks(places)
    at = x.at[tuple(slice(None) if place is None else place for place in places)]
    return at.add(values) if accumulate else at.set(values)


@operator("aten._unsafe_index")
def _unsafe_index(x: Any, places: Sequence[Any]) -> Any:
    return _index(x, places)


def _refuse_masks(places: Sequence[Any]) -> None:
    if any(place is not None and place.dtype == jnp.bool_ for place in places):
        raise NotImplementedError("an index by a mask gives a shape that depends on values")


@operator("aten.gather")
def _gather(x: Any, axis: int, places: Any, *, sparse_grad: bool = False) -> Any:
    del sparse_grad
    return jnp.take_along_axis(_cut_to(x, axis, places.shape), places, axis)


def _cut_to(x: Any, axis: int, shape: Sequence[Any]) -> Any:
    """Return the part of `x` that places of that shape can reach: other axes may be longer."""
    index = [slice(None) if at == axis % x.ndim else slice(0, length) for at, length in enumerate(shape)]
    return x[tuple(index)]


def _scattered(x: Any, axis: int, places: Any) -> Any:
    grid = list(jnp.meshgrid(*[jnp.arange(length) for length in places.shape], indexing="ij"))
    grid[axis] = places
    return x.at[tuple(grid)]


@operator("aten.scatter")
def _scatter(x: Any, axis: int, places: Any, values: Any, *, reduce: str | None = None) -> Any:
    at = _scattered(x, axis, places)
    values = values if jnp.ndim(values) == 0 else _cut_all(values, places.shape)
    if reduce is None:
        return at.set(values)
    return at.add(values) if reduce == "add" else at.multiply(values)


@operator("aten.scatter_add")
def _scatter_add(x: Any, axis: int, places: Any, values: Any) -> Any:
    return _scattered(x, axis, places).add(_cut_all(values, places.shape))


@operator("aten.scatter_reduce")
def _scatter_reduce(x: Any, axis: int, places: Any, values: Any, reduce: str, *, include_self: bool = True) -> Any:
    if not include_self or reduce not in ("sum", "prod", "amax", "amin"):
        raise NotImplementedError(f"scatter_reduce with {reduce!r}, include_self={include_self}")
    at = _scattered(x, axis, places)
    put = {"sum": at.add, "prod": at.multiply, "amax": at.max, "amin": at.min}[reduce]
    return put(_cut_all(values, places.shape))


def _cut_all(x: Any, shape: Sequence[Any]) -> Any:
    return x[tuple(slice(0, length) for length in shape)]


@operator("aten.select_scatter")
def _select_scatter(x: Any, values: Any, axis: int, place: int) -> Any:
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = place
    return x.at[tuple(index)].set(values)


@operator("aten.slice_scatter")
def _slice_scatter(x: Any, values: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    index: list[Any] = [slice(None)] * x.ndim
    stop = None if isinstance(end, int) and end >= 2**31 - 1 else end
    index[axis] = slice(start, stop, step)
    return x.at[tuple(index)].set(values)


@operator("aten.index_add")
def _index_add(x: Any, axis: int, places: Any, values: Any, *, alpha: Any = 1) -> Any:
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = places
    return x.at[tuple(index)].add(values * alpha)
