"""Feeds: where rows come from. A feed hands out addresses in order, and loads an address on whatever thread."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mainstay.data.addressing import Shuffle, View, key
from mainstay.data.chunks import Chunk, join
from mainstay.data.columns import Array
from mainstay.data.held_windows import HeldWindows
from mainstay.data.permutation import permute
from mainstay.data.sources.source import Blocks, RandomAccess, Stream
from mainstay.data.streams import Epoch, Node, State


class Feed(abc.ABC):
    """Addresses in order, and what lies at each; an address is small and can be sent to another process."""

    name: str

    @abc.abstractmethod
    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield addresses from a state on, each with the state after it."""

    @abc.abstractmethod
    def load(self, address: Any) -> Chunk:
        """Return the elements at an address; called on any thread, several at a time."""


@dataclass(frozen=True)
class RowFeed(Feed):
    """Rows of a random-access source in the order of a view, some at a time.

    Its state is the position of the next row.
    """

    source: RandomAccess
    view: View
    rows: int

    @property
    def name(self) -> str:  # type: ignore[override]
        """What it reads."""
        return f"read {self.source.name}"

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield ranges of positions."""
        start, length = state or 0, len(self.view)
        while start < length:
            stop = min(start + self.rows - start % self.rows, length)
            yield (start, stop, epoch), stop
            start = stop

    def load(self, address: Any) -> Chunk:
        """Return the rows at a range of positions."""
        start, stop, epoch = address
        span = self.view.span(start, stop)
        if span is not None:
            return self.source.span(*span)
        return self.source.load(self.view.indices(start, stop, epoch))


@dataclass(frozen=True)
class BlockFeed(Feed):
    """The blocks of a source, such as row groups, in order or shuffled: the blocks first, then the rows of a few.

    A window of blocks is read once, and handed out in parts of about `rows` rows. Its state is the number of the
    window and that of the next part in it.
    """

    source: Blocks
    shuffle: Shuffle | None = None
    window: int = 1
    rows: int = 0
    held: HeldWindows = field(init=False, default_factory=HeldWindows, compare=False, repr=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        """What it reads."""
        return f"read {self.source.name}"

    def shuffled(self, shuffle: Shuffle, window: int) -> BlockFeed:
        """Return the feed in shuffled order, the rows mixed within `window` blocks."""
        return replace(self, shuffle=shuffle, window=window)

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield parts of windows of blocks."""
        number, part = state or (0, 0)
        epoch = epoch if self.shuffle is not None and self.shuffle.every_epoch else ()
        while number * self.window < self.source.num_blocks:
            parts = self._parts(number, epoch)
            while part < parts:
                part += 1
                yield (number, part - 1, parts, epoch), [number, part] if part < parts else [number + 1, 0]
            number, part = number + 1, 0

    def _blocks(self, number: int, epoch: Epoch) -> list[int]:
        total = self.source.num_blocks
        places = np.arange(number * self.window, min((number + 1) * self.window, total), dtype=np.int64)
        if self.shuffle is not None:
            seed = key(self.shuffle.seed, epoch)
            bundles = self.source.bundles()
            places = permute(places, total, seed) if bundles is None else _in_bundles(bundles, seed)[places]
        return [int(place) for place in places]

    def _parts(self, number: int, epoch: Epoch) -> int:
        rows = sum(map(self.source.block_rows, self._blocks(number, epoch)))
        return max(1, -(-rows // self.rows)) if self.rows else 1

    def load(self, address: Any) -> Chunk:
        """Return a part of the rows of a window of blocks."""
        number, part, parts, epoch = address
        if parts == 1:
            chunk = self._load_window(number, epoch)
        else:
            chunk = self.held.get((number, epoch), parts, lambda: self._load_window(number, epoch))
        start, stop = (chunk.length * edge // parts for edge in (part, part + 1))
        if self.shuffle is None:
            return chunk.cut(start, stop)
        places = np.arange(start, stop, dtype=np.int64)
        return chunk.take(permute(places, chunk.length, key(self.shuffle.seed, epoch, number)))

    def _load_window(self, number: int, epoch: Epoch) -> Chunk:
        return join([self.source.load_block(block) for block in self._blocks(number, epoch)])


def _in_bundles(bundles: Array, seed: int) -> Array:
    """Return all blocks, the runs of them in another order."""
    runs = permute(np.arange(len(bundles) - 1, dtype=np.int64), len(bundles) - 1, seed)
    return np.concatenate([np.arange(bundles[run], bundles[run + 1]) for run in runs])


@dataclass(frozen=True)
class StreamFeed(Feed):
    """What a source gives in its own order; its state is the source's.

    Args:
        source: The source.
        rows: How many elements are wanted at a time.
        batch: Multiples of how many are preferred.
        keeps_texts: Whether strings stay where they lie, as only functions see them.
    """

    source: Stream
    rows: int
    batch: int = 1
    keeps_texts: bool = False

    @property
    def name(self) -> str:  # type: ignore[override]
        """What it reads."""
        return f"read {self.source.name}"

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield what the source reads, not yet decoded."""
        return self.source.run_in_batches(state, epoch, self.rows, self.batch)

    def load(self, address: Any) -> Chunk:
        """Return the elements in what the source read."""
        return self.source.load_in_place(address) if self.keeps_texts else self.source.load(address)


@dataclass(frozen=True)
class NodeFeed(Feed):
    """The chunks of a stage, for functions that run on them in parallel."""

    node: Node
    name: str = "chunks"

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield the chunks of the stage."""
        return self.node.run(state, epoch)

    def load(self, address: Any) -> Chunk:
        """Return the chunk."""
        chunk: Chunk = address
        return chunk
