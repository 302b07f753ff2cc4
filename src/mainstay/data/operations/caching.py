"""The cache: elements are made once, and come from memory or from a file in every later pass.

What is above a cache cannot tell whether it is filled: the elements, their order and every state are the same. So what
is below it always runs as in one and the same pass, and a process that resumes with an empty cache makes the same
elements again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError, StorageError
from mainstay.data.addressing import View
from mainstay.data.chunks import Chunk
from mainstay.data.feeds import RowFeed
from mainstay.data.operations.cache_keys import key_of
from mainstay.data.operations.cached_chunks import Memory, Record, snapshot_pieces
from mainstay.data.operations.cached_rows import EntryFeed, EntryRows, StoreFeed, StoreRows
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Parallel, Pipe, Planner, seeded
from mainstay.data.row_store import RowStore
from mainstay.data.snapshots.entries import Entry
from mainstay.data.snapshots.reading import Snapshot, source_of
from mainstay.data.snapshots.writing import compression_of
from mainstay.data.specs import INFINITE_CARDINALITY
from mainstay.data.streams import Epoch, Node, State, close_iterator
from mainstay.data.structures import Structure, skeleton_of

_log = logging.getLogger("mainstay.data")


class Cache(Reordering):
    """The elements, kept after they were made for the first time.

    Args:
        upstream: The elements.
        path: The folder to keep them in; empty for memory.
        key: What tells the elements from others in that folder; None derives it from the plan and its code.
        compression: How files are compressed; see `writing.compression_of`.
    """

    name = "cache"

    def __init__(
        self,
        upstream: Operation,
        path: str | os.PathLike[str] = "",
        *,
        key: str | None = None,
        compression: str | None = None,
    ) -> None:
        super().__init__(upstream)
        if upstream.cardinality == INFINITE_CARDINALITY:
            raise ArgumentError(
                "a dataset without an end cannot be kept",
                where="cache",
                expected="a finite dataset",
                fix="call cache before repeat, or take before cache",
            )
        self.path, self.key, self.compression = os.fspath(path), key, compression_of(compression)
        self._lock = threading.Lock()
        self._kept: dict[Any, RowStore | Memory | _Entries] = {}
        self._has_warned = False

    @property
    def nbytes(self) -> int:
        """About how many bytes of memory the elements take; what is on file takes none."""
        with self._lock:
            return sum(kept.nbytes for kept in self._kept.values() if not isinstance(kept, _Entries))

    @property
    def spec(self) -> Structure:
        """That of the elements; as it was written where they are on file, so that nothing below is looked at."""
        if self.path:
            found = self._found(tuple(operation.seed or 0 for operation in seeded(self.inputs[0])))
            if found is not None:
                return found.snapshot.manifest.spec
        return super().spec

    def lower(self, planner: Planner) -> Lowered:
        """Return addresses into the cache where what is below has addresses, else a stage that records."""
        seeds = tuple(planner.seed(operation) for operation in seeded(self.inputs[0]))
        found = self._found(seeds) if self.path else None
        if found is not None:
            return found.lowered(self)
        lowered = planner.lower(self.inputs[0])
        if isinstance(lowered, Pipe) and self.compression == "none":
            lowered = lowered.addressed()
        if not isinstance(lowered, Pipe) or not lowered.is_addressable or self.compression != "none":
            kept = self._entries(seeds).stream if self.path else self._keep(seeds, lambda _: Memory())
            return CacheNode(planner.finish(lowered), kept, self)
        pipe = replace(lowered, in_order=True)
        node = planner.finish(pipe)
        length = len(pipe)
        if self.path:
            rows = EntryRows(self._entries(seeds).rows, pipe, self.inputs[0])
            return Pipe(EntryFeed(rows, View(length), 0, fill=node))
        store = self._keep((seeds, length), lambda _: RowStore(length))
        cold = node.task.feed.rows if isinstance(node, Parallel) and isinstance(node.task.feed, RowFeed) else 0
        return Pipe(StoreFeed(StoreRows(store, pipe, self.inputs[0]), View(length), 0, cold_rows=cold))

    def _keep(self, place: Any, make: Any) -> Any:
        with self._lock:
            if place not in self._kept:
                self._kept[place] = make(place)
            return self._kept[place]

    def _entries(self, seeds: tuple[int, ...]) -> _Entries:
        entries: _Entries = self._keep(seeds, self._make_entries)
        return entries

    def _make_entries(self, seeds: tuple[int, ...]) -> _Entries:
        key, folder = key_of(self.inputs[0], seeds, self.key), Path(self.path).absolute()
        return _Entries(*(Entry(folder, f"{key}-{kind}", self.compression) for kind in ("rows", "stream")))

    def _found(self, seeds: tuple[int, ...]) -> _Found | None:
        """Return what is on file, if it can be used without a look at what is below."""
        entries = self._entries(seeds)
        for entry in (entries.rows, entries.stream):
            snapshot = entry.find() if entry is entries.stream or self.compression == "none" else None
            if snapshot is not None and not snapshot.manifest.has_names:
                return _Found(entry, snapshot, entry is entries.rows)
        return None

    def warn(self, elements: int) -> None:
        """Say, once, that a pass ended early and so kept nothing."""
        with self._lock:
            is_first, self._has_warned = not self._has_warned, True
        if is_first:
            _log.warning(
                "the %s%s was not filled, as a pass ended after %d elements: only a whole pass fills it; "
                "for a part of the elements, call take before cache",
                self.name,
                f" {self.label or self.path}" if self.label or self.path else "",
                elements,
            )


@dataclass(frozen=True)
class _Entries:
    """The places of a cache on file: for elements that have addresses, and for those that come as a stream."""

    rows: Entry
    stream: Entry


@dataclass(frozen=True)
class _Found:
    """An entry that is there; the elements have the order, and the states, that they had when it was written."""

    entry: Entry
    snapshot: Snapshot
    has_addresses: bool

    def lowered(self, operation: Cache) -> Lowered:
        """Return what reads it."""
        if not self.has_addresses:
            return CacheNode(None, self.entry, operation)
        source: Any = source_of(self.snapshot)
        return Pipe(RowFeed(source, View(len(source)), 0))


@dataclass(frozen=True)
class CacheNode(Node):
    """A stream that is recorded in its first whole pass; its state is the number of the next element.

    A pass that goes on in the middle with an empty cache begins below at the beginning, and so fills it.
    """

    upstream: Node | None
    kept: Memory | Entry
    operation: Cache

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements, from the cache if it is filled."""
        position = state or 0
        kept = self.kept.find(skeleton_of(self.operation.spec)) if isinstance(self.kept, Entry) else self.kept.find()
        if kept is None:
            yield from self._first(position)
            return
        for chunk in snapshot_pieces(kept, position) if isinstance(kept, Snapshot) else kept.pieces(position):
            position += chunk.length
            yield chunk, position

    def _first(self, start: int) -> Iterator[tuple[Chunk, State]]:
        if self.upstream is None:
            raise StorageError("the cache was removed while it was in use", where=self.operation.path)
        record: Record = self.kept.begin()
        position, expected, is_kept = 0, self.operation.cardinality, False
        chunks = self.upstream.run(None, ())
        try:
            for made, _ in chunks:
                chunk = made.frozen()
                before, position = position, position + chunk.length
                if is_kept:
                    raise ArgumentError("there are more elements than the dataset says", where=self.operation.name)
                record.add(chunk)
                if position == expected:
                    record.finish(self.operation.spec)
                    is_kept = True
                if position > start:
                    yield chunk.cut(max(0, start - before), chunk.length), position
            if not is_kept:
                record.finish(self.operation.spec)
                is_kept = True
        except GeneratorExit:
            if not is_kept:
                self.operation.warn(position)
            raise
        finally:
            record.close()
            close_iterator(chunks)
