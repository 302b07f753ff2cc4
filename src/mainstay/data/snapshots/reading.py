"""Reading a snapshot: its files are mapped into memory, and each is verified once, before anything in it is used."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import FormatError, IntegrityError, storage_errors
from mainstay.data.chunks import Chunk, Origin, join
from mainstay.data.columns import Array
from mainstay.data.snapshots.columns import decode
from mainstay.data.snapshots.gathering import gather
from mainstay.data.snapshots.manifest import Manifest, SnapshotFile, read_manifest
from mainstay.data.snapshots.writing import LAYOUT
from mainstay.data.sources.elements import empty_chunk
from mainstay.data.sources.source import Blocks, RandomAccess, Source
from mainstay.data.structures import Structure, flatten, leaf_names, skeleton_of


class Snapshot:
    """The files of a snapshot, or of one shard of it.

    Args:
        folder: The folder.
        manifest: Its manifest.
        files: The files that count.
        skeleton: The structure of the elements; None for that of the manifest, where named tuples are tuples.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, files: list[SnapshotFile], *, skeleton: Structure = None
    ) -> None:
        self.folder, self.manifest, self.files = folder, manifest, files
        self.skeleton = skeleton_of(manifest.spec) if skeleton is None else skeleton
        self._readers: dict[int, Any] = {}
        self._kept: dict[tuple[int, int], Chunk] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return _restored, (self.folder, self.manifest, self.files, self.skeleton)

    def shaped_as(self, skeleton: Structure) -> Snapshot:
        """Return the snapshot with elements in another structure of the same leaves, such as named tuples."""
        return Snapshot(self.folder, self.manifest, self.files, skeleton=skeleton)

    @property
    def is_mapped(self) -> bool:
        """Whether elements are read where they lie in the files."""
        return self.manifest.compression == "none"

    def batch(self, file: int, number: int) -> Chunk:
        """Return the elements of a record batch.

        Raises:
            IntegrityError: The file was changed.
            FormatError: It does not hold what the manifest says.
        """
        kept = self._kept.get((file, number))
        if kept is not None:
            return kept
        path = self.folder / self.files[file].path
        try:
            batch = self._reader(file).get_batch(number)
            if not self.is_mapped:
                batch.validate(full=True)
            chunk = self._decoded(batch)
        except (pa.ArrowException, FormatError, ValueError, KeyError, TypeError) as error:
            raise FormatError(
                "a file of the snapshot does not hold what its manifest says", where=path, received=error
            ) from error
        if chunk.length != self.files[file].batches[number]:
            raise FormatError(
                "a record batch has another number of elements than the manifest says",
                where=path,
                expected=self.files[file].batches[number],
                received=chunk.length,
            )
        if self.is_mapped:
            self._kept[file, number] = chunk
        return chunk

    def _decoded(self, batch: pa.RecordBatch) -> Chunk:
        if not flatten(self.skeleton):
            return Chunk(self.skeleton, (), batch.num_rows)
        names = leaf_names(self.skeleton)
        if batch.schema.names != names:
            raise ValueError(f"columns {batch.schema.names} instead of {names}")
        layouts = [json.loads(field.metadata[LAYOUT]) for field in batch.schema]
        columns = tuple(decode(array, layout) for array, layout in zip(batch.columns, layouts, strict=True))
        return Chunk(self.skeleton, columns, batch.num_rows)

    def _reader(self, file: int) -> Any:
        with self._lock:
            reader = self._readers.get(file)
        if reader is None:
            reader = self._open(self.files[file])
            with self._lock:
                reader = self._readers.setdefault(file, reader)
        return reader

    def _open(self, file: SnapshotFile) -> Any:
        path = self.folder / file.path
        with storage_errors(path, "read"), pa.memory_map(str(path)) as mapped:
            data = mapped.read_buffer()
        found = hashlib.sha256(memoryview(data)).hexdigest()
        if found != file.sha256:
            raise IntegrityError(
                "a file of the snapshot is not as it was written",
                where=path,
                expected=f"sha256 {file.sha256}",
                received=f"sha256 {found}",
                fix="write the snapshot again, or restore the folder from a copy",
            )
        reader = pa.ipc.open_file(pa.py_buffer(gzip.decompress(data)) if path.suffix == ".gz" else data)
        if reader.num_record_batches != len(file.batches):
            raise ValueError(f"{reader.num_record_batches} record batches instead of {len(file.batches)}")
        if self.is_mapped:
            for number in range(reader.num_record_batches):
                reader.get_batch(number).validate(full=True)
        return reader


def _restored(folder: Path, manifest: Manifest, files: list[SnapshotFile], skeleton: Structure) -> Snapshot:
    return Snapshot(folder, manifest, files, skeleton=skeleton)


def open_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Return the snapshot in a folder; the list of its files is verified, their content when it is first read.

    Raises:
        StorageError: There is none.
        FormatError: It is of an unknown version.
        IntegrityError: A file is missing, was added, truncated or edited.
    """
    folder = Path(path).absolute()
    manifest = read_manifest(folder)
    return Snapshot(folder, manifest, manifest.files)


def source_of(snapshot: Snapshot) -> Source:
    """Return the elements of a snapshot as a source: rows at any index, or blocks where they are compressed."""
    return SnapshotRows(snapshot) if snapshot.is_mapped else SnapshotBlocks(snapshot)


class _SnapshotSource(Source):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.name = snapshot.folder.name
        counts = [
            (number, index, count)
            for number, file in enumerate(snapshot.files)
            for index, count in enumerate(file.batches)
        ]
        self._places = [(number, index) for number, index, _ in counts]
        self._bounds = np.cumsum([0, *(count for _, _, count in counts)], dtype=np.int64)

    @property
    def spec(self) -> Structure:
        """The specs of the elements when they were saved."""
        return self._snapshot.manifest.spec

    def fingerprint(self) -> Any:
        """The digests of the files: the content, wherever it lies."""
        return ["snapshot", [file.sha256 for file in self._snapshot.files]]

    @property
    def num_blocks(self) -> int:
        """How many record batches there are."""
        return len(self._places)

    def block_rows(self, block: int) -> int:
        """Return how many elements a record batch has."""
        return int(self._bounds[block + 1] - self._bounds[block])

    def load_block(self, block: int) -> Chunk:
        """Return the elements of a record batch."""
        start, stop = int(self._bounds[block]), int(self._bounds[block + 1])
        chunk = self._batch(block)
        return Chunk(chunk.skeleton, chunk.columns, chunk.length, Origin(self._describe, range(start, stop)))

    def _describe(self, index: int) -> str:
        block = int(np.searchsorted(self._bounds, index, "right")) - 1
        path = self._snapshot.files[self._places[block][0]].path
        return f"element {index} of the snapshot {self._snapshot.folder}, in {path}"

    def _batch(self, block: int) -> Chunk:
        return self._snapshot.batch(*self._places[block])


class SnapshotRows(_SnapshotSource, RandomAccess):
    """The elements of a snapshot that is not compressed."""

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def load(self, indices: Array) -> Chunk:
        """Return the elements at some indices."""
        origin = Origin(self._describe, indices)
        if not len(indices):
            return empty_chunk(self.spec)
        chunk, order = gather(self._bounds, indices, lambda block, places: self._batch(block).take(places), join)
        chunk = chunk if order is None else chunk.take(order)
        return Chunk(chunk.skeleton, chunk.columns, chunk.length, origin)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`, without a copy where they lie in one file."""
        if stop <= start:
            return empty_chunk(self.spec)
        first = max(0, min(int(np.searchsorted(self._bounds, start, "right")) - 1, len(self._places) - 1))
        last = max(first, int(np.searchsorted(self._bounds, stop, "left")) - 1)
        chunks = []
        for block in range(first, last + 1):
            begin, end = int(self._bounds[block]), int(self._bounds[block + 1])
            chunks.append(self._batch(block).cut(max(start - begin, 0), min(stop, end) - begin))
        chunk = join(chunks)
        return Chunk(chunk.skeleton, chunk.columns, chunk.length, Origin(self._describe, range(start, stop)))

    @property
    def row_bytes(self) -> int:
        """About the size of an element."""
        size = sum(file.size for file in self._snapshot.files)
        return max(1, size // max(len(self), 1))


class SnapshotBlocks(_SnapshotSource, Blocks):
    """The elements of a compressed snapshot: its record batches are the blocks."""

    @property
    def row_bytes(self) -> int:
        """About the size of an element in memory."""
        return self.load_block(0).nbytes // max(self.block_rows(0), 1) if self._places else 1
