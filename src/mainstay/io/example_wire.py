"""tf.Example's wire format read one record at a time in Python: everything that protobuf allows, slow and plain.

The NumPy path hands it the records that are out of step; its answers are those of the C library.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from mainstay.io.example_features import BYTES, FLOAT, INT64

_VARINT, _FIXED64, _SIZED, _GROUP, _GROUP_END, _FIXED32 = range(6)
_MOST_NESTED = 100


class MalformedError(Exception):
    """The bytes are not a tf.Example."""


@dataclass
class Values:
    """What one record has of one feature.

    Attributes:
        kind: BYTES, FLOAT or INT64; 0 where there was no list.
        values: Whole numbers; pieces of four bytes for floats; spans ``(start, length)`` in the record for strings.
        blank: Whether the last entry of the key had no list.
    """

    kind: int = 0
    values: list[Any] = field(default_factory=list)
    blank: bool = False


def read_example(data: bytes, wanted: Collection[bytes]) -> dict[bytes, Values]:
    """Return what a record has of the features that are asked for.

    Args:
        data: The record.
        wanted: The keys.

    Raises:
        MalformedError: The record is not an Example. Features that are not asked for are not looked into.
    """
    found: dict[bytes, Values] = {}
    for tag, start, end in read_fields(data, 0, len(data)):
        if tag == 8 + _SIZED:
            for inner, entry_start, entry_end in read_fields(data, start, end):
                if inner == 8 + _SIZED:
                    _read_entry(data, entry_start, entry_end, wanted, found)
    return found


def _read_entry(data: bytes, start: int, end: int, wanted: Collection[bytes], found: dict[bytes, Values]) -> None:
    key, pieces = b"", []
    for tag, field_start, field_end in read_fields(data, start, end):
        if tag == 8 + _SIZED:
            key = data[field_start:field_end]
        elif tag == 16 + _SIZED:
            pieces.append((field_start, field_end))
    if key not in wanted:
        return
    entry = Values()
    for piece_start, piece_end in pieces:
        _read_feature(data, piece_start, piece_end, entry)
    if entry.kind:
        found[key] = entry
    else:
        found.setdefault(key, Values()).blank = True


def _read_feature(data: bytes, start: int, end: int, into: Values) -> None:
    for tag, list_start, list_end in read_fields(data, start, end):
        kind = tag >> 3
        if tag & 7 != _SIZED or kind > INT64:
            continue
        if kind != into.kind:
            into.kind, into.values = kind, []
        for inner, value_start, value_end in read_fields(data, list_start, list_end):
            if inner >> 3 == 1:
                _read_values(data, kind, inner & 7, value_start, value_end, into.values)


def _read_values(data: bytes, kind: int, wire: int, start: int, end: int, values: list[Any]) -> None:
    if kind == BYTES and wire == _SIZED:
        values.append((start, end - start))
    elif kind == FLOAT and wire == _FIXED32:
        values.append(data[start:end])
    elif kind == FLOAT and wire == _SIZED:
        if (end - start) % 4:
            raise MalformedError
        values += [data[at : at + 4] for at in range(start, end, 4)]
    elif kind == INT64 and wire in (_VARINT, _SIZED):
        at = start
        while at < end:
            value, at = _read_varint(data, at, end, 10)
            value &= (1 << 64) - 1
            values.append(value - (1 << 64) if value >> 63 else value)


def read_fields(data: bytes, at: int, end: int) -> Any:
    """Yield tag, start and end of the content of each field of a message."""
    while at < end:
        tag, at = _read_tag(data, at, end)
        start, at = _skip(data, at, end, tag, 0)
        yield tag, start, at


def _skip(data: bytes, at: int, end: int, tag: int, depth: int) -> tuple[int, int]:
    """Return where the content of a field starts and ends."""
    wire = tag & 7
    if wire == _VARINT:
        return at, _read_varint(data, at, end, 10)[1]
    if wire == _SIZED:
        size, at = _read_varint(data, at, end, 5)
    elif wire in (_FIXED64, _FIXED32):
        size = 8 if wire == _FIXED64 else 4
    elif wire == _GROUP and depth < _MOST_NESTED:
        start = at
        while True:
            inner, at = _read_tag(data, at, end)
            if inner & 7 == _GROUP_END:
                if inner >> 3 != tag >> 3:
                    raise MalformedError
                return start, at
            _, at = _skip(data, at, end, inner, depth + 1)
    else:
        raise MalformedError
    if size > end - at or size >= 1 << 31:
        raise MalformedError
    return at, at + size


def _read_tag(data: bytes, at: int, end: int) -> tuple[int, int]:
    tag, at = _read_varint(data, at, end, 5)
    if not 8 <= tag < 1 << 32:
        raise MalformedError
    return tag, at


def _read_varint(data: bytes, at: int, end: int, most: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * most, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise MalformedError
