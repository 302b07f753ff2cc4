"""The files of a source: named by a user, found by a pattern, and told from other ones."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError, storage_errors
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array, strings
from mainstay.data.sources.source import RandomAccess
from mainstay.data.structures import Structure
from mainstay.io import matching_files, missing_file, read_file


@dataclass(frozen=True)
class FileList:
    """Some files, in the order in which they are read.

    Args:
        paths: The files; each is there.
        sizes: Their lengths in bytes.
        kind: What they are, for reports, such as ``TFRecord``.
    """

    paths: tuple[Path, ...]
    sizes: tuple[int, ...]
    kind: str

    @classmethod
    def of(cls, paths: Iterable[Path], kind: str) -> FileList:
        """Return the files at some paths.

        Raises:
            DataError: One is not there, or is no file.
            StorageError: One cannot be looked at.
        """
        found = tuple(paths)
        return cls(found, tuple(map(_size_of, found)), kind)

    @property
    def title(self) -> str:
        """What reports call them."""
        return self.paths[0].name if len(self.paths) == 1 else f"{len(self.paths):,} {self.kind} files"

    def fingerprint(self) -> Any:
        """Return their names and sizes: what is the same where a copy of them lies."""
        return [self.kind, [[path.name, size] for path, size in zip(self.paths, self.sizes, strict=True)]]

    def content(self) -> Any:
        """Return what changes when one of them does: where they are, their sizes and times."""
        return [
            self.kind,
            [[os.path.realpath(path), size, _time_of(path)] for path, size in zip(self.paths, self.sizes, strict=True)],
        ]


def _size_of(path: Path) -> int:
    with storage_errors(path, "read"):
        if path.is_dir():
            raise DataError("this is a folder", where=path, expected="a file", fix="name the files in it")
        if not path.exists():
            raise missing_file(path)
        return path.stat().st_size


def _time_of(path: Path) -> int:
    with storage_errors(path, "read"):
        return path.stat().st_mtime_ns


def named(filenames: Any, where: str = "filenames") -> tuple[Path, ...]:
    """Return the files that a user names, in their order.

    Args:
        filenames: One name or several: text, bytes, paths, lists and arrays of them.
        where: The argument, for the message.

    Raises:
        ArgumentError: It is something else.
    """
    if isinstance(filenames, (str, bytes, os.PathLike)):
        return (Path(os.fsdecode(filenames)),)
    items = filenames.ravel().tolist() if isinstance(filenames, np.ndarray) else filenames
    if not isinstance(items, Iterable):
        items = [items]
    found = list(items)
    wrong = next((item for item in found if not isinstance(item, (str, bytes, os.PathLike))), None)
    if wrong is not None:
        raise ArgumentError("a file is named by text", where=where, expected="a path", received=repr(wrong))
    return tuple(Path(os.fsdecode(item)) for item in found)


def located(location: Any) -> tuple[Path, ...]:
    """Return the files at a location: a file, a glob, or several of those; sorted, each once.

    Raises:
        DataError: Nothing is there.
    """
    if isinstance(location, bytes):
        location = os.fsdecode(location)
    places = [location] if isinstance(location, (str, os.PathLike)) else list(location)
    found: dict[str, Path] = {}
    for place in places:
        text = os.fsdecode(place)
        path = Path(text)
        matches = (
            [path]
            if path.exists() or not glob.has_magic(text)
            else [Path(os.fsdecode(name)) for name in matching_files(text)]
        )
        found.update((match.as_posix(), match) for match in matches if not match.is_dir() or match == path)
    return tuple(path for _, path in sorted(found.items()))


class FileBytes(RandomAccess):
    """The contents of files, one file an element.

    Args:
        paths: The files.
    """

    row_cost_is_high = True

    def __init__(self, paths: Iterable[Path]) -> None:
        self._files = FileList.of(paths, "binary")
        self.name = self._files.title

    @property
    def spec(self) -> Structure:
        """One string."""
        from mainstay.core import TensorSpec

        return TensorSpec((), "string")

    def __len__(self) -> int:
        return len(self._files.paths)

    def load(self, indices: Array) -> Chunk:
        """Return the contents of some files."""
        contents = [read_file(self._files.paths[index]) for index in indices.tolist()]
        return Chunk(0, (strings(contents),), len(indices), Origin(self._describe, indices))

    @property
    def row_bytes(self) -> int:
        """The size of a file."""
        return sum(self._files.sizes) // max(len(self), 1)

    def _describe(self, index: int) -> str:
        return str(self._files.paths[index])

    def fingerprint(self) -> Any:
        """Names and sizes."""
        return self._files.fingerprint()

    def content(self) -> Any:
        """Places, sizes and times."""
        return self._files.content()


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the size of a file and when it was changed, in nanoseconds: both are other ones when it is another file.

    Raises:
        StorageError: The file system refused.
    """
    with storage_errors(path, "read"):
        status = os.stat(path)
    return status.st_size, status.st_mtime_ns
