"""Reductions over axes, and the places of extremes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.saved_model.plain_ops.elementwise import is_nan
from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value, is_float

_REDUCTIONS = {
    "reduce_sum": "Sum",
    "reduce_prod": "Prod",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "reduce_and": "All",
    "reduce_or": "Any",
}
_MONOIDS = {
    "add": "reduce_sum",
    "mul": "reduce_prod",
    "max": "reduce_max",
    "min": "reduce_min",
    "and": "reduce_and",
    "or": "reduce_or",
}


@lowering(*_REDUCTIONS)
def reduce(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a reduction over some axes."""
    return _reduced(graph, equation.name, x, tuple(equation.params["axes"]))


def _reduced(graph: Graph, name: str, x: Value, axes: Sequence[int]) -> Value:
    if not axes:
        return x
    dtype = x.dtype
    if dtype == np.bool_ and name in ("reduce_max", "reduce_min"):
        name = "reduce_or" if name == "reduce_max" else "reduce_and"
    if dtype != np.bool_ and name in ("reduce_and", "reduce_or"):
        raise NotPlainError("TensorFlow reduces booleans with it, not the bits of integers")
    if dtype.kind == "c" and name in ("reduce_max", "reduce_min"):
        raise NotPlainError("TensorFlow does not order complex numbers")
    shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return graph.op(_REDUCTIONS[name], [graph.full(x), graph.integers(sorted(axes))], dtype, shape, keep_dims=False)


@lowering("reduce")
def general_reduce(graph: Graph, equation: Equation, *given: Value) -> Value:
    """Write a reduction by a function that is one of those above."""
    if len(given) != 2:
        raise NotPlainError("there are no plain ops for a reduction of several arrays at once")
    primitive = monoid(equation.params["jaxpr"])
    if primitive not in _MONOIDS:
        raise NotPlainError("there are no plain ops for a reduction by this function")
    made = _reduced(graph, _MONOIDS[primitive], given[0], tuple(equation.params["dimensions"]))
    return graph.elementwise(_combination(primitive, made.dtype), made, given[1])


def _combination(primitive: str, dtype: np.dtype[Any]) -> str:
    if dtype == np.bool_:
        return {"and": "LogicalAnd", "or": "LogicalOr", "max": "LogicalOr", "min": "LogicalAnd"}[primitive]
    return {"add": "AddV2", "mul": "Mul", "max": "Maximum", "min": "Minimum"}[primitive]


def monoid(program: Any) -> str:
    """Return the primitive that a program of two arguments applies to them, or an empty name."""
    jaxpr = program.jaxpr if hasattr(program, "jaxpr") else program
    if len(jaxpr.eqns) != 1 or len(jaxpr.invars) != 2 or list(jaxpr.outvars) != list(jaxpr.eqns[0].outvars):
        return ""
    return str(jaxpr.eqns[0].primitive.name) if set(jaxpr.eqns[0].invars) == set(jaxpr.invars) else ""


@lowering("argmax", "argmin")
def place(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the index of the largest or the smallest; the first NaN counts as that."""
    (axis,) = equation.params["axes"]
    op = "ArgMax" if equation.name == "argmax" else "ArgMin"
    x = graph.full(x)
    if x.dtype in (np.bool_, np.uint8, np.int8, np.int16, np.uint16):
        x = graph.cast(x, np.int32)
    elif x.dtype == np.uint32:
        x = graph.cast(x, np.int64)
    elif x.dtype == np.uint64:
        x = signed(graph, x)
    index = np.int64 if equation.dtype.itemsize == 8 else np.int32
    found = _place(graph, op, x, axis, index)
    if is_float(x.dtype):
        missing = is_nan(graph, x)
        shape = found.shape
        some = graph.op("Any", [missing, graph.integers([axis])], np.bool_, shape, keep_dims=False)
        first = _place(graph, "ArgMax", graph.cast(missing, np.int32), axis, index)
        found = graph.select(some, first, found)
    return graph.cast(found, equation.dtype)


def _place(graph: Graph, op: str, x: Value, axis: int, dtype: Any) -> Value:
    shape = tuple(size for each, size in enumerate(x.shape) if each != axis)
    return graph.op(op, [x, graph.scalar(axis, np.int32)], dtype, shape, output_type=np.dtype(dtype))


def signed(graph: Graph, x: Value) -> Value:
    """Return int64 numbers that have the order of uint64 numbers."""
    top = graph.scalar(np.uint64(1 << 63), np.uint64)
    return graph.elementwise("Bitcast", graph.elementwise("BitwiseXor", x, top), dtype=np.int64)


def lowest(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return what no value of a dtype is below."""
    if dtype == np.bool_:
        return np.asarray(False)
    return np.asarray(-np.inf if is_float(dtype) else np.iinfo(dtype).min).astype(dtype)


def highest(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return what no value of a dtype is above."""
    if dtype == np.bool_:
        return np.asarray(True)
    return np.asarray(np.inf if is_float(dtype) else np.iinfo(dtype).max).astype(dtype)
