"""Arithmetic, comparisons and functions, element by element."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value, is_float, same

_UNARY = {
    "acos": "Acos",
    "acosh": "Acosh",
    "asin": "Asin",
    "asinh": "Asinh",
    "atan": "Atan",
    "atanh": "Atanh",
    "bessel_i0e": "BesselI0e",
    "bessel_i1e": "BesselI1e",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "digamma": "Digamma",
    "erf": "Erf",
    "erf_inv": "Erfinv",
    "exp": "Exp",
    "expm1": "Expm1",
    "floor": "Floor",
    "lgamma": "Lgamma",
    "log": "Log",
    "log1p": "Log1p",
    "logistic": "Sigmoid",
    "rsqrt": "Rsqrt",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "square": "Square",
    "tan": "Tan",
    "tanh": "Tanh",
}
_WIDER = {"BesselI0e", "BesselI1e", "Digamma", "Erfinv", "Lgamma"}
"""These have no kernel for bfloat16, some none for float16."""

_BINARY = {
    "add": "AddV2",
    "add_any": "AddV2",
    "atan2": "Atan2",
    "igamma": "Igamma",
    "igammac": "Igammac",
    "mul": "Mul",
    "nextafter": "NextAfter",
    "sub": "Sub",
    "zeta": "Zeta",
}
_COMPARISONS = {"eq": "Equal", "ge": "GreaterEqual", "gt": "Greater", "le": "LessEqual", "lt": "Less", "ne": "NotEqual"}


@lowering(*_UNARY)
def unary(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a function that TensorFlow has too."""
    op = _UNARY[equation.name]
    if op in _WIDER and x.dtype.itemsize < 4:
        return graph.cast(graph.elementwise(op, graph.cast(x, np.float32)), x.dtype)
    return graph.elementwise(op, x)


@lowering("igamma", "igammac", "mul", "nextafter", "zeta", "atan2")
def binary(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write a function of two arguments that TensorFlow has too."""
    op = _BINARY[equation.name]
    if equation.name in ("igamma", "igammac", "zeta") and x.dtype.itemsize < 4:
        wide = graph.elementwise(op, graph.cast(x, np.float32), graph.cast(y, np.float32))
        return graph.cast(wide, x.dtype)
    if equation.name == "nextafter" and x.dtype.itemsize < 4:
        raise NotPlainError(f"TensorFlow has no NextAfter for {x.dtype}")
    if x.dtype == np.bool_:
        return graph.elementwise("LogicalAnd", x, y)
    return graph.elementwise(op, x, y)


@lowering("add", "add_any", "sub")
def add(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write a sum or a difference; a vector that is added to what a layer made is its bias."""
    if x.dtype == np.bool_:
        return graph.elementwise("LogicalOr" if equation.name != "sub" else "NotEqual", x, y)
    if equation.name != "sub":
        for value, bias in ((x, y), (y, x)):
            if _is_bias(graph, value, bias):
                return replace(graph.op("BiasAdd", [value, bias], x.dtype, value.stored), shape=value.shape)
    return graph.elementwise(_BINARY[equation.name], x, y)


_WITH_BIAS = {"Conv2D", "DepthwiseConv2dNative", "MatMul", "Conv2DBackpropInput"}


def _is_bias(graph: Graph, value: Value, bias: Value) -> bool:
    if graph.maker(value)[0] not in _WITH_BIAS or value.stored != value.shape:
        return False
    return len(bias.stored) == 1 and same(bias.stored[0], value.shape[-1])


@lowering("neg")
def negative(graph: Graph, _equation: Equation, x: Value) -> Value:
    """Write a negation, which for unsigned integers wraps around."""
    if x.dtype.kind == "u":
        # TensorFlow's own optimiser turns a difference from zero into a Neg that unsigned integers do not have.
        return graph.elementwise("AddV2", graph.elementwise("Invert", x), graph.scalar(1, x.dtype))
    return graph.elementwise("Neg", x)


@lowering("abs")
def absolute(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write an absolute value."""
    if x.dtype.kind == "c":
        return graph.elementwise("ComplexAbs", x, dtype=equation.dtype)
    return x if x.dtype.kind == "u" else graph.elementwise("Abs", x)


@lowering("sign")
def sign(graph: Graph, _equation: Equation, x: Value) -> Value:
    """Write the sign: NaN stays NaN."""
    if x.dtype.kind == "u":
        return graph.cast(graph.elementwise("NotEqual", x, graph.scalar(0, x.dtype), dtype=np.bool_), x.dtype)
    made = graph.elementwise("Sign", x)
    return graph.select(is_nan(graph, x), x, made) if is_float(x.dtype) else made


@lowering("erfc")
def erfc(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the complementary error function; in a GELU by `Erf`, which more runtimes know."""
    if not equation.gelu:
        return graph.elementwise("Erfc", x)
    return graph.elementwise("AddV2", graph.elementwise("Erf", _opposite(graph, x)), graph.scalar(1, x.dtype))


def _opposite(graph: Graph, x: Value) -> Value:
    """Return a value negated, by leaving out a negation in it if there is one."""
    op, inputs = graph.maker(x)
    if op == "Neg":
        return replace(inputs[0], shape=x.shape)
    if op == "Mul" and graph.maker(inputs[0])[0] == "Neg":
        return graph.elementwise("Mul", graph.maker(inputs[0])[1][0], inputs[1])
    return graph.elementwise("Neg", x)


@lowering("exp2")
def power_of_two(graph: Graph, _equation: Equation, x: Value) -> Value:
    """Write two to the power of a value."""
    return graph.elementwise("Pow", graph.scalar(2, x.dtype), x)


@lowering("cbrt")
def cube_root(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the real cube root, of negative numbers too."""
    wide = graph.cast(x, np.float64)
    size = graph.elementwise("Pow", graph.elementwise("Abs", wide), graph.scalar(1 / 3, np.float64))
    return graph.cast(graph.elementwise("Mul", sign(graph, equation, wide), size), x.dtype)


@lowering("round")
def rounded(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write rounding to an integer, halves to even or away from zero."""
    if int(equation.params["rounding_method"]) == 1:
        return graph.elementwise("Round", x)
    size = graph.elementwise("Abs", x)
    whole = graph.elementwise("Floor", size)
    rest = graph.elementwise("Sub", size, whole)
    up = graph.cast(graph.elementwise("GreaterEqual", rest, graph.scalar(0.5, x.dtype), dtype=np.bool_), x.dtype)
    away = graph.elementwise("AddV2", whole, up)
    return graph.select(
        graph.elementwise("Less", x, graph.scalar(0, x.dtype), dtype=np.bool_), graph.elementwise("Neg", away), away
    )


@lowering("integer_pow")
def integer_power(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write a power with a fixed exponent as products, the way XLA computes it."""
    exponent = equation.params["y"]
    if exponent == 0:
        return replace(graph.scalar(1, x.dtype), shape=x.shape)
    if exponent == 2:
        return graph.elementwise("Square", x)
    made: Value | None = None
    base, left = x, abs(exponent)
    while left:
        if left & 1:
            made = base if made is None else graph.elementwise("Mul", made, base)
        left >>= 1
        if left:
            base = graph.elementwise("Mul", base, base)
    if made is None or exponent > 0:
        return x if made is None else made
    return graph.elementwise("RealDiv", graph.scalar(1, x.dtype), made)


@lowering("pow")
def power(graph: Graph, _equation: Equation, x: Value, y: Value) -> Value:
    """Write a power; the exponent may be an integer."""
    if x.dtype.kind in "iu":
        if x.dtype.kind == "u" or x.dtype != y.dtype:
            wide = graph.elementwise("Pow", graph.cast(x, np.int64), graph.cast(_not_negative(y), np.int64))
            return graph.cast(wide, x.dtype)
        return graph.elementwise("Pow", x, _not_negative(y))
    return graph.elementwise("Pow", x, graph.cast(y, x.dtype))


def _not_negative(y: Value) -> Value:
    if y.known is not None and bool((y.known >= 0).all()):
        return y
    raise NotPlainError("TensorFlow fails at a negative exponent of an integer, and this one is not known")


@lowering("div")
def quotient(graph: Graph, _equation: Equation, x: Value, y: Value) -> Value:
    """Write a quotient: that of integers is rounded towards zero, and is -1 for a divisor of zero."""
    if x.dtype.kind not in "iu":
        return _average(graph, x, y) or graph.elementwise("RealDiv", x, y)
    if y.known is not None and bool((y.known != 0).all()):
        return graph.elementwise("TruncateDiv", x, y)
    zero, safe = _safe_divisor(graph, y)
    return graph.select(zero, graph.scalar(-1, x.dtype), graph.elementwise("TruncateDiv", x, safe))


def _average(graph: Graph, x: Value, y: Value) -> Value | None:
    """Return the mean of a window of which `x` is the sum and `y` the size."""
    op, inputs = graph.maker(x)
    if op != "Mul" or y.known is None or y.known.size != 1 or inputs[1].known is None:
        return None
    if graph.maker(inputs[0])[0] not in ("AvgPool", "AvgPool3D") or float(inputs[1].known) != float(
        y.known.reshape(())
    ):
        return None
    return replace(inputs[0], shape=x.shape)


def _safe_divisor(graph: Graph, y: Value) -> tuple[Value, Value]:
    zero = graph.elementwise("Equal", y, graph.scalar(0, y.dtype), dtype=np.bool_)
    return zero, graph.select(zero, graph.scalar(1, y.dtype), y)


@lowering("rem")
def remainder(graph: Graph, _equation: Equation, x: Value, y: Value) -> Value:
    """Write a remainder with the sign of the dividend; by an integer zero it is the dividend."""
    wide = np.dtype(np.float32) if is_float(x.dtype) and x.dtype.itemsize < 4 else x.dtype
    if x.dtype.kind in "iu" and x.dtype not in (np.int32, np.int64):
        wide = np.dtype(np.int64)
    if x.dtype == np.uint64:
        return _unsigned_remainder(graph, x, y)
    left, right = graph.cast(x, wide), graph.cast(y, wide)
    if is_float(x.dtype) or (y.known is not None and bool((y.known != 0).all())):
        return graph.cast(graph.elementwise("TruncateMod", left, right), x.dtype)
    zero, safe = _safe_divisor(graph, right)
    return graph.cast(graph.select(zero, left, graph.elementwise("TruncateMod", left, safe)), x.dtype)


def _unsigned_remainder(graph: Graph, x: Value, y: Value) -> Value:
    zero, safe = _safe_divisor(graph, y)
    return graph.select(zero, x, graph.elementwise("FloorMod", x, safe))


@lowering("max", "min")
def extreme(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write the larger or the smaller; NaN wins. A maximum with zero is a Relu."""
    larger = equation.name == "max"
    if x.dtype == np.bool_:
        return graph.elementwise("LogicalOr" if larger else "LogicalAnd", x, y)
    if x.dtype.kind == "c":
        raise NotPlainError("TensorFlow does not order complex numbers")
    for value, bound in ((x, y), (y, x)):
        if not is_float(value.dtype) or bound.known is None or bound.known.size != 1:
            continue
        limit = float(bound.known.reshape(()))
        if larger and limit == 0.0 and value.known is None:
            return graph.elementwise("Relu", value)
        if not larger and limit == 6.0 and graph.maker(value)[0] == "Relu" and value.known is None:
            return replace(graph.elementwise("Relu6", graph.maker(value)[1][0]), shape=value.shape)
        if limit == (-math.inf if larger else math.inf) and _is_smaller(bound, value):
            return value
    return graph.elementwise("Maximum" if larger else "Minimum", x, y)


def _is_smaller(bound: Value, value: Value) -> bool:
    """Return whether a value does not grow when it is combined with another."""
    return len(bound.shape) <= len(value.shape) and all(size == 1 for size in bound.shape)


@lowering("clamp")
def clamped(graph: Graph, _equation: Equation, low: Value, x: Value, high: Value) -> Value:
    """Write a value held between two bounds."""
    return graph.elementwise("Minimum", graph.elementwise("Maximum", x, low), high)


@lowering(*_COMPARISONS)
def comparison(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write a comparison; false comes before true."""
    if x.dtype == np.bool_ and equation.name not in ("eq", "ne"):
        x, y = graph.cast(x, np.uint8), graph.cast(y, np.uint8)
    return graph.elementwise(_COMPARISONS[equation.name], x, y, dtype=np.bool_)


@lowering("eq_to", "le_to", "lt_to")
def total_order(graph: Graph, equation: Equation, x: Value, y: Value) -> Value:
    """Write a comparison in which NaN comes last and equals itself, and zeros of both signs are equal.

    JAX orders zeros by their sign too; only sorting and searching use this, which take them as equal.
    """
    if not is_float(x.dtype):
        plain = {"eq_to": "eq", "le_to": "le", "lt_to": "lt"}[equation.name]
        return comparison(graph, replace(equation, name=plain), x, y)
    plain_op = {"eq_to": "Equal", "le_to": "LessEqual", "lt_to": "Less"}[equation.name]
    made = graph.elementwise(plain_op, x, y, dtype=np.bool_)
    left, right = is_nan(graph, x), is_nan(graph, y)
    if equation.name == "lt_to":
        after = graph.elementwise("LogicalAnd", graph.elementwise("LogicalNot", left), right)
    elif equation.name == "le_to":
        after = right
    else:
        after = graph.elementwise("LogicalAnd", left, right)
    return graph.elementwise("LogicalOr", made, after)


@lowering("select_n")
def select(graph: Graph, equation: Equation, which: Value, *cases: Value) -> Value:
    """Write a choice among cases by a condition or an index."""
    if len(cases) == 1:
        return cases[0]
    if which.dtype == np.bool_:
        made = graph.select(which, cases[1], cases[0])
    else:
        made = cases[-1]
        for index in range(len(cases) - 2, -1, -1):
            chosen = graph.elementwise("LessEqual", which, graph.scalar(index, which.dtype), dtype=np.bool_)
            made = graph.select(chosen, cases[index], made)
    return replace(made, shape=equation.shape)


@lowering("is_finite")
def is_finite(graph: Graph, _equation: Equation, x: Value) -> Value:
    """Write whether values are neither infinite nor NaN."""
    return graph.elementwise("IsFinite", x, dtype=np.bool_)


def is_nan(graph: Graph, x: Value) -> Value:
    """Return whether values are NaN."""
    return graph.elementwise("IsNan", x, dtype=np.bool_)


@lowering("regularized_incomplete_beta")
def betainc(graph: Graph, equation: Equation, a: Value, b: Value, x: Value) -> Value:
    """Write the regularised incomplete beta function."""
    given = [graph.cast(graph.full(replace(value, shape=equation.shape)), np.float32) for value in (a, b, x)]
    if x.dtype == np.float64:
        given = [graph.full(value) for value in (a, b, x)]
    return graph.cast(graph.op("Betainc", given, given[0].dtype, equation.shape), x.dtype)


@lowering("real", "imag")
def part(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the real or the imaginary part."""
    return graph.elementwise("Real" if equation.name == "real" else "Imag", x, dtype=equation.dtype)


@lowering("complex")
def complex_number(graph: Graph, equation: Equation, real: Value, imaginary: Value) -> Value:
    """Write a complex number of its parts."""
    return graph.elementwise("Complex", real, imaginary, dtype=equation.dtype)


@lowering("conj")
def conjugate(graph: Graph, equation: Equation, x: Value) -> Value:
    """Write the conjugate."""
    given: Any = (
        x if x.dtype.kind == "c" else graph.elementwise("Complex", x, graph.scalar(0, x.dtype), dtype=equation.dtype)
    )
    return graph.elementwise("Conj", given)
