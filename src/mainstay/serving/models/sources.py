"""Where versions come from: the numbered folders of a model's base path, what is in them and whether it changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import StorageError
from mainstay.serving.contract import ServedModel
from mainstay.serving.models.config import ModelConfig
from mainstay.serving.status import logger

ARTIFACT_FILES = ("saved_model.pb", "saved_model.pbtxt", "assets.extra/mainstay/manifest.json")
"""One of these makes a folder a saved model."""

_MEMORY_PER_BYTE = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where a version of a model comes from. A model in memory is equal to nothing but itself, whatever it says.

    Args:
        name: The model's name.
        version: The version's number.
        path: Its artifact directory.
        model: The model itself, where it is in memory already.
    """

    name: str
    version: int
    path: Path = Path()
    model: ServedModel | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, int, Path, int | None]:
        return self.name, self.version, self.path, None if self.model is None else id(self.model)


def find_sources(config: ModelConfig) -> list[Source]:
    """Return the versions that are to be served, ascending; none if the folder holds none.

    A base path that is a saved model itself is a single version: the number that its folder has for a name, or 1. So
    is a model in memory.

    Raises:
        StorageError: The base path is not there or cannot be read.
    """
    if config.model is not None:
        return [Source(config.name, 1, model=config.model)]
    folder = config.base_path
    if is_artifact(folder):
        return [Source(config.name, int(folder.name) if _is_number(folder.name) else 1, folder)]
    numbered = _numbered(config.name, folder)
    return [Source(config.name, number, numbered[number]) for number in config.policy.choose(numbered)]


def _numbered(name: str, folder: Path) -> dict[int, Path]:
    """Return the folders that have a number for a name; of two with the same number, the last in alphabetical order."""
    try:
        with os.scandir(folder) as entries:
            children = sorted(entry.name for entry in entries if _is_number(entry.name) and entry.is_dir())
    except OSError as error:
        raise StorageError(
            f"Could not find base path {folder} for servable {name}", where=folder, received=error.strerror or error
        ) from error
    found: dict[int, Path] = {}
    for child in children:
        if int(child) in found:
            logger.debug("version %s of model %s is loaded from %s, not %s", int(child), name, child, found[int(child)])
        found[int(child)] = folder / child
    return found


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 40 and int(name) < 2**63


def is_artifact(folder: Path) -> bool:
    """Whether a folder is a saved model, as far as can be told without reading it."""
    return any(os.path.isfile(folder / name) for name in ARTIFACT_FILES)


def folder_state(folder: Path) -> tuple[int, int, int]:
    """Return what changes whenever a file below a folder is added, written or removed; zeros if it cannot be read."""
    count = size = latest = 0
    for status in _files(folder):
        count += 1
        size += status.st_size
        latest = max(latest, status.st_mtime_ns)
    return count, size, latest


def memory_estimate(folder: Path) -> int:
    """Return how many bytes of memory a version may need, as TF Serving estimates it: 1.2 times its files."""
    return int(_MEMORY_PER_BYTE * folder_state(folder)[1])


def _files(folder: Path) -> Iterator[os.stat_result]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(Path(entry.path))
                else:
                    yield entry.stat()
    except OSError:
        return
