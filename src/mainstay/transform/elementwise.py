"""Elementwise functions of columns: casts, arithmetic, choices and missing values."""

from __future__ import annotations

from typing import Any

from mainstay.transform.misuse import misuse
from mainstay.transform.nodes import Node, apply, as_node, cast_to, check_node, floating, numeric, pair, wider

_CASTS = ("bool", "int32", "int64", "float32", "float64")


def cast(x: Node, dtype: Any) -> Node:
    """Return the column in another dtype, as `tf.cast`: floats are truncated towards zero.

    NaN becomes 0 and a float out of an integer's range its nearest end; a number is true where it is not 0.

    Args:
        x: A column of numbers or booleans.
        dtype: ``bool``, ``int32``, ``int64``, ``float32`` or ``float64``, or a NumPy dtype of that name.

    Raises:
        TransformError: `x` or `dtype` is something else.
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", getattr(dtype, "__name__", repr(dtype)))
    name = {"float": "float64", "int": "int64"}.get(name, name)
    if name not in _CASTS:
        raise misuse(
            "a column cannot be cast to this dtype",
            expected=f"one of {', '.join(_CASTS)}",
            received=repr(dtype),
            fix="use tft.as_string(x) for strings" if name in ("str", "string", "object") else None,
        )
    column = check_node(x, "cast")
    if column.dtype == "string":
        raise misuse(
            "strings cannot be cast to numbers",
            fix="read the column as numbers, or make ids of it with tft.compute_and_apply_vocabulary",
        )
    return cast_to(column, name)


def is_missing(x: Node) -> Node:
    """Return whether the column is missing, bool; NaN is a value, not a missing one.

    Args:
        x: A column.

    Raises:
        TransformError: `x` is no column.
    """
    return apply("IsMissing", check_node(x, "is_missing"))


def fill_missing(x: Node, value: Any) -> Node:
    """Return the column with a value where it is missing; NaN is a value, not a missing one.

    Args:
        x: A column.
        value: A plain value that goes with the column's dtype, or another column.

    Raises:
        TransformError: The value does not go with the column.
    """
    return apply("FillMissing", *pair(check_node(x, "fill_missing"), value, "fill_missing"))


def is_nan(x: Node) -> Node:
    """Return whether the column is NaN, bool; always false for integers.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("IsNan", floating(x, "is_nan"))


def where(condition: Node, x: Any, y: Any) -> Node:
    """Return `x` where the condition holds and `y` elsewhere, as `tf.where`; missing where what is taken is.

    Args:
        condition: A column of booleans.
        x: A column or a plain value.
        y: A column or a plain value.

    Raises:
        TransformError: The condition is no such column, or `x` and `y` do not go together.
    """
    chooser = check_node(condition, "where")
    if chooser.dtype != "bool":
        raise misuse(
            "the condition of where is no column of booleans",
            received=f"a column of {chooser.dtype}",
            fix="compare it, as in tft.where(x > 0, a, b)",
        )
    if not isinstance(x, Node) and not isinstance(y, Node):
        first, second = _plain_pair(x, y)
        return apply("SelectV2", chooser, first, second)
    return apply("SelectV2", chooser, *pair(x, y, "where"))


def _plain_pair(x: Any, y: Any) -> tuple[Node, Node]:
    """Return two plain values as constants of one dtype: that of floats where one is a float."""
    kinds = {str: "string", bool: "bool", int: "int64", float: "float64"}
    dtypes = [next((dtype for kind, dtype in kinds.items() if isinstance(value, kind)), "float64") for value in (x, y)]
    if "string" in dtypes and dtypes[0] != dtypes[1]:
        raise misuse("where between a string and another value", received=f"{x!r} and {y!r}")
    dtype = dtypes[0] if "string" in dtypes else wider(*dtypes)
    like = Node("Const", (), {}, dtype)
    return as_node(x, like, "where"), as_node(y, like, "where")


def maximum(x: Any, y: Any) -> Node:
    """Return the larger of two in every row; NaN where one is NaN.

    Args:
        x: A column, or a plain number if `y` is one.
        y: A column, or a plain number if `x` is one.

    Raises:
        TransformError: Neither is a column, or they are no numbers.
    """
    return _extreme("Maximum", "maximum", x, y)


def minimum(x: Any, y: Any) -> Node:
    """Return the smaller of two in every row; NaN where one is NaN.

    Args:
        x: A column, or a plain number if `y` is one.
        y: A column, or a plain number if `x` is one.

    Raises:
        TransformError: Neither is a column, or they are no numbers.
    """
    return _extreme("Minimum", "minimum", x, y)


def _extreme(op: str, name: str, x: Any, y: Any) -> Node:
    if not isinstance(x, Node):
        check_node(y, name)
    first, second = pair(x, y, name)
    return apply(op, numeric(first, name), numeric(second, name))


def clip(x: Node, low: Any, high: Any) -> Node:
    """Return the column with values below `low` raised to it and those above `high` lowered; NaN stays NaN.

    Args:
        x: A column of numbers or booleans.
        low: A number or a column.
        high: A number or a column.

    Raises:
        TransformError: One of them is something else.
    """
    column = numeric(x, "clip")
    bounds = [numeric(as_node(bound, column, "clip"), "clip") for bound in (low, high)]
    dtype = wider(wider(column.dtype, bounds[0].dtype), bounds[1].dtype)
    return apply("ClipByValue", *(cast_to(node, dtype) for node in (column, *bounds)))


def log(x: Node) -> Node:
    """Return the natural logarithm, of integers as float64: -inf at 0, NaN below.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Log", floating(x, "log"))


def log1p(x: Node) -> Node:
    """Return log(1 + x), exact also near 0, of integers as float64: -inf at -1, NaN below.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Log1p", floating(x, "log1p"))


def exp(x: Node) -> Node:
    """Return e to the power x, of integers as float64.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Exp", floating(x, "exp"))


def sqrt(x: Node) -> Node:
    """Return the square root, of integers as float64; NaN below 0.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Sqrt", floating(x, "sqrt"))


def square(x: Node) -> Node:
    """Return x * x.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Square", numeric(x, "square"))


def abs(x: Node) -> Node:  # noqa: A001
    """Return the absolute value.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Abs", numeric(x, "abs"))


def floor(x: Node) -> Node:
    """Return the largest whole number not above x, as a float; integers become float64.

    Args:
        x: A column of numbers or booleans.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("Floor", floating(x, "floor"))
