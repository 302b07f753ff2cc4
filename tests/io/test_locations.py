import os
from pathlib import Path

import pytest

from mainstay.core import DataError, StorageError
from mainstay.io import find_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in [
        "trips.csv",
        "parts/b.csv",
        "parts/a.csv.gz",
        "parts/deep/c.PARQUET",
        "parts/_SUCCESS",
        "parts/_temporary/x.csv",
        "parts/.b.csv.crc",
        "parts/.hidden.csv",
        "parts/readme.md",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(location):
    return [path.as_posix() for path in find_files(location)]


def test_a_file_is_itself_whatever_its_suffix(folder):
    assert names("trips.csv") == ["trips.csv"]
    assert names(Path("parts/readme.md")) == ["parts/readme.md"]


def test_a_folder_is_searched_to_its_depths_without_hidden_files(folder):
    assert names("parts") == ["parts/a.csv.gz", "parts/b.csv", "parts/deep/c.PARQUET"]


def test_a_glob_finds_files_of_known_suffixes_in_sorted_order(folder):
    assert names("parts/*") == ["parts/a.csv.gz", "parts/b.csv", "parts/deep/c.PARQUET"]
    assert names("parts/*.csv*") == ["parts/a.csv.gz", "parts/b.csv"]
    assert names("**/*.csv") == ["parts/b.csv", "trips.csv"]
    assert names("parts/_temp*/*.csv") == ["parts/_temporary/x.csv"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder):
    (folder / "a[1].csv").write_text("a\n1\n")
    assert names("a[1].csv") == ["a[1].csv"]


def test_several_places_are_joined_sorted_and_each_file_comes_once(folder):
    os.symlink(folder / "trips.csv", folder / "zlink.csv")
    assert names(["zlink.csv", "trips.csv", "parts/b.csv", "parts"]) == [
        "parts/a.csv.gz",
        "parts/b.csv",
        "parts/deep/c.PARQUET",
        "trips.csv",
    ]


def test_a_misspelt_file_is_refused_with_the_nearest_name(folder):
    with pytest.raises(DataError, match=r"trip\.csv: there is no such file or folder\n.*did you mean 'trips\.csv'"):
        find_files("trip.csv")
    with pytest.raises(DataError, match=r"did you mean 'parts'"):
        find_files("part/b.csv")


def test_a_file_with_no_near_name_is_refused_with_what_is_there(folder):
    with pytest.raises(DataError, match=r"holds trips\.csv"):
        find_files("zzzz.parquet")
    with pytest.raises(DataError, match="there is no such file"):
        find_files(folder / "no" / "such" / "place.csv")


def test_a_folder_without_tables_is_refused_naming_what_it_holds(folder):
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"empty: the folder holds no table\n.*\n.*an empty folder"):
        find_files("empty")
    with pytest.raises(DataError, match=r"received: notes\.txt"):
        find_files("texts")


def test_a_glob_that_matches_nothing_is_refused(folder):
    with pytest.raises(DataError, match="nothing matches the pattern"):
        find_files("*.parquet")


@pytest.mark.parametrize("location", ["s3://bucket/trips.csv", "", [], "/dev/null", "a\0b.csv", "x" * 5000])
def test_what_is_no_local_file_is_refused(folder, location):
    with pytest.raises((DataError, StorageError)):
        find_files(location)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused(folder):
    (folder / "parts" / "deep").chmod(0)
    with pytest.raises(StorageError):
        find_files("parts")
    (folder / "parts" / "deep").chmod(0o700)
