"""TFRecord files: what is written is read back, whole or not at all, and no damage goes unnoticed."""

import gzip
import os
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError, RecordDamageError, StorageError
from mainstay.io import TFRecordOptions, TFRecordWriter, codec_of, frame_record, read_record_blocks, write_records
from mainstay.io.record_reading import MAX_RECORD_BYTES

COMPRESSIONS = [None, "GZIP", "ZLIB", "ZSTD"]
RECORDS = [b"", b"one", b"x" * 70, bytes(range(256))]


def records_of(path: Path, compression: str | None = None, block_bytes: int = 1 << 20) -> list[bytes]:
    found = []
    for block in read_record_blocks(path, codec_of(compression), block_bytes=block_bytes):
        block.check()
        assert block.number == len(found)
        for start, size in zip(block.offsets.tolist(), block.lengths.tolist(), strict=True):
            found.append(block.data[start : start + size].tobytes())
    return found


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_records_come_back_whichever_way_they_were_written(tmp_path: Path, compression: str | None) -> None:
    assert write_records(tmp_path / "a", RECORDS, compression) == 4
    with TFRecordWriter(tmp_path / "b", compression) as writer:
        for record in RECORDS:
            writer.write(record)
        writer.flush()
    write_records(tmp_path / "c", pa.array(RECORDS, pa.binary()), TFRecordOptions(compression, None))
    for name in "abc":
        assert records_of(tmp_path / name, compression) == RECORDS
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


@given(
    records=st.lists(st.binary(max_size=60), max_size=12),
    block_bytes=st.integers(1, 100),
    compression=st.sampled_from(COMPRESSIONS),
)
def test_any_records_come_back_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], block_bytes: int, compression: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    write_records(path, iter(records), compression)
    assert records_of(path, compression, block_bytes) == records


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_empty_file_of_records_has_none(tmp_path: Path, compression: str | None) -> None:
    with TFRecordWriter(tmp_path / "a", compression):
        pass
    assert records_of(tmp_path / "a", compression) == []


def test_tensorflows_bytes_are_written(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS)
    assert (tmp_path / "a").read_bytes() == b"".join(map(frame_record, RECORDS))
    write_records(tmp_path / "b", RECORDS, "GZIP")
    assert gzip.decompress((tmp_path / "b").read_bytes()) == (tmp_path / "a").read_bytes()
    write_records(tmp_path / "c", RECORDS, "ZLIB")
    assert zlib.decompress((tmp_path / "c").read_bytes()) == (tmp_path / "a").read_bytes()


def test_gzip_files_put_one_behind_the_other_are_one(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS, "GZIP")
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes() * 2)
    assert records_of(tmp_path / "b", "GZIP") == RECORDS * 2


def test_every_truncation_is_noticed_and_says_where(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS)
    whole, borders = (tmp_path / "a").read_bytes(), {0}
    for record in RECORDS:
        borders.add(max(borders) + len(record) + 16)
    for size in range(len(whole)):
        (tmp_path / "a").write_bytes(whole[:size])
        if size in borders:
            assert records_of(tmp_path / "a") == RECORDS[: sorted(borders).index(size)]
            continue
        number = sum(border <= size for border in borders) - 1
        with pytest.raises(RecordDamageError, match=rf"a, record {number}, byte {sorted(borders)[number]}"):
            records_of(tmp_path / "a")


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS[1:3])
    whole = (tmp_path / "a").read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        (tmp_path / "a").write_bytes(changed)
        with pytest.raises(DataError, match=r"record [01], byte"):
            records_of(tmp_path / "a")


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB", "ZSTD"])
def test_every_truncation_of_a_compressed_file_is_noticed(tmp_path: Path, compression: str) -> None:
    write_records(tmp_path / "a", RECORDS, compression)
    whole = (tmp_path / "a").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "a").write_bytes(whole[:size])
        with pytest.raises(DataError, match="a"):
            records_of(tmp_path / "a", compression)


def test_what_lies_before_a_truncation_is_given_out_first(tmp_path: Path) -> None:
    write_records(tmp_path / "a", [os.urandom(300_000)] * 4, "GZIP")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1000])
    blocks = read_record_blocks(tmp_path / "a", "gzip", block_bytes=1000)
    assert [len(next(blocks)) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(RecordDamageError, match=r"record 3, byte 900,048: the compressed file is damaged"):
        next(blocks)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, MAX_RECORD_BYTES + 1, 2**40])
@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_a_hostile_length_costs_nothing(tmp_path: Path, length: int, compression: str | None) -> None:
    from mainstay.core import masked_crc32c

    head = length.to_bytes(8, "little")
    data = frame_record(b"ok") + head + masked_crc32c(head).to_bytes(4, "little") + bytes(100)
    (tmp_path / "a").write_bytes(gzip.compress(data) if compression else data)
    with pytest.raises(RecordDamageError, match=f"record 1, byte 18.*\n.*{length:,}"):
        records_of(tmp_path / "a", compression)


def test_a_wrong_compression_is_refused_with_the_right_one(tmp_path: Path) -> None:
    write_records(tmp_path / "gz", RECORDS, "GZIP")
    write_records(tmp_path / "plain", RECORDS)
    with pytest.raises(DataError, match="say compression_type='GZIP'"):
        records_of(tmp_path / "gz")
    with pytest.raises(DataError, match="say compression_type='GZIP'"):
        records_of(tmp_path / "gz", "ZSTD")
    with pytest.raises(DataError, match="leave the compression out"):
        records_of(tmp_path / "plain", "GZIP")
    with pytest.raises(ArgumentError, match="'GZIP', 'ZLIB', 'ZSTD' or None"):
        write_records(tmp_path / "x", RECORDS, "LZ4")
    with pytest.raises(ArgumentError, match="no level"):
        TFRecordOptions("GZIP", 30)


def test_nothing_is_seen_of_a_file_before_it_is_closed(tmp_path: Path) -> None:
    writer = TFRecordWriter(tmp_path / "deep" / "a")
    writer.write(b"one")
    writer.flush()
    assert not (tmp_path / "deep" / "a").exists()
    writer.close()
    writer.close()
    assert records_of(tmp_path / "deep" / "a") == [b"one"]
    with pytest.raises(ArgumentError, match="closed"):
        writer.write(b"two")


def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS)
    with pytest.raises(ArgumentError, match="serialize it"), TFRecordWriter(tmp_path / "a") as writer:
        writer.write("text")  # type: ignore[arg-type]
    assert records_of(tmp_path / "a") == RECORDS
    with pytest.raises(DataError):
        write_records(tmp_path / "a", [b"x", 1])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_writer_that_is_forgotten_closes_and_says_so(tmp_path: Path) -> None:
    writer = TFRecordWriter(tmp_path / "a")
    writer.write(b"one")
    with pytest.warns(ResourceWarning, match="was not closed"):
        del writer
    assert records_of(tmp_path / "a") == [b"one"]


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_records(tmp_path, RECORDS)
    with pytest.raises(StorageError):
        list(read_record_blocks(tmp_path))


def test_reading_goes_on_in_the_middle(tmp_path: Path) -> None:
    for compression in COMPRESSIONS:
        write_records(tmp_path / "a", RECORDS, compression)
        first = next(read_record_blocks(tmp_path / "a", codec_of(compression))).cut(0, 2)
        (rest,) = read_record_blocks(tmp_path / "a", codec_of(compression), start=first.end, number=2)
        assert (rest.number, len(rest)) == (2, 2)
    with pytest.raises(DataError, match="shorter than it was"):
        list(read_record_blocks(tmp_path / "a", start=10_000))
