"""The heads of many TFRecord frames at once: those that a walk from record to record finds, and no others."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import masked_crc32c, without_native
from mainstay.io import frame_record, record_heads, record_scan
from mainstay.io.record_heads import crc_of_eight, find_heads, heads_match, masked

KINDS = ["text", "zeros", "a frame", "half a frame", "nothing", "long"]


def content(kind: str, chance: random.Random) -> bytes:
    if kind == "zeros":
        return bytes(chance.randrange(300))
    if kind == "a frame":
        return chance.randbytes(chance.randrange(40)) + frame_record(chance.randbytes(chance.randrange(60)))
    if kind == "half a frame":
        return chance.randbytes(chance.randrange(40)) + frame_record(bytes(80))[: chance.randrange(20)]
    if kind == "long":
        return chance.randbytes(chance.choice([65_535, 65_536, 70_000]))
    return b"" if kind == "nothing" else chance.randbytes(chance.randrange(100, 400))


def walk(data: bytes, start: int, stop: int) -> tuple[list[int], list[int], int]:
    """Where frames begin, how long their records are, and where the first one that is cut off or damaged begins."""
    starts, lengths, at = [], [], start
    while stop - at >= 16:
        length, checksum = struct.unpack_from("<QI", data, at)
        if length > stop - at - 16 or masked_crc32c(data[at : at + 8]) != checksum:
            break
        starts.append(at)
        lengths.append(length)
        at += length + 16
    return starts, lengths, at


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(KINDS[:-1]), max_size=60),
    st.integers(0, 3),
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from([64, 2_000, 1 << 19]),
)
def test_the_heads_are_those_that_a_walk_finds(
    kinds: list[str], start: int, seed: int, hurt: bool, window: int
) -> None:
    chance = random.Random(seed)
    data = bytearray(bytes(start) + b"".join(frame_record(content(kind, chance)) for kind in kinds))
    if hurt and len(data) > start:
        data[chance.randrange(start, len(data))] ^= 1 << chance.randrange(8)
    stop = chance.choice([len(data), chance.randint(start, len(data))])
    buffer = np.frombuffer(bytes(data), np.uint8)
    starts, lengths, end = walk(data, start, stop)
    with pytest.MonkeyPatch.context() as patch, without_native():
        patch.setattr(record_heads, "_WINDOW", window)
        patch.setattr(record_scan, "_MANY", 1)
        patch.setattr(record_scan, "_FEW", chance.choice([1, 5]))
        if stop - start >= 16:
            places, sizes = find_heads(buffer, start, stop)
            assert places.tolist() == starts[: len(places)]
            assert sizes.tolist() == lengths[: len(sizes)]
        limit = chance.choice([None, 1, 7])
        found, sizes, ended = record_scan.scan_records(buffer, start, stop, limit)
    kept = len(starts) if limit is None else min(limit, len(starts))
    assert (found - 12).tolist() == starts[:kept]
    assert sizes.tolist() == lengths[:kept]
    assert ended == (end if kept == len(starts) else starts[kept])


def test_records_of_any_length_stand_between_short_ones() -> None:
    chance = random.Random(7)
    records = [content(KINDS[number % 40 == 0 and 5], chance) for number in range(400)]
    data = b"".join(map(frame_record, records))
    buffer = np.frombuffer(data, np.uint8)
    with without_native():
        found, lengths, end = record_scan.scan_records(buffer)
        positions, count, _ = record_scan.index_records(buffer, 7)
    assert lengths.tolist() == list(map(len, records))
    assert (found - 12).tolist() == walk(data, 0, len(data))[0]
    assert end == len(data)
    assert (count, positions.tolist()) == (400, (found - 12)[::7].tolist())


def test_short_records_are_found_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("records were followed one by one")

    chance = random.Random(8)
    buffer = np.frombuffer(b"".join(frame_record(content("text", chance)) for _ in range(500)), np.uint8)
    monkeypatch.setattr(record_scan, "_follow", fails)
    with without_native():
        assert len(record_scan.scan_records(buffer)[0]) == 500


def test_zeros_all_over_are_not_searched() -> None:
    buffer = np.frombuffer(b"".join([frame_record(bytes(5000))] * 30), np.uint8)
    assert len(find_heads(buffer, 0, len(buffer))[0]) == 0
    with without_native():
        assert record_scan.scan_records(buffer)[1].tolist() == [5000] * 30


def test_checksums_of_lengths_are_those_of_their_bytes() -> None:
    for numbers in ([0, 1, 255, 70_000], [1 << 24, 5], [-1, 2**62, 3]):
        expected = [masked_crc32c(struct.pack("<q", number)) for number in numbers]
        assert masked(crc_of_eight(np.array(numbers))).tolist() == expected
    head = struct.pack("<qI", 9, masked_crc32c(struct.pack("<q", 9)))
    buffer = np.frombuffer(b"x" + head + head[:-1] + b"\0", np.uint8)
    lengths, match = heads_match(buffer, np.array([1, 13]))
    assert lengths.tolist() == [9, 9]
    assert match.tolist() == [True, False]
