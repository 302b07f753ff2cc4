"""TFRecord files as datasets: read in order at once, shuffled globally, resumed anywhere, damage named or counted."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError
from mainstay.data import UNKNOWN_CARDINALITY, Dataset, TFRecordDataset
from mainstay.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    VarLenFeature,
    frame_record,
    gather,
    parse_example,
    parse_single_example,
    read_record_blocks,
    record_index,
    serialize_examples,
    write_records,
)

RECORDS = [b"record %d" % number * (number % 5) for number in range(500)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    parts = {"a": RECORDS[:200], "b": [], "c": RECORDS[200:]}
    for name, records in parts.items():
        write_records(tmp_path / name, records)
    return [tmp_path / name for name in parts]


def all_of(dataset: Dataset) -> list[bytes]:
    return list(dataset.as_numpy_iterator())


def test_it_is_a_dataset_of_bytes(files: list[Path]) -> None:
    dataset = TFRecordDataset(files)
    assert isinstance(dataset, Dataset)
    assert dataset.element_spec.dtype == "string"
    assert dataset.cardinality() == UNKNOWN_CARDINALITY
    assert all_of(dataset) == RECORDS
    assert next(iter(dataset)).numpy() == RECORDS[0]


@pytest.mark.parametrize("kind", [str, lambda path: str(path).encode(), Path])
def test_files_are_named_in_many_ways(files: list[Path], kind: type) -> None:
    assert all_of(TFRecordDataset(kind(files[0]))) == RECORDS[:200]
    assert all_of(TFRecordDataset([kind(path) for path in files])) == RECORDS
    assert all_of(TFRecordDataset(np.array([str(path) for path in files]))) == RECORDS
    names = Dataset.from_tensor_slices([str(path) for path in files])
    assert all_of(TFRecordDataset(names)) == RECORDS
    assert all_of(TFRecordDataset([])) == []


@pytest.mark.parametrize("compression", [None, "GZIP", "ZLIB", "ZSTD"])
@settings(max_examples=15)
@given(used=st.integers(0, 500))
def test_a_resumed_run_equals_the_straight_one(
    tmp_path_factory: pytest.TempPathFactory, compression: str | None, used: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"resumed{compression}"
    if not path.exists():
        write_records(path, RECORDS, compression)
    dataset = TFRecordDataset([path, path], compression, buffer_size=700)
    iterator = dataset.iter()
    for _ in range(used):
        next(iterator)
    assert list(dataset.iter(iterator.state())) == (RECORDS * 2)[used:]


def test_the_first_records_come_before_the_file_is_scanned(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS)
    with open(tmp_path / "a", "ab") as file:
        file.write(b"garbage that only a scan of everything would meet")
    dataset = TFRecordDataset(tmp_path / "a", buffer_size=200)
    assert next(iter(dataset)) == RECORDS[0]
    assert all_of(dataset.take(3)) == RECORDS[:3]
    with pytest.raises(DataError, match="record 500"):
        all_of(dataset.skip(3))


def test_shuffling_is_global_over_all_files(files: list[Path]) -> None:
    dataset = TFRecordDataset(files).shuffle(2, seed=1)
    first, second = all_of(dataset), all_of(dataset)
    assert sorted(first) == sorted(second) == sorted(RECORDS)
    assert first != second
    moved = [abs(RECORDS.index(record) - place) for place, record in enumerate(first) if record]
    assert np.mean(moved) > 100
    iterator = dataset.iter()
    for _ in range(123):
        next(iterator)
    assert list(dataset.iter(iterator.state())) == list(iterator)


def test_take_skip_and_shuffle_agree_with_lists(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_index, "_MOST_ENTRIES", 64)
    dataset = TFRecordDataset(files)
    assert all_of(dataset.skip(190).take(20)) == RECORDS[190:210]
    assert all_of(dataset.take(0)) == []
    assert all_of(dataset.take(10_000)) == RECORDS
    assert sorted(all_of(dataset.skip(100).shuffle(10, seed=3))) == sorted(RECORDS[100:])


def test_compressed_files_are_shuffled_in_windows(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS, "GZIP")
    shuffled = all_of(TFRecordDataset(tmp_path / "a", "GZIP").shuffle(100, seed=1))
    assert sorted(shuffled) == sorted(RECORDS)
    assert shuffled != RECORDS


def test_a_damaged_record_is_named(files: list[Path]) -> None:
    data = bytearray(files[2].read_bytes())
    place = data.index(b"record 423")
    data[place] ^= 1
    files[2].write_bytes(data)
    message = rf"c, record 223, byte {place - 12:,}: a record does not match its checksum"
    with pytest.raises(DataError, match=message):
        all_of(TFRecordDataset(files))
    with pytest.raises(DataError, match=message):
        all_of(TFRecordDataset(files).shuffle(10, seed=1))
    with pytest.raises(DataError, match=message):
        all_of(TFRecordDataset(files).skip(1))


def test_damaged_records_are_left_out_and_counted(files: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(files[0].read_bytes())
    places = [data.index(RECORDS[number]) for number in (11, 12, 18)]
    for place in places:
        data[place] ^= 1
    files[0].write_bytes(data)
    cut = bytearray(files[2].read_bytes())
    cut[cut.index(RECORDS[204]) - 12] ^= 1
    files[2].write_bytes(cut)
    dataset = TFRecordDataset(files, on_error="skip")
    expected = [record for number, record in enumerate(RECORDS[:204]) if number not in (11, 12, 18)]
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert all_of(dataset) == expected
            assert dataset.skipped() == 4
    assert len(caplog.records) == 4
    assert "record 11" in caplog.text
    assert sorted(all_of(dataset.shuffle(1000, seed=1))) == sorted(expected)
    iterator = dataset.iter()
    for _ in range(15):
        next(iterator)
    assert list(dataset.iter(iterator.state())) == expected[15:]


def test_a_file_that_is_something_else_is_not_skipped_silently(tmp_path: Path) -> None:
    write_records(tmp_path / "a", RECORDS, "GZIP")
    with pytest.raises(DataError, match="compression_type='GZIP'"):
        all_of(TFRecordDataset(tmp_path / "a", on_error="skip"))


def test_missing_files_and_wrong_arguments_are_named(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(DataError, match="no such file"):
        TFRecordDataset([files[0], tmp_path / "missing"])
    with pytest.raises(DataError, match="folder"):
        TFRecordDataset(tmp_path)
    with pytest.raises(DataError, match="nothing matches"):
        Dataset.from_tfrecord(f"{tmp_path}/*.nothing")
    for wrong in ({"compression_type": "LZ"}, {"buffer_size": 0}, {"num_parallel_reads": 0}, {"on_error": "ignore"}):
        with pytest.raises(ArgumentError):
            TFRecordDataset(files, **wrong)
    with pytest.raises(ArgumentError):
        TFRecordDataset([1])


def test_a_copy_elsewhere_goes_on_from_the_same_state(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        write_records(tmp_path / folder / "a", RECORDS)
    iterator = TFRecordDataset(tmp_path / "here" / "a").iter()
    for _ in range(100):
        next(iterator)
    assert list(TFRecordDataset(tmp_path / "there" / "a").iter(iterator.state())) == RECORDS[100:]
    write_records(tmp_path / "there" / "a", RECORDS[:-1])
    with pytest.raises(ArgumentError, match="another dataset"):
        TFRecordDataset(tmp_path / "there" / "a").iter(iterator.state())


def test_records_are_parsed_as_they_are_read(tmp_path: Path) -> None:
    rows = 400
    columns = {"age": np.arange(rows), "name": [b"n%d" % number for number in range(rows)]}
    for part in range(2):
        some = slice(part * 200, part * 200 + 200)
        records = serialize_examples({name: values[some] for name, values in columns.items()})
        write_records(tmp_path / f"part{part}.tfrecord", records)
    features = {
        "age": FixedLenFeature((), "int64"),
        "name": FixedLenFeature((), "string"),
        "none": VarLenFeature("float32"),
        "ages": FixedLenSequenceFeature((), "int64", allow_missing=True),
    }
    dataset = Dataset.from_tfrecord(f"{tmp_path}/*.tfrecord", features=features)
    assert dataset.element_spec["none"].shape == (None,)
    elements = list(dataset.as_numpy_iterator())
    assert [int(element["age"]) for element in elements] == list(range(rows))
    assert [element["name"] for element in elements] == columns["name"]
    assert all(len(element["none"]) == 0 for element in elements)
    shuffled = list(dataset.shuffle(10, seed=2).batch(64).as_numpy_iterator())
    ages = np.concatenate([batch["age"] for batch in shuffled])
    names = np.concatenate([batch["name"] for batch in shuffled])
    assert sorted(ages.tolist()) == list(range(rows))
    assert names.tolist() == [b"n%d" % age for age in ages]


def test_a_record_that_is_no_example_is_named(tmp_path: Path) -> None:
    good = serialize_examples({"age": np.array([1, 2])}).to_pylist()
    write_records(tmp_path / "a", [*good, b"nonsense"])
    dataset = Dataset.from_tfrecord(tmp_path / "a", features={"age": FixedLenFeature((), "int64")})
    with pytest.raises(DataError, match=r"a.*2"):
        list(dataset)


def test_an_empty_file_gives_an_empty_dataset(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    for dataset in (TFRecordDataset(tmp_path / "a"), TFRecordDataset(tmp_path / "a").shuffle(10)):
        assert all_of(dataset) == []


def test_a_long_record_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(frame_record(b"x" * 3_000_000) + frame_record(b"y"))
    assert [len(record) for record in TFRecordDataset(tmp_path / "a").as_numpy_iterator()] == [3_000_000, 1]


AGE = {"age": FixedLenFeature((), "int64"), "name": FixedLenFeature((), "string")}


@pytest.fixture
def examples(tmp_path: Path) -> list[Path]:
    for part, start in enumerate((0, 400)):
        ages = np.arange(start, start + 400 - 30 * part)
        write_records(tmp_path / f"part{part}", serialize_examples({"age": ages, "name": [b"n%d" % n for n in ages]}))
    return [tmp_path / "part0", tmp_path / "part1"]


def parsed_by_rows(dataset: Dataset) -> Dataset:
    return dataset.map(lambda record: parse_single_example(record, AGE)).batch(7)


def parsed_by_batches(dataset: Dataset) -> Dataset:
    return dataset.batch(7).map(lambda some: parse_example(some, AGE))


@pytest.mark.parametrize("form", [parsed_by_rows, parsed_by_batches])
@pytest.mark.parametrize("used", [0, 1, 30, 109])
def test_records_are_parsed_where_they_lie_and_resumed_anywhere(examples: list[Path], form: Any, used: int) -> None:
    dataset = form(TFRecordDataset(examples, buffer_size=2000))
    batches = [(batch["age"].tolist(), batch["name"].tolist()) for batch in dataset.as_numpy_iterator()]
    ages = [n for age, _ in batches for n in age]
    assert ages == list(range(770))
    assert [name for _, names in batches for name in names] == [b"n%d" % n for n in ages]
    assert [len(age) for age, _ in batches] == [7] * 110
    iterator = dataset.iter()
    for _ in range(used):
        next(iterator)
    again = [(batch["age"].tolist(), batch["name"].tolist()) for batch in dataset.iter(iterator.state())]
    assert again == batches[used:]


def test_functions_get_bytes_whatever_they_are(examples: list[Path]) -> None:
    records = all_of(TFRecordDataset(examples))
    dataset = TFRecordDataset(examples, buffer_size=2000)
    assert [int(size) for size in dataset.map(len).as_numpy_iterator()] == list(map(len, records))
    assert all_of(dataset.map(lambda record: record)) == records
    assert all_of(dataset.filter(lambda record: len(record) > 38)) == [one for one in records if len(one) > 38]
    pairs = dataset.map(lambda record: (record, parse_single_example(record, AGE)["age"]))
    assert [(record, int(age)) for record, age in pairs.as_numpy_iterator()] == list(
        zip(records, range(770), strict=True)
    )
    batches = dataset.batch(100).map(lambda some: (some, parse_example(some, AGE)["age"]))
    assert [record for some, _ in batches.as_numpy_iterator() for record in some] == records
    ages = [int(row["age"]) for row in parsed_by_batches(dataset).unbatch().shuffle(50, seed=1).as_numpy_iterator()]
    assert sorted(ages) == list(range(770))


def test_a_record_that_is_no_example_is_named_when_it_is_parsed(examples: list[Path]) -> None:
    write_records(examples[1], [*all_of(TFRecordDataset(examples[0]))[:10], b"nonsense"])
    for form in (parsed_by_rows, parsed_by_batches):
        with pytest.raises(DataError, match=r"not a tf\.Example") as caught:
            list(form(TFRecordDataset(examples)))
        assert form is parsed_by_batches or "part1, record 10" in str(getattr(caught.value, "__notes__", ""))


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_blocks_of_whole_batches_lose_no_record_and_name_the_damaged_one(examples: list[Path], batch: int) -> None:
    records = all_of(TFRecordDataset(examples[0]))
    sizes, found = [], []
    for block in read_record_blocks(examples[0], block_bytes=3000, batch=batch):
        assert block.number == len(found)
        sizes.append(len(block))
        found += gather(block.data, block.offsets, block.lengths).to_pylist()
    assert found == records
    assert all(size % 7 == 0 for size in sizes[:-1]) == (batch == 7)
    examples[0].write_bytes(examples[0].read_bytes()[:-5])
    seen = 0
    with pytest.raises(DataError, match="record 399"):
        for block in read_record_blocks(examples[0], block_bytes=3000, batch=batch):
            seen += len(block)
    assert seen == 399
