import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import message_class
from mainstay.serving.grpc.wire import (
    LENGTH,
    VARINT,
    MalformedError,
    field,
    head,
    number_field,
    read_varint,
    varint,
    walk,
)


@given(st.integers(-(2**63), 2**64 - 1))
def test_a_number_comes_back_from_its_bytes(value):
    encoded = varint(value)
    assert read_varint(encoded, 0, len(encoded)) == (value % 2**64, len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 10 + b"\x01", b"\xff" * 9 + b"\x7f"])
def test_a_number_that_is_cut_off_or_too_long_is_refused(data):
    with pytest.raises(MalformedError):
        read_varint(data, 0, len(data))


def test_fields_are_found_where_they_lie():
    data = number_field(1, 300) + field(2, b"abc") + b"\x1d\x01\x02\x03\x04" + b"\x21" + bytes(8)
    assert [(item.number, item.kind) for item in walk(data, 0, len(data))] == [(1, VARINT), (2, LENGTH), (3, 5), (4, 1)]
    first, second, *_ = walk(data, 0, len(data))
    assert first.value == 300
    assert data[second.start : second.stop] == b"abc"


def test_a_head_stands_before_its_value():
    assert head(2, 3) + b"abc" == field(2, b"abc")
    assert number_field(5, 0) == b""


@pytest.mark.parametrize(
    "data",
    [b"\x00\x00", b"\x0b", b"\x0c", b"\x0f", b"\x12\x05ab", b"\x1d\x01", b"\x21\x01", b"\x80\x80\x80\x80\x80\x01"],
)
def test_what_is_no_field_is_refused(data):
    with pytest.raises(MalformedError):
        list(walk(data, 0, len(data)))


@given(st.binary(max_size=40))
def test_whatever_is_walked_through_protobuf_reads_as_well(data):
    try:
        list(walk(data, 0, len(data)))
    except MalformedError:
        return
    # A message without any field takes whatever is well-formed.
    try:
        message_class("inference.ServerLiveRequest").FromString(data)
    except DecodeError:
        pytest.fail(f"{data!r} is no message")
