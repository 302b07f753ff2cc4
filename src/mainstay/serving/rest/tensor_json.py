"""Predict requests of plain numbers straight into arrays, by the C library: the way that nearly every body takes.

It never refuses a request. Whatever is unusual, a fault above all, is left to `decode`, which tells what is wrong; what
is read here is what it would read.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mainstay.core import ADDRESS, SetupError, address_of, native_function, native_library
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.json_text import path
from mainstay.serving.rest.values import fits
from mainstay.serving.rest.whole import tensors_chunk

_INT64 = ctypes.c_int64
_KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_MOST_AXES = 8
# The fields of `json_input` in C, each of eight bytes.
_NAME, _NAME_SIZE, _KIND, _BELOW, _ABOVE, _LARGEST, _VALUES, _ROOM, _COUNT, _AXES, _LENGTHS = range(11)
_FIELDS = _LENGTHS + _MOST_AXES
_REPORT = 3
_DONE, _SIGNATURE = 0, 2
_OBJECTS = 1
# Up to this size the room for the values is what the shortest ones would need; beyond it they are counted.
_COUNTED_FROM = 1 << 16


class TensorReader:
    """Reads the bodies of requests to one signature, as long as they hold nothing but numbers.

    Args:
        signature: The signature's name.
        plans: Its inputs.
        batched: Whether rows of several requests may run together; else a request is whole tensors.
    """

    def __init__(self, signature: str, plans: Sequence[InputPlan], *, batched: bool = True) -> None:
        self._signature = signature.encode("utf-8", "surrogatepass")
        self._plans = tuple(plans)
        self._batched = batched
        self._whole = not batched or any(plan.free for plan in plans)
        self._inner = [plan.inner for plan in self._plans]
        self._open = any(None in inner for inner in self._inner)
        self._names = [plan.name.encode("utf-8", "surrogatepass") for plan in self._plans]  # C keeps their addresses
        self._dtypes = [np.dtype(plan.dtype if plan.dtype in _KINDS else "float64") for plan in self._plans]
        self._casts = [None if plan.dtype in _KINDS else plan.dtype for plan in self._plans]
        # The inputs as C is told about them, and behind them the room for its report.
        request = np.zeros(len(self._plans) * _FIELDS + _REPORT, np.int64)
        for slot, (plan, name, dtype) in enumerate(zip(self._plans, self._names, self._dtypes, strict=True)):
            _describe(request[slot * _FIELDS : (slot + 1) * _FIELDS], plan, name, dtype.name)
        self._request, self._form = request.tobytes(), _INT64 * len(request)
        self._read, self._count = _functions()

    @classmethod
    def of(cls, signature: str, plans: Sequence[InputPlan], *, batched: bool = True) -> TensorReader | None:
        """Return the reader of a signature; None where an input is no number, or C is not there to read it."""
        if not plans or any(plan.dtype == "string" for plan in plans) or native_library() is None:
            return None
        return cls(signature, plans, batched=batched)

    def read(self, body: bytes) -> tuple[Chunk, bool] | str | None:
        """Return the rows of a body and whether they came as rows.

        Where the request is for another signature, its name is returned, and None where it is not to be read here.
        """
        if native_library() is None:
            return None
        size, request = len(body), self._form.from_buffer_copy(self._request)
        room = size // 2 + 1 if size < _COUNTED_FROM else self._count(body, size, 44) + 1
        arrays, place = [], _VALUES
        for dtype in self._dtypes:
            array = np.empty(room, dtype)
            request[place] = address_of(array)
            request[place + 1] = room
            arrays.append(array)
            place += _FIELDS
        address, name, count = ctypes.addressof(request), self._signature, len(arrays)
        status = self._read(body, size, address, count, name, len(name), address + 8 * count * _FIELDS)
        if status == _DONE:
            return self._chunk(arrays, request[:])
        if status == _SIGNATURE:
            _, start, length = request[-_REPORT:]
            return body[start : start + length].decode("utf-8", "replace")
        return None

    def _chunk(self, arrays: list[Any], found: list[int]) -> tuple[Chunk, bool] | None:
        """Return the rows that C has found, or None where they are not as the signature says."""
        if self._whole:
            return self._tensors(arrays, found)
        rows, shapes, place = found[_LENGTHS], [], 0
        for slot, inner in enumerate(self._inner):
            start = place + _LENGTHS
            lengths = found[start : start + found[place + _AXES]]
            shape = tuple(lengths[1:])
            if not lengths or lengths[0] != rows or (shape != inner and not fits(shape, inner)):
                return None
            values = arrays[slot][: found[place + _COUNT]].reshape(lengths)
            cast = self._casts[slot]
            arrays[slot] = values if cast is None else values.astype(cast)
            if inner and self._open:
                shapes.append(shape)
            place += _FIELDS
        form = found[-_REPORT]
        return Chunk(rows, arrays, False, tuple(shapes), _PLACES[form]), form <= _OBJECTS

    def _tensors(self, arrays: list[Any], found: list[int]) -> tuple[Chunk, bool] | None:
        """Return tensors of whatever shapes C has found, for a signature that says itself what fits."""
        for slot, cast in enumerate(self._casts):
            fields = found[slot * _FIELDS : (slot + 1) * _FIELDS]
            lengths = fields[_LENGTHS : _LENGTHS + fields[_AXES]]
            if not lengths:
                return None
            values = arrays[slot][: fields[_COUNT]].reshape(lengths)
            arrays[slot] = values if cast is None else values.astype(cast)
        form = found[-_REPORT]
        return tensors_chunk(arrays, self._plans, batched=self._batched, place=_PLACES[form]), form <= _OBJECTS


def _describe(row: np.ndarray[Any, Any], plan: InputPlan, name: bytes, kept: str) -> None:
    """Fill what C is told about an input."""
    row[_NAME], row[_NAME_SIZE] = ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p).value or 0, len(name)
    row[_KIND] = _KINDS.index(kept)
    row[_COUNT], row[_AXES] = 0, -1
    row[_LENGTHS:] = -1
    if plan.dtype == "bool":
        return
    low, high = plan.bounds(int) or (0, 0)
    row.view(np.uint64)[_BELOW], row.view(np.uint64)[_ABOVE] = -int(low), int(high)
    limits = plan.bounds(float) if plan.is_float else None
    row.view(np.float64)[_LARGEST] = np.finfo(np.float64).max if limits is None else limits[1]


def _functions() -> tuple[Callable[..., int], Callable[..., int]]:
    read = native_function(
        *("mainstay_read_json", _INT64, ctypes.c_char_p, _INT64, ADDRESS, _INT64, ctypes.c_char_p, _INT64, ADDRESS)
    )
    count = native_function("mainstay_count_byte", _INT64, ctypes.c_char_p, _INT64, ctypes.c_int32)
    if read is None or count is None:
        raise SetupError("the C library is not there", fix="make readers with `TensorReader.of`")
    return read, count


_PLACES: tuple[Callable[[str, int], str], ...] = (
    lambda _, row: f"$.instances[{row}]",
    lambda name, row: path(f"$.instances[{row}]", name),
    lambda _, row: f"$.inputs[{row}]",
    lambda name, row: f"{path('$.inputs', name)}[{row}]",
)
