"""Chunks of a stream that a whole pass gave, in memory or on file, to be given again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from mainstay.data.chunks import Chunk, join
from mainstay.data.columns import Array
from mainstay.data.snapshots.gathering import layout_of
from mainstay.data.snapshots.reading import Snapshot, source_of
from mainstay.data.structures import Structure

_PIECE_BYTES, _PIECE_ROWS = 1 << 20, 16384


class Record(Protocol):
    """Where a first pass puts what it makes."""

    def add(self, chunk: Chunk) -> None:
        """Add elements."""

    def finish(self, spec: Structure) -> None:
        """Keep them."""

    def close(self) -> None:
        """Drop what was not kept."""


class Memory:
    """The chunks of a stream, once a pass has given them all."""

    def __init__(self, seeds: Any = None) -> None:
        self._chunks: list[Chunk] | None = None
        self._bounds: Array = np.zeros(1, np.int64)

    @property
    def nbytes(self) -> int:
        """About how many bytes they take."""
        return sum(chunk.nbytes for chunk in self._chunks or ())

    def find(self) -> Memory | None:
        """Return itself if it is filled."""
        return None if self._chunks is None else self

    def begin(self) -> Record:
        """Return a record of a pass."""
        return _MemoryRecord(self)

    def keep(self, chunks: list[Chunk]) -> None:
        """Keep the chunks of a whole pass; the first one to come stands."""
        if self._chunks is None:
            self._bounds = np.cumsum([0, *(chunk.length for chunk in chunks)], dtype=np.int64)
            self._chunks = chunks

    def pieces(self, start: int) -> Iterator[Chunk]:
        """Yield the elements from one on."""
        for number in range(max(0, int(np.searchsorted(self._bounds, start, "right")) - 1), len(self._chunks or ())):
            chunk = (self._chunks or [])[number]
            yield chunk.cut(max(0, start - int(self._bounds[number])), chunk.length)


class _MemoryRecord:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._chunks: list[Chunk] = []
        self._held: list[Chunk] = []
        self._bytes = 0

    def add(self, chunk: Chunk) -> None:
        if self._held and (self._bytes > _PIECE_BYTES or layout_of(self._held[-1]) != layout_of(chunk)):
            self._join()
        self._held.append(chunk)
        self._bytes += max(chunk.nbytes, chunk.length * (_PIECE_BYTES // _PIECE_ROWS))

    def _join(self) -> None:
        if self._held:
            self._chunks.append(join(self._held))
            self._held, self._bytes = [], 0

    def finish(self, spec: Structure) -> None:
        self._join()
        self._memory.keep([chunk.frozen() for chunk in self._chunks])

    def close(self) -> None:
        self._chunks, self._held = [], []


def snapshot_pieces(snapshot: Snapshot, start: int) -> Iterator[Chunk]:
    """Yield the elements of a snapshot from one on, in chunks of a handy size."""
    source: Any = source_of(snapshot)
    position = 0
    for block in range(source.num_blocks):
        count = source.block_rows(block)
        if position + count > start:
            chunk = source.load_block(block)
            rows = max(1, min(_PIECE_ROWS, chunk.length * _PIECE_BYTES // max(chunk.nbytes, 1)))
            for first in range(max(0, start - position), chunk.length, rows):
                yield chunk.cut(first, min(first + rows, chunk.length))
        position += count
