"""Functions of columns of strings; they work on bytes where TensorFlow's do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.transform.misuse import misuse
from mainstay.transform.nodes import Node, apply, as_node, check_node, textual


def lower(x: Node, encoding: str = "") -> Node:
    """Return the strings in lower case, as `tf.strings.lower`.

    Args:
        x: A column of strings.
        encoding: ``""`` changes ASCII letters only, ``utf-8`` those of all alphabets.

    Raises:
        TransformError: `x` is no such column, or the encoding is another one.
    """
    return apply("StringLower", _string(x, "lower"), encoding=_one_of(encoding, ("", "utf-8")))


def upper(x: Node, encoding: str = "") -> Node:
    """Return the strings in upper case, as `tf.strings.upper`; see `lower`.

    Args:
        x: A column of strings.
        encoding: ``""`` changes ASCII letters only, ``utf-8`` those of all alphabets.

    Raises:
        TransformError: `x` is no such column, or the encoding is another one.
    """
    return apply("StringUpper", _string(x, "upper"), encoding=_one_of(encoding, ("", "utf-8")))


def strip(x: Node) -> Node:
    """Return the strings without ASCII white space at both ends, as `tf.strings.strip`.

    Args:
        x: A column of strings.

    Raises:
        TransformError: `x` is no such column.
    """
    return apply("StringStrip", _string(x, "strip"))


def string_length(x: Node, unit: str = "BYTE") -> Node:
    """Return the lengths of the strings, int64, as `tf.strings.length`.

    Args:
        x: A column of strings.
        unit: ``BYTE`` counts bytes of UTF-8, ``UTF8_CHAR`` code points.

    Raises:
        TransformError: `x` is no such column, or the unit is another one.
    """
    return apply("StringLength", _string(x, "string_length"), unit=_one_of(unit, ("BYTE", "UTF8_CHAR")))


def join(inputs: Sequence[Any], separator: str = "") -> Node:
    """Return the strings of several columns put together row by row, as `tf.strings.join`.

    Args:
        inputs: Columns of strings, integers or booleans, and plain strings; at least one column.
        separator: What stands between them.

    Raises:
        TransformError: `inputs` is something else.
    """
    parts = list(inputs) if isinstance(inputs, (list, tuple)) else []
    first = next((part for part in parts if isinstance(part, Node)), None)
    if first is None or not isinstance(separator, str):
        raise misuse("join takes a list of columns", expected="tft.join([a, b], '-')", received=repr(inputs))
    like = textual(first, "join")
    return apply("StringJoin", *(textual(as_node(part, like, "join"), "join") for part in parts), separator=separator)


def as_string(x: Node) -> Node:
    """Return the column as strings, as `tf.strings.as_string`: ``true``, ``-5``, floats with six decimals.

    Args:
        x: A column.

    Raises:
        TransformError: `x` is no column.
    """
    column = check_node(x, "as_string")
    return column if column.dtype == "string" else apply("AsString", column)


def _string(x: Any, operation: str) -> Node:
    column = check_node(x, operation)
    if column.dtype != "string":
        raise misuse(
            f"{operation} is for strings", received=f"a column of {column.dtype}", fix="use tft.as_string(x) before"
        )
    return column


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise misuse("an option is unknown", expected=f"one of {', '.join(map(repr, allowed))}", received=repr(value))
    return str(value)
