"""Slices: contiguous, strided with all their masks, and written back into a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import DataError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Size, Value, backend_of, integers, is_known, known


@graph_op("Slice")
def slice_(node: OpNode, x: Value, begin: Value, lengths: Value) -> Value:
    """Return a block of a tensor; a length of -1 reaches to the end."""
    shape = np.shape(x)
    if not is_known(begin):
        sizes = [shape[axis] if size == -1 else size for axis, size in enumerate(integers(lengths))]
        return lax.dynamic_slice(jnp.asarray(x), list(begin), sizes)
    starts = integers(begin)
    if not is_known(lengths):
        return x[tuple(slice(start, _end(lengths, axis, start)) for axis, start in enumerate(starts))]
    ends = [
        shape[axis] if isinstance(length, int) and length == -1 else starts[axis] + length
        for axis, length in enumerate(integers(lengths))
    ]
    for axis, (start, end) in enumerate(zip(starts, ends, strict=True)):
        _check(node, start, end, shape[axis])
    return x[tuple(slice(start, end) for start, end in zip(starts, ends, strict=True))]


def _end(lengths: Value, axis: int, start: Size) -> Size:
    length = int(known(lengths[axis]))
    return None if length == -1 else start + length


def _check(node: OpNode, start: Size, end: Size, whole: Size) -> None:
    numbers = all(isinstance(value, int) for value in (start, end, whole))
    if numbers and not 0 <= start <= end <= whole:
        raise DataError(
            "a slice does not lie inside of its tensor",
            where=node.name,
            expected=f"0 to {whole}",
            received=f"{start} to {end}",
        )


@dataclass(frozen=True)
class _Selection:
    """What a strided slice selects.

    Args:
        index: One entry for each axis of the tensor: a slice, or an index.
        new_axes: The axes of the result that are new, in order.
    """

    index: tuple[Any, ...]
    new_axes: tuple[int, ...]


def _selection(node: OpNode, rank: int, begin: Value, end: Value, strides: Value) -> _Selection:
    masks = {name: node.attr(f"{name}_mask", 0) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    steps = integers(strides)
    starts, ends = _elements(begin), _elements(end)
    count = len(steps)

    def has(mask: str, position: int) -> bool:
        return bool(masks[mask] >> position & 1)

    ellipsis = next((position for position in range(count) if has("ellipsis", position)), None)
    named = sum(1 for position in range(count) if position != ellipsis and not has("new_axis", position))
    index: list[Any] = []
    new_axes: list[int] = []
    axis_of_result = 0
    for position in range(count):
        if position == ellipsis:
            index += [slice(None)] * (rank - named)
            axis_of_result += rank - named
        elif has("new_axis", position):
            new_axes.append(axis_of_result)
            axis_of_result += 1
        elif has("shrink_axis", position):
            index.append(starts[position])
        else:
            start = None if has("begin", position) else _static(starts[position])
            stop = None if has("end", position) else _static(ends[position])
            index.append(slice(start, stop, steps[position]))
            axis_of_result += 1
    return _Selection((*index, *[slice(None)] * (rank - len(index))), tuple(new_axes))


def _elements(vector: Value) -> list[Any]:
    if is_known(vector):
        return list(integers(vector))
    return [vector[position] for position in range(vector.shape[0])]


def _static(value: Any) -> Any:
    return value if is_known(value) else integers(value)[0]


def _index_into(shape: tuple[Size, ...], selection: _Selection) -> tuple[Any, ...]:
    return tuple(
        entry if isinstance(entry, slice) else _within(entry, whole)
        for entry, whole in zip(selection.index, shape, strict=True)
    )


def _within(entry: Any, whole: Size) -> Any:
    numbers = isinstance(entry, int) and isinstance(whole, int)
    if numbers and not -whole <= entry < whole:
        raise DataError("an index does not lie inside of its axis", expected=f"-{whole} to {whole - 1}", received=entry)
    return entry


@graph_op("StridedSlice")
def strided_slice(node: OpNode, x: Value, begin: Value, end: Value, strides: Value) -> Value:
    """Return what Python's indexing with slices, numbers, new axes and an ellipsis selects."""
    selection = _selection(node, np.ndim(x), begin, end, strides)
    index = _index_into(np.shape(x), selection)
    if is_known(x) and not all(isinstance(entry, slice) or is_known(entry) for entry in index):
        x = on_device(x, node.attr("T"))
    picked = x[index]
    for axis in selection.new_axes:
        picked = backend_of(picked).expand_dims(picked, axis)
    return np.asarray(picked) if is_known(picked) else picked


@graph_op("StridedSliceGrad")
def strided_slice_grad(node: OpNode, sizes: Value, begin: Value, end: Value, strides: Value, picked: Value) -> Value:
    """Return zeros of a shape, with values written where a strided slice would have read them."""
    zeros = jnp.zeros(integers(sizes), picked.dtype)
    return _written(node, zeros, (begin, end, strides), picked)


@graph_op("TensorStridedSliceUpdate")
def tensor_strided_slice_update(
    node: OpNode, x: Value, begin: Value, end: Value, strides: Value, value: Value
) -> Value:
    """Return a tensor with values written where a strided slice would have read them."""
    return _written(node, x, (begin, end, strides), value)


def _written(node: OpNode, x: Value, bounds: tuple[Value, Value, Value], value: Value) -> Value:
    selection = _selection(node, np.ndim(x), *bounds)
    index = _index_into(np.shape(x), selection)
    if selection.new_axes:
        xp = backend_of(value)
        value = xp.squeeze(value, selection.new_axes) if np.ndim(value) > len(selection.new_axes) else value
    if backend_of(x, value) is np and all(isinstance(entry, slice | int) for entry in index):
        result = np.array(x)
        result[index] = value
        return result
    return jnp.asarray(x).at[index].set(value)
