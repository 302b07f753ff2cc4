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

from mainstay.core import ArgumentError
from mainstay.data.addressing import View
from mainstay.data.chunks import Chunk
from mainstay.data.feeds import RowFeed
from mainstay.data.operations.cache_keys import key_of
from mainstay.data.operations.cached_chunks import Memory, Record, frozen, snapshot_pieces
from mainstay.data.operations.cached_rows import EntryFeed, EntryRows, StoreFeed, StoreRows
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Parallel, Pipe, Planner, seeded
from mainstay.data.row_store import RowStore
from mainstay.data.snapshots.entries import Entry
from mainstay.data.snapshots.reading import Snapshot
from mainstay.data.snapshots.writing import compression_of
from mainstay.data.specs import INFINITE_CARDINALITY
from mainstay.data.streams import Epoch, Node, State

_log = logging.getLogger("mainstay.data")


class Cache(Reordering):
    """The elements, kept after they were made for the first time.

    Args:
        upstream: The elements.
        path: The folder to keep them in; empty for memory.
        key: What tells the elements from others in that folder; None derives it from the plan and its code.
        compression: How files are compressed: one of `manifest.COMPRESSIONS`.
    """

    name = "cache"

    def __init__(
        self,
        upstream: Operation,
        path: str | os.PathLike[str] = "",
        *,
        key: str | None = None,
        compression: str = "none",
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
        self._kept: dict[Any, RowStore | Memory | Entry] = {}
        self._has_warned = False

    @property
    def nbytes(self) -> int:
        """About how many bytes of memory the elements take; what is on file takes none."""
        with self._lock:
            return sum(kept.nbytes for kept in self._kept.values() if not isinstance(kept, Entry))

    def lower(self, planner: Planner) -> Lowered:
        """Return addresses into the cache where what is below has addresses, else a stage that records."""
        lowered = planner.lower(self.inputs[0])
        if isinstance(lowered, Pipe):
            lowered = lowered.addressed()
        seeds = tuple(planner.seed(operation) for operation in seeded(self.inputs[0]))
        if not isinstance(lowered, Pipe) or not lowered.is_addressable or self.compression != "none":
            kept = self._keep(seeds, self._entry if self.path else Memory)
            return CacheNode(planner.finish(lowered), kept, self)
        pipe = replace(lowered, in_order=True)
        node = planner.finish(pipe)
        length = len(pipe)
        if self.path:
            entry = self._keep(seeds, self._entry)
            rows = EntryRows(entry, pipe, self.inputs[0])
            return Pipe(EntryFeed(rows, View(length), 0, fill=node))
        store = self._keep((seeds, length), lambda _: RowStore(length))
        cold = node.task.feed.rows if isinstance(node, Parallel) and isinstance(node.task.feed, RowFeed) else 0
        return Pipe(StoreFeed(StoreRows(store, pipe, self.inputs[0]), View(length), 0, cold_rows=cold))

    def _keep(self, place: Any, make: Any) -> Any:
        with self._lock:
            if place not in self._kept:
                self._kept[place] = make(place)
            return self._kept[place]

    def _entry(self, seeds: tuple[int, ...]) -> Entry:
        key = key_of(self.inputs[0], seeds, self.key)
        return Entry(Path(self.path).absolute(), key, self.compression)

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
class CacheNode(Node):
    """A stream that is recorded in its first whole pass; its state is the number of the next element.

    A pass that goes on in the middle with an empty cache begins below at the beginning, and so fills it.
    """

    upstream: Node
    kept: Any
    operation: Cache

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements, from the cache if it is filled."""
        position = state or 0
        kept = self.kept.find()
        if kept is None:
            yield from self._first(position)
            return
        for chunk in snapshot_pieces(kept, position) if isinstance(kept, Snapshot) else kept.pieces(position):
            position += chunk.length
            yield chunk, position

    def _first(self, start: int) -> Iterator[tuple[Chunk, State]]:
        record: Record = self.kept.begin()
        position, expected, is_kept = 0, self.operation.cardinality, False
        chunks = self.upstream.run(None, ())
        try:
            for made, _ in chunks:
                chunk = frozen(made)
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
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
