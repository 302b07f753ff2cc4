"""Cached rows that have addresses: in memory, where each is made when it is first asked for, and on file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array
from mainstay.data.feeds import RowFeed
from mainstay.data.plan import Operation, Pipe
from mainstay.data.row_store import RowStore
from mainstay.data.snapshots.entries import Entry
from mainstay.data.snapshots.reading import source_of
from mainstay.data.sources.elements import dtype_of
from mainstay.data.sources.source import RandomAccess
from mainstay.data.streams import Epoch, Node, State
from mainstay.data.structures import Structure, flatten, skeleton_of

_log = logging.getLogger("mainstay.data")
_GUESS = 64


def bytes_of(specs: Structure) -> int:
    """Return about how many bytes an element takes by its specs, without looking at any."""
    sizes = []
    for spec in flatten(specs):
        shape = getattr(spec, "shape", ())
        item = dtype_of(spec.dtype).itemsize if getattr(spec, "dtype", "string") != "string" else _GUESS
        sizes.append(item * int(np.prod([_GUESS if axis is None else axis for axis in shape], dtype=np.int64)))
    return max(1, sum(sizes))


def made(pipe: Pipe, positions: Array) -> Chunk:
    """Return the elements at some positions of a pipe that has addresses, in the one pass that a cache knows."""
    feed: Any = pipe.feed
    start, count = (int(positions[0]), len(positions)) if len(positions) else (0, 0)
    lies_together = bool(count) and positions[-1] - start == count - 1 and bool((np.diff(positions) == 1).all())
    span = feed.view.span(start, start + count) if lies_together else None
    chunk: Chunk = feed.source.load(feed.view.rows_at(positions, ())) if span is None else feed.source.span(*span)
    for function in pipe.functions:
        chunk = function(chunk)
    return chunk


class StoreRows(RandomAccess):
    """The elements of a pipe that has addresses, each made when it is first asked for.

    Args:
        store: Where they are kept.
        pipe: What makes them.
        operation: What the pipe was lowered from.
    """

    name = "cache"
    is_shared = True

    def __init__(self, store: RowStore, pipe: Pipe, operation: Operation) -> None:
        self._store, self._pipe, self._operation = store, pipe, operation

    @property
    def spec(self) -> Structure:
        """That of the elements."""
        return self._operation.spec

    def __len__(self) -> int:
        return len(self._pipe)

    @property
    def is_full(self) -> bool:
        """Whether every element was made."""
        return self._store.is_full

    @property
    def row_bytes(self) -> int:
        """About the size of an element, by its specs."""
        return bytes_of(self.spec)

    def load(self, indices: Array) -> Chunk:
        """Return the elements at some indices."""
        return self._store.load(indices, self._made)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`."""
        return self._store.span(start, stop, self._made)

    def _made(self, positions: Array) -> Chunk:
        return made(self._pipe, positions)

    def fingerprint(self) -> Any:
        """Nothing of its own."""
        return ["cache"]

    def __reduce__(self) -> Any:
        raise TypeError("a cache in memory stays in its process")


@dataclass(frozen=True)
class StoreFeed(RowFeed):
    """Rows of a cache in memory: while they are being made, as many at a time as what makes them would take."""

    source: StoreRows
    cold_rows: int = 0

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield ranges of positions."""
        start, length = state or 0, len(self.view)
        while start < length:
            rows = self.rows if self.source.is_full or not self.cold_rows else min(self.rows, self.cold_rows)
            stop = min(start + rows - start % rows, length)
            yield (start, stop, epoch), stop
            start = stop


class EntryRows(RandomAccess):
    """The elements of an entry on file; before it is filled, they are made, as for a plan that looks at a few.

    Args:
        entry: The entry.
        pipe: What makes them.
        operation: What the pipe was lowered from.
    """

    name = "cache"

    def __init__(self, entry: Entry, pipe: Pipe, operation: Operation) -> None:
        self.entry, self._pipe, self._operation = entry, pipe, operation
        self._length = len(pipe)
        self._rows: Any = None

    @property
    def spec(self) -> Structure:
        """That of the elements."""
        return self._operation.spec

    def __len__(self) -> int:
        return self._length

    @property
    def row_bytes(self) -> int:
        """About the size of an element, by its specs."""
        return bytes_of(self.spec)

    def fill(self, node: Node) -> None:
        """Write the entry if it is not there; what others write in the meantime is as good."""
        with self.entry.lock:
            if self.entry.find() is not None:
                return
            _log.info("%s: making %d elements", self.entry.path, self._length)
            record = self.entry.begin()
            try:
                for chunk, _ in node.run(None, ()):
                    record.add(chunk)
                record.finish(self.spec)
            finally:
                record.close()

    def _on_file(self) -> Any:
        if self._rows is None:
            snapshot = self.entry.find(skeleton_of(self.spec))
            self._rows = None if snapshot is None else source_of(snapshot)
        return self._rows

    def load(self, indices: Array) -> Chunk:
        """Return the elements at some indices."""
        rows = self._on_file()
        chunk: Chunk = made(self._pipe, indices) if rows is None else rows.load(indices)
        return chunk

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`."""
        rows = self._on_file()
        chunk: Chunk = made(self._pipe, np.arange(start, stop)) if rows is None else rows.span(start, stop)
        return chunk

    def __reduce__(self) -> Any:
        rows = self._on_file()
        if rows is None:
            raise TypeError("a cache that is not on file yet stays in its process")
        return rows.__reduce_ex__(4)

    def fingerprint(self) -> Any:
        """The key of the entry."""
        return ["cache", self.entry.path.name]


@dataclass(frozen=True)
class EntryFeed(RowFeed):
    """Rows of an entry on file, which is filled as a whole before the first one is read."""

    source: EntryRows
    fill: Node | None = None

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield ranges of positions."""
        if self.fill is not None:
            self.source.fill(self.fill)
        yield from super().run(state, epoch)

    def __reduce__(self) -> Any:
        return RowFeed, (self.source, self.view, self.rows)
