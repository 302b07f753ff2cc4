"""Signatures: which dtypes an operation takes, and the dtype that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mainstay.core import TransformError

Result = Callable[[tuple[str, ...], Mapping[str, Any]], str]

INTEGERS = ("int32", "int64")
FLOATS = ("float32", "float64")
NUMBERS = INTEGERS + FLOATS
ANY = ("bool", *NUMBERS, "string")


def takes(*inputs: tuple[str, ...], gives: str | None = None, alike: bool = False) -> Result:
    """Return a signature of a fixed number of inputs.

    Args:
        inputs: The dtypes that each input may have.
        gives: The dtype of the result; None stands for that of the last input.
        alike: Whether all inputs are of one dtype.
    """

    def result(dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
        check_count(dtypes, len(inputs))
        for index, (dtype, allowed) in enumerate(zip(dtypes, inputs, strict=True)):
            _allow(index, dtype, allowed)
        if alike:
            same(dtypes)
        return gives or dtypes[-1]

    return result


def same(dtypes: tuple[str, ...]) -> None:
    """Refuse inputs of different dtypes: as in TensorFlow, nothing is cast silently.

    Raises:
        TransformError: They differ.
    """
    if len(set(dtypes)) > 1:
        raise TransformError(
            "the inputs of a host operation differ in dtype",
            expected=f"{dtypes[0]} everywhere",
            received=", ".join(dtypes),
            fix="cast them to one dtype",
        )


def strings(dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    """Take one or more strings and give a string."""
    if not dtypes:
        check_count(dtypes, 1)
    for index, dtype in enumerate(dtypes):
        _allow(index, dtype, ("string",))
    return "string"


def check_count(dtypes: tuple[str, ...], count: int) -> None:
    """Refuse a wrong number of inputs.

    Raises:
        TransformError: There are more or fewer than `count`.
    """
    if len(dtypes) != count:
        raise TransformError(
            "a host operation has the wrong number of inputs", expected=f"{count} inputs", received=len(dtypes)
        )


def _allow(index: int, dtype: str, allowed: tuple[str, ...]) -> None:
    if dtype not in allowed:
        raise TransformError(
            f"input {index} of a host operation has a dtype that it does not take",
            expected=f"one of {', '.join(allowed)}",
            received=dtype,
            fix="cast it first",
        )
