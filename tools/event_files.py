"""A reader of TensorBoard's event files, for tests: it shares nothing with the writer but the messages' definitions."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from mainstay.core import message_class

_FLOAT, _DOUBLE = 1, 2


def _masked(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def _checked(holds: bool, what: str, file: Path) -> None:
    if not holds:
        raise ValueError(f"{file}: {what}")


def read_records(file: Path) -> list[bytes]:
    """Return the records of a file; one that is cut off or damaged is an error."""
    data, found, position = file.read_bytes(), [], 0
    while position < len(data):
        length, crc = struct.unpack_from("<QI", data, position)
        _checked(crc == _masked(data[position : position + 8]), "the checksum of a length is wrong", file)
        record = data[position + 12 : position + 12 + length]
        _checked(len(record) == length, "a record is cut off", file)
        (crc,) = struct.unpack_from("<I", data, position + 12 + length)
        _checked(crc == _masked(record), "the checksum of a record is wrong", file)
        found.append(record)
        position += 16 + length
    return found


def read_events(folder: Path) -> list[Any]:
    """Return every event of a folder's files, file by file, without those that say the version."""
    events = []
    for file in sorted(folder.glob("*tfevents*")):
        first, *rest = map(message_class("tensorflow.Event").FromString, read_records(file))
        _checked(first.file_version == "brain.Event:2", "the first event does not say the version", file)
        _checked(first.source_metadata.writer == "mainstay.summary", "the writer is not named", file)
        events += rest
    return events


def read_values(folder: Path) -> list[tuple[str, int, str, np.ndarray[Any, Any]]]:
    """Return tag, step, plugin and array of every summary of a folder."""
    return [
        (value.tag, event.step, value.metadata.plugin_data.plugin_name, _array(value.tensor))
        for event in read_events(folder)
        if event.WhichOneof("what") == "summary"
        for value in event.summary.value
    ]


def _array(tensor: Any) -> np.ndarray[Any, Any]:
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype == _DOUBLE:
        return np.frombuffer(tensor.tensor_content, "<f8").reshape(shape)
    values = list(tensor.float_val if tensor.dtype == _FLOAT else tensor.string_val)
    return np.array(values, dtype=None if tensor.dtype == _FLOAT else object).reshape(shape)
