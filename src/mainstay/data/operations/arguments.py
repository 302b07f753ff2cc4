"""Arguments of the methods of datasets: whole numbers and datasets, checked in one way."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.columns import Nested
from mainstay.data.functions.binding import bound
from mainstay.data.plan import Operation


def whole(value: Any, name: str, *, least: int | None = None) -> int:
    """Return a whole number: an int, or an array without axes that holds one.

    Args:
        value: What was handed in.
        name: The name of the argument.
        least: The smallest number that it may be.

    Raises:
        ArgumentError: It is none, or too small.
    """
    number = None
    if not isinstance(value, (bool, np.bool_)):
        try:
            number = operator.index(value)
        except TypeError:
            array = np.asarray(value) if hasattr(value, "shape") else np.empty(0)
            number = int(array) if array.ndim == 0 and array.dtype.kind in "iu" else None
    if number is None or (least is not None and number < least):
        expected = "a whole number" if least is None else f"a whole number from {least} up"
        raise ArgumentError("this is no such number", where=name, expected=expected, received=repr(value))
    return number


def positive(value: Any, name: str) -> int:
    """Return a whole number from 1 up.

    Raises:
        ArgumentError: It is none.
    """
    return whole(value, name, least=1)


def plan_of(dataset: Any, name: str) -> Operation:
    """Return the plan of a dataset.

    Raises:
        ArgumentError: It is no dataset.
    """
    if not isinstance(dataset, Nested):
        raise ArgumentError(
            "this is no dataset", where=name, expected="a mainstay.data.Dataset", received=type(dataset).__name__
        )
    plan: Operation = dataset.plan
    return plan


def function_of(function: Any, name: str) -> Any:
    """Return a function, with the variables around it as they are now.

    Raises:
        ArgumentError: It cannot be called.
    """
    if not callable(function):
        raise ArgumentError("this is no function", where=name, received=f"{type(function).__name__}: {function!r:.80}")
    return bound(function)
