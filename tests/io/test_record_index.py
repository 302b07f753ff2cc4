"""The index of TFRecord files: any record at once, in little memory, and never from a file that has changed."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mainstay.core import DataError, native_library, without_native
from mainstay.io import RecordIndex, gather, record_index, write_records

RECORDS = [b"%d" % number * (number % 7) for number in range(100)]


@pytest.fixture(params=["C", "NumPy"], autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "NumPy":
        with without_native():
            yield request.param
    else:
        if native_library() is None:
            pytest.skip("the C library is not built")
        yield request.param


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    parts = {"a": RECORDS[:30], "b": [], "c": RECORDS[30:31], "d": RECORDS[31:]}
    for name, records in parts.items():
        write_records(tmp_path / name, records)
    return [tmp_path / name for name in parts]


def found(index: RecordIndex, indices: list[int]) -> list[bytes]:
    result: list[bytes] = [b"?"] * len(indices)
    for block, places in index.blocks(np.array(indices, np.int64)):
        for place, value in zip(
            places.tolist(), gather(block.data, block.offsets, block.lengths).to_pylist(), strict=True
        ):
            result[place] = value
    return result


@pytest.mark.parametrize("most_entries", [1 << 22, 20, 1])
def test_any_record_is_found_however_few_places_are_kept(
    files: list[Path], most_entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_index, "_MOST_ENTRIES", most_entries)
    index = RecordIndex(files)
    assert len(index) == 100
    assert index.nbytes <= max(8 * most_entries, 8 * 3)
    order = np.random.default_rng(0).permutation(100).tolist()
    assert found(index, order) == [RECORDS[number] for number in order]
    for start, stop in [(0, 100), (25, 35), (30, 31), (99, 100), (5, 5)]:
        spans = [gather(b.data, b.offsets, b.lengths).to_pylist() for b in index.span(start, stop)]
        assert [record for part in spans for record in part] == RECORDS[start:stop]


def test_a_limit_ends_the_scan(files: list[Path]) -> None:
    index = RecordIndex(files, limit=31)
    assert len(index) == 31
    assert found(index, [30, 0]) == [RECORDS[30], RECORDS[0]]


def test_an_index_is_sent_to_another_process(files: list[Path]) -> None:
    index = RecordIndex(files)
    found(index, [1])
    assert found(pickle.loads(pickle.dumps(index)), [99, 3]) == [RECORDS[99], RECORDS[3]]


def test_damage_is_met_when_the_index_is_made(files: list[Path]) -> None:
    with open(files[3], "r+b") as file:
        file.truncate(files[3].stat().st_size - 1)
    with pytest.raises(DataError, match="record 68, byte"):
        RecordIndex(files)


def test_a_file_that_changes_is_refused(files: list[Path]) -> None:
    index = RecordIndex(files)
    status = files[3].stat()
    os.utime(files[3], ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert found(index, [3]) == [RECORDS[3]]
    with pytest.raises(DataError, match="changed while it was read"):
        found(index, [99])
    write_records(files[0], RECORDS[:10])
    with pytest.raises(DataError, match="changed while it was read"):
        index.span(0, 3)


def test_gathered_ranges_may_overlap_and_be_empty() -> None:
    data = np.frombuffer(b"abcdef", np.uint8)
    column = gather(data, np.array([2, 0, 6, 2]), np.array([3, 1, 0, 4]))
    assert column.to_pylist() == [b"cde", b"a", b"", b"cdef"]
    assert len(gather(data, np.empty(0, np.int64), np.empty(0, np.int64))) == 0
