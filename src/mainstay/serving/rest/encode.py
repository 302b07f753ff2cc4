"""Predict responses in JSON as TF Serving writes them: its decimals, bare NaN, one output without its name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from mainstay.core import DTYPES, RequestError
from mainstay.serving.batching.outputs import Array, Outputs
from mainstay.serving.rest.float_text import floats_text

_NATIVE = frozenset(np.dtype(name) for name in DTYPES if name not in ("bfloat16", "string"))
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def predictions(outputs: Outputs) -> bytes:
    """Return the body of an answer in row format: a value per row, or an object where there are several outputs.

    Raises:
        RequestError: The outputs are no rows, or not the same number of them.
    """
    arrays = outputs.arrays
    _check_rows(arrays)
    if len(arrays) == 1:
        ((name, array),) = arrays.items()
        return b'{"predictions":%b}' % _text(name, array)
    keys = [_key(name) for name in arrays]
    columns_ = [row_texts(name, array) for name, array in arrays.items()]
    rows = [
        b"{%b}" % b",".join([key + text for key, text in zip(keys, row, strict=True)])
        for row in zip(*columns_, strict=True)
    ]
    return b'{"predictions":[%b]}' % b",".join(rows)


def columns(outputs: Outputs) -> bytes:
    """Return the body of an answer in columnar format: one value, or an object where there are several outputs."""
    arrays = outputs.arrays
    if len(arrays) == 1:
        ((name, array),) = arrays.items()
        return b'{"outputs":%b}' % _text(name, array)
    return b'{"outputs":{%b}}' % b",".join([_key(name) + _text(name, array) for name, array in arrays.items()])


def _key(name: str) -> bytes:
    return orjson.dumps(name) + b":"


def _text(name: str, array: Array) -> bytes:
    """Return an output as JSON text."""
    ready = _ready(name, array)
    if not isinstance(ready, np.ndarray):
        if isinstance(ready, np.floating):
            return floats_text(np.array([ready]))[1:-1]
        return orjson.dumps(ready, option=orjson.OPT_SERIALIZE_NUMPY)
    if ready.dtype in _FLOATS:
        return floats_text(ready)
    return orjson.dumps(ready, option=orjson.OPT_SERIALIZE_NUMPY)


def row_texts(name: str, array: Array) -> list[bytes]:
    """Return each row of an output as JSON text."""
    if not array.size or array.dtype.kind in "OUS":
        return [_text(name, row) for row in array] if array.ndim > 1 else [_text(name, np.array(row)) for row in array]
    text, depth = _text(name, array), array.ndim
    opening, closing = b"[" * (depth - 1), b"]" * (depth - 1)
    rows = text[depth:-depth].split(closing + b"," + opening)
    return [opening + row + closing for row in rows] if opening else rows


def _check_rows(arrays: Mapping[str, Array]) -> None:
    """Refuse outputs that are no rows, as those of a signature of whole tensors may be."""
    rows = -1
    for name, array in arrays.items():
        if not array.ndim:
            raise RequestError(f"Tensor name: {name} has no shape information ", fix="send 'inputs' instead")
        if rows not in (-1, len(array)):
            raise RequestError(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}",
                fix="send 'inputs' instead",
            )
        rows = len(array)


def _ready(name: str, array: Array) -> Any:
    """Return an output in the form that JSON is written from: numbers as an array, strings as nested lists."""
    if array.dtype.kind in "OUS":
        return _strings(array.tolist(), name.endswith("_bytes"))
    if array.dtype not in _NATIVE:  # such as bfloat16, or another byte order
        array = array.astype(np.float32 if array.dtype.kind not in "biuf" else array.dtype.newbyteorder("="))
    if array.ndim:
        return np.ascontiguousarray(array)
    # A single number, which the writer takes as a scalar of NumPy.
    return array.astype(np.float32)[()] if array.dtype == np.float16 else array[()]


def _strings(value: Any, binary: bool) -> Any:
    """Return strings as JSON has them: text, or the base64 object where the output's name asks for it."""
    if isinstance(value, list):
        return [_strings(item, binary) for item in value]
    if binary:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
        return {"b64": base64.b64encode(data).decode()}
    return readable(value)


def readable(value: str | bytes) -> str:
    """Return a string as text; bytes in it that are no UTF-8 become the replacement character."""
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "replace")
