"""Finding the files of a table: a file, a glob, a folder or a sequence of those, in one order on every machine."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from mainstay.core import DataError, storage_errors
from mainstay.io.formats import KNOWN_SUFFIXES, has_known_suffix
from mainstay.io.suggestions import suggest

Location: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Where a table lies: a file, a glob, a folder, or a sequence of those."""


def find_files(location: Location) -> tuple[Path, ...]:
    """Return the files of a table, sorted by path, each once.

    A file that is named is taken whatever its suffix. From a folder (searched to its depths) and from a glob
    (``**`` included) come the files with a known suffix whose name, and whose folders' names, do not start with
    a dot or an underscore, as ``_SUCCESS`` and ``.part-0.crc`` do.

    Args:
        location: A file, a glob, a folder, or a sequence of those.

    Returns:
        At least one path of a regular file.

    Raises:
        DataError: Nothing is there, or nothing that could be a table.
        StorageError: The file system refuses.
    """
    places = [location] if isinstance(location, (str, os.PathLike)) else list(location)
    if not places:
        raise DataError("no files are given", expected="a file, a glob, a folder, or several of those")
    found = {path.as_posix(): path for place in places for path in _expand(os.fspath(place))}
    once: dict[str, Path] = {}
    for _, path in sorted(found.items()):
        once.setdefault(os.path.realpath(path), path)
    return tuple(once.values())


def _expand(place: str) -> list[Path]:
    path = Path(place)
    if "://" in place:
        raise DataError("only local files are read", where=place, fix="download the data, then name the local files")
    with storage_errors(place, "read"):
        if path.is_file():
            return [path]
        if path.is_dir() and place:
            return _of_folder(path)
        if glob.has_magic(place):
            return _of_glob(place)
        if place and path.exists():
            raise DataError("this is neither a file nor a folder", where=place, fix="write the data into a file")
    raise missing_file(path, place)


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _of_folder(folder: Path) -> list[Path]:
    found = list(_walk(folder))
    if not found:
        names = sorted(os.listdir(folder))
        raise DataError(
            "the folder holds no table",
            where=folder,
            expected=f"files that end in {', '.join(KNOWN_SUFFIXES)}",
            received=f"{', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else "an empty folder",
            fix="name the file itself where its suffix is another one",
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder, onerror=_reraise):
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in names:
            path = Path(base, name)
            if has_known_suffix(name) and not _hidden(name) and path.is_file():
                yield path


def _reraise(error: OSError) -> None:
    raise error


def _of_glob(pattern: str) -> list[Path]:
    named = [part for part in Path(pattern).parts if _hidden(part)]
    found: list[Path] = []
    for match in map(Path, glob.iglob(pattern, recursive=True)):
        if any(_hidden(part) and not any(fnmatch.fnmatch(part, name) for name in named) for part in match.parts):
            continue
        if match.is_dir():
            found += [] if "**" in pattern else _walk(match)
        elif match.is_file() and has_known_suffix(match.name):
            found.append(match)
    if not found:
        raise DataError(
            "nothing matches the pattern",
            where=pattern,
            expected=f"files that end in {', '.join(KNOWN_SUFFIXES)}",
            fix="check the pattern, and quote it so that the shell leaves it alone",
        )
    return found


def missing_file(path: Path, place: str = "") -> DataError:
    """Return the error that says that nothing is at a path, and what may have been meant."""
    place = place or str(path)
    parent = path.parent
    otherwise = "check the path"
    while not parent.is_dir() and parent != parent.parent:
        path, parent = parent, parent.parent
    with storage_errors(parent, "read"):
        names = sorted(name for name in os.listdir(parent) if not name.startswith("."))
    likely = [name for name in names if has_known_suffix(name)]
    if likely:
        otherwise = f"{parent}{os.sep} holds {', '.join(likely[:3])}{' …' if len(likely) > 3 else ''}"
    return DataError("there is no such file or folder", where=place or "''", fix=suggest(path.name, names, otherwise))
