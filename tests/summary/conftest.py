"""A reader of event files that shares nothing with the writer but the messages' definitions."""

import struct
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from mainstay.core import message_class


def masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def records(file: Path) -> list[bytes]:
    data, found, position = file.read_bytes(), [], 0
    while position < len(data):
        length, crc = struct.unpack_from("<QI", data, position)
        assert crc == masked(data[position : position + 8])
        record = data[position + 12 : position + 12 + length]
        assert len(record) == length
        assert struct.unpack_from("<I", data, position + 12 + length) == (masked(record),)
        found.append(record)
        position += 16 + length
    return found


@pytest.fixture(scope="session")
def read_events() -> Callable[[Path], list]:
    """Reads every event of a folder's files but those that say the version, file by file."""

    def read(folder: Path) -> list:
        events = []
        for file in sorted(folder.glob("*tfevents*")):
            first, *rest = map(message_class("tensorflow.Event").FromString, records(file))
            assert first.file_version == "brain.Event:2"
            assert first.source_metadata.writer == "mainstay.summary"
            events += rest
        return events

    return read


@pytest.fixture(scope="session")
def read_values(read_events) -> Callable[[Path], list]:
    """Reads (tag, step, plugin, array) of every summary of a folder."""

    def array(tensor) -> np.ndarray:
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.dtype == 2:
            return np.frombuffer(tensor.tensor_content, "<f8").reshape(shape)
        values = list(tensor.float_val if tensor.dtype == 1 else tensor.string_val)
        return np.array(values, dtype=None if tensor.dtype == 1 else object).reshape(shape)

    def read(folder: Path) -> list:
        events = [event for event in read_events(folder) if event.WhichOneof("what") == "summary"]
        return [
            (value.tag, event.step, value.metadata.plugin_data.plugin_name, array(value.tensor))
            for event in events
            for value in event.summary.value
        ]

    return read
