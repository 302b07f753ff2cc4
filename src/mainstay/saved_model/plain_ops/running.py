"""Running sums, products and extremes along an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.plain_ops.control_flow import Shared, write_loop
from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Value

_RUNNING = {"cumsum": "Cumsum", "cumprod": "Cumprod", "cumlogsumexp": "CumulativeLogsumexp"}
_INDEX = np.dtype(np.int32)


@lowering(*_RUNNING)
def running(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a running sum or product."""
    axis, backward = graph.scalar(equation.params["axis"], np.int32), bool(equation.params["reverse"])
    return graph.whole(_RUNNING[equation.name], [x, axis], x.dtype, x.shape, exclusive=False, reverse=backward)


@lowering("cummax", "cummin")
def running_extreme(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a running extreme: each step joins every element with one twice as far away."""
    size = x.shape[equation.params["axis"]]
    flags = x.dtype == np.bool_
    x = graph.full(graph.cast(x, np.uint8) if flags else x)
    if isinstance(size, int):
        distance = 1
        while distance < size:
            x = _joined(graph, equation, x, graph.scalar(distance, _INDEX))
            distance *= 2
    else:
        x = _by_loop(graph, equation, x)
    return graph.elementwise("NotEqual", x, graph.scalar(0, np.uint8), dtype=np.bool_) if flags else x


def _joined(graph: Graph, equation: Equation, x: Value, distance: Value) -> Value:
    """Return the extreme of every element and one further on the way; beyond the end that is the last one there is."""
    axis, size = equation.params["axis"], x.shape[equation.params["axis"]]
    places = graph.range(size)
    if equation.params["reverse"]:
        last = graph.elementwise("Sub", graph.length(size), graph.scalar(1, _INDEX))
        other = graph.elementwise("Minimum", graph.elementwise("AddV2", places, distance), last)
    else:
        other = graph.elementwise("Maximum", graph.elementwise("Sub", places, distance), graph.scalar(0, _INDEX))
    moved = graph.op("GatherV2", [x, graph.full(other), graph.scalar(axis, _INDEX)], x.dtype, x.shape, batch_dims=0)
    return graph.elementwise("Maximum" if equation.name == "cummax" else "Minimum", x, moved)


def _by_loop(graph: Graph, equation: Equation, x: Value) -> Value:
    """Return a running extreme along an axis of open length: as many steps as it takes."""
    axis = equation.params["axis"]

    def goes_on(inner: Graph, arguments: list[Ref], _: list[Value]) -> Sequence[Ref]:
        distance = Value(_INDEX, (), (), arguments[0])
        return [inner.ref(inner.elementwise("Less", distance, inner.length(x.shape[axis]), dtype=np.bool_))]

    def body(inner: Graph, arguments: list[Ref], _: list[Value]) -> Sequence[Ref]:
        distance = Value(_INDEX, (), (), arguments[0])
        made = _joined(inner, equation, Value(x.dtype, x.shape, x.shape, arguments[1]), distance)
        return [inner.ref(inner.elementwise("AddV2", distance, distance)), inner.ref(made)]

    state = [graph.ref(graph.scalar(1, _INDEX)), graph.ref(x)]
    (_, result) = write_loop(graph, state, Shared.of(graph, ()), condition=goes_on, body=body)
    return Value(x.dtype, x.shape, x.shape, result)
