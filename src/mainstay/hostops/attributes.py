"""Attributes of host operations: how each one is checked and put into the one form that JSON carries."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import TransformError

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SAFE_INT = 2**53
"""Integers beyond this magnitude travel as decimal strings: JSON readers with doubles would round them."""

_ASSET_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_SPECIAL_FLOATS = ("NaN", "Infinity", "-Infinity")
_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute: a function that checks it and returns its JSON form, and a default where it may be left out."""

    check: Callable[[Any], Any]
    default: Any = _REQUIRED


def checked_attrs(specs: Mapping[str, Attr], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes in JSON form, defaults filled in.

    Raises:
        TransformError: One is unknown, lacks or does not fit.
    """
    unknown = sorted(str(name) for name in given if name not in specs)
    if unknown:
        raise TransformError(
            "unknown attribute", expected=", ".join(sorted(specs)) or "no attributes", received=unknown[0]
        )
    attrs = {}
    for name, spec in specs.items():
        value = given.get(name, spec.default)
        if value is _REQUIRED:
            raise TransformError("an attribute is not there", expected=name)
        try:
            attrs[name] = spec.check(value)
        except ValueError as error:
            raise TransformError(f"the attribute {name!r} does not fit", expected=error, received=repr(value)) from None
    return attrs


def choice(*allowed: Any) -> Callable[[Any], Any]:
    """Return a check for one of a few strings."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"one of {', '.join(map(repr, allowed))}")
        return value

    return check


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Return a check for an integer of ``[low, high]``."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
            raise ValueError(f"an integer from {low} to {high}")
        return int(value)

    return check


def text(value: Any) -> str:
    """Check a string of valid Unicode, which every reader of JSON takes."""
    if not isinstance(value, str) or not is_unicode(value):
        raise ValueError("a string of valid Unicode")
    return str(value)


def is_unicode(value: str) -> bool:
    """Return whether a string is free of lone surrogates, so that UTF-8 can carry it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def asset_name(value: Any) -> str:
    """Check the name of an asset file: a plain file name, so that none can lead out of its folder."""
    if not isinstance(value, str) or not _ASSET_NAME.fullmatch(value):
        raise ValueError("a file name of up to 128 letters, digits, '_', '-' and '.', not starting with '.'")
    return value


def boundaries(value: Any) -> list[float]:
    """Check bucket boundaries: finite, never falling; rounded to float32, which TensorFlow stores."""
    message = "a list of finite numbers of float32 that never fall"
    if not isinstance(value, (list, tuple)) or any(_not_a_number(item) for item in value):
        raise ValueError(message)
    try:
        with np.errstate(over="ignore"):
            array = np.array([float(item) for item in value], np.float64).astype(np.float32)
    except OverflowError:
        raise ValueError(message) from None
    if not np.isfinite(array).all() or (np.diff(array) < 0).any():
        raise ValueError(message)
    return [float(item) for item in array]


def is_int64(token: str) -> bool:
    """Return whether a string is a decimal integer of 64 bits."""
    return re.fullmatch(r"-?[0-9]{1,19}", token) is not None and INT64_MIN <= int(token) <= INT64_MAX


def _not_a_number(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating))


def encode_constant(value: Any, dtype: str) -> Any:
    """Return the JSON form of a constant: integers beyond 2**53, NaN and infinities as strings.

    Raises:
        ValueError: The value is not of that dtype, saying what would be.
    """
    decoded = decode_constant(value, dtype)
    if dtype in ("int32", "int64") and abs(decoded) > SAFE_INT:
        return str(decoded)
    if dtype in ("float32", "float64") and not math.isfinite(decoded):
        return "NaN" if math.isnan(decoded) else "Infinity" if decoded > 0 else "-Infinity"
    return decoded


def decode_constant(value: Any, dtype: str) -> Any:
    """Return the Python value of a constant in JSON form, or of a plain one; see `encode_constant`."""
    if dtype == "string":
        return text(value)
    if dtype == "bool":
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError("true or false")
        return bool(value)
    if dtype in ("int32", "int64"):
        if isinstance(value, str) and is_int64(value):
            value = int(value)
        info = np.iinfo(dtype)
        return integer(int(info.min), int(info.max))(value)
    if isinstance(value, str) and value in _SPECIAL_FLOATS:
        return float(value)
    if _not_a_number(value):
        raise ValueError(f"a number of {dtype}, or 'NaN', 'Infinity' or '-Infinity'")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"a number of {dtype}") from None
    if dtype == "float64":
        return number
    with np.errstate(over="ignore"):
        return float(np.float32(number))


def constant(value: Any) -> Any:
    """Check that a constant is a plain value; whether it fits its dtype is checked with that dtype at hand."""
    if not isinstance(value, (bool, int, float, str, np.generic)):
        raise ValueError("a number, a string, true or false")
    return value
