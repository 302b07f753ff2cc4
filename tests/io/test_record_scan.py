"""TFRecord frames: the C library and NumPy find the same records, and stop at the same damage."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, masked_crc32c, native_function, native_library, without_native
from mainstay.io import frame_record
from mainstay.io.record_scan import check_records, describe_damage, frame_records, index_records, scan_records

RECORDS = [b"", b"a", b"hello" * 30, bytes(range(256)), b"\0" * 8]


@pytest.fixture(params=["C", "NumPy"], autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "NumPy":
        with without_native():
            yield request.param
    else:
        if native_library() is None:
            pytest.skip("the C library is not built")
        yield request.param


def file_of(records: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(map(frame_record, records)), np.uint8)


def contents(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    return [buffer[o : o + n].tobytes() for o, n in zip(offsets.tolist(), lengths.tolist(), strict=True)]


def test_every_record_is_found_with_its_content() -> None:
    buffer = file_of(RECORDS)
    offsets, lengths, end = scan_records(buffer)
    assert contents(buffer, offsets, lengths) == RECORDS
    assert end == len(buffer)
    assert offsets.dtype == lengths.dtype == np.int64
    assert check_records(buffer, offsets, lengths) == -1


def test_a_scan_goes_on_where_the_last_one_ended() -> None:
    buffer = file_of(RECORDS)
    offsets, lengths, end = scan_records(buffer, max_records=2)
    assert contents(buffer, offsets, lengths) == RECORDS[:2]
    offsets, lengths, end = scan_records(buffer, end)
    assert contents(buffer, offsets, lengths) == RECORDS[2:]


def test_an_empty_buffer_holds_no_record() -> None:
    offsets, lengths, end = scan_records(np.empty(0, np.uint8))
    assert (len(offsets), len(lengths), end) == (0, 0, 0)
    assert check_records(np.empty(0, np.uint8), offsets, lengths) == -1
    assert index_records(np.empty(0, np.uint8), 4)[1] == 0


@pytest.mark.parametrize("stride", [1, 2, 3, 100])
def test_an_index_holds_every_stride_th_frame(stride: int) -> None:
    records = [b"x" * n for n in range(10)]
    buffer = file_of(records)
    positions, count, end = index_records(buffer, stride)
    assert (count, end) == (10, len(buffer))
    for position, number in zip(positions.tolist(), range(0, 10, stride), strict=True):
        offsets, lengths, _ = scan_records(buffer, position, max_records=1)
        assert contents(buffer, offsets, lengths) == [records[number]]


def test_many_records_are_found_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.io.record_scan._BLOCK", 3)
    records = [bytes([n]) for n in range(20)]
    buffer = file_of(records)
    offsets, lengths, end = scan_records(buffer)
    assert contents(buffer, offsets, lengths) == records
    assert end == len(buffer)
    assert len(scan_records(buffer, max_records=7)[0]) == 7
    assert index_records(buffer, 2)[1] == 20


def test_every_cut_is_noticed_and_described() -> None:
    buffer = file_of([b"abc", b"defgh"])
    first = len(frame_record(b"abc"))
    for size in range(len(buffer)):
        offsets, _, end = scan_records(buffer, stop=size)
        whole = size >= first
        assert (len(offsets), end) == (int(whole), first if whole else 0)
        damage = describe_damage(buffer, end, size)
        assert damage is not None
        assert "the file ends inside a record" in damage
    assert describe_damage(buffer, 0) is None


def test_a_changed_byte_is_noticed_wherever_it_is() -> None:
    buffer = file_of([b"abc", b"defgh"])
    first = len(frame_record(b"abc"))
    for place in range(len(buffer)):
        broken = buffer.copy()
        broken[place] ^= 0x10
        offsets, lengths, end = scan_records(broken)
        bad = int(place >= first)
        if place - bad * first < 12:
            assert (len(offsets), end) == (bad, bad * first)
            assert describe_damage(broken, end) == "the length of a record does not match its checksum"
        else:
            assert end == len(buffer)
            assert check_records(broken, offsets, lengths) == bad


def test_a_length_near_two_to_the_64_is_damage() -> None:
    for length in (2**64 - 1, 2**63, 2**63 - 1, 2**64 - 16):
        head = length.to_bytes(8, "little")
        buffer = np.frombuffer(head + masked_crc32c(head).to_bytes(4, "little") + b"rest", np.uint8)
        assert scan_records(buffer)[2] == 0
        damage = describe_damage(buffer, 0)
        assert damage is not None
        assert "ends inside a record" in damage


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_first_wrong_record_is_found_among_any_number(path: str, count: int) -> None:
    contents = [bytes(range(5 * n, 9 * n)) for n in range(count)]
    whole = b"".join(map(frame_record, contents))
    offsets, lengths, _ = scan_records(np.frombuffer(whole, np.uint8))
    assert check_records(np.frombuffer(whole, np.uint8), offsets, lengths) == -1
    for first in range(count):
        for other in range(first, count):
            data = np.frombuffer(whole, np.uint8).copy()
            for wrong in {first, other}:
                data[offsets[wrong] + lengths[wrong]] ^= 1
            assert check_records(data, offsets, lengths) == first
            assert check_records(data[: offsets[other]], offsets, lengths) == first


def test_records_outside_the_buffer_do_not_match() -> None:
    buffer = file_of([b"abc"])
    for offset, length in [(-1, 3), (12, -1), (12, 1 << 62), (1 << 62, 3), (12, 4), (len(buffer), 0)]:
        assert check_records(buffer, np.array([12, offset]), np.array([3, length])) == 1


@pytest.mark.parametrize("lengths", [[3] * 40, [0, 1, 70_000, 5] * 10, [200_000] * 3], ids=["short", "mixed", "long"])
def test_the_first_record_that_does_not_match_is_named_wherever_the_records_lie(lengths: list[int]) -> None:
    records = [bytes([number]) * size for number, size in enumerate(lengths)]
    buffer = file_of(records)
    offsets, sizes, _ = scan_records(buffer)
    count = len(records)
    for order in (np.arange(count), np.arange(count)[::-1], np.arange(0, count, 2), np.arange(count).repeat(2)):
        assert check_records(buffer, offsets[order], sizes[order]) == -1
        broken = buffer.copy()
        broken[offsets[order[1]] + sizes[order[1]]] ^= 1
        first = int(np.flatnonzero(order == order[1])[0])
        assert check_records(broken, offsets[order], sizes[order]) == first


def test_many_records_are_compared_in_several_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.io.record_scan._PIECE", 3)
    buffer = file_of([bytes([number]) * number for number in range(20)])
    offsets, lengths, _ = scan_records(buffer)
    assert check_records(buffer, offsets, lengths) == -1
    for number in range(20):
        broken = buffer.copy()
        broken[offsets[number] + lengths[number] + 2] ^= 8
        assert check_records(broken, offsets, lengths) == number


def test_a_range_outside_the_buffer_is_refused() -> None:
    with pytest.raises(ArgumentError, match="range inside"):
        scan_records(np.zeros(4, np.uint8), 5)
    with pytest.raises(ArgumentError, match="range inside"):
        scan_records(np.zeros(4, np.uint8), 0, 5)
    with pytest.raises(ArgumentError, match="uint8"):
        scan_records(np.zeros(4, np.int64))
    with pytest.raises(ArgumentError, match="at least 1"):
        index_records(np.zeros(4, np.uint8), 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=12))
def test_records_framed_together_are_those_framed_one_by_one(records: list[bytes]) -> None:
    assert frame_records(records).tobytes() == b"".join(map(frame_record, records))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_random_bytes_are_scanned_without_a_crash(data: bytes) -> None:
    buffer = np.frombuffer(data, np.uint8)
    offsets, lengths, end = scan_records(buffer)
    assert 0 <= end <= len(buffer)
    check_records(buffer, offsets, lengths)


def test_the_checksum_by_tables_is_that_of_the_instruction(path: str) -> None:
    import ctypes

    crc = native_function("mainstay_masked_crc32c", ctypes.c_uint32, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int32)
    if crc is None:
        pytest.skip("without the C library there is nothing to compare")
    for size in range(40):
        data = bytes(range(7, 7 + size))
        assert crc(data, size, 0) == crc(data, size, 1) == masked_crc32c(data)
