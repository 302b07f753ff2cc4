"""Names and contents of files as datasets."""

from pathlib import Path

import pytest

from mainstay.core import ArgumentError, DataError
from mainstay.data import Dataset
from mainstay.io import read_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).write_text(name * 3)
    return tmp_path


def names_of(dataset: Dataset) -> list[str]:
    return [Path(name.decode()).name for name in dataset.as_numpy_iterator()]


def test_names_are_sorted_or_shuffled_anew_in_every_pass(folder: Path) -> None:
    assert names_of(Dataset.list_files(f"{folder}/*.txt", shuffle=False)) == ["a.txt", "b.txt"]
    several = Dataset.list_files([f"{folder}/*.bin", f"{folder}/?.*"], seed=1)
    assert len(several) == 3
    orders = {tuple(names_of(several)) for _ in range(20)}
    assert len(orders) > 1
    assert all(sorted(order) == ["a.txt", "b.txt", "c.bin"] for order in orders)


def test_a_pattern_without_a_match_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"\*\.nothing"):
        Dataset.list_files([f"{folder}/*.txt", f"{folder}/*.nothing"])


def test_the_contents_of_files_are_elements(folder: Path) -> None:
    dataset = Dataset.from_files([folder / "c.bin", str(folder / "a.txt")])
    assert list(dataset.as_numpy_iterator()) == [b"c.binc.binc.bin", b"a.txta.txta.txt"]
    assert len(dataset.shuffle(5)) == 2
    assert read_file(str(folder / "a.txt").encode()) == b"a.txta.txta.txt"
    with pytest.raises(DataError, match="no such file"):
        Dataset.from_files([folder / "missing"])
    with pytest.raises(ArgumentError):
        Dataset.from_files([3])
