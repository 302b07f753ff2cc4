"""Floats as TF Serving writes them in JSON: with six significant digits where those are enough, else with nine."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import ADDRESS, address_of, native_function

Array: TypeAlias = np.ndarray[Any, Any]

_INT64 = ctypes.c_int64
_MOST_BYTES = 26
_SMALL_BYTES = 8192
_DIGITS = {4: 9, 8: 17}


def float_text(value: float, bytes_: int) -> str:
    """Return one number as JSON text.

    Args:
        value: The number.
        bytes_: 4 or 8: the size of the type that it is of.

    Example:
        >>> float_text(0.2, 8), float_text(9e6, 8), float_text(math.inf, 8)
        ('0.2', '9e+06', 'Infinity')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    read = float(np.float32(text)) if bytes_ == 4 else float(text)
    if read != value:
        text = f"{value:.{_DIGITS[bytes_]}g}"
    return text if "." in text or "e" in text else f"{text}.0"


def floats_text(array: Array) -> bytes:
    """Return an array of float32 or float64 of at least one axis as JSON text: nested lists without a space."""
    write = native_function("mainstay_write_json_floats", _INT64, ADDRESS, _INT64, ADDRESS, _INT64, ADDRESS)
    if write is None:
        return _plain(array.tolist(), array.itemsize).encode()
    lengths, where, room, buffer = _layout(array.shape)
    if buffer is not None:  # a copy of a few numbers costs less than their address
        few = buffer()
        size = write(array.tobytes(), array.itemsize, where, len(lengths), few)
        return few.raw[:size]
    array = np.ascontiguousarray(array)
    text = np.empty(room, np.uint8)
    size = write(address_of(array), array.itemsize, where, len(lengths), address_of(text))
    return text[:size].tobytes()


@functools.lru_cache(maxsize=256)
def _layout(shape: tuple[int, ...]) -> tuple[Array, int, int, type[ctypes.Array[ctypes.c_char]] | None]:
    """Return a shape as C takes it, its address, the most room that the text of an array of it takes, and where that
    is little the type of a buffer for it."""
    lengths = np.array(shape, np.int64)
    num_lists = sum(math.prod(shape[:axis]) for axis in range(len(shape)))
    room = math.prod(shape) * _MOST_BYTES + 3 * num_lists
    return lengths, address_of(lengths), room, ctypes.c_char * room if room <= _SMALL_BYTES else None


def _plain(value: Any, bytes_: int) -> str:
    if isinstance(value, list):
        return f"[{','.join(_plain(item, bytes_) for item in value)}]"
    return float_text(value, bytes_)
