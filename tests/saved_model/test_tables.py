"""The sorted string table: what is written is read back, in LevelDB's layout."""

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError, masked_crc32c
from mainstay.saved_model.tables import _BlockBuilder, decode_table, encode_table, encode_varint


@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=200), max_size=60))
def test_a_table_gives_back_what_was_put_in(items: dict[bytes, bytes]) -> None:
    ordered = dict(sorted(items.items()))
    assert list(decode_table(encode_table(ordered.items())).items()) == list(ordered.items())


def test_a_table_of_many_blocks_keeps_its_order() -> None:
    items = [(f"layer_{i:05}/kernel".encode(), b"x" * 50) for i in range(2000)]
    assert list(decode_table(encode_table(items)).items()) == items


def test_the_masked_checksum_is_that_of_the_specification() -> None:
    # RFC 3720 B.4: the CRC32C of 32 zero bytes is 0x8A9136AA.
    crc = 0x8A9136AA
    assert masked_crc32c(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_checksum_of_many_blocks_is_that_of_the_whole() -> None:
    data = bytes(range(256)) * 9000
    assert masked_crc32c(memoryview(data)) == masked_crc32c(data)


def test_keys_out_of_order_are_refused() -> None:
    with pytest.raises(FormatError, match="not in order"):
        decode_table(encode_table([(b"b", b""), (b"a", b"")]))


def test_a_compressed_block_is_refused_and_not_guessed_at() -> None:
    table = bytearray(encode_table([(b"a", b"1")]))
    size = 4 + 1 + 8  # one entry, its key and value, and the restart points
    end = next(
        i for i in range(len(table)) if struct.unpack_from("<I", table, i + 1)[0] == masked_crc32c(table[: i + 1])
    )
    table[end] = 1
    table[end + 1 : end + 5] = struct.pack("<I", masked_crc32c(bytes(table[: end + 1])))
    assert end >= size - 1
    with pytest.raises(FormatError, match="compressed"):
        decode_table(bytes(table))


@given(st.integers(0, 2**64 - 1))
def test_a_varint_has_seven_bits_per_byte(number: int) -> None:
    encoded = encode_varint(number)
    assert sum((byte & 127) << 7 * i for i, byte in enumerate(encoded)) == number
    assert [byte >> 7 for byte in encoded] == [1] * (len(encoded) - 1) + [0]


def compressed_table(block: bytes, kind: int = 1) -> bytes:
    """A table of one data block, stored as it is given, and an index of it."""
    out = bytearray()

    def emit(raw: bytes, kind: int) -> bytes:
        handle = encode_varint(len(out)) + encode_varint(len(raw))
        checked = raw + bytes([kind])
        out.extend(checked + struct.pack("<I", masked_crc32c(checked)))
        return handle

    index, empty = _BlockBuilder(), _BlockBuilder()
    index.add(b"k", emit(block, kind))
    footer = emit(empty.finish(), 0) + emit(index.finish(), 0)
    return bytes(out) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def test_blocks_that_tensorflow_1_compressed_are_read() -> None:
    block = _BlockBuilder()
    block.add(b"k", b"value " * 50)
    raw = pa.compress(block.finish(), codec="snappy", asbytes=True)
    assert decode_table(compressed_table(raw)) == {b"k": b"value " * 50}


@pytest.mark.parametrize(
    ("block", "kind", "summary"),
    [
        (b"\x05nonsense", 1, "cannot be decompressed"),
        (b"\xff\xff\xff\xff\x7f", 1, "too large"),
        (b"", 1, "does not end"),
        (b"\0\0\0\0", 2, "compressed"),
    ],
)
def test_blocks_that_are_badly_compressed_are_refused(block: bytes, kind: int, summary: str) -> None:
    with pytest.raises(FormatError, match=summary):
        decode_table(compressed_table(block, kind))
