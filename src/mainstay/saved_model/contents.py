"""What an artifact holds beside its functions: its tensors and its sidecars, digests verified, nothing compiled."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.saved_model.bundle import INDEX_FILE, read_index, read_tensor
from mainstay.saved_model.folder import (
    EXTRA,
    GOLDEN_FILE,
    HOST_GRAPH_FILE,
    needed,
    read_sealed_manifest,
    verify_files,
)
from mainstay.saved_model.manifest import Manifest
from mainstay.saved_model.manifest_reading import read_manifest
from mainstay.saved_model.tensor_names import by_name


class Sidecars(Mapping[str, bytes]):
    """The sidecars of an artifact by name; each is read when it is asked for, for some are large."""

    def __init__(self, manifest: Manifest, files: Mapping[str, memoryview]) -> None:
        known = {HOST_GRAPH_FILE, GOLDEN_FILE}
        for _, entry in manifest.entries():
            known |= {program.file for program in entry.programs} | {stage.file or "" for stage in entry.stages}
        self._data = {
            path.removeprefix(f"{EXTRA}/"): data
            for path, data in files.items()
            if path.startswith(f"{EXTRA}/") and path not in known
        }

    def __getitem__(self, name: str) -> bytes:
        return bytes(self._data[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


@dataclass(frozen=True, eq=False)
class Contents:
    """What `read_contents` returns.

    Attributes:
        tensors: Every array of numbers in ``variables/`` by name, mapped and read-only.
        sidecars: The further files by name.
    """

    tensors: Mapping[str, np.ndarray[Any, Any]]
    sidecars: Mapping[str, bytes]


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """Return the tensors and the sidecars of an artifact, after the digest of every file has been verified.

    Unlike `load` it compiles nothing and replays nothing: it is for those who have the code that made the model.

    Args:
        path: The artifact's folder; it must not be written to while the tensors are in use.

    Returns:
        The tensors and sidecars.

    Raises:
        ArtifactError: There is no saved model.
        IntegrityError: A file is missing, was added, truncated or edited.
        FormatError: A file is of an unknown version or malformed.
        StorageError: A file cannot be read.
    """
    folder = Path(path)
    manifest = read_manifest(read_sealed_manifest(folder))
    files = verify_files(folder, manifest.files)
    index = by_name(read_index(bytes(files[INDEX_FILE]))) if INDEX_FILE in files else {}
    tensors = {name: read_tensor(name, entry, needed(files, entry.file)) for name, entry in index.items()}
    return Contents(tensors, Sidecars(manifest, files))
