"""Which elements come, and how often: take, skip, shard, repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.addressing import Slice, Stride
from mainstay.data.chunks import Chunk
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure

_FAR = 2**62


class Reordering(Operation):
    """An operation that leaves the elements as they are."""

    is_light = True

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


class Shard(Reordering):
    """Every `count`-th element, from the one numbered `index` on.

    Args:
        upstream: The elements.
        count: How many shards there are.
        index: Which of them this is.

    Raises:
        ArgumentError: There is no such shard.
    """

    name = "shard"

    def __init__(self, upstream: Operation, count: int, index: int) -> None:
        super().__init__(upstream)
        if count < 1 or not 0 <= index < count:
            raise ArgumentError(
                "there is no such shard",
                expected="an index from 0 up, below the number of shards",
                received=f"num_shards={count}, index={index}",
            )
        self.count, self.index = count, index

    @property
    def cardinality(self) -> int:
        """The part of this shard."""
        count = self.inputs[0].cardinality
        return count if count < 0 else max(0, -(-(count - self.index) // self.count))

    def parameters(self) -> Any:
        """How many shards, and which."""
        return [self.count, self.index]

    def lower(self, planner: Planner) -> Lowered:
        """Return every so-manyth address, or a stage that drops what belongs to other shards."""
        lowered = planner.lower(self.inputs[0])
        if isinstance(lowered, Pipe):
            lowered = lowered.addressed()
            if lowered.is_addressable:
                return lowered.ordered(Stride(self.index, self.count))
        return ShardNode(planner.finish(lowered), self.count, self.index)


@dataclass(frozen=True)
class ShardNode(Node):
    """Keeps every so-manyth element; its state is the stream's, and how many elements are dropped next."""

    upstream: Node
    count: int
    index: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements of the shard."""
        before, ahead = state or (None, self.index)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (chunk := cursor.piece()) is not None:
                places = np.arange(ahead, chunk.length, self.count)
                ahead = ahead + len(places) * self.count - chunk.length
                if len(places):
                    yield chunk.take(places), [cursor.state, ahead]
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
