import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.http2.faults import ConnectionFaultError
from mainstay.serving.http2.header_decoder import HeaderDecoder

NAMES = st.sampled_from([b":path", b"te", b"user-agent", b"x-a", b"grpc-timeout", b"x-" + b"n" * 130])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200), st.booleans()), max_size=12)


@given(st.lists(st.tuples(FIELDS, st.sampled_from((None, None, 0, 100, 4096)), st.booleans()), max_size=12))
def test_blocks_mean_what_another_implementation_says_that_they_mean(blocks):
    encoder, decoder, other = hpack.Encoder(), HeaderDecoder(1 << 20), hpack.Decoder(1 << 20)
    for fields, size, huffman in blocks:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode([hpack.HeaderTuple(*field[:2]) for field in fields], huffman=huffman)
        expected = [tuple(field) for field in other.decode(block, raw=True)]
        assert decoder.decode(block) == expected == [field[:2] for field in fields]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_or_refused_as_damaged(blocks):
    decoder = HeaderDecoder(4096)
    for block in blocks:
        try:
            decoder.decode(block)
        except ConnectionFaultError:
            return
        assert decoder._size == sum(len(name) + len(value) + 32 for name, value in decoder._table) <= 4096


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\xff\xff\xff\xff\xff\xff\x7f",
        b"\x40",
        b"\x40\x05ab",
        b"\x40\x01a\x7f\xff\xff\xff\xff\xff\xff",
        b"\x00\x81\xff\x00",
        b"\x3f\xe2\x1f",
        b"\x82\x20",
        b"\x20\x20\x20",
    ],
)
def test_damaged_blocks_are_refused(block):
    with pytest.raises(ConnectionFaultError):
        HeaderDecoder(4096).decode(block)


def test_a_list_that_is_too_large_still_moves_the_table():
    encoder, decoder = hpack.Encoder(), HeaderDecoder(200)
    assert decoder.decode(encoder.encode([(b"x", b"y" * 150)])) == [(b"x", b"y" * 150)]
    assert decoder.decode(encoder.encode([(b"x", b"y" * 150), (b"a", b"b")])) is None
    assert decoder.decode(encoder.encode([(b"a", b"b")])) == [(b"a", b"b")]


def test_it_tells_whether_the_table_has_changed():
    decoder = HeaderDecoder(4096)
    decoder.decode(b"\x83\x86\x00\x01a\x01b")
    assert decoder.changes == 0
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.changes == 1
    decoder.decode(b"\x20")
    assert decoder.changes == 2
    assert decoder._table == []
