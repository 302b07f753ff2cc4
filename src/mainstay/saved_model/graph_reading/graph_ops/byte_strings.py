"""Arrays of strings, and errors: what the ops of the host share. Strings are `bytes` in arrays of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import DataError, RequestError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import Value

Array: TypeAlias = Any
"""An array of NumPy; of objects where it holds strings."""

MOST_BYTES = (1 << 31) - 1
"""The bytes that one op may make of its own accord, such as by padding."""


def flat(value: Value) -> list[Any]:
    """Return the elements of an array in order, as Python's own values.

    Example:
        >>> flat(np.array([[b"a"], [b"b"]], object))
        [b'a', b'b']
    """
    elements: list[Any] = np.asarray(value).ravel().tolist()
    return elements


def strings(elements: Iterable[bytes], shape: tuple[int, ...] | None = None) -> Array:
    """Return an array of strings.

    Args:
        elements: The strings in order.
        shape: The shape of the array; a vector by default.

    Example:
        >>> strings([b"a", b"b"], (2, 1)).shape
        (2, 1)
    """
    elements = list(elements)
    array = np.empty(len(elements), object)
    array[:] = elements
    return array if shape is None else array.reshape(shape)


def mapped(function: Callable[[bytes], bytes], value: Value) -> Array:
    """Return an array of strings, each of them changed by a function."""
    return strings(map(function, flat(value)), np.shape(value))


def scalar_string(node: OpNode, value: Value, name: str) -> bytes:
    """Return the one string of an input.

    Raises:
        RequestError: It has not exactly one element.
    """
    elements = flat(value)
    if len(elements) != 1:
        raise refused(node, f"{name} is one string", received=f"shape {list(np.shape(value))}")
    return bytes(elements[0])


def refused(node: OpNode, summary: str, *, expected: object = None, received: object = None) -> RequestError:
    """Return the error of an op that is given what it does not take."""
    return RequestError(summary, where=f"{node.name} ({node.op})", expected=expected, received=received)


def damaged(node: OpNode, summary: str, *, expected: object = None, received: object = None) -> DataError:
    """Return the error of an op that is given what it cannot read."""
    return DataError(summary, where=f"{node.name} ({node.op})", expected=expected, received=received)


def check_bytes(node: OpNode, total: int) -> None:
    """Refuse to make more bytes than fit.

    Raises:
        RequestError: It is more than `MOST_BYTES`.
    """
    if total > MOST_BYTES:
        raise refused(node, "the strings would be too large", expected=f"at most {MOST_BYTES:,} bytes", received=total)
