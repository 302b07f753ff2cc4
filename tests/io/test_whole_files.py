"""Whole files: read, written whole, and found by patterns."""

from pathlib import Path

import pytest

from mainstay.core import ArgumentError, DataError, StorageError
from mainstay.io import matching_files, read_file, write_file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_file(tmp_path / "deep" / "a", b"\0\xff")
    assert read_file(str(tmp_path / "deep" / "a").encode()) == b"\0\xff"
    write_file(str(tmp_path / "deep" / "a"), "ä")
    assert read_file(tmp_path / "deep" / "a") == "ä".encode()
    with pytest.raises(StorageError):
        read_file(tmp_path / "missing")
    with pytest.raises(ArgumentError, match="bytes or text"):
        write_file(tmp_path / "b", 3)


def test_matching_names_are_sorted_and_come_once(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.bin"):
        write_file(tmp_path / name, "")
    found = matching_files([f"{tmp_path}/*.txt", f"{tmp_path}/a*".encode(), tmp_path / "c.bin"])
    assert [Path(name.decode()).name for name in found] == ["a.txt", "b.txt", "c.bin"]
    with pytest.raises(DataError, match="nothing matches"):
        matching_files(f"{tmp_path}/*.none")
