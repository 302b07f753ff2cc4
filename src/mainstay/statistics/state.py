"""The bytes of an accumulator: a versioned container of numbers and arrays, without pickle and without a clock.

Layout: the 8 bytes ``MSSTATE1``, the header's length as a little-endian uint64, the header as UTF-8 JSON, then the
arrays' bytes in the header's order, little-endian and without gaps. The header names the kind of accumulator, its
version, its scalars (integers as they are, floats as C99 hexadecimal strings, so that they come back bit for bit)
and each array's dtype and length. A reader refuses an unknown kind or version; a changed meaning raises the version.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import FormatError

_MAGIC = b"MSSTATE1"
_DTYPES = ("<f8", "<i8", "<u8", "|u1")


@dataclass(frozen=True, slots=True)
class State:
    """What a container holds, with getters that refuse what is missing or of the wrong type."""

    kind: str
    scalars: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray[Any, Any]]

    def text(self, name: str) -> str:
        """Return a string scalar."""
        value = self._scalar(name)
        if not isinstance(value, str):
            raise self.fault(f"{name} is not text")
        return value

    def integer(self, name: str, minimum: int = 0) -> int:
        """Return an integer scalar of at least `minimum`."""
        value = self._scalar(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self.fault(f"{name} is not an integer of at least {minimum}")
        return value

    def number(self, name: str) -> float:
        """Return a float scalar, bit for bit."""
        try:
            return float.fromhex(self.text(name))
        except (ValueError, OverflowError) as error:
            raise self.fault(f"{name} is not a number") from error

    def array(self, name: str, dtype: str) -> np.ndarray[Any, Any]:
        """Return an array, `[count]` of exactly `dtype`."""
        value = self.arrays.get(name)
        if value is None or value.dtype != np.dtype(dtype):
            raise self.fault(f"the array {name} of dtype {dtype} is missing")
        return value

    def child(self, name: str) -> bytes:
        """Return the bytes of an accumulator inside this one."""
        return self.array(name, "|u1").tobytes()

    def fault(self, what: str) -> FormatError:
        """Return the error to raise when `what` is wrong with this state."""
        return FormatError(
            f"the state of an accumulator cannot be read: {what}",
            where=f"state of kind {self.kind}",
            fix="compute the statistics again",
        )

    def _scalar(self, name: str) -> Any:
        if name not in self.scalars:
            raise self.fault(f"{name} is missing")
        return self.scalars[name]


def pack(kind: str, scalars: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any] | bytes]) -> bytes:
    """Return the container of an accumulator.

    Args:
        kind: The kind of accumulator with its version, such as ``moments/1``.
        scalars: Integers, floats, strings and JSON values of them.
        arrays: Arrays of one axis and one of the dtypes float64, int64, uint64 and uint8, or bytes.
    """
    table: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, value in arrays.items():
        array = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.ascontiguousarray(value)
        dtype = array.dtype.newbyteorder("<").str
        blobs.append(array.astype(dtype, copy=False).tobytes())
        table.append({"name": name, "dtype": dtype, "count": len(array)})
    plain = {name: value.hex() if isinstance(value, float) else value for name, value in scalars.items()}
    header = json.dumps({"kind": kind, "scalars": plain, "arrays": table}, separators=(",", ":"), allow_nan=False)
    encoded = header.encode()
    return b"".join([_MAGIC, struct.pack("<Q", len(encoded)), encoded, *blobs])


def unpack(data: bytes, kind: str) -> State:
    """Return what `pack` put together, checked to be whole.

    Raises:
        FormatError: The bytes are truncated, were edited, or hold another kind or version.
    """
    empty = State(kind, {}, {})
    if len(data) < 16 or data[:8] != _MAGIC:
        raise empty.fault("it does not begin as such a state does")
    (length,) = struct.unpack("<Q", data[8:16])
    if length > len(data) - 16:
        raise empty.fault("it is truncated")
    try:
        header = json.loads(data[16 : 16 + length])
        found, scalars, table = header["kind"], dict(header["scalars"]), list(header["arrays"])
        entries = [(str(entry["name"]), str(entry["dtype"]), int(entry["count"])) for entry in table]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise empty.fault("its header is damaged") from error
    if found != kind:
        raise FormatError("the state belongs to another kind or version of accumulator", expected=kind, received=found)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    position = 16 + length
    for name, dtype, count in entries:
        if dtype not in _DTYPES or count < 0 or count * np.dtype(dtype).itemsize > len(data) - position:
            raise empty.fault(f"the array {name} does not fit")
        arrays[name] = np.frombuffer(data, dtype, count, position)
        position += arrays[name].nbytes
    if position != len(data):
        raise empty.fault("bytes follow its end")
    return State(kind, scalars, arrays)
