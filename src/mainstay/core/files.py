"""Files that are whole or not there: written beside, fsynced, renamed. Nothing here leaves half a file behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mainstay.core.errors import StorageError

_FIXES = {
    errno.ENOSPC: "free some space on the device, or write to another one",
    errno.EDQUOT: "free some of your disk quota, or write to another device",
    errno.EACCES: "choose a folder that you may write to, or change its permissions",
    errno.EPERM: "choose a folder that you may write to, or change its permissions",
    errno.EROFS: "choose a folder on a file system that is not mounted read-only",
    errno.ENOTDIR: "choose a path whose parents are folders",
    errno.EEXIST: "choose a path that is not taken",
    errno.ENOTEMPTY: "choose a path that is not taken",
}


@contextlib.contextmanager
def storage_errors(path: str | os.PathLike[str], action: str = "write") -> Iterator[None]:
    """Turn an `OSError` of the block into a `StorageError` that names `path` and says what to do.

    Args:
        path: The path that the user knows, not that of a temporary file.
        action: The verb of the message, such as "write" or "read".

    Raises:
        StorageError: Whenever the block raises an `OSError`.
    """
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        raise StorageError(
            f"cannot {action} it: {error.strerror or error}",
            where=os.fspath(path),
            fix=_FIXES.get(code, "check that the path exists and that you have access to it"),
        ) from error


def _beside(path: Path) -> Path:
    return path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial"


def _fsync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path`, whole, when the block ends without an error.

    Args:
        path: Where the file shall be; missing parent folders are made, a file that is there is replaced.

    Yields:
        The file, open for writing in binary mode.

    Raises:
        StorageError: The file system refused. Nothing is left behind, and what was at `path` is untouched.
    """
    target = Path(path)
    partial = _beside(target)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(partial, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
            _fsync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` atomically; see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` atomically as UTF-8; see `atomic_file`."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON with sorted keys; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """Make a folder that appears at `path`, whole, when the block ends without an error.

    Args:
        path: Where the folder shall be; missing parents are made.
        replace: Whether a folder that is there already gives way; without it, it is an error.

    Yields:
        A fresh folder beside `path` to write into.

    Raises:
        StorageError: The file system refused, or `path` is taken. Nothing is left behind.
    """
    target = Path(path)
    partial = _beside(target)
    with storage_errors(target):
        if not replace and target.exists():
            raise FileExistsError(errno.EEXIST, "it exists already", str(target))
        partial.mkdir(parents=True)
        try:
            yield partial
            _install(partial, target, replace)
        finally:
            if partial.exists():
                shutil.rmtree(partial, ignore_errors=True)


def install(source: str | os.PathLike[str], target: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Move a finished file or folder to `target`, so that it appears there whole and survives a power failure.

    Args:
        source: What was written, on the same file system as `target`; its bytes are fsynced before the move.
        target: Where it shall be; missing parents are made.
        replace: Whether what is there already gives way; without it, it is an error.

    Raises:
        StorageError: The file system refused, or `target` is taken. What was at `target` is untouched.
    """
    with storage_errors(target):
        if not replace and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it exists already", os.fspath(target))
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        _install(Path(source), Path(target), replace)


def _install(source: Path, target: Path, replace: bool) -> None:
    _fsync_tree(source)
    if replace and os.path.lexists(target):
        old = _beside(target)
        os.rename(target, old)
        try:
            os.rename(source, target)
        except OSError:
            os.rename(old, target)
            raise
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)
    else:
        os.rename(source, target)
    _fsync_folder(target.parent)


def _fsync_tree(path: Path) -> None:
    if not path.is_dir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        return
    for root, _, names in os.walk(path):
        for name in names:
            handle = os.open(os.path.join(root, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        _fsync_folder(Path(root))
