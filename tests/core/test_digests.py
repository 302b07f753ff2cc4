"""Digests depend on content alone: not on times, places, permissions or the order of keys."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import StorageError, digest_bytes, digest_file, digest_json, digest_tree, list_files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def make(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_the_digest_of_nothing_is_that_of_the_standard() -> None:
    assert digest_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_bytes(memoryview(b"abc")) == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_has_the_digest_of_its_bytes_around_the_block_size(tmp_path: Path, length: int) -> None:
    content = bytes(range(256)) * (length // 256 + 1)
    (tmp_path / "file").write_bytes(content[:length])
    assert digest_file(tmp_path / "file") == digest_bytes(content[:length])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent: cannot read it"):
        digest_file(tmp_path / "absent")
    with pytest.raises(StorageError, match="cannot read it"):
        digest_file(tmp_path)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_digest_of_json_does_not_see_the_order_of_keys(value: dict[str, object]) -> None:
    assert digest_json(value) == digest_json(dict(reversed(value.items())))


def test_the_digest_of_json_sees_every_value_and_refuses_what_is_not_json() -> None:
    assert len({digest_json(v) for v in (1, 1.0, "1", [1], None, True, {"1": None})}) == 7
    with pytest.raises(ValueError, match="Out of range float"):
        digest_json(float("inf"))


def test_files_are_listed_by_relative_path_in_a_fixed_order(tmp_path: Path) -> None:
    make(tmp_path, {"b/2": b"", "a": b"", "b/1": b"", "b.c": b""})
    assert list(list_files(tmp_path)) == ["a", "b.c", "b/1", "b/2"]
    assert list_files(tmp_path / "absent") == {}


def test_equal_folders_have_equal_digests_wherever_and_whenever_they_were_made(tmp_path: Path) -> None:
    one = make(tmp_path / "one", {"x": b"1", "d/y": b"2"})
    two = make(tmp_path / "elsewhere" / "two", {"d/y": b"2", "x": b"1"})
    os.utime(two / "x", (0, 0))
    (two / "x").chmod(0o600)
    assert digest_tree(one) == digest_tree(two)


@pytest.mark.parametrize(
    "files", [{"x": b"2", "d/y": b"2"}, {"z": b"1", "d/y": b"2"}, {"x": b"1"}, {"x": b"1", "d/y": b"2", "e": b""}]
)
def test_any_change_of_a_folder_changes_its_digest(tmp_path: Path, files: dict[str, bytes]) -> None:
    before = digest_tree(make(tmp_path / "one", {"x": b"1", "d/y": b"2"}))
    assert digest_tree(make(tmp_path / "two", files)) != before


def test_the_digest_of_a_file_as_a_tree_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert digest_tree(tmp_path / "file") == digest_file(tmp_path / "file")
