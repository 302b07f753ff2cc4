"""Numbers as strings and back, as C's `printf` and TensorFlow's own parsers read and write them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import check_bytes, flat, refused, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graph_reading.graph_ops.written_numbers import summary

_SAFE = 3e38
_DOUBLE, _BITS = struct.Struct("<d"), struct.Struct("<q")
_SPACE = b" \t\n\v\f\r"
_INTEGER = re.compile(rb"[+-]?[0-9]+")
_FLOAT = re.compile(rb"[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?|inf|infinity|nan)", re.I)
_NAN = re.compile(rb"[+-]?nan\([0-9a-zA-Z_]*\)", re.I)
_HEXADECIMAL = re.compile(rb"[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)([pP][+-]?[0-9]+)?")


@graph_op("StringToNumber", kind="host")
def to_number(node: OpNode, text: Value) -> Value:
    """Read numbers."""
    elements, dtype = flat(text), node.dtype("out_type")
    read = parser_of(dtype)
    numbers = list(map(read, elements))
    if None in numbers:
        wrong = elements[numbers.index(None)]
        raise refused(node, "a string is no number", expected=dtype.name, received=wrong)
    return np.array(numbers, dtype).reshape(np.shape(text))


def parser_of(dtype: np.dtype[Any]) -> Callable[[bytes], Any]:
    """Return what reads a number of a dtype from a string, or gives None where it is none, or one out of range.

    Example:
        >>> parser_of(np.dtype(np.int32))(b" 7 "), parser_of(np.dtype(np.int32))(b"1e3")
        (7, None)
    """
    if dtype.kind == "f":
        return lambda text: _read_float(text, dtype)
    limits = np.iinfo(dtype)

    def read(text: bytes) -> int | None:
        stripped = text.strip(_SPACE)
        if len(stripped) > 4000 or _INTEGER.fullmatch(stripped) is None:
            return None
        number = int(stripped)
        is_unsigned_sign = limits.min == 0 and stripped[:1] == b"-"
        return number if limits.min <= number <= limits.max and not is_unsigned_sign else None

    return read


def _read_float(text: bytes, dtype: np.dtype[Any]) -> Any:
    stripped = text.strip(_SPACE)
    if _FLOAT.fullmatch(stripped) is not None:
        wide = float(stripped)
        if abs(wide) < _SAFE and (dtype == np.float64 or not _is_tie(wide)):
            return dtype.type(wide)
        with np.errstate(over="ignore"):
            # The digits decide once: through float64 a float32 would be rounded twice.
            return dtype.type(wide) if dtype == np.float64 else _nearest(stripped.decode(), dtype)
    if _NAN.fullmatch(stripped) is not None:
        return dtype.type(np.nan)
    if _HEXADECIMAL.fullmatch(stripped) is None:
        return None
    try:
        with np.errstate(over="ignore"):
            return dtype.type(float.fromhex(stripped.decode()))
    except OverflowError:
        return dtype.type(-np.inf if stripped.startswith(b"-") else np.inf)


def _is_tie(wide: float) -> bool:
    """Return whether a float64 may lie in the middle between two numbers of float32."""
    bits: int = _BITS.unpack(_DOUBLE.pack(wide))[0]
    return bits & 0x1FFFFFFF == 0x10000000 or abs(wide) < 2e-38


def _nearest(text: str, dtype: np.dtype[Any]) -> Any:
    """Return the number of a narrow dtype that is nearest to a decimal."""
    near = dtype.type(float(text))
    if not np.isfinite(near):
        return near
    exact = float(near)
    if exact == float(text) or dtype != np.float32:
        return near
    from fractions import Fraction

    candidates = (near, np.nextafter(near, dtype.type(-np.inf)), np.nextafter(near, dtype.type(np.inf)))
    wide = float(text)
    halves = [(exact + float(other)) / 2 for other in candidates[1:] if np.isfinite(other)]
    if wide not in halves:
        return near
    wanted = Fraction(text.strip())
    return min((each for each in candidates if np.isfinite(each)), key=lambda each: abs(Fraction(float(each)) - wanted))


@graph_op("AsString", kind="host")
def as_string(node: OpNode, value: Value) -> Value:
    """Write numbers as `printf` does."""
    value = np.asarray(value)
    write, width = _writer(node, value.dtype), max(node.attr("width", -1), node.attr("precision", -1), 0)
    check_bytes(node, width * max(value.size, 1))
    return strings([write(element) for element in flat(value)], value.shape)


def _writer(node: OpNode, dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    fill, width, precision = node.attr("fill", b""), node.attr("width", -1), node.attr("precision", -1)
    scientific, short = node.attr("scientific", False), node.attr("shortest", False)
    if scientific and short:
        raise refused(node, "scientific and shortest exclude each other")
    if fill not in (b"", b" ", b"+", b"-", b"0", b"#"):
        raise refused(node, "no such fill", expected="one of ' +-0#'", received=fill)
    is_real = dtype.kind in "fc" or dtype.name == "bfloat16"
    if not is_real and (scientific or short or precision > -1):
        raise refused(node, "precision and form are for floats", received=dtype.name)
    if dtype.kind == "O":
        return lambda text: bytes(text)
    if dtype.kind == "b":
        return lambda flag: b"true" if flag else b"false"
    size = (str(width) if width > -1 else "") + (f".{precision}" if precision > -1 else "")
    letter = ("e" if scientific else "g" if short else "f") if is_real else "d"
    sign = fill.decode()
    ignored = ("#", "+", " ") if dtype.kind == "u" else ("#",) if letter == "d" else ()
    form = f"%{'' if sign in ignored else sign}{size}{letter}"
    if dtype.kind in "iu":
        return lambda number: (form % number).encode()
    padded = f"%{'' if sign == '0' else sign}{size}{letter}"

    def write(number: float) -> str:
        return (form if np.isfinite(number) else padded) % number

    if dtype.kind == "c":
        return lambda number: f"({write(number.real)},{write(number.imag)})".encode()
    return lambda number: write(number).encode()


@graph_op("StringFormat", kind="host")
def string_format(node: OpNode, *values: Value) -> Value:
    """Put arrays into the places of a template, the middle of long ones left out."""
    template, placeholder = node.attr("template", b"%s"), node.attr("placeholder", b"%s")
    parts = template.split(placeholder) if placeholder else [template]
    if len(parts) != len(values) + 1:
        raise refused(node, "the template has other places", expected=len(values), received=len(parts) - 1)
    texts = [summary(np.asarray(value), node.attr("summarize", 3)) for value in values]
    joined = [piece for pair in zip(parts, [*texts, b""], strict=True) for piece in pair]
    return strings([b"".join(joined)], ())
