"""Shapes: broadcasting, reshaping, joining, padding and cutting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Dimension, NotPlainError, Value, constant, is_one, plain_shape


@lowering("broadcast_in_dim", "broadcast_to")
def broadcast_in_dim(graph: Graph, equation: Equation, x: Value, *_sizes: Value) -> Value:
    """Write a broadcast."""
    rank = len(equation.shape)
    axes = equation.params.get("broadcast_dimensions", tuple(range(rank - len(x.shape), rank)))
    return graph.broadcast(x, equation.shape, axes)


@lowering("reshape", "squeeze", "expand_dims")
def reshape(graph: Graph, equation: Equation, x: Value, *_sizes: Value) -> Value:
    """Write the same elements in another shape."""
    if equation.name == "reshape" and equation.params.get("dimensions") is not None:
        x = graph.transpose(x, equation.params["dimensions"])
    return graph.reshape(x, equation.shape)


@lowering("transpose")
def transpose(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write another order of the axes."""
    return graph.transpose(x, equation.params["permutation"])


@lowering("rev")
def reverse(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the elements along some axes in the opposite order."""
    return graph.reverse(x, equation.params["dimensions"])


@lowering("concatenate")
def concatenate(graph: Graph, equation: Equation, *values: Value) -> Value:
    """Write values one after the other."""
    return replace(graph.concatenate(values, equation.params["dimension"]), shape=equation.shape)


@lowering("stack")
def stack(graph: Graph, equation: Equation, *values: Value) -> Value:
    """Write values along a new axis."""
    return graph.stack(values, equation.params["axis"])


@lowering("unstack")
def unstack(graph: Graph, equation: Equation, x: Value) -> Sequence[Value]:
    """Write a value apart along an axis."""
    kinds = [(each.dtype, each.shape) for each in equation.outputs]
    return graph.ops("Unpack", [graph.full(x)], kinds, axis=equation.params["axis"], num=len(kinds))


@lowering("split")
def split(graph: Graph, equation: Equation, x: Value) -> Sequence[Value]:
    """Write a value in parts along an axis."""
    axis, sizes = equation.params["axis"], plain_shape(equation.params["sizes"])
    kinds = [(each.dtype, each.shape) for each in equation.outputs]
    x = graph.full(x)
    if all(isinstance(size, int) and size == sizes[0] for size in sizes):
        return graph.ops("Split", [graph.scalar(axis, np.int32), x], kinds, num_split=len(sizes))
    given = [x, graph.lengths(sizes), graph.scalar(axis, np.int32)]
    return graph.ops("SplitV", given, kinds, num_split=len(sizes))


@lowering("tile")
def tile(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write repetitions of a value."""
    return graph.whole("Tile", [x, graph.lengths(equation.params["reps"])], x.dtype, equation.shape)


@lowering("iota")
def iota(graph: Graph, equation: Equation, *_sizes: Value) -> Value:
    """Write the numbers from zero on along an axis."""
    axis = equation.params["dimension"]
    return graph.broadcast(graph.range(equation.shape[axis], equation.dtype), equation.shape, [axis])


@lowering("empty", "empty2")
def empty(_graph: Graph, equation: Equation) -> Value:
    """Write an array whose content does not matter."""
    return constant(np.zeros((), equation.dtype), equation.shape)


@lowering("dim_as_value")
def dimension(graph: Graph, equation: Equation) -> Value:
    """Write a length as a number."""
    return graph.cast(graph.length(plain_shape([equation.params["dim"]])[0]), equation.dtype)


@lowering("slice")
def cut(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a block with fixed limits, of which only each n-th element may be taken."""
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"]
    if strides is None or all(step == 1 for step in strides):
        return replace(graph.crop(x, plain_shape(starts), equation.shape), shape=equation.shape)
    bounds = [graph.lengths(plain_shape(each)) for each in (starts, limits, strides)]
    return graph.whole("StridedSlice", [x, *bounds], x.dtype, equation.shape)


@lowering("pad")
def pad(graph: Graph, equation: Equation, x: Value, fill: Value) -> Value:
    """Write padding around and between the elements; negative padding cuts off."""
    widths = [plain_shape(each) for each in equation.params["padding_config"]]
    return replace(padded(graph, x, fill, widths), shape=equation.shape)


def padded(graph: Graph, x: Value, fill: Value, widths: Sequence[Sequence[Dimension]]) -> Value:
    """Return a value with `fill` in front, behind and between its elements, by the numbers for each axis.

    Raises:
        NotPlainError: The sign of a symbolic padding is not known.
    """
    for axis, (_, _, between) in enumerate(widths):
        if not (isinstance(between, int) and between == 0):
            x = _spread(graph, x, fill, axis, between)
    low, high = ([each[side] for each in widths] for side in (0, 1))
    cut_low, cut_high = ([_cut(size) for size in side] for side in (low, high))
    if any(not isinstance(size, int) or size for size in (*cut_low, *cut_high)):
        sizes = [size - a - b for size, a, b in zip(x.shape, cut_low, cut_high, strict=True)]
        x = graph.crop(x, cut_low, sizes)
    return graph.pad(x, fill, [_added(size) for size in low], [_added(size) for size in high])


def _cut(size: Dimension) -> Dimension:
    if isinstance(size, int):
        return max(0, -size)
    return 0


def _added(size: Dimension) -> Dimension:
    if isinstance(size, int):
        return max(0, size)
    try:
        if bool(size >= 0):
            return size
    except Exception as error:
        raise NotPlainError(f"whether the padding {size} is negative depends on the input") from error
    raise NotPlainError(f"the padding {size} may be negative")


def _spread(graph: Graph, x: Value, fill: Value, axis: int, between: Dimension) -> Value:
    """Return a value with `fill` between the elements along an axis: added behind each, and cut off at the end."""
    size = x.shape[axis]
    if is_one(size):
        return x
    if isinstance(size, int) and size == 0:
        return x
    apart = graph.reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
    zeros = [0] * len(apart.shape)
    high: list[Dimension] = list(zeros)
    high[axis + 1] = between
    wide = graph.pad(apart, fill, zeros, high)
    shape = list(x.shape)
    shape[axis] = size * (between + 1)
    joined = graph.reshape(wide, shape)
    shape[axis] = size + (size - 1) * between
    return graph.crop(joined, [0] * len(shape), shape)
