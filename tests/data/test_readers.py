"""The readers that are classes in tf.data, by TensorFlow's rules."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError
from mainstay.data import Dataset, FixedLengthRecordDataset, TextLineDataset, TFRecordDataset, experimental
from mainstay.io import write_records


def rows_of(dataset: Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("i,f,s,t\n1,0.5,x,a\n,,,b\n3,-,z,c\n")
    return tmp_path / "a.csv"


def test_csv_rows_are_tuples_with_defaults(table: Path) -> None:
    dataset = experimental.CsvDataset(table, [[7], 1.5, [b"d"], "string"], header=True, na_value="-")
    assert isinstance(dataset, Dataset)
    assert [spec.dtype for spec in dataset.element_spec] == ["int32", "float32", "string", "string"]
    assert rows_of(dataset) == [(1, 0.5, b"x", b"a"), (7, 1.5, b"d", b"b"), (3, 1.5, b"z", b"c")]


def test_csv_columns_are_selected_or_excluded(table: Path) -> None:
    assert rows_of(experimental.CsvDataset(table, [["?"]], header=True, select_cols=[2])) == [(b"x",), (b"?",), (b"z",)]
    excluded = experimental.CsvDataset(table, [[0], "string"], header=True, exclude_cols=[1, 2])
    assert rows_of(excluded) == [(1, b"a"), (0, b"b"), (3, b"c")]
    for wrong in ({"select_cols": [2, 1]}, {"select_cols": [0]}, {"select_cols": [0, 1], "exclude_cols": [2]}):
        with pytest.raises(ArgumentError):
            experimental.CsvDataset(table, ["string", "string"], header=True, **wrong)
    with pytest.raises(DataError, match="another number of columns"):
        experimental.CsvDataset(table, ["string", "string"], header=True)
    with pytest.raises(ArgumentError, match="one byte"):
        experimental.CsvDataset(table, ["string"], field_delim=",,")


def test_a_required_value_that_is_missing_is_named(table: Path) -> None:
    for kind in ("string", np.int32, np.array([], np.int32)):
        with pytest.raises(DataError, match=r"line 3: a value of the column '0' is missing"):
            rows_of(experimental.CsvDataset(table, [kind], header=True, select_cols=[0]))


def test_numbers_are_written_as_tensorflow_takes_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(" 5, +1.5\n+7,nan\n-8,-inf\n")
    rows = rows_of(experimental.CsvDataset(tmp_path / "a.csv", ["int32", "float32"]))
    assert [str(row[1]) for row in rows] == ["1.5", "nan", "-inf"]
    assert [int(row[0]) for row in rows] == [5, 7, -8]
    (tmp_path / "a.csv").write_text("1,nan\n\n2,NA\n")
    with pytest.raises(DataError, match="line 3: a value of the column '1' is no float32"):
        rows_of(experimental.CsvDataset(tmp_path / "a.csv", ["int32", "float32"]))


def test_quotes_can_be_ordinary(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b'1|"a\n2|b"\n'))
    dataset = experimental.CsvDataset(
        tmp_path / "a", ["int32", "string"], "GZIP", field_delim="|", use_quote_delim=False, buffer_size=4
    )
    assert rows_of(dataset) == [(1, b'"a'), (2, b'b"')]


def test_batches_of_a_csv_follow_tensorflow(table: Path) -> None:
    make = experimental.make_csv_dataset
    dataset = make(str(table), 2, num_epochs=1, shuffle=False, na_value="-", label_name="s")
    features, _ = dataset.element_spec
    assert {name: spec.dtype for name, spec in features.items()} == {"i": "int32", "f": "float32", "t": "string"}
    (first, labels), (last, _) = rows_of(dataset)
    assert first["i"].tolist() == [1, 0]
    assert first["f"].tolist() == [0.5, 0]
    assert labels.tolist() == [b"x", b""]
    assert last["t"].tolist() == [b"c"]
    endless = make(str(table), 2, na_value="-")
    assert endless.element_spec["i"].shape == (2,)
    assert len({len(batch["i"]) for _, batch in zip(range(9), endless, strict=False)}) == 1


def test_batches_take_names_places_and_dtypes(table: Path, tmp_path: Path) -> None:
    make = experimental.make_csv_dataset
    (batch,) = rows_of(
        make(str(table), 9, select_columns=["t", 0], column_defaults=[[5], "string"], num_epochs=1, shuffle=False)
    )
    assert list(batch) == ["i", "t"]
    assert batch["i"].tolist() == [1, 5, 3]
    (tmp_path / "b.csv").write_text("1,2\n3,4\n")
    (batch,) = rows_of(make(str(tmp_path / "b.csv"), 9, ["x", "y"], header=False, num_epochs=1, shuffle=False))
    assert batch["y"].tolist() == [2, 4]
    with pytest.raises(ArgumentError, match="need names"):
        make(str(tmp_path / "b.csv"), 9, header=False)
    with pytest.raises(ArgumentError, match="no such column"):
        make(str(table), 9, select_columns=["q"])
    with pytest.raises(ArgumentError, match="label"):
        make(str(table), 9, label_name="q")
    with pytest.raises(ArgumentError, match="one default"):
        make(str(table), 9, column_defaults=["int32"])
    with pytest.raises(DataError, match="other columns"):
        make([str(table), str(tmp_path / "b.csv")], 9)


def test_types_are_inferred_from_every_row_unless_asked_otherwise(tmp_path: Path) -> None:
    make = experimental.make_csv_dataset
    (tmp_path / "a.csv").write_text("x\n1\n2\n5000000000\n")
    assert make(str(tmp_path / "a.csv"), 3).element_spec["x"].dtype == "int64"
    few = make(str(tmp_path / "a.csv"), 3, num_rows_for_inference=2, num_epochs=1)
    assert few.element_spec["x"].dtype == "int32"
    with pytest.raises(DataError, match="line 4: a value of the column 'x' is no int32"):
        rows_of(few)


def test_rows_that_do_not_fit_can_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.csv").write_text(
        "x,y\n" + "".join(f"{n},{'bad' if n % 40 == 3 else n}\n" for n in range(100)) + "1,2,3\n"
    )
    dataset = experimental.make_csv_dataset(
        str(tmp_path / "a.csv"),
        200,
        column_defaults=["int32", "int32"],
        num_epochs=1,
        shuffle=False,
        ignore_errors=True,
    )
    (batch,) = rows_of(dataset)
    assert batch["x"].tolist() == [n for n in range(100) if n % 40 != 3]
    assert "line 5" in caplog.text
    assert len(caplog.records) == 4


def test_a_table_none_of_whose_rows_fit_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\nbad\nworse\n\n")
    make = experimental.make_csv_dataset
    for shuffle in (False, True):
        assert (
            rows_of(
                make(str(tmp_path / "a.csv"), 2, None, ["int32"], num_epochs=1, shuffle=shuffle, ignore_errors=True)
            )
            == []
        )


def test_lines_lose_their_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\r\n\ntwo\nlast")
    (tmp_path / "b").write_bytes(gzip.compress(b"x\ny\n"))
    dataset = TextLineDataset(tmp_path / "a")
    assert rows_of(dataset) == [b"one", b"", b"two", b"last"]
    assert sorted(rows_of(dataset.shuffle(9, seed=1))) == [b"", b"last", b"one", b"two"]
    assert rows_of(TextLineDataset([tmp_path / "b"] * 2, "GZIP", 1)) == [b"x", b"y"] * 2
    iterator = dataset.iter()
    next(iterator)
    assert list(dataset.iter(iterator.state())) == [b"", b"two", b"last"]
    with pytest.raises(DataError, match="not compressed"):
        rows_of(TextLineDataset(tmp_path / "a", "GZIP"))


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_records_of_one_length_are_cut_between_header_and_footer(tmp_path: Path, compression: str | None) -> None:
    records = [b"%03d" % number for number in range(50)]
    text = b"HH" + b"".join(records) + b"F"
    (tmp_path / "a").write_bytes(gzip.compress(text) if compression else text)
    dataset = FixedLengthRecordDataset([tmp_path / "a"] * 2, 3, 2, 1, compression_type=compression, buffer_size=7)
    assert rows_of(dataset) == records * 2
    assert sorted(rows_of(dataset.shuffle(200, seed=1))) == sorted(records * 2)
    iterator = dataset.iter()
    for _ in range(77):
        next(iterator)
    assert list(dataset.iter(iterator.state())) == (records * 2)[77:]
    with pytest.raises(DataError, match="whole number of records"):
        rows_of(FixedLengthRecordDataset(tmp_path / "a", 3, 2, compression_type=compression))
    with pytest.raises(ArgumentError):
        FixedLengthRecordDataset(tmp_path / "a", 0)


def test_records_of_several_files_come_in_turns(tmp_path: Path) -> None:
    for name, count in (("a", 3), ("b", 1), ("c", 2)):
        write_records(tmp_path / name, [f"{name}{number}".encode() for number in range(count)])
    dataset = TFRecordDataset([tmp_path / name for name in "abc"], num_parallel_reads=2)
    assert rows_of(dataset) == [b"a0", b"b0", b"a1", b"a2", b"c0", b"c1"]


def test_a_shuffled_dataset_of_names_is_followed(tmp_path: Path) -> None:
    for name in "abc":
        write_records(tmp_path / f"{name}.tfrecord", [name.encode()] * 2)
    names = Dataset.list_files(f"{tmp_path}/*.tfrecord", seed=3)
    orders = {tuple(rows_of(TFRecordDataset(names))) for _ in range(3)}
    assert all(sorted(order) == [b"a", b"a", b"b", b"b", b"c", b"c"] for order in orders)
