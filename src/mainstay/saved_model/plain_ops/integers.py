"""Logic and the bits of integers."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Value

_LOGICAL = {"and": "LogicalAnd", "or": "LogicalOr", "xor": "NotEqual"}
_BITWISE = {"and": "BitwiseAnd", "or": "BitwiseOr", "xor": "BitwiseXor"}


@lowering("and", "or", "xor")
def logic(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write a connective of booleans, or of the bits of integers."""
    names = _LOGICAL if x.dtype == np.bool_ else _BITWISE
    return graph.elementwise(names[equation.name], x, y)


@lowering("not")
def negation(graph: Graph, _equation: Equation, x: Value) -> Value:
    """Write the opposite of booleans, or of the bits of integers."""
    return graph.elementwise("LogicalNot" if x.dtype == np.bool_ else "Invert", x)


@lowering("shift_left", "shift_right_arithmetic", "shift_right_logical")
def shift(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write a shift: one by all bits or more leaves zero, or the sign."""
    arithmetic = equation.name == "shift_right_arithmetic"
    kind = "i" if arithmetic else "u"
    dtype = np.dtype(f"{kind}{x.dtype.itemsize}")
    op = "LeftShift" if equation.name == "shift_left" else "RightShift"
    value, distance = _reinterpret(graph, x, dtype), _reinterpret(graph, y, dtype)
    last = 8 * x.dtype.itemsize - 1
    if y.known is not None and bool(((y.known >= 0) & (y.known <= last)).all()):
        return _reinterpret(graph, graph.elementwise(op, value, distance), x.dtype)
    # A distance below zero counts as a large one.
    far = graph.elementwise(
        "Greater", _reinterpret(graph, y, f"u{x.dtype.itemsize}"), graph.scalar(last, f"u{x.dtype.itemsize}"),
        dtype=np.bool_,
    )  # fmt: skip
    most = graph.scalar(last, dtype)
    if arithmetic:
        return _reinterpret(graph, graph.elementwise(op, value, graph.select(far, most, distance)), x.dtype)
    shifted = graph.elementwise(op, value, graph.select(far, graph.scalar(0, dtype), distance))
    return _reinterpret(graph, graph.select(far, graph.scalar(0, dtype), shifted), x.dtype)


def _reinterpret(graph: Graph, x: Value, dtype: str | np.dtype[np.generic]) -> Value:
    wanted = np.dtype(dtype)
    return x if x.dtype == wanted else graph.elementwise("Bitcast", x, dtype=wanted, type=wanted)


@lowering("population_count")
def population_count(graph: Graph, _equation: Equation, x: Value) -> Value:
    """Write how many bits are set."""
    return graph.cast(graph.elementwise("PopulationCount", x, dtype=np.uint8), x.dtype)


@lowering("clz")
def leading_zeros(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write how many bits in front are not set: all bits after the first are set, and what is left is counted."""
    bits = _reinterpret(graph, x, f"u{x.dtype.itemsize}")
    distance = 1
    while distance < 8 * x.dtype.itemsize:
        moved = graph.elementwise("RightShift", bits, graph.scalar(distance, bits.dtype))
        bits = graph.elementwise("BitwiseOr", bits, moved)
        distance *= 2
    return population_count(graph, equation, _reinterpret(graph, graph.elementwise("Invert", bits), x.dtype))
