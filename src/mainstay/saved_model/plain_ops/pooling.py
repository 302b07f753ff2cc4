"""Reductions over sliding windows: maxima, minima, sums, and products of elements beside each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.reductions import highest, lowest, monoid
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.shapes import padded
from mainstay.saved_model.plain_ops.values import Dimension, NotPlainError, Value, constant, is_float, product
from mainstay.saved_model.plain_ops.windows import padding_of

_MOST_SHIFTS = 128
"""So many elements a window may have that is written as shifted copies of the input."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where windows are, by axis."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[Dimension, Dimension], ...]
    holes: tuple[int, ...]

    @classmethod
    def of(cls, params: Any) -> Windows:
        """Return the windows of an equation."""
        pads = tuple((a, b) for a, b in params["padding"])
        strides, holes = tuple(params["window_strides"]), tuple(params["window_dilation"])
        return cls(tuple(params["window_dimensions"]), strides, pads, holes)

    def axes(self) -> list[int]:
        """Return the axes along which there is more than every element by itself."""
        plain = (1, 1, (0, 0))
        return [
            axis for axis, each in enumerate(zip(self.sizes, self.strides, self.pads, strict=True)) if each != plain
        ]

    def only(self, axes: Sequence[int]) -> Windows:
        """Return windows that reach along some of the axes alone."""
        rank = range(len(self.sizes))
        return Windows(
            tuple(self.sizes[axis] if axis in axes else 1 for axis in rank),
            tuple(self.strides[axis] if axis in axes else 1 for axis in rank),
            tuple(self.pads[axis] if axis in axes else (0, 0) for axis in rank),
            tuple(self.holes[axis] if axis in axes else 1 for axis in rank),
        )


@lowering("reduce_window_max", "reduce_window_min", "reduce_window_sum")
def reduce_window(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a reduction over windows by the op of TensorFlow's that pools, where there is one."""
    primitive = {"max": "max", "min": "min", "sum": "add"}[equation.name.rsplit("_", 1)[1]]
    return _pooled(graph, equation, x, (primitive, constant(_neutral(primitive, x.dtype))))


@lowering("reduce_window")
def general_reduce_window(graph: Graph, equation: Equation, *given: Value) -> Value:
    """Write a reduction over windows by a function that is one of the above, or a product."""
    if len(given) != 2:
        raise NotPlainError("there are no plain ops for windows over several arrays at once")
    primitive = monoid(equation.params["jaxpr"])
    if primitive not in ("max", "min", "add", "mul", "and", "or"):
        raise NotPlainError("there are no plain ops for a reduction by this function")
    return _pooled(graph, equation, given[0], (primitive, given[1]))


def _pooled(graph: Graph, equation: Equation, x: Value, by: tuple[str, Value]) -> Value:
    primitive, fill = by
    windows = Windows.of(equation.params)
    x = graph.full(x)
    spread = equation.params["base_dilation"]
    if any(step != 1 for step in spread):
        x = padded(graph, x, fill, [(0, 0, step - 1) for step in spread])
    axes = windows.axes()
    neutral = _is_neutral(primitive, fill, x.dtype)
    poolable = primitive in ("max", "min", "add") and neutral and is_float(x.dtype) and x.dtype != np.float64
    if poolable and all(windows.holes[axis] == 1 for axis in axes) and axes:
        made = x
        for start in range(0, len(axes), 3):
            made = _by_pool(graph, made, primitive, windows.only(axes[start : start + 3]))
        return replace(made, shape=equation.shape)
    if product(windows.sizes) > _MOST_SHIFTS:
        raise NotPlainError(f"there are no plain ops for windows of {product(windows.sizes)} elements of {x.dtype}")
    return _by_shifts(graph, equation, x, by)


def _is_neutral(primitive: str, fill: Value, dtype: np.dtype[Any]) -> bool:
    if fill.known is None or fill.known.size != 1:
        return False
    return bool(fill.known.reshape(()) == _neutral(primitive, dtype))


def _neutral(primitive: str, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return what changes no result."""
    if primitive in ("max", "or"):
        return lowest(dtype)
    if primitive in ("min", "and"):
        return highest(dtype)
    return np.asarray(1 if primitive == "mul" else 0).astype(dtype)


def _by_pool(graph: Graph, x: Value, primitive: str, windows: Windows) -> Value:
    """Return a reduction over windows along up to three axes, which become those between batch and channels."""
    axes = windows.axes()
    rank = len(x.shape)
    inside = 3 if len(axes) > 2 else 2
    if axes == list(range(1, rank - 1)) and rank - 2 == inside:
        return _pool(graph, x, primitive, windows)
    others = [axis for axis in range(rank) if axis not in axes]
    # The last axis stays the channels where it has no windows; what else there is counts as batch.
    channel = [others[-1]] if others and others[-1] == rank - 1 and len(others) > 1 else []
    batch = [axis for axis in others if axis not in channel]
    order = [*batch, *axes, *channel]
    turned = graph.transpose(x, order)
    sizes = [turned.shape[place] for place in range(rank)]
    fill = (1,) * (inside - len(axes))
    tail = sizes[len(batch) + len(axes) :] or [1]
    middle = sizes[len(batch) : len(batch) + len(axes)]
    flat = graph.full(graph.reshape(turned, (product(sizes[: len(batch)]), *fill, *middle, *tail)))
    blank = (1,) * (1 + len(fill))
    whole = Windows(
        (*blank, *(windows.sizes[axis] for axis in axes), 1),
        (*blank, *(windows.strides[axis] for axis in axes), 1),
        (*((0, 0),) * (1 + len(fill)), *(windows.pads[axis] for axis in axes), (0, 0)),
        (1,) * (2 + inside),
    )
    made = _pool(graph, flat, primitive, whole)
    result = [*sizes[: len(batch)], *made.shape[1 + len(fill) : -1], *sizes[len(batch) + len(axes) :]]
    return graph.transpose(graph.reshape(made, result), [int(place) for place in np.argsort(order)])


def _pool(graph: Graph, x: Value, primitive: str, windows: Windows) -> Value:
    rank = len(x.shape)
    dtype = x.dtype
    if primitive == "min":
        return graph.elementwise("Neg", _pool(graph, graph.elementwise("Neg", x), "max", windows))
    if rank == 5 and dtype not in (np.float32,):
        return graph.cast(_pool(graph, graph.cast(x, np.float32), primitive, windows), dtype)
    largest = primitive == "max"
    inner = slice(1, rank - 1)
    name = padding_of(x.shape[inner], windows.sizes[inner], windows.strides[inner], windows.pads[inner])
    if name is None or (name == "SAME" and not largest):
        fill = constant(lowest(dtype) if largest else np.zeros((), dtype))
        x = padded(graph, x, fill, [(a, b, 0) for a, b in windows.pads])
        name = "VALID"
        windows = replace(windows, pads=((0, 0),) * rank)
    shape = tuple(
        (size + sum(pads) - width) // step + 1
        for size, pads, width, step in zip(x.shape, windows.pads, windows.sizes, windows.strides, strict=True)
    )
    op = {4: "MaxPool", 5: "MaxPool3D"}[rank] if largest else {4: "AvgPool", 5: "AvgPool3D"}[rank]
    made = graph.op(op, [x], dtype, shape, ksize=list(windows.sizes), strides=list(windows.strides), padding=name)
    return made if largest else graph.elementwise("Mul", made, graph.scalar(product(windows.sizes), dtype))


_COMBINED = {"max": "Maximum", "min": "Minimum", "add": "AddV2", "mul": "Mul"}
_COMBINED_LOGIC = {"max": "LogicalOr", "min": "LogicalAnd", "or": "LogicalOr", "and": "LogicalAnd"}


def _by_shifts(graph: Graph, equation: Equation, x: Value, by: tuple[str, Value]) -> Value:
    """Return a reduction over windows as that of copies of the input, one for each place in a window."""
    primitive, fill = by
    windows = Windows.of(equation.params)
    op = (_COMBINED_LOGIC if x.dtype == np.bool_ else _COMBINED).get(primitive)
    if op is None:
        raise NotPlainError(f"there are no plain ops for windows of {x.dtype} by this function")
    x = padded(graph, x, fill, [(a, b, 0) for a, b in windows.pads])
    made: Value | None = None
    for place in itertools.product(*(range(size) for size in windows.sizes)):
        starts = [at * hole for at, hole in zip(place, windows.holes, strict=True)]
        reaches = [(size - 1) * step + 1 for size, step in zip(equation.shape, windows.strides, strict=True)]
        part = graph.crop(x, starts, reaches)
        if any(step != 1 for step in windows.strides):
            bounds = [graph.lengths([0] * len(starts)), graph.lengths(reaches), graph.lengths(windows.strides)]
            part = graph.op("StridedSlice", [graph.full(part), *bounds], x.dtype, equation.shape)
        part = replace(part, shape=equation.shape, stored=equation.shape)
        made = part if made is None else graph.elementwise(op, made, part)
    if made is None:
        raise NotPlainError("the windows are empty")
    return graph.elementwise(op, made, fill) if not _is_neutral(primitive, fill, x.dtype) else made
