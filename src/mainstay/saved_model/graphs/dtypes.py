"""TensorFlow's `DataType` numbers and names, and the NumPy dtypes or the words that stand for them here.

A kind is a NumPy dtype for numbers, or ``"string"``, ``"resource"`` or ``"variant"`` for what NumPy has no dtype for.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from mainstay.core import FormatError

Kind: TypeAlias = "np.dtype[Any] | str"

_FACTS: tuple[tuple[int, str, Any], ...] = (
    (1, "float", np.float32),
    (2, "double", np.float64),
    (3, "int32", np.int32),
    (4, "uint8", np.uint8),
    (5, "int16", np.int16),
    (6, "int8", np.int8),
    (7, "string", "string"),
    (8, "complex64", np.complex64),
    (9, "int64", np.int64),
    (10, "bool", np.bool_),
    (14, "bfloat16", ml_dtypes.bfloat16),
    (17, "uint16", np.uint16),
    (18, "complex128", np.complex128),
    (19, "half", np.float16),
    (20, "resource", "resource"),
    (21, "variant", "variant"),
    (22, "uint32", np.uint32),
    (23, "uint64", np.uint64),
    (24, "float8_e5m2", ml_dtypes.float8_e5m2),
    (25, "float8_e4m3fn", ml_dtypes.float8_e4m3fn),
    (26, "float8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    (27, "float8_e4m3b11fnuz", ml_dtypes.float8_e4m3b11fnuz),
    (28, "float8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
    (29, "int4", ml_dtypes.int4),
    (30, "uint4", ml_dtypes.uint4),
    (31, "int2", ml_dtypes.int2),
    (32, "uint2", ml_dtypes.uint2),
)
_QUANTIZED: tuple[tuple[int, str, Any], ...] = (
    (11, "qint8", np.int8),
    (12, "quint8", np.uint8),
    (13, "qint32", np.int32),
    (15, "qint16", np.int16),
    (16, "quint16", np.uint16),
)
_REFERENCE = 100
"""What a reference to a variable of TensorFlow 1 adds to the number of its dtype."""


def _kind(value: Any) -> Kind:
    return value if isinstance(value, str) else np.dtype(value)


_BY_NUMBER: dict[int, Kind] = {number: _kind(value) for number, _, value in (*_FACTS, *_QUANTIZED)}
_BY_NAME: dict[str, Kind] = {name: _kind(value) for _, name, value in (*_FACTS, *_QUANTIZED)}
_NUMBERS: dict[Kind, int] = {_kind(value): number for number, _, value in _FACTS}


def kind_of_number(number: int) -> Kind:
    """Return the kind that a `DataType` number means; quantised integers are plain integers here.

    Raises:
        FormatError: There is no such number.
    """
    kind = _BY_NUMBER.get(number - _REFERENCE if number > _REFERENCE else number)
    if kind is None:
        raise FormatError("a tensor has a dtype that is not known", expected="a DataType number", received=number)
    return kind


def kind_of_name(name: str) -> Kind:
    """Return the kind of a `DataType` by its name without ``DT_`` in lower case, such as ``half``.

    Raises:
        FormatError: There is no such name.
    """
    if name not in _BY_NAME:
        raise FormatError("a tensor has a dtype that is not known", expected="the name of a DataType", received=name)
    return _BY_NAME[name]


def number_of_kind(kind: Kind | type[Any]) -> int:
    """Return the `DataType` number of a dtype or of ``"string"``, ``"resource"`` or ``"variant"``.

    Raises:
        FormatError: TensorFlow has no such dtype.
    """
    known = kind if isinstance(kind, str) and kind in _NUMBERS else np.dtype(kind)
    if known == np.dtype(object):
        known = "string"
    if known not in _NUMBERS:
        raise FormatError("TensorFlow has no such dtype", received=kind)
    return _NUMBERS[known]


def array_dtype(kind: Kind) -> np.dtype[Any]:
    """Return the dtype of the NumPy array that holds values of a kind: object for strings, which are `bytes`."""
    return np.dtype(object) if isinstance(kind, str) else kind
