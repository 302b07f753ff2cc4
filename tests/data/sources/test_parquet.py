"""Parquet files as datasets: projection, nested lists, row groups in parts, files that disagree."""

import decimal
import math
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError
from mainstay.data import Dataset
from mainstay.data.sources import parquet
from mainstay.data.sources.parquet_pieces import PieceReader, pieces_of


def rows_of(dataset: Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


def written(path: Path, columns: dict[str, Any], **settings: Any) -> Path:
    pq.write_table(pa.table(columns), path, **settings)
    return path


def test_every_type_has_its_column(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.parquet",
        {
            "i8": pa.array([1, 2], pa.int8()),
            "f": pa.array([0.5, None], pa.float32()),
            "b": [True, False],
            "s": ["ä", None],
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "bytes": [b"\0", b"\xff"],
            "day": [date(1970, 1, 2), date(1970, 1, 3)],
            "time": [datetime(1970, 1, 1, 0, 0, 1), datetime(1970, 1, 1)],
            "dec": [decimal.Decimal("1.50"), decimal.Decimal("2.25")],
            "list": [[1, 2], None],
            "nested": [[["a"], []], [["b", "c"]]],
            "fixed": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
            "struct": [{"x": 1, "y": "p"}, {"x": 2, "y": "q"}],
        },
    )
    dataset = Dataset.from_parquet(path)
    assert len(dataset) == 2
    spec = dataset.element_spec
    assert (spec["i8"].dtype, spec["f"].dtype, spec["b"].dtype, spec["dec"].dtype) == (
        "int8",
        "float32",
        "bool",
        "float64",
    )
    assert (spec["list"].shape, spec["fixed"].shape, spec["struct"]["x"].dtype) == ((None,), (2,), "int64")
    first, second = rows_of(dataset)
    assert (first["i8"], first["f"], first["b"], first["s"], first["d"], first["bytes"]) == (
        1,
        0.5,
        True,
        "ä".encode(),
        b"x",
        b"\0",
    )
    assert (first["day"], first["time"], first["dec"]) == (86_400_000_000, 1_000_000, 1.5)
    assert (first["list"].tolist(), second["list"].tolist()) == ([1, 2], [])
    assert first["nested"].to_list() == [[b"a"], []]
    assert (second["fixed"].tolist(), second["struct"]) == ([3.0, 4.0], {"x": 2, "y": b"q"})
    assert math.isnan(second["f"])
    assert second["s"] == b""


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.lists(st.integers(0, 9), max_size=3)), max_size=30),
    group=st.integers(1, 9),
)
def test_rows_come_back_whatever_the_row_groups(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], group: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    columns = {
        "n": pa.array([n for n, _ in rows], pa.int64()),
        "l": pa.array([items for _, items in rows], pa.list_(pa.int32())),
    }
    written(path, columns, row_group_size=group)
    dataset = Dataset.from_parquet([path])
    assert [(int(row["n"]), row["l"].tolist()) for row in rows_of(dataset)] == rows
    shuffled = [(int(row["n"]), row["l"].tolist()) for row in rows_of(dataset.shuffle(7, seed=1))]
    assert sorted(shuffled) == sorted(rows)


def test_a_large_row_group_comes_in_parts(tmp_path: Path) -> None:
    count = 100_000
    path = written(tmp_path / "a.parquet", {"n": np.arange(count), "s": [str(n) for n in range(count)]})
    dataset = Dataset.from_parquet(path)
    chunks = dataset.iterate_chunks()
    sizes = []
    while (piece := chunks.piece()) is not None:
        sizes.append(piece.length)
    assert sum(sizes) == count
    assert max(sizes) <= 20_000
    shuffled = dataset.shuffle(10, seed=1)
    iterator = shuffled.iter()
    first = [int(next(iterator)["n"]) for _ in range(30_001)]
    rest = [int(row["n"]) for row in shuffled.iter(iterator.state())]
    assert rest == [int(row["n"]) for row in iterator]
    assert sorted(first + rest) == list(range(count))
    assert first[:1000] != sorted(first[:1000])


def test_a_row_group_beyond_memory_is_decoded_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_MANY_BYTES", 1 << 12)
    monkeypatch.setattr(parquet, "_FEW_ROWS", 100)
    files = []
    for number in range(3):
        rows = np.arange(number * 1000, number * 1000 + 1000)
        columns = {"n": rows, "s": [str(n) * (n % 4) for n in rows], "l": [[n] * (n % 3) for n in rows]}
        files.append(written(tmp_path / f"{number}.parquet", columns, row_group_size=950))
    dataset = Dataset.from_parquet(files)
    assert len(dataset) == 3000
    elements = rows_of(dataset)
    assert [int(row["n"]) for row in elements] == list(range(3000))
    assert [len(row["l"]) for row in elements] == [n % 3 for n in range(3000)]
    shuffled = dataset.shuffle(200, seed=1)
    first = [int(row["n"]) for row in rows_of(shuffled)]
    assert sorted(first) == list(range(3000))
    assert first != sorted(first)
    iterator = shuffled.iter()
    head = [int(next(iterator)["n"]) for _ in range(777)]
    assert [*head, *(int(row["n"]) for row in shuffled.iter(iterator.state()))] == [
        *head,
        *(int(row["n"]) for row in iterator),
    ]


def test_pieces_come_right_in_any_order_and_from_any_batches() -> None:
    batches = [pa.record_batch({"n": np.arange(start, stop)}) for start, stop in ((0, 3), (3, 3), (3, 20), (20, 23))]
    reader, begun = PieceReader(), []

    def begin() -> Iterator[pa.Table]:
        begun.append(1)
        return pieces_of(iter(batches), 5)

    for piece in (2, 0, 1, 4, 3, 0):
        found = reader.read("group", piece, begin)["n"].to_pylist()
        assert found == list(range(23))[piece * 5 : piece * 5 + 5]
    assert len(begun) == 2


def test_only_the_columns_that_are_wanted_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.parquet",
        {"x": [1, 2], "odd": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8())), "y": [3, 4]},
    )
    assert rows_of(Dataset.from_parquet(path, ["y"])) == [{"y": 3}, {"y": 4}]
    assert rows_of(Dataset.from_parquet(path, ["x"], label="y")) == [({"x": 1}, 3), ({"x": 2}, 4)]
    with pytest.raises(DataError, match="'odd' is of a type"):
        Dataset.from_parquet(path)
    with pytest.raises(ArgumentError, match="'z'"):
        Dataset.from_parquet(path, ["z"])


def test_a_missing_value_needs_a_default(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"x": [1, None, 3]}, row_group_size=1)
    with pytest.raises(DataError, match=r"a\.parquet, row 2: a value of the column 'x' is missing"):
        rows_of(Dataset.from_parquet(path))
    assert [row["x"] for row in rows_of(Dataset.from_parquet(path, defaults={"x": 9}))] == [1, 9, 3]


def test_files_that_disagree_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "a.parquet", {"x": pa.array([1], pa.int32()), "y": ["a"]})
    two = written(tmp_path / "b.parquet", {"x": pa.array([1], pa.int64()), "y": pa.array(["b"]).dictionary_encode()})
    with pytest.raises(DataError, match=r"b\.parquet: the column 'x' differs(.|\n)*int32(.|\n)*int64"):
        Dataset.from_parquet([one, two])
    assert rows_of(Dataset.from_parquet([one, two], ["y"])) == [{"y": b"a"}, {"y": b"b"}]
    three = written(tmp_path / "c.parquet", {"y": ["c"]})
    with pytest.raises(DataError, match="no such column"):
        Dataset.from_parquet([one, three], ["x"])


def test_damage_and_change_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"x": np.arange(1000)})
    dataset = Dataset.from_parquet(path)
    written(path, {"x": np.arange(999)})
    with pytest.raises(DataError, match="changed while it was read"):
        rows_of(dataset)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="truncated or damaged"):
        Dataset.from_parquet(path)
    path.write_bytes(b"PAR0" + bytes(100))
    with pytest.raises(DataError, match="no Parquet file"):
        Dataset.from_parquet(path)
    assert rows_of(Dataset.from_parquet(written(tmp_path / "e.parquet", {"x": np.arange(0)}))) == []
