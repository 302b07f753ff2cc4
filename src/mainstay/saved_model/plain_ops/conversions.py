"""Conversions between dtypes, with what XLA does at the limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value, is_float


@lowering("convert_element_type")
def convert(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a conversion; a number beyond the range of an integer becomes its limit, and NaN zero."""
    dtype = equation.dtype
    if x.dtype == dtype:
        return x
    if dtype == np.bool_:
        return graph.elementwise("NotEqual", x, graph.scalar(0, x.dtype), dtype=np.bool_)
    if is_float(x.dtype) and dtype.kind in "iu":
        return _to_integer(graph, x, dtype)
    if x.dtype.kind == "c" and dtype.kind != "c":
        part = np.dtype(np.float32) if x.dtype == np.complex64 else np.dtype(np.float64)
        return convert(graph, equation, graph.elementwise("Real", x, dtype=part))
    return graph.cast(x, dtype)


def _to_integer(graph: Graph, x: Value, dtype: np.dtype[Any]) -> Value:
    op, inputs = graph.maker(x)
    if op == "Cast" and inputs[0].dtype.kind in "biu" and inputs[0].dtype.itemsize < dtype.itemsize:
        return graph.cast(x, dtype)
    limits = np.iinfo(dtype)
    wide = graph.cast(x, np.float64 if x.dtype == np.float64 else np.float32)
    below = graph.elementwise("LessEqual", wide, graph.scalar(limits.min, wide.dtype), dtype=np.bool_)
    # The limit itself is rounded up to a power of two, which is beyond it.
    above = graph.elementwise("GreaterEqual", wide, graph.scalar(float(limits.max), wide.dtype), dtype=np.bool_)
    missing = graph.elementwise("IsNan", wide, dtype=np.bool_)
    outside = graph.elementwise("LogicalOr", graph.elementwise("LogicalOr", below, above), missing)
    inside = graph.cast(graph.select(outside, graph.scalar(0, wide.dtype), wide), dtype)
    made = graph.select(below, graph.scalar(limits.min, dtype), inside)
    return graph.select(above, graph.scalar(limits.max, dtype), made)


@lowering("bitcast_convert_type")
def bitcast(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the same bits as another dtype."""
    if np.bool_ in (x.dtype, equation.dtype):
        raise NotPlainError("TensorFlow does not reinterpret the bits of booleans")
    return graph.whole("Bitcast", [x], equation.dtype, equation.shape)


@lowering("reduce_precision")
def reduce_precision(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a value rounded to the precision of another dtype."""
    import ml_dtypes

    bits = (equation.params["exponent_bits"], equation.params["mantissa_bits"])
    if (x.dtype == np.float32 and bits == (8, 23)) or (x.dtype == np.float64 and bits == (11, 52)):
        return x
    if x.dtype == np.float32 and bits == (8, 7):
        return graph.cast(graph.cast(x, ml_dtypes.bfloat16), np.float32)
    raise NotPlainError(f"no dtype of TensorFlow has {bits[0]} bits of exponent and {bits[1]} of mantissa")
