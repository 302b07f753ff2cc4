"""Writing a snapshot: elements are gathered into files of some size, one after the other."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from mainstay.core import ArgumentError, storage_errors
from mainstay.data.chunks import Chunk, join
from mainstay.data.snapshots.columns import encode
from mainstay.data.snapshots.gathering import layout_of
from mainstay.data.snapshots.manifest import COMPRESSIONS, Manifest, SnapshotFile
from mainstay.data.structures import Structure, leaf_names, pack

_FILE_BYTES, _BATCH_BYTES = 64 << 20, 4 << 20
_MOST_SMALL_FILES = 16
LAYOUT = b"mainstay"


def compression_of(name: str | None) -> str:
    """Return the name of a compression as the manifest has it.

    Raises:
        ArgumentError: It is none that a snapshot may have.
    """
    found = "none" if name is None else str(name).lower()
    found = {"auto": "none", "": "none"}.get(found, found)
    if found not in COMPRESSIONS:
        raise ArgumentError(
            "a snapshot is not compressed so", where="compression", expected="None, LZ4, ZSTD or GZIP", received=name
        )
    return found


def encode_chunk(chunk: Chunk) -> pa.RecordBatch:
    """Return a chunk as a record batch, whose fields say in their metadata what they stand for."""
    names = leaf_names(pack(chunk.skeleton, chunk.columns))
    arrays, fields = [], []
    for name, column in zip(names, chunk.columns, strict=True):
        array, layout = encode(column)
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata={LAYOUT: json.dumps(layout, sort_keys=True).encode()}))
    if not fields:
        arrays, fields = [pa.nulls(chunk.length)], [pa.field("element", pa.null())]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


class SnapshotWriter:
    """Writes elements into a folder; what it holds back is bounded by the size of a file.

    Without compression a file is one record batch, so that its columns lie in one piece each and are read where they
    are. Compressed ones have many small batches, each read by itself.

    Args:
        folder: Where to; it exists.
        compression: One of `COMPRESSIONS`.
        file_bytes: About how large a file gets.
        files: What an earlier writer has written there already, by shard.
    """

    def __init__(
        self,
        folder: Path,
        compression: str = "none",
        *,
        file_bytes: int = _FILE_BYTES,
        files: Mapping[int, list[SnapshotFile]] | None = None,
    ) -> None:
        self._folder, self._compression = folder, compression
        self._file_bytes = min(file_bytes, _BATCH_BYTES) if compression == "gzip" else file_bytes
        self.files: dict[int, list[SnapshotFile]] = {shard: list(found) for shard, found in (files or {}).items()}
        self._held: dict[int, list[Chunk]] = {}
        self._bytes: dict[int, int] = {}
        self._small = 0
        with storage_errors(folder):
            (folder / "data").mkdir(exist_ok=True)

    def add(self, chunk: Chunk, shard: int = 0) -> None:
        """Add elements to a shard."""
        for part in _parts(chunk, self._file_bytes):
            held = self._held.setdefault(shard, [])
            if held and layout_of(held[-1]) != layout_of(part) and self._small < _MOST_SMALL_FILES:
                self._small += 1
                self.flush(shard)
                held = self._held.setdefault(shard, [])
            held.append(part)
            self._bytes[shard] = self._bytes.get(shard, 0) + part.nbytes
            if self._bytes[shard] >= self._file_bytes:
                self.flush(shard)

    def flush(self, shard: int | None = None) -> None:
        """Write what is held back, of one shard or of all."""
        for number in sorted(self._held) if shard is None else [shard]:
            chunks = self._held.pop(number, [])
            self._bytes.pop(number, None)
            if chunks:
                files = self.files.setdefault(number, [])
                files.append(self._write(join(chunks), f"data/{number:05d}-{len(files):06d}.arrow"))

    def _write(self, chunk: Chunk, name: str) -> SnapshotFile:
        whole = self._compression in ("none", "gzip")
        parts = [chunk] if whole else list(_parts(chunk, _BATCH_BYTES))
        batches = [encode_chunk(part) for part in parts]
        batches = batches if len({batch.schema for batch in batches}) == 1 else [encode_chunk(chunk)]
        options = pa.ipc.IpcWriteOptions(compression=None if whole else self._compression)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batches[0].schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)
        data = memoryview(sink.getvalue())
        if self._compression == "gzip":
            name, data = f"{name}.gz", memoryview(gzip.compress(data, mtime=0))
        with storage_errors(self._folder / name), open(self._folder / name, "wb") as file:
            file.write(data)
        rows = tuple(batch.num_rows for batch in batches)
        return SnapshotFile(name, len(data), hashlib.sha256(data).hexdigest(), rows)

    def finish(self, spec: Structure) -> Manifest:
        """Write what is left and the manifest; then the folder is a snapshot."""
        self.flush()
        shards = tuple(tuple(self.files[shard]) for shard in sorted(self.files))
        manifest = Manifest(spec, self._compression, shards)
        manifest.write(self._folder)
        return manifest


def _parts(chunk: Chunk, limit: int) -> Iterator[Chunk]:
    """Yield a chunk in parts of about as many bytes as a limit allows."""
    rows = max(1, chunk.length * limit // max(chunk.nbytes, 1))
    for start in range(0, chunk.length, rows):
        yield chunk.cut(start, min(start + rows, chunk.length))
