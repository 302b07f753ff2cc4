"""Shapes: asking for them, changing them, joining and cutting tensors, padding and reordering them."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import DataError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device, product, scalar_size
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import (
    Size,
    Value,
    backend_of,
    integer,
    integers,
    is_known,
    is_symbolic,
    known,
    shape_array,
)


def together(values: tuple[Value, ...], dtype: Any) -> tuple[Any, list[Any]]:
    """Return the module that computes with these values, and the values as arrays of it."""
    xp = backend_of(*values)
    if xp is np:
        return xp, [np.asarray(value) for value in values]
    return xp, [on_device(value, dtype) for value in values]


@graph_op("Shape")
def shape(node: OpNode, x: Value) -> Value:
    """Return the sizes of a tensor."""
    return shape_array(tuple(np.shape(x)), node.dtype("out_type"))


@graph_op("ShapeN")
def shape_n(node: OpNode, *values: Value) -> Value:
    """Return the sizes of each of some tensors."""
    return tuple(shape_array(tuple(np.shape(value)), node.dtype("out_type")) for value in values)


@graph_op("Size")
def size(node: OpNode, x: Value) -> Value:
    """Return the number of elements."""
    return scalar_size(product(np.shape(x)), node.dtype("out_type"))


@graph_op("Rank")
def rank(_node: OpNode, x: Value) -> Value:
    """Return the number of axes."""
    return np.asarray(np.ndim(x), np.int32)


@graph_op("Reshape")
def reshape(_node: OpNode, x: Value, sizes: Value) -> Value:
    """Lay the elements out in another shape; one size may be -1."""
    target = integers(sizes)
    if -1 in target and 0 in target:
        return _reshape_empty(x, target)
    return backend_of(x).reshape(x, target)


def _reshape_empty(x: Value, target: tuple[Size, ...]) -> Value:
    """NumPy cannot tell what -1 means beside an axis of size zero; TensorFlow leaves that axis out."""
    rest = product([size for size in target if size not in (-1, 0)])
    nonzero = product([size for size in np.shape(x) if size != 0])
    free = nonzero // rest if 0 in np.shape(x) else 0
    return backend_of(x).reshape(x, tuple(free if size == -1 else size for size in target))


@graph_op("ExpandDims")
def expand_dims(_node: OpNode, x: Value, axis: Value) -> Value:
    """Insert an axis of size one."""
    return backend_of(x).expand_dims(x, integer(axis))


@graph_op("Squeeze")
def squeeze(node: OpNode, x: Value) -> Value:
    """Drop axes of size one: those that are named, or all."""
    axes = node.attr("squeeze_dims", ()) or node.attr("axis", ())
    if not axes:
        axes = tuple(index for index, length in enumerate(np.shape(x)) if isinstance(length, int) and length == 1)
    return backend_of(x).squeeze(x, tuple(axes))


@graph_op("Pack")
def pack(node: OpNode, *values: Value) -> Value:
    """Stack tensors along a new axis."""
    xp, arrays = together(values, node.attr("T"))
    return xp.stack(arrays, node.attr("axis", 0))


@graph_op("Unpack")
def unpack(node: OpNode, x: Value) -> Value:
    """Cut a tensor into its slices along an axis."""
    axis = node.attr("axis", 0)
    moved = backend_of(x).moveaxis(x, axis, 0)
    return tuple(np.asarray(moved[index]) if is_known(x) else moved[index] for index in range(node.attr("num")))


@graph_op("ConcatV2")
def concat_v2(node: OpNode, *values: Value) -> Value:
    """Join tensors along an axis, which comes last."""
    return _concat(node, values[:-1], integer(values[-1]))


@graph_op("Concat")
def concat(node: OpNode, axis: Value, *values: Value) -> Value:
    """Join tensors along an axis, which comes first."""
    return _concat(node, values, integer(axis))


@graph_op("ParallelConcat")
def parallel_concat(node: OpNode, *values: Value) -> Value:
    """Join tensors along the first axis."""
    return _concat(node, values, 0)


def _concat(node: OpNode, values: tuple[Value, ...], axis: int) -> Value:
    xp, arrays = together(values, node.attr("T"))
    return xp.concatenate(arrays, axis)


@graph_op("ConcatOffset")
def concat_offset(_node: OpNode, axis: Value, *shapes: Value) -> Value:
    """Return where each of some tensors begins in what they are joined to."""
    position = integer(axis)
    offsets, reached = [], 0
    for each in shapes:
        begin: list[Size] = [0] * len(each)
        begin[position] = reached
        offsets.append(shape_array(tuple(begin), np.asarray(each).dtype))
        reached = reached + integers(each)[position]
    return tuple(offsets)


@graph_op("Fill")
def fill(_node: OpNode, sizes: Value, value: Value) -> Value:
    """Return a tensor of one value."""
    target = integers(sizes)
    if is_known(value) and all(isinstance(length, int) for length in target):
        value = np.asarray(value)
        return np.full(target, value, value.dtype)
    return jnp.full(target, value, value.dtype)


@graph_op("Empty")
def empty(node: OpNode, sizes: Value) -> Value:
    """Return a tensor of zeros."""
    target = integers(sizes)
    xp: Any = np if all(isinstance(length, int) for length in target) else jnp
    return xp.zeros(target, node.dtype("dtype"))


@graph_op("Tile")
def tile(_node: OpNode, x: Value, multiples: Value) -> Value:
    """Repeat a tensor along each axis."""
    return backend_of(x).tile(x, integers(multiples)) if np.ndim(x) else x


@graph_op("Transpose")
def transpose(_node: OpNode, x: Value, permutation: Value) -> Value:
    """Reorder axes."""
    return backend_of(x).transpose(x, integers(permutation))


@graph_op("ConjugateTranspose")
def conjugate_transpose(_node: OpNode, x: Value, permutation: Value) -> Value:
    """Reorder axes and conjugate."""
    xp = backend_of(x)
    return xp.conj(xp.transpose(x, integers(permutation)))


@graph_op("BroadcastTo")
def broadcast_to(node: OpNode, x: Value, sizes: Value) -> Value:
    """Repeat axes of size one until the tensor has a shape."""
    target = integers(sizes)
    if is_known(x) and all(isinstance(length, int) for length in target):
        return np.broadcast_to(x, target)
    return jnp.broadcast_to(on_device(x, node.attr("T")), target)


def _broadcast(shapes: list[tuple[Size, ...]]) -> tuple[Size, ...]:
    length = max(map(len, shapes))
    padded = [(1,) * (length - len(each)) + each for each in shapes]
    result = []
    for choices in zip(*padded, strict=True):
        others = [size for size in choices if not (isinstance(size, int) and size == 1)]
        if others and any(size != others[0] for size in others):
            raise DataError("two shapes do not broadcast", expected=shapes[0], received=shapes[1:])
        result.append(others[0] if others else 1)
    return tuple(result)


@graph_op("BroadcastArgs")
def broadcast_args(node: OpNode, first: Value, second: Value) -> Value:
    """Return the shape that two shapes broadcast to."""
    return shape_array(_broadcast([integers(first), integers(second)]), node.dtype("T"))


@graph_op("BroadcastGradientArgs")
def broadcast_gradient_args(node: OpNode, first: Value, second: Value) -> Value:
    """Return the axes along which two shapes were repeated to fit each other."""
    left, right = integers(first), integers(second)
    length = max(len(left), len(right))
    dtype = node.dtype("T")
    if left == right:
        return np.zeros(0, dtype), np.zeros(0, dtype)
    wide = [(1,) * (length - len(each)) + each for each in (left, right)]
    return tuple(np.asarray([axis for axis, size in enumerate(each) if _is_one(size)], dtype) for each in wide)


def _is_one(size: Size) -> bool:
    return isinstance(size, int) and size == 1


@graph_op("Range")
def range_(node: OpNode, start: Value, limit: Value, delta: Value) -> Value:
    """Return numbers from `start` up to `limit`, which is left out."""
    dtype = node.dtype("Tidx")
    values = (start, limit, delta)
    if any(is_symbolic(value) for value in values):
        first, last, step = (integer(value) for value in values)
        count = (last - first + step - 1) // step if isinstance(step, int) and step > 0 else (first - last) // -step
        return jnp.asarray(first, dtype) + jnp.arange(count, dtype=dtype) * np.asarray(step, dtype)
    first, last, step = (known(value).item() for value in values)
    if not step:
        raise DataError("a range has no step", where=node.name)
    count = max(0, math.ceil((last - first) / step))
    if np.issubdtype(dtype, np.integer):
        return np.asarray(first + step * np.arange(count, dtype=np.int64), dtype)
    return np.asarray(start, dtype) + np.asarray(delta, dtype) * np.arange(count, dtype=dtype)


@graph_op("LinSpace")
def linspace(node: OpNode, start: Value, stop: Value, num: Value) -> Value:
    """Return so many numbers at equal distances, both ends included."""
    count = integer(num)
    if count == 1:
        return backend_of(start).reshape(start, (1,))
    xp = backend_of(start, stop)
    dtype = node.dtype("T")
    step = (stop - start) / np.asarray(count - 1, dtype)
    inner = start + step * np.arange(count - 1).astype(dtype)
    return xp.concatenate([inner, xp.reshape(stop, (1,))])


@graph_op("Split")
def split(node: OpNode, axis: Value, x: Value) -> Value:
    """Cut a tensor into equal parts."""
    count, position = node.attr("num_split"), integer(axis)
    whole = np.shape(x)[position]
    if isinstance(whole, int) and whole % count:
        raise ModelError("an axis cannot be cut into equal parts", where=node.name, expected=count, received=whole)
    return _split(x, [whole // count] * count, position)


@graph_op("SplitV")
def split_v(_node: OpNode, x: Value, lengths: Value, axis: Value) -> Value:
    """Cut a tensor into parts of given lengths, of which one may be -1."""
    position = integer(axis)
    parts = list(integers(lengths))
    if -1 in parts:
        rest = np.shape(x)[position]
        for part in parts:
            rest = rest - (0 if isinstance(part, int) and part == -1 else part)
        parts[parts.index(-1)] = rest
    return _split(x, parts, position)


def _split(x: Value, lengths: list[Size], axis: int) -> tuple[Value, ...]:
    axis %= np.ndim(x)
    pieces, begin = [], 0
    for length in lengths:
        end = begin + length
        pieces.append(x[(slice(None),) * axis + (slice(begin, end),)])
        begin = end
    return tuple(pieces)


@graph_op("ReverseV2")
def reverse_v2(_node: OpNode, x: Value, axes: Value) -> Value:
    """Turn axes around."""
    return backend_of(x).flip(x, integers(axes))


@graph_op("Reverse")
def reverse(_node: OpNode, x: Value, turned: Value) -> Value:
    """Turn the axes around for which `turned` holds."""
    return backend_of(x).flip(x, tuple(np.flatnonzero(known(turned)).tolist()))


@graph_op("Pad", "PadV2")
def pad(_node: OpNode, x: Value, amounts: Value, value: Value | None = None) -> Value:
    """Surround a tensor with one value."""
    pairs = _pairs(amounts)
    if is_known(x) and (value is None or is_known(value)):
        fill_value = np.zeros((), x.dtype) if value is None and x.dtype != object else b"" if value is None else value
        return np.pad(x, pairs, constant_values=fill_value) if np.ndim(x) else x
    x = jnp.asarray(x)
    fill_value = jnp.zeros((), x.dtype) if value is None else jnp.asarray(value, x.dtype)
    return lax.pad(x, fill_value, [(low, high, 0) for low, high in pairs])


def _pairs(amounts: Value) -> list[tuple[Size, Size]]:
    flat = integers(amounts)
    return list(zip(flat[::2], flat[1::2], strict=True))


@graph_op("MirrorPad")
def mirror_pad(node: OpNode, x: Value, amounts: Value) -> Value:
    """Surround a tensor with its own mirror image."""
    mode = node.text("mode").lower()
    if all(isinstance(length, int) for length in np.shape(x)):
        return backend_of(x).pad(x, _pairs(amounts), mode=mode)
    for axis, (low, high) in enumerate(_pairs(amounts)):
        if (low, high) != (0, 0):
            x = jnp.take(x, _mirrored(x.shape[axis], low, high, mode), axis)
    return x


def _mirrored(whole: Size, low: Size, high: Size, mode: str) -> Any:
    """Return the index of each element of an axis with its mirror images; with or without the element at the edge."""
    places = jnp.arange(low + whole + high) - low
    if mode == "reflect":
        return (whole - 1) - jnp.abs((whole - 1) - jnp.abs(places))
    places = jnp.where(places < 0, -1 - places, places)
    return jnp.where(places >= whole, 2 * whole - 1 - places, places)


@graph_op("Roll")
def roll(_node: OpNode, x: Value, shift: Value, axis: Value) -> Value:
    """Shift elements along axes; what leaves at one end enters at the other."""
    axes = integers(axis)
    xp = backend_of(x, shift)
    if xp is np:
        return np.roll(x, integers(shift), axes)
    return jnp.roll(x, jnp.reshape(shift, (len(axes),)), axes)


@graph_op("ReverseSequence")
def reverse_sequence(node: OpNode, x: Value, lengths: Value) -> Value:
    """Turn the first elements of each sequence around, as many as it is long."""
    xp = backend_of(x, lengths)
    batch, sequence = node.attr("batch_dim", 0), node.attr("seq_dim")
    positions = _along(xp.arange(np.shape(x)[sequence]), sequence, np.ndim(x))
    length = _along(xp.asarray(lengths).astype(np.int64), batch, np.ndim(x))
    source = xp.where(positions < length, length - 1 - positions, positions)
    moved = xp.broadcast_to(source, np.shape(x))
    return xp.take_along_axis(x, moved, sequence)


def _along(vector: Any, axis: int, rank_: int) -> Any:
    """Return a vector as a tensor that has it along one axis."""
    return vector.reshape(tuple(-1 if index == axis else 1 for index in range(rank_)))


@graph_op("InvertPermutation")
def invert_permutation(_node: OpNode, x: Value) -> Value:
    """Return where each number stands in a permutation."""
    return backend_of(x).argsort(x).astype(x.dtype)


@graph_op("UnravelIndex")
def unravel_index(_node: OpNode, indices: Value, sizes: Value) -> Value:
    """Return the position along each axis of an index into the flat tensor."""
    xp = backend_of(indices)
    return xp.stack(xp.unravel_index(indices, integers(sizes))).astype(indices.dtype)


@graph_op("DataFormatVecPermute")
def data_format_vec_permute(node: OpNode, x: Value) -> Value:
    """Reorder a vector (or rows) of one number per axis from one layout of images to another."""
    order = _layout_order(node, np.shape(x)[0])
    return x[np.asarray(order)]


@graph_op("DataFormatDimMap")
def data_format_dim_map(node: OpNode, x: Value) -> Value:
    """Return the axes of another layout of images that these axes are."""
    source, target = node.text("src_format"), node.text("dst_format")
    table = np.asarray([target.index(name) for name in source], x.dtype)
    return table[np.asarray(x) % len(source)] if is_known(x) else jnp.asarray(table)[x % len(source)]


def _layout_order(node: OpNode, length: int) -> list[int]:
    source, target = node.text("src_format"), node.text("dst_format")
    if length == len(source) - 2:
        source, target = ("".join(name for name in each if name not in "NC") for each in (source, target))
    return [source.index(name) for name in target]
