"""Files and folders appear whole or not at all, whatever the file system does."""

import errno
import json
import os
from pathlib import Path

import pytest

from mainstay.core import (
    StorageError,
    atomic_file,
    atomic_folder,
    install,
    storage_errors,
    write_bytes,
    write_json,
    write_text,
)

ERRNOS = [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS]


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    """Make a call of the operating system fail as a full or forbidden disk would."""

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_with_its_parents_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.bin"
    with atomic_file(target) as file:
        file.write(b"one")
        assert not target.exists()
    assert target.read_bytes() == b"one"
    assert left_in(target.parent) == ["file.bin"]


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(KeyError), atomic_file(tmp_path / "file") as file:
        file.write(b"half")
        raise KeyError
    assert (tmp_path / "file").read_bytes() == b"old"
    assert left_in(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", ERRNOS, ids=errno.errorcode.get)
def test_a_refused_file_is_a_storage_error_that_names_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    write_bytes(tmp_path / "file", b"old")
    refuse(monkeypatch, call, code)
    with pytest.raises(StorageError) as caught:
        write_bytes(tmp_path / "file", b"new")
    assert caught.value.where == str(tmp_path / "file")
    assert os.strerror(code) in str(caught.value)
    assert caught.value.fix
    assert "partial" not in str(caught.value)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert left_in(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("code", ERRNOS, ids=errno.errorcode.get)
def test_a_refused_folder_is_a_storage_error_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as folder:
        (folder / "x").write_text("old")
    with monkeypatch.context() as patch, pytest.raises(StorageError) as caught:
        refuse(patch, call, code)
        with atomic_folder(target, replace=True) as folder:
            (folder / "x").write_text("new")
    assert caught.value.where == str(target)
    assert (target / "x").read_text() == "old"
    assert left_in(tmp_path) == ["model"]


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as folder:
        (folder / "x").write_text("old")
    real, calls = os.rename, []

    def second_fails(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*arguments)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(StorageError), atomic_folder(target, replace=True) as folder:
        (folder / "x").write_text("new")
    assert (target / "x").read_text() == "old"
    assert left_in(tmp_path) == ["model"]


def test_a_device_that_is_really_full_is_named_with_a_fix() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageError, match=r"/dev/full: cannot write it: No space left on device\n  fix: free"):  # noqa: SIM117
        with storage_errors("/dev/full"), open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="Permission denied"):
            write_bytes(tmp_path / "file", b"x")
    finally:
        tmp_path.chmod(0o700)


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught:
        write_bytes(tmp_path / "file" / "below", b"x")
    assert caught.value.where == str(tmp_path / "file" / "below")
    with pytest.raises(StorageError), atomic_folder(tmp_path / "file" / "below"):
        pass
    assert left_in(tmp_path) == ["file"]


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        write_bytes(tmp_path / ("x" * 300), b"x")
    assert left_in(tmp_path) == []


def test_a_folder_that_is_taken_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as folder:
        (folder / "x").write_text("1")
    with pytest.raises(StorageError, match="it exists already\n  fix: choose a path that is not taken"):  # noqa: SIM117
        with atomic_folder(target):
            pytest.fail("the block must not run")
    with atomic_folder(target, replace=True) as folder:
        (folder / "y").write_text("2")
    assert left_in(target) == ["y"]
    assert left_in(tmp_path) == ["model"]


def test_an_error_in_the_block_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic_folder(tmp_path / "model") as folder:
        (folder / "x").write_text("half")
        raise KeyError
    assert left_in(tmp_path) == []


def test_installing_moves_a_file_or_a_folder_and_refuses_a_taken_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    install(tmp_path / "file", tmp_path / "deep" / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("2")
    with pytest.raises(StorageError, match="exists already"):
        install(tmp_path / "folder", tmp_path / "deep" / "file")
    install(tmp_path / "folder", tmp_path / "deep" / "file", replace=True)
    assert (tmp_path / "deep" / "file" / "x").read_text() == "2"
    assert left_in(tmp_path) == ["deep"]


def test_installing_what_is_not_there_is_refused_and_keeps_the_old(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("1")
    with pytest.raises(StorageError):
        install(tmp_path / "absent", tmp_path / "old", replace=True)
    assert (tmp_path / "old").read_text() == "1"


def test_text_and_json_are_utf8_and_json_is_the_same_in_every_run(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "naïve ✓")
    assert (tmp_path / "t").read_bytes() == "naïve ✓".encode()
    write_json(tmp_path / "j", {"b": 1, "a": "é"})
    assert (tmp_path / "j").read_text("utf-8") == '{\n "a": "é",\n "b": 1\n}\n'
    assert json.loads((tmp_path / "j").read_text("utf-8")) == {"a": "é", "b": 1}


def test_json_that_no_other_reader_would_take_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "j", {"x": float("nan")})
    assert left_in(tmp_path) == []
