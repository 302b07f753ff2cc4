"""Shuffle: all rows where they have addresses, else blocks and the rows of a few, else windows of the stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.addressing import Shuffle as ShuffleStep
from mainstay.data.addressing import key
from mainstay.data.chunks import Chunk, join
from mainstay.data.feeds import BlockFeed, RowFeed
from mainstay.data.operations.ordering import Reordering
from mainstay.data.permutation import permute
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State

_EVERYTHING = 2**62
_PART_ROWS = 1024


class Shuffle(Reordering):
    """The elements in an order that a seed decides.

    Args:
        upstream: The elements.
        buffer_size: How many elements are mixed where the source has no addresses; `UNKNOWN_CARDINALITY` for all.
        seed: What the order depends on.
        every_epoch: Whether every pass has an order of its own.

    Raises:
        ArgumentError: The size is neither.
    """

    name = "shuffle"

    def __init__(self, upstream: Operation, buffer_size: int, seed: int, every_epoch: bool) -> None:
        super().__init__(upstream)
        if buffer_size < 1 and buffer_size != UNKNOWN_CARDINALITY:
            is_endless = buffer_size == INFINITE_CARDINALITY and upstream.cardinality == INFINITE_CARDINALITY
            raise ArgumentError(
                "an infinite dataset cannot be shuffled as a whole" if is_endless else "this is no size of a buffer",
                where="buffer_size",
                expected="1 or more, or dataset.cardinality() of a dataset that ends",
                received=buffer_size,
                fix="shuffle before repeat()" if is_endless else None,
            )
        self.buffer_size, self.seed, self.every_epoch = buffer_size, seed, every_epoch

    def parameters(self) -> Any:
        """The size of the buffer, and whether every pass has its own order."""
        return [self.buffer_size, self.every_epoch]

    def lower(self, planner: Planner) -> Lowered:
        """Return shuffled addresses or blocks, or a stage that mixes windows."""
        lowered = planner.lower(self.inputs[0])
        if self.buffer_size == 1:
            return lowered
        step = ShuffleStep(planner.seed(self), self.every_epoch)
        if isinstance(lowered, Pipe) and (quick := self._in_source(lowered, step)) is not None:
            return quick
        size = _EVERYTHING if self.buffer_size == UNKNOWN_CARDINALITY else self.buffer_size
        return ShuffleNode(planner.finish(lowered), size, step, max(planner.batch_rows, 1))

    def _in_source(self, pipe: Pipe, step: ShuffleStep) -> Pipe | None:
        """Return the pipe with its source read in shuffled order, where it can be."""
        if self.inputs[0].cardinality == INFINITE_CARDINALITY:
            return None
        if not all(function.one_to_one or function.adds_none for function in pipe.functions):
            return None
        pipe = pipe.addressed()
        if isinstance(pipe.feed, RowFeed):
            return pipe.ordered(step)
        pipe = pipe.in_blocks()
        feed = pipe.feed
        if not isinstance(feed, BlockFeed) or feed.shuffle is not None or not feed.source.num_blocks:
            return None
        mean = max(1, feed.source.cardinality // feed.source.num_blocks)
        window = feed.source.num_blocks if self.buffer_size < 0 else -(-self.buffer_size // mean)
        return replace(pipe, feed=feed.shuffled(step, max(1, min(window, feed.source.num_blocks))))


@dataclass(frozen=True)
class ShuffleNode(Node):
    """Mixes the elements of a stream within windows of `size`.

    While a window is handed out, as many elements of the next one are read: what is held is one window. The first
    window of a pass has a length of its own, so that in every pass the windows end elsewhere. The state is that of
    the stream at the beginning of the window, the number of the window, how long the first one is, and how many
    elements of it were used.
    """

    upstream: Node
    size: int
    step: ShuffleStep
    batch_rows: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield parts of the windows."""
        before, number, first, used = state or (None, 0, 0, 0)
        keys = (self.step.seed, epoch if self.step.every_epoch else ())
        part_rows = max(1, _PART_ROWS // self.batch_rows) * self.batch_rows
        cursor = Cursor(self.upstream, before, epoch)
        try:
            window, rest = self._first_window(cursor, number, first, keys)
            first = window.length if window is not None and number == 0 else 0
            while window is not None:
                order = permute(np.arange(window.length, dtype=np.int64), window.length, key(*keys, number))
                after = rest.begin
                while used < window.length:
                    chunk = window.take(order[used : used + part_rows])
                    rest.read(min(chunk.length, self.size - rest.length))
                    used += chunk.length
                    yield chunk, [before, number, first, used] if used < window.length else [after, number + 1, 0, 0]
                rest.read(self.size - rest.length)
                window, before, rest = rest.chunk(), after, _Reading(cursor)
                number, first, used = number + 1, 0, 0
        finally:
            cursor.close()

    def _first_window(
        self, cursor: Cursor, number: int, first: int, keys: tuple[Any, ...]
    ) -> tuple[Chunk | None, _Reading]:
        """Return the window to begin with, and what of the next one was read already."""
        if number or first:
            return cursor.read(first or self.size), _Reading(cursor)
        begin = cursor.state
        window = cursor.read(self.size)
        if window is None or window.length < self.size or not cursor.remaining():
            return window, _Reading(cursor)
        length = 1 + key(*keys, "first") % self.size
        before, offset = begin or (None, 0)
        rest = _Reading(cursor, [before, offset + length])
        rest.add(window.cut(length, self.size))
        return window.cut(0, length), rest


class _Reading:
    """Elements of the next window, as far as they were read, and the state of the stream where it begins."""

    def __init__(self, cursor: Cursor, begin: State = None) -> None:
        self.begin = cursor.state if begin is None else begin
        self.length = 0
        self._cursor, self._parts = cursor, list[Chunk]()

    def add(self, chunk: Chunk) -> None:
        if chunk.length:
            self._parts.append(chunk)
            self.length += chunk.length

    def read(self, count: int) -> None:
        while count > 0 and (chunk := self._cursor.piece(count)) is not None:
            self.add(chunk)
            count -= chunk.length

    def chunk(self) -> Chunk | None:
        return join(self._parts) if self._parts else None
