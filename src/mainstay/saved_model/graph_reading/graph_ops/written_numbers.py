"""Arrays as text, as TensorFlow summarises them in `tf.strings.format` and `tf.print`."""

from __future__ import annotations

from typing import Any

import numpy as np

_PLAIN = bytes([*range(0x20, 0x7F), *range(0x80, 0x100)]).replace(b'"', b"").replace(b"'", b"").replace(b"\\", b"")
_NAMED = {9: b"\\t", 10: b"\\n", 13: b"\\r", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}


def escaped(text: bytes) -> bytes:
    """Return a string as C writes it: bytes of ASCII that cannot be printed in octal."""
    if not text.translate(None, _PLAIN):
        return text
    return b"".join(_NAMED.get(byte) or (bytes([byte]) if byte in _PLAIN else b"\\%03o" % byte) for byte in text)


def shortest(number: Any) -> str:
    """Return a float in the fewest digits, at most those that `%g` has, that read back as the same number.

    Example:
        >>> shortest(np.float32(0.1)), shortest(np.float64(1e20))
        ('0.1', '1e+20')
    """
    if not np.isfinite(number):
        return "nan" if np.isnan(number) else "inf" if number > 0 else "-inf"
    is_wide = isinstance(number, np.float64)
    few, many = (15, 17) if is_wide else (6, 8)
    text = f"{float(number):.{few}g}"
    return text if type(number)(text) == number else f"{float(number):.{many}g}"


def summary(array: Any, edge: int) -> bytes:
    """Return an array in brackets.

    Args:
        array: An array of numbers, flags or strings.
        edge: How many elements are shown at both ends of each axis; all if negative.
    """
    if array.ndim == 0:
        return _element(array[()], array.dtype)
    return _rows(array, edge if edge >= 0 else max(array.shape, default=0), 1)


def _element(element: Any, dtype: Any) -> bytes:
    if dtype.kind == "O":
        return b'"' + escaped(element) + b'"'
    if dtype.kind == "b":
        return b"1" if element else b"0"
    if dtype.kind == "f":
        return shortest(element).encode()
    if dtype.kind == "c":
        return f"({shortest(element.real)},{shortest(element.imag)})".encode()
    return str(element).encode()


def _rows(array: Any, edge: int, depth: int) -> bytes:
    count = len(array)
    shown = list(range(count)) if count <= 2 * edge else [*range(edge), *range(count - edge, count)]
    if array.ndim == 1:
        parts = [_element(array[at], array.dtype) for at in shown]
        between = b" "
    else:
        parts = [_rows(array[at], edge, depth + 1) for at in shown]
        between = b"\n" * (array.ndim - 1) + b" " * depth
    if count > 2 * edge:
        parts.insert(edge, b"...")
    return b"[" + between.join(parts) + b"]"
