"""Operators that change shapes and order, and leave the elements as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from mainstay.saved_model.torch_programs.registry import operator


@operator(
    "aten.clone",
    "aten.alias",
    "aten.detach",
    "aten.lift_fresh_copy",
    "aten.contiguous",
    "aten.dropout",
    "aten.native_dropout",
    "aten.lift_fresh",
)
def _same(x: Any, *_: Any, **__: Any) -> Any:
    return x


@operator("aten.copy")
def _copy(x: Any, source: Any, *_: Any) -> Any:
    return jnp.broadcast_to(source, x.shape).astype(x.dtype)


@operator("aten._to_copy", "aten.to", "aten.type_as", "prims.convert_element_type")
def _converted(x: Any, *arguments: Any, dtype: Any = None, **_: Any) -> Any:
    for argument in arguments:
        dtype = getattr(argument, "dtype", argument) if dtype is None and not isinstance(argument, bool) else dtype
    return jnp.asarray(x) if dtype is None else jnp.asarray(x).astype(dtype)


@operator("aten.view", "aten.reshape", "aten._unsafe_view", "aten.view_copy")
def _reshape(x: Any, shape: Sequence[Any]) -> Any:
    return jnp.reshape(x, tuple(shape))


@operator("aten.flatten")
def _flatten(x: Any, start: int = 0, end: int = -1) -> Any:
    if x.ndim == 0:
        return jnp.reshape(x, (1,))
    start, end = start % x.ndim, end % x.ndim
    length: Any = 1
    for axis in x.shape[start : end + 1]:
        length = length * axis
    return jnp.reshape(x, (*x.shape[:start], length, *x.shape[end + 1 :]))


@operator("aten.permute")
def _permute(x: Any, order: Sequence[int]) -> Any:
    return jnp.transpose(x, [axis % x.ndim for axis in order])


@operator("aten.transpose")
def _transpose(x: Any, one: int, other: int) -> Any:
    return jnp.swapaxes(x, one, other) if x.ndim else x


@operator("aten.t")
def _matrix_transpose(x: Any) -> Any:
    return jnp.transpose(x)


@operator("aten.expand")
def _expand(x: Any, shape: Sequence[Any], **_: Any) -> Any:
    added = len(shape) - x.ndim
    lengths = [
        x.shape[axis - added] if isinstance(length, int) and length == -1 else length
        for axis, length in enumerate(shape)
    ]
    return jnp.broadcast_to(x, tuple(lengths))


@operator("aten.unsqueeze")
def _unsqueeze(x: Any, axis: int) -> Any:
    return jnp.expand_dims(x, axis)


@operator("aten.squeeze")
def _squeeze(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    wanted = range(x.ndim) if axes is None else [axes] if isinstance(axes, int) else axes
    ones = tuple(axis % x.ndim for axis in wanted if x.ndim and isinstance(x.shape[axis], int) and x.shape[axis] == 1)
    return jnp.squeeze(x, ones)


@operator("aten.cat")
def _concatenate(parts: Sequence[Any], axis: int = 0) -> Any:
    # PyTorch leaves out empty vectors of any rank.
    kept = [part for part in parts if part.ndim > 1 or part.shape != (0,)] or list(parts)
    return jnp.concatenate(kept, axis)


@operator("aten.stack")
def _stack(parts: Sequence[Any], axis: int = 0) -> Any:
    return jnp.stack(parts, axis)


@operator("aten.split_with_sizes", "aten.split_with_sizes_copy")
def _split_with_sizes(x: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    parts, start = [], 0
    for size in sizes:
        parts.append(_cut(x, axis, start, start + size))
        start += size
    return parts


@operator("aten.split", "aten.split_copy")
def _split(x: Any, size: int, axis: int = 0) -> list[Any]:
    length = x.shape[axis]
    return [_cut(x, axis, start, min(start + size, length)) for start in range(0, length, size)]


@operator("aten.chunk")
def _chunk(x: Any, count: int, axis: int = 0) -> list[Any]:
    parts: list[Any] = _split(x, -(-x.shape[axis] // count), axis)
    return parts


@operator("aten.unbind")
def _unbind(x: Any, axis: int = 0) -> list[Any]:
    return [jnp.squeeze(_cut(x, axis, at, at + 1), axis) for at in range(x.shape[axis])]


def _cut(x: Any, axis: int, start: Any, stop: Any) -> Any:
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, stop)
    return x[tuple(index)]


@operator("aten.slice")
def _slice(x: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    index = [slice(None)] * x.ndim
    stop = None if isinstance(end, int) and end >= 2**31 - 1 else end
    index[axis] = slice(start, stop, step)
    return x[tuple(index)]


@operator("aten.repeat")
def _repeat(x: Any, counts: Sequence[Any]) -> Any:
    return jnp.tile(x, tuple(counts))


@operator("aten.flip")
def _flip(x: Any, axes: Sequence[int]) -> Any:
    return jnp.flip(x, tuple(axes))


@operator("aten.roll")
def _roll(x: Any, shifts: Sequence[int], axes: Sequence[int] = ()) -> Any:
    return jnp.roll(x, tuple(shifts), tuple(axes)) if axes else jnp.roll(x, next(iter(shifts)))


def _paddings(x: Any, amounts: Sequence[int]) -> list[tuple[int, int]]:
    """Return what goes before and after each axis; PyTorch names the last axis first."""
    pairs = [(int(amounts[at]), int(amounts[at + 1])) for at in range(0, len(amounts), 2)]
    return [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]


@operator("aten.constant_pad_nd")
def _pad(x: Any, amounts: Sequence[int], value: Any = 0) -> Any:
    pairs = _paddings(x, amounts)
    for axis, (before, after) in enumerate(pairs):
        if before < 0 or after < 0:
            x = _cut(x, axis, max(-before, 0), x.shape[axis] - max(-after, 0))
    return jnp.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=value)


@operator("aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d")
def _reflection_pad(x: Any, amounts: Sequence[int]) -> Any:
    return jnp.pad(x, _paddings(x, amounts), mode="reflect")


@operator("aten.replication_pad1d", "aten.replication_pad2d", "aten.replication_pad3d")
def _replication_pad(x: Any, amounts: Sequence[int]) -> Any:
    return jnp.pad(x, _paddings(x, amounts), mode="edge")


@operator("aten.pixel_shuffle")
def _pixel_shuffle(x: Any, factor: int) -> Any:
    *outer, channels, height, width = x.shape
    parts = jnp.reshape(x, (*outer, channels // factor**2, factor, factor, height, width))
    first = len(outer)
    order = [*range(first), first, first + 3, first + 1, first + 4, first + 2]
    return jnp.reshape(jnp.transpose(parts, order), (*outer, channels // factor**2, height * factor, width * factor))
