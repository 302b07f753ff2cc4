"""The framing of records: what an independent reader of the format gets back, and the format's own test vectors."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.io import frame_record


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit, from its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def read_records(data: bytes) -> list[bytes]:
    records, position = [], 0
    while position < len(data):
        length, length_crc = struct.unpack_from("<QI", data, position)
        assert length_crc == masked(data[position : position + 8])
        record = data[position + 12 : position + 12 + length]
        (record_crc,) = struct.unpack_from("<I", data, position + 12 + length)
        assert record_crc == masked(record)
        records.append(record)
        position += 16 + length
    return records


def test_the_checksum_of_the_reader_is_that_of_the_published_vectors() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_framed_records_are_read_back_by_an_independent_reader(records: list[bytes]) -> None:
    assert read_records(b"".join(map(frame_record, records))) == records


@given(st.binary(max_size=50), st.data())
def test_a_flipped_bit_is_seen_by_the_reader(record: bytes, data: st.DataObject) -> None:
    framed = bytearray(frame_record(record))
    bit = data.draw(st.integers(0, 8 * len(framed) - 1))
    framed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((AssertionError, struct.error)):
        read_records(bytes(framed))
