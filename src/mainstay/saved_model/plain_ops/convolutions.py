"""Convolutions: of one to three axes, grouped, depthwise, with holes, and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.shapes import padded
from mainstay.saved_model.plain_ops.values import Dimension, NotPlainError, Value, is_float, is_static
from mainstay.saved_model.plain_ops.windows import padding_of, reach


@dataclass(frozen=True, slots=True)
class Convolution:
    """How a kernel moves over the axes between the first, the batch, and the last, the channels."""

    strides: tuple[int, ...]
    pads: tuple[tuple[Dimension, Dimension], ...]
    spread: tuple[int, ...]
    holes: tuple[int, ...]
    groups: int


@lowering("conv_general_dilated")
def convolution(graph: Graph, equation: Equation, x: Value, kernel: Value) -> Value:
    """Write a convolution with the batch first and the channels last, as TensorFlow's CPU kernels want it."""
    params = equation.params
    if params["batch_group_count"] != 1:
        raise NotPlainError("TensorFlow has no convolution with groups of the batch")
    numbers = params["dimension_numbers"]
    rank = len(x.shape) - 2
    if rank > 3:
        raise NotPlainError(f"TensorFlow has no convolution over {rank} axes")
    accumulated = equation.dtype if is_float(equation.dtype) else np.dtype(np.float64)
    if equation.dtype.kind == "c":
        raise NotPlainError("TensorFlow has no convolution of complex numbers")
    x, kernel = graph.cast(x, accumulated), graph.cast(kernel, accumulated)
    lhs, rhs, out = numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec
    x = graph.full(graph.transpose(x, (lhs[0], *lhs[2:], lhs[1])))
    kernel = graph.full(graph.transpose(kernel, (*rhs[2:], rhs[1], rhs[0])))
    if not is_static(kernel.shape):
        raise NotPlainError("the size of the kernel depends on the input")
    how = Convolution(
        tuple(params["window_strides"]),
        tuple((a, b) for a, b in params["padding"]),
        tuple(params["lhs_dilation"]),
        tuple(params["rhs_dilation"]),
        params["feature_group_count"],
    )
    made = _convolved(graph, x, kernel, how)
    order = np.argsort([out[0], *out[2:], out[1]])
    return replace(graph.transpose(graph.cast(made, equation.dtype), [int(a) for a in order]), shape=equation.shape)


def _convolved(graph: Graph, x: Value, kernel: Value, how: Convolution) -> Value:
    rank = len(x.shape) - 2
    if rank < 2:
        return _of_two_axes(graph, x, kernel, how)
    if any(step != 1 for step in how.spread):
        if how.groups == 1 and all(step == 1 for step in how.strides):
            return _transposed(graph, x, kernel, how)
        edges = [(0, 0, 0), *((0, 0, step - 1) for step in how.spread), (0, 0, 0)]
        x, how = padded(graph, x, graph.scalar(0, x.dtype), edges), replace(how, spread=(1,) * rank)
    depthwise = rank == 2 and how.groups > 1 and kernel.shape[2] == 1
    if how.groups > 1 and not depthwise:
        return _by_groups(graph, x, kernel, how)
    if any(step != 1 for step in how.holes) and (depthwise or rank == 3):
        kernel, how = _with_holes(graph, kernel, how.holes), replace(how, holes=(1,) * rank)
    x, how, name = _with_padding(graph, x, kernel, how)
    if not depthwise:
        op, steps = "Conv2D" if rank == 2 else "Conv3D", [1, *how.strides, 1]
        shape = _result(x, kernel, how)
        return graph.whole(op, [x, kernel], x.dtype, shape, strides=steps, padding=name, dilations=[1, *how.holes, 1])
    return _depthwise(graph, x, kernel, (how, name))


def _with_padding(graph: Graph, x: Value, kernel: Value, how: Convolution) -> tuple[Value, Convolution, str]:
    """Return an input, padded if TensorFlow has no name for its padding, and the name."""
    rank = len(how.strides)
    widths = [reach(width, hole) for width, hole in zip(kernel.shape[:rank], how.holes, strict=True)]
    name = padding_of(x.shape[1:-1], widths, how.strides, how.pads)
    uneven = how.groups > 1 and len(set(how.strides)) > 1
    if name is not None and not uneven:
        return x, how, name
    x = padded(graph, x, graph.scalar(0, x.dtype), [(0, 0, 0), *((a, b, 0) for a, b in how.pads), (0, 0, 0)])
    return x, replace(how, pads=((0, 0),) * rank), "VALID"


def _depthwise(graph: Graph, x: Value, kernel: Value, what: tuple[Convolution, str]) -> Value:
    """Return a convolution of each channel by itself; where strides differ, of one without them rows are left out."""
    how, name = what
    even = len(set(how.strides)) == 1
    kernel = graph.reshape(kernel, (*kernel.shape[:2], how.groups, kernel.shape[3] // how.groups))
    moved = how if even else replace(how, strides=(1, 1))
    shape = (*_result(x, kernel, moved)[:-1], kernel.shape[2] * kernel.shape[3])
    steps = [1, *moved.strides, 1]
    made = graph.whole("DepthwiseConv2dNative", [x, kernel], x.dtype, shape, strides=steps, padding=name)
    if even:
        return made
    shape = (*_result(x, kernel, how)[:-1], shape[-1])
    bounds = [graph.integers([0, 0, 0, 0]), graph.lengths(made.shape), graph.integers([1, *how.strides, 1])]
    return graph.op("StridedSlice", [made, *bounds], x.dtype, shape)


def _by_groups(graph: Graph, x: Value, kernel: Value, how: Convolution) -> Value:
    """Return a convolution of each group of channels by itself, as more runtimes know it than one with groups.

    TensorFlow's own optimiser joins one with groups to a bias that follows, and then fails.
    """
    outer = kernel.shape[-1] // how.groups
    parts = graph.ops(
        "Split", [graph.scalar(len(x.shape) - 1, np.int32), graph.full(x)],
        [(x.dtype, (*x.shape[:-1], x.shape[-1] // how.groups))] * how.groups, num_split=how.groups,
    )  # fmt: skip
    kernels = graph.ops(
        "Split", [graph.scalar(len(x.shape) - 1, np.int32), graph.full(kernel)],
        [(x.dtype, (*kernel.shape[:-1], outer))] * how.groups, num_split=how.groups,
    )  # fmt: skip
    alone = replace(how, groups=1)
    made = [_convolved(graph, part, each, alone) for part, each in zip(parts, kernels, strict=True)]
    return graph.concatenate(made, len(x.shape) - 1)


def _result(x: Value, kernel: Value, how: Convolution) -> tuple[Dimension, ...]:
    sizes = []
    for axis, size in enumerate(x.shape[1:-1]):
        width = reach(kernel.shape[axis], how.holes[axis])
        full = size + how.pads[axis][0] + how.pads[axis][1]
        sizes.append((full - width) // how.strides[axis] + 1)
    return (x.shape[0], *sizes, kernel.shape[-1])


def _of_two_axes(graph: Graph, x: Value, kernel: Value, how: Convolution) -> Value:
    """Return a convolution of fewer axes as one of two, the first of them of length one."""
    more = 2 - (len(x.shape) - 2)
    wide = graph.full(graph.reshape(x, (x.shape[0], *(1,) * more, *x.shape[1:])))
    tall = graph.full(graph.reshape(kernel, (*(1,) * more, *kernel.shape)))
    # Depthwise kernels want the same stride along both axes, and there is but one row.
    stride = how.strides[-1] if how.strides else 1
    whole = Convolution(
        (stride,) * more + how.strides,
        ((0, 0),) * more + how.pads,
        (1,) * more + how.spread,
        (1,) * more + how.holes,
        how.groups,
    )
    if any(step != 1 for step in how.spread):
        whole = replace(whole, strides=(1,) * more + how.strides)
    made = _convolved(graph, wide, tall, whole)
    return graph.reshape(made, (made.shape[0], *made.shape[1 + more :]))


def _with_holes(graph: Graph, kernel: Value, holes: Sequence[int]) -> Value:
    """Return a kernel with zeros between its elements, for ops that know of no holes."""
    return padded(
        graph, kernel, graph.scalar(0, kernel.dtype), [*((0, 0, step - 1) for step in holes), (0, 0, 0), (0, 0, 0)]
    )


def _transposed(graph: Graph, x: Value, kernel: Value, how: Convolution) -> Value:
    """Return a convolution over a spread input as what TensorFlow calls the gradient of a convolution.

    That one is written with a reversed kernel, over the whole area that the kernel reaches from any element; what
    lies beyond the padding is cut off or added.
    """
    rank = len(x.shape) - 2
    if any(step != 1 for step in how.holes):
        kernel = _with_holes(graph, kernel, how.holes)
    widths = kernel.shape[:rank]
    turned = graph.transpose(graph.reverse(kernel, range(rank)), (*range(rank), rank + 1, rank))
    low = [width - 1 - pad[0] for width, pad in zip(widths, how.pads, strict=True)]
    high = [width - 1 - pad[1] for width, pad in zip(widths, how.pads, strict=True)]
    area = [(size - 1) * step + width for size, step, width in zip(x.shape[1:-1], how.spread, widths, strict=True)]
    wanted = [size - a - b for size, a, b in zip(area, low, high, strict=True)]
    fits = all(
        isinstance(a, int) and isinstance(b, int) and (b - a) in (0, 1) and a >= 0 and 0 <= step - width + a + b < step
        for a, b, step, width in zip(low, high, how.spread, widths, strict=True)
    )
    sizes = (x.shape[0], *(wanted if fits else area), kernel.shape[-1])
    op = "Conv2DBackpropInput" if rank == 2 else "Conv3DBackpropInputV2"
    given = [graph.lengths(sizes), graph.full(turned), x]
    made = graph.op(op, given, x.dtype, sizes, strides=[1, *how.spread, 1], padding="SAME" if fits else "VALID")
    if fits:
        return made
    edges = [(0, 0, 0), *((-a, -b, 0) for a, b in zip(low, high, strict=True)), (0, 0, 0)]
    return padded(graph, made, graph.scalar(0, x.dtype), edges)
