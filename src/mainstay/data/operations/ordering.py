"""Which elements come, and in which order: shuffle, take, skip, shard, repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from mainstay.data.addressing import Shuffle as ShuffleStep
from mainstay.data.addressing import Slice
from mainstay.data.chunks import Chunk
from mainstay.data.feeds import BlockFeed
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.sources.source import Blocks
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure

_FAR = 2**62


class Reordering(Operation):
    """An operation that leaves the elements as they are."""

    def __init__(self, upstream: Operation) -> None:
        self.inputs = (upstream,)

    @property
    def spec(self) -> Structure:
        """That of the elements."""
        return self.inputs[0].spec

    @property
    def cardinality(self) -> int:
        """That of the elements."""
        return self.inputs[0].cardinality


class Take(Reordering):
    """The first `count` elements.

    Args:
        upstream: The elements.
        count: How many; all of them where it is negative.
    """

    name = "take"

    def __init__(self, upstream: Operation, count: int) -> None:
        super().__init__(upstream)
        self.count = count

    @property
    def cardinality(self) -> int:
        """At most `count`."""
        count = self.inputs[0].cardinality
        if self.count < 0 or count == UNKNOWN_CARDINALITY:
            return count if self.count else 0
        return self.count if count == INFINITE_CARDINALITY else min(count, self.count)

    def parameters(self) -> Any:
        """How many."""
        return self.count

    def lower(self, planner: Planner) -> Lowered:
        """Return a narrower range of addresses, or a stage that stops."""
        lowered = planner.lower(self.inputs[0])
        if self.count < 0:
            return lowered
        if isinstance(lowered, Pipe):
            lowered = lowered.addressed(self.count)
            if lowered.is_addressable:
                return lowered.ordered(Slice(0, self.count))
        return TakeNode(planner.finish(lowered), self.count)


class Skip(Reordering):
    """The elements after the first `count`.

    Args:
        upstream: The elements.
        count: How many are left out; all of them where it is negative.
    """

    name = "skip"

    def __init__(self, upstream: Operation, count: int) -> None:
        super().__init__(upstream)
        self.count = count

    @property
    def cardinality(self) -> int:
        """What is left."""
        count = self.inputs[0].cardinality
        if self.count < 0:
            return 0
        return count if count < 0 else max(0, count - self.count)

    def parameters(self) -> Any:
        """How many."""
        return self.count

    def lower(self, planner: Planner) -> Lowered:
        """Return a narrower range of addresses, or a stage that drops the first elements."""
        lowered = planner.lower(self.inputs[0])
        count = _FAR if self.count < 0 else self.count
        if isinstance(lowered, Pipe):
            lowered = lowered.addressed()
            if lowered.is_addressable:
                return lowered.ordered(Slice(count, _FAR))
        return SkipNode(planner.finish(lowered), count)


@dataclass(frozen=True)
class TakeNode(Node):
    """Stops after some elements; its state is that of the stream, and how many were taken."""

    upstream: Node
    count: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the first elements."""
        before, taken = state or (None, 0)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while taken < self.count and (chunk := cursor.piece(self.count - taken)) is not None:
                taken += chunk.length
                yield chunk, [cursor.state, taken]
        finally:
            cursor.close()


@dataclass(frozen=True)
class SkipNode(Node):
    """Drops the first elements; its state is that of the stream after them."""

    upstream: Node
    count: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements after the first ones."""
        cursor = Cursor(self.upstream, state, epoch)
        try:
            left = self.count if state is None else 0
            while left and (chunk := cursor.piece(left)) is not None:
                left -= chunk.length
            while (chunk := cursor.piece()) is not None:
                yield chunk, cursor.state
        finally:
            cursor.close()


class Repeat(Reordering):
    """The elements several times over, every time in an order of its own if they are shuffled.

    Args:
        upstream: The elements.
        count: How many times; without an end where it is negative.
    """

    name = "repeat"

    def __init__(self, upstream: Operation, count: int) -> None:
        super().__init__(upstream)
        self.count = count

    @property
    def cardinality(self) -> int:
        """That of all passes together."""
        count = self.inputs[0].cardinality
        if self.count == 0 or count == 0:
            return 0
        if self.count < 0 or count == INFINITE_CARDINALITY:
            return INFINITE_CARDINALITY
        return count if count < 0 else count * self.count

    def parameters(self) -> Any:
        """How many times."""
        return self.count

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return RepeatNode(planner.node(self.inputs[0]), self.count)


@dataclass(frozen=True)
class RepeatNode(Node):
    """Runs a stream again and again; its state is the number of the pass, and the stream's in it."""

    upstream: Node
    count: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements of every pass."""
        number, before = state or (0, None)
        while self.count < 0 or number < self.count:
            is_empty = before is None
            for chunk, after in self.upstream.run(before, (*epoch, number)):
                is_empty = is_empty and not chunk.length
                yield chunk, [number, after]
            if is_empty:
                return
            number, before = number + 1, None


class Shuffle(Reordering):
    """The elements in an order that a seed decides.

    Args:
        upstream: The elements.
        buffer_size: How many elements are mixed where the source has no addresses.
        seed: What the order depends on.
        every_epoch: Whether every pass has an order of its own.
    """

    name = "shuffle"

    def __init__(self, upstream: Operation, buffer_size: int, seed: int, every_epoch: bool) -> None:
        super().__init__(upstream)
        self.buffer_size, self.seed, self.every_epoch = buffer_size, seed, every_epoch

    def parameters(self) -> Any:
        """The size of the buffer, and whether every pass has its own order."""
        return [self.buffer_size, self.every_epoch]

    def lower(self, planner: Planner) -> Lowered:
        """Return shuffled addresses, or a stage that mixes windows."""
        lowered = planner.lower(self.inputs[0])
        step = ShuffleStep(planner.seed(self), self.every_epoch)
        if isinstance(lowered, Pipe):
            lowered = lowered.addressed()
            if lowered.is_addressable:
                return lowered.ordered(step)
            lowered = lowered.in_blocks()
            if isinstance(lowered.feed, BlockFeed):
                feed = lowered.feed.shuffled(step, _window(lowered.feed.source, self.buffer_size))
                return replace(lowered, feed=feed)
        raise NotImplementedError


def _window(source: Blocks, buffer_size: int) -> int:
    """Return how many blocks are mixed: as many as hold the rows of the buffer."""
    rows = max(source.block_rows(0), 1) if source.num_blocks else 1
    return max(1, buffer_size // rows)
