"""Saving a dataset: one pass over it into a folder that appears when it is whole, sharded and resumed as asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import (
    ArgumentError,
    DataError,
    StorageError,
    atomic_folder,
    digest_file,
    install,
    storage_errors,
    write_json,
)
from mainstay.data.chunks import Chunk
from mainstay.data.functions.function import RowFailure
from mainstay.data.functions.steps import call
from mainstay.data.snapshots.manifest import NAME, SnapshotFile, spec_to_json
from mainstay.data.snapshots.writing import SnapshotWriter
from mainstay.data.specs import INFINITE_CARDINALITY, DatasetSpec
from mainstay.data.structures import flatten

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset

_PROGRESS = "progress.json"
_SETTINGS = {"directory", "checkpoint_interval"}


@dataclass(frozen=True)
class Saving:
    """How a dataset is saved.

    Args:
        compression: A name of `manifest.COMPRESSIONS`.
        shard: Gives the shard of an element; None for one shard.
        folder: Where an interrupted save is kept, and gone on from; None where it begins anew.
        interval: After how many elements what was written so far is made safe there.
    """

    compression: str = "none"
    shard: Callable[..., Any] | None = None
    folder: Path | None = None
    interval: int = 0


def checkpoint_settings(settings: Mapping[str, Any] | None) -> tuple[Path | None, int]:
    """Return the folder and the interval of `checkpoint_args`.

    Raises:
        ArgumentError: There are others, or one is missing or wrong.
    """
    if settings is None:
        return None, 0
    interval = settings.get("checkpoint_interval")
    if set(settings) != _SETTINGS or not isinstance(interval, int) or interval < 1:
        raise ArgumentError(
            "these are no settings of a checkpoint",
            where="checkpoint_args",
            expected='{"directory": a folder beside the path, "checkpoint_interval": a number of elements from 1 up}',
            received=dict(settings),
        )
    return Path(settings["directory"]), interval


def save(dataset: Dataset, path: str | os.PathLike[str], saving: Saving) -> None:
    """Write the elements of a dataset into a folder.

    Args:
        dataset: The dataset; it is finite.
        path: The folder; a snapshot that is there is replaced, anything else is not.
        saving: How.

    Raises:
        ArgumentError: The dataset has no end, or its elements are datasets.
        StorageError: The file system refused, or something else is there.
    """
    spec = dataset.element_spec
    if dataset.cardinality() == INFINITE_CARDINALITY:
        raise ArgumentError("a dataset without an end cannot be saved", where="save", fix="call take before save")
    if any(isinstance(leaf, DatasetSpec) for leaf in flatten(spec)):
        raise ArgumentError("elements that are datasets cannot be saved", where="save", fix="use flat_map before save")
    spec_to_json(spec)
    target = Path(path).absolute()
    if target.exists() and not (target / NAME).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise StorageError(
            "something else is there", where=target, expected="a snapshot, or nothing", fix="choose another path"
        )
    with _folder(target, saving) as folder:
        _write(dataset, folder, saving).finish(spec)


@contextmanager
def _folder(target: Path, saving: Saving) -> Iterator[Path]:
    """Give a folder to write into; it goes to its place when the block ends well, and stays if it is to be resumed."""
    if saving.folder is None:
        with atomic_folder(target, replace=True) as folder:
            yield folder
        return
    folder = saving.folder
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    yield folder
    with storage_errors(folder):
        (folder / _PROGRESS).unlink(missing_ok=True)
    install(folder, target, replace=True)


def _write(dataset: Dataset, folder: Path, saving: Saving) -> SnapshotWriter:
    state, files = _begun(folder, saving) if saving.folder else (None, None)
    chunks = dataset.iterate_chunks(state)
    writer = SnapshotWriter(folder, saving.compression, files=files)
    number = 0
    try:
        while (
            chunk := chunks.piece(saving.interval - number % saving.interval if saving.interval else None)
        ) is not None:
            for shard, part in _sharded(chunk, saving.shard):
                writer.add(part, shard)
            number += chunk.length
            if saving.interval and number % saving.interval == 0:
                writer.flush()
                _note(folder, saving, writer, chunks.place().to_bytes())
    finally:
        chunks.close()
    return writer


def _sharded(chunk: Chunk, shard: Callable[..., Any] | None) -> Iterator[tuple[int, Chunk]]:
    if shard is None:
        yield 0, chunk
        return
    numbers = np.zeros(chunk.length, np.int64)
    with RowFailure("shard_func", chunk) as at:
        for at.index, element in enumerate(chunk.rows()):
            numbers[at.index] = _shard_number(call(shard, element), chunk, at.index)
    for number in np.unique(numbers):
        yield int(number), chunk.take(np.flatnonzero(numbers == number))


def _shard_number(value: Any, chunk: Chunk, index: int) -> int:
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iu" or int(number) < 0:
        raise DataError(
            "shard_func gives no number of a shard",
            where=chunk.address(index),
            expected="one whole number from 0 up",
            received=repr(value),
        )
    return int(number)


def _note(folder: Path, saving: Saving, writer: SnapshotWriter, state: bytes) -> None:
    """Write down, once all files are on the disk, how far they go."""
    files = {str(shard): [vars(file) for file in written] for shard, written in writer.files.items()}
    value = {"version": 1, "compression": saving.compression, "state": state.decode(), "files": files}
    with storage_errors(folder):
        for written in writer.files.values():
            for file in written[-1:]:
                with open(folder / file.path, "rb") as opened:
                    os.fsync(opened.fileno())
    write_json(folder / _PROGRESS, value)


def _begun(folder: Path, saving: Saving) -> tuple[bytes | None, dict[int, list[SnapshotFile]]]:
    """Return where an interrupted save goes on, and the files that count; others are removed."""
    path = folder / _PROGRESS
    state, files = None, {}
    if path.is_file():
        try:
            value = json.loads(path.read_bytes())
            if value["version"] != 1 or value["compression"] != saving.compression:
                raise ValueError("another version or compression")
            state = value["state"].encode()
            files = {
                int(shard): [SnapshotFile(**{**file, "batches": tuple(file["batches"])}) for file in written]
                for shard, written in value["files"].items()
            }
            written_well = all(digest_file(folder / f.path) == f.sha256 for found in files.values() for f in found)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                "the save that began here cannot be gone on with", where=path, received=error, fix="remove the folder"
            ) from error
        if not written_well:
            raise StorageError("a file of the save that began here was changed", where=folder, fix="remove the folder")
    elif any(name.name != "data" for name in folder.iterdir()):
        raise StorageError(
            "something else is there", where=folder, expected="an empty folder", fix="choose another one"
        )
    kept = {file.path for found in files.values() for file in found}
    if (folder / "data").is_dir():
        for file in (folder / "data").iterdir():
            if f"data/{file.name}" not in kept:
                shutil.rmtree(file) if file.is_dir() else file.unlink()
    return state, files
