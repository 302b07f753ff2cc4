"""The wire between a dataset and its worker processes: messages over a socket, and memory beside them.

A message is a header, a value, and packed columns: inside of the message where they are small, else in memory whose
descriptor goes with it.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

import numpy as np

from mainstay.data.columns import Column
from mainstay.data.execution.memory import map_memory, place, write_memory
from mainstay.data.execution.packing import pack_columns, unpack_columns
from mainstay.data.execution.pickling import from_bytes, to_bytes

_HEADER = struct.Struct("<QQQ")
_INLINE = 64 << 10


class WireClosedError(ConnectionError):
    """The other process is gone."""


def send(wire: socket.socket, value: Any, columns: tuple[Column, ...] = ()) -> None:
    """Send a value and columns.

    Raises:
        WireClosedError: The other process is gone.
        OSError: There is no memory to share, or there are too many open files.
    """
    description, parcel = pack_columns(columns)
    message = to_bytes((value, description))
    if parcel.size <= _INLINE:
        inline = np.zeros(parcel.size, np.uint8)
        place(inline, parcel.parts)
        _send(wire, [_HEADER.pack(len(message), parcel.size, 0), message, inline.data], [])
        return
    descriptor = write_memory(parcel.size, parcel.parts)
    try:
        _send(wire, [_HEADER.pack(len(message), 0, parcel.size), message], [descriptor])
    finally:
        os.close(descriptor)


def send_memory(wire: socket.socket, value: Any, descriptor: int, size: int) -> None:
    """Send a value and memory that exists already.

    Raises:
        WireClosedError: The other process is gone.
    """
    message = to_bytes((value, None))
    _send(wire, [_HEADER.pack(len(message), 0, size), message], [descriptor])


def _send(wire: socket.socket, parts: list[Any], descriptors: list[int]) -> None:
    try:
        if descriptors:
            sent = socket.send_fds(wire, parts[:1], descriptors)
            parts = [parts[0][sent:], *parts[1:]]
        wire.sendall(b"".join(parts))
    except (BrokenPipeError, ConnectionError) as error:
        raise WireClosedError(*error.args) from error


def receive(wire: socket.socket) -> tuple[Any, tuple[Column, ...]]:
    """Return the value and the columns of the next message.

    Memory that was sent as it is comes as one column of bytes (uint8); what is written to it stays in this process.

    Raises:
        WireClosedError: The other process is gone.
    """
    header, descriptors = _first(wire)
    try:
        length, inline, shared = _HEADER.unpack(header)
        value, description = from_bytes(_exactly(wire, length))
        if shared:
            memory = map_memory(descriptors[0], shared, is_private=description is None)
        else:
            memory = np.frombuffer(_exactly(wire, inline), np.uint8)
        return value, (memory,) if description is None else unpack_columns(description, memory)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _first(wire: socket.socket) -> tuple[bytes, list[int]]:
    """Return a header, and the descriptors that came with its first byte."""
    try:
        data, descriptors, _, _ = socket.recv_fds(wire, _HEADER.size, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    except ConnectionError as error:
        raise WireClosedError(*error.args) from error
    if not data:
        raise WireClosedError("the other process is gone")
    return data + bytes(_exactly(wire, _HEADER.size - len(data))), descriptors


def _exactly(wire: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        try:
            count = wire.recv_into(view)
        except ConnectionError as error:
            raise WireClosedError(*error.args) from error
        if not count:
            raise WireClosedError("the other process is gone")
        view = view[count:]
    return data
