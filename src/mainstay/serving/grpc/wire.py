"""Protobuf's wire format by hand: fields written, and fields walked with their places in a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""The wire types that messages of today use."""

_MOST_VARINT_BYTES = 10


class Field(NamedTuple):
    """A field of a message, where it lies.

    Attributes:
        number: Its number.
        kind: Its wire type.
        start: Where its value begins: for `LENGTH` after the length.
        stop: Where it ends.
        value: The value of a `VARINT`; 0 for others.
    """

    number: int
    kind: int
    start: int
    stop: int
    value: int


class MalformedError(Exception):
    """Bytes that are no message, or that hold what no message of today holds."""


def walk(data: bytes, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of a message, in the order in which they come.

    Args:
        data: What holds the message.
        start: Where it begins.
        stop: Where it ends.

    Raises:
        MalformedError: It is cut off, or holds a group, a field number 0 or a number too long.
    """
    at = start
    while at < stop:
        tag, at = read_varint(data, at, stop)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise MalformedError
        if kind == VARINT:
            value, end = read_varint(data, at, stop)
            yield Field(number, kind, at, end, value)
        elif kind == LENGTH:
            length, at = read_varint(data, at, stop)
            end = at + length
            if end > stop:
                raise MalformedError
            yield Field(number, kind, at, end, 0)
        elif kind in (FIXED32, FIXED64):
            end = at + (4 if kind == FIXED32 else 8)
            if end > stop:
                raise MalformedError
            yield Field(number, kind, at, end, 0)
        else:
            raise MalformedError
        at = end


def read_varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place behind it.

    Raises:
        MalformedError: It is cut off, or does not fit into 64 bits.
    """
    value = shift = 0
    for place in range(at, min(stop, at + _MOST_VARINT_BYTES)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                raise MalformedError
            return value, place + 1
        shift += 7
    raise MalformedError


def varint(value: int) -> bytes:
    """Return a number as a varint; one below 0 takes ten bytes, as protobuf has it.

    >>> varint(300).hex(), len(varint(-1))
    ('ac02', 10)
    """
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def head(number: int, length: int) -> bytes:
    """Return what stands before `length` bytes that are the value of a field."""
    return varint(number << 3 | LENGTH) + varint(length)


def field(number: int, value: bytes) -> bytes:
    """Return a field whose value is bytes: a string, a message, or packed numbers."""
    return head(number, len(value)) + value


def number_field(number: int, value: int) -> bytes:
    """Return a field whose value is a whole number; nothing for 0, which is what a field is without a value."""
    return varint(number << 3) + varint(value) if value else b""
