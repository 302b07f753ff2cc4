"""CSV files as datasets: types that are never wrong later, errors with line and column, order that is resumed."""

import csv
import gzip
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError
from mainstay.data import Dataset
from mainstay.data.sources import csv as source_module
from mainstay.data.sources import scanned


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows_of(dataset: Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


@pytest.fixture
def trips(tmp_path: Path) -> Path:
    return write(tmp_path / "trips.csv", 'fare,company,trips\n7.5,Blue,1\n,"Sun\nCity, ""A""",2\nNA,,3\n')


def test_rows_are_dicts_with_inferred_types(trips: Path) -> None:
    dataset = Dataset.from_csv(trips)
    assert {name: spec.dtype for name, spec in dataset.element_spec.items()} == {
        "fare": "float64",
        "company": "string",
        "trips": "int64",
    }
    first, second, third = rows_of(dataset)
    assert first == {"fare": 7.5, "company": b"Blue", "trips": 1}
    assert (second["company"], third["company"]) == (b'Sun\nCity, "A"', b"")
    assert math.isnan(second["fare"])
    assert math.isnan(third["fare"])


def test_columns_dtypes_defaults_and_label(trips: Path) -> None:
    dataset = Dataset.from_csv(
        trips,
        columns=["trips", "fare"],
        dtypes={"trips": np.int8, "fare": "float32"},
        defaults={"fare": -1},
        label="trips",
    )
    assert rows_of(dataset) == [({"fare": 7.5}, 1), ({"fare": -1}, 2), ({"fare": -1}, 3)]
    assert (dataset.element_spec[0]["fare"].dtype, dataset.element_spec[1].dtype) == ("float32", "int8")


def test_a_type_holds_for_rows_that_come_late(tmp_path: Path) -> None:
    many = "\n".join(["1,2"] * 200_000)
    path = write(tmp_path / "a.csv", f"x,y\n{many}\n99999999999,2.5\n")
    batches = rows_of(Dataset.from_csv(path).batch(100_000))
    assert (batches[0]["x"].dtype, batches[0]["y"].dtype) == (np.int64, np.float64)
    assert batches[-1]["x"][-1] == 99999999999


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("x,y\n1,2\n\n3,four\n", 4, "'y' is no int32"),
        ("x,y\n1,2\n3,2147483648\n", 3, "'y' is no int32"),
        ('x,y\n"1\n",2\n3,\n', 4, "'y' is missing"),
        ("x,y\n1,2\n3,4,5\n", 3, "wrong number of fields"),
        ("x,y\n1,2\n3\n", 3, "wrong number of fields"),
        ("x,y\r\n1,2\r\n3,0x1G\r\n", 3, "'y' is no int32"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = write(tmp_path / "a.csv", text)
    dataset = Dataset.from_csv(path, dtypes={"x": "string", "y": "int32"})
    for each in (dataset, dataset.shuffle(10)):
        with pytest.raises(DataError, match=rf"a\.csv, line {line}: .*{reason}"):
            rows_of(each)


def test_the_slower_rules_take_what_the_parser_refuses(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "n,f,b,t\n+5,nAn,yes,2020-01-02\n7,1e3,no,1970-01-01T00:00:00.000001\n".replace("yes", "TRUE").replace(
            "no", "false"
        ),
    )
    rows = rows_of(Dataset.from_csv(path, dtypes={"n": "int16", "f": "float32", "b": "bool", "t": "timestamp"}))
    assert [row["n"] for row in rows] == [5, 7]
    assert math.isnan(rows[0]["f"])
    assert [bool(row["b"]) for row in rows] == [True, False]
    assert [int(row["t"]) for row in rows] == [1577923200000000, 1]


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, width=32),
            st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8),
        ),
        max_size=12,
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
    suffix=st.sampled_from([".csv", ".csv.gz", ".csv.zst"]),
)
def test_what_pythons_writer_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, str]], ending: str, suffix: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=ending)
    writer.writerow(["i", "f", "s"])
    writer.writerows(rows)
    data = b"\xef\xbb\xbf" + text.getvalue().encode()
    if suffix == ".csv.gz":
        data = gzip.compress(data)
    elif suffix == ".csv.zst":
        data = pa.Codec("zstd").compress(data, asbytes=True)
    path = write(tmp_path_factory.getbasetemp() / f"any{suffix}", data)
    dataset = Dataset.from_csv(path, dtypes={"i": "int64", "f": "float32", "s": "string"})
    expected = [{"i": i, "f": np.float32(f), "s": s.encode()} for i, f, s in rows]
    assert rows_of(dataset) == expected
    key = repr
    assert sorted(rows_of(dataset.shuffle(3, seed=1)), key=key) == sorted(expected, key=key)


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(source_module, "_BLOCK_BYTES", 500)
    monkeypatch.setattr(source_module, "_SMALL_BLOCK_BYTES", 200)
    monkeypatch.setattr(scanned, "SCANNED_BYTES", 300)
    monkeypatch.setattr(source_module, "SCANNED_BYTES", 300)
    texts = [
        f"n,s\n{''.join(f'{n},{chr(34)}a{chr(10)}{n}{chr(34)}{chr(10)}' for n in part)}"
        for part in (range(300), range(300, 700))
    ]
    return [write(tmp_path / f"{number}.csv", text) for number, text in enumerate(texts)]


def test_a_resumed_run_equals_the_straight_one(many: list[Path]) -> None:
    dataset = Dataset.from_csv(many, dtypes={"n": "int64", "s": "string"})
    for each in (dataset, dataset.shuffle(100, seed=1), dataset.batch(7), dataset.shuffle(50, seed=2).batch(9)):
        straight = [str(element) for element in each.iter(each.iter().state())]
        for used in (0, 1, 30, len(straight) - 1):
            iterator = each.iter()
            for _ in range(used):
                next(iterator)
            rest = [str(element) for element in each.iter(iterator.state())]
            assert rest == [str(element) for element in iterator]
            assert len(rest) == len(straight) - used


def test_shuffling_mixes_blocks_of_all_files(many: list[Path]) -> None:
    dataset = Dataset.from_csv(many, dtypes={"n": "int64", "s": "string"})
    assert [row["n"] for row in rows_of(dataset)] == list(range(700))
    order = [int(row["n"]) for row in rows_of(dataset.shuffle(100, seed=1))]
    assert sorted(order) == list(range(700))
    assert np.mean(np.abs(np.array(order) - np.arange(700))) > 100


def test_a_file_that_changes_is_refused(many: list[Path]) -> None:
    dataset = Dataset.from_csv(many, dtypes={"n": "int64", "s": "string"}).shuffle(100, seed=1)
    iterator = iter(dataset)
    next(iterator)
    many[1].write_text("n,s\n1,x\n")
    with pytest.raises(DataError, match="changed while it was read"):
        list(dataset)


def test_empty_tables_give_empty_datasets(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n")
    assert rows_of(Dataset.from_csv(path)) == []
    assert rows_of(Dataset.from_csv(path).shuffle(5).batch(2)) == []


def test_wrong_arguments_are_named(trips: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'fare'"):
        Dataset.from_csv(trips, columns=["far"])
    with pytest.raises(ArgumentError, match="unknown dtype"):
        Dataset.from_csv(trips, dtypes={"fare": "complex64"})
    with pytest.raises(ArgumentError, match="default is not of the column's dtype"):
        Dataset.from_csv(trips, dtypes={"trips": "int8"}, defaults={"trips": 1000})
    with pytest.raises(ArgumentError, match="'nothing'"):
        Dataset.from_csv(trips, label="nothing")
    with pytest.raises(DataError, match="different columns"):
        Dataset.from_csv([trips, write(tmp_path / "b.csv", "other,company,trips\n1,2,3\n")])
    with pytest.raises(DataError, match="NUL"):
        rows_of(Dataset.from_csv(write(tmp_path / "c.csv", b"x,y\n1,2\n\0\0,3\n"), dtypes={"x": "string", "y": "int8"}))
    with pytest.raises(DataError, match="truncated"):
        data = gzip.compress(b"x,y\n" + b"1,2\n" * 9)[:-3]
        rows_of(Dataset.from_csv(write(tmp_path / "d.csv.gz", data), dtypes={"x": "int8", "y": "int8"}))
