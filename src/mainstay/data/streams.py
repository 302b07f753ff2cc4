"""Streams: how chunks flow from stage to stage, and how a place in the flow is written down.

A stage gives pairs of a chunk and a state. The state continues the stream right after that chunk, whatever has been
read ahead, on however many threads: the state of the last chunk that was delivered is a checkpoint. It consists of
what JSON can hold, and is small.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, TypeAlias

from mainstay.data.chunks import Chunk, join

State: TypeAlias = Any
"""Where a stream goes on, as JSON values; None is its beginning."""
Epoch: TypeAlias = tuple[int, ...]
"""Which pass over the data: the pass of the whole dataset, then that of each `repeat` on the way to the source."""


class Node(abc.ABC):
    """A stage of a compiled dataset."""

    @abc.abstractmethod
    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks from a state on, each with the state after it.

        Nothing is kept between two runs but what makes them quicker: several may run at the same time. A generator
        that is closed gives back what it holds.
        """


class Cursor:
    """A place in a stream, at any element of any chunk.

    Its state is that of the stream before the chunk it stands in, and how many elements of it were taken.

    Args:
        node: Where the chunks come from.
        state: Where to begin: what `state` gave, or None.
        epoch: Which pass over the data.
    """

    def __init__(self, node: Node, state: State, epoch: Epoch) -> None:
        before = None if state is None else state[0]
        self._offset = 0 if state is None else int(state[1])
        self._before, self._after = before, before
        self._chunks = node.run(before, epoch)
        self._chunk: Chunk | None = None

    @property
    def state(self) -> State:
        """Where the cursor stands."""
        if self._chunk is not None and self._offset == self._chunk.length:
            return [self._after, 0]
        return [self._before, self._offset]

    def state_of_chunk(self) -> tuple[State, int]:
        """Return the state before the chunk that the cursor stands in, and how many of its elements were taken."""
        return self._before, self._offset

    def places(self) -> tuple[State, State]:
        """Return the states of the stream before and after the chunk that the cursor stands in."""
        return self._before, self._after

    def remaining(self) -> int:
        """Return how many elements lie together from here on; 0 at the end."""
        while self._chunk is None or self._offset >= self._chunk.length:
            if not self._advance():
                return 0
        return self._chunk.length - self._offset

    def piece(self, limit: int | None = None) -> Chunk | None:
        """Return the next elements that lie together, at most `limit`; None at the end."""
        if not self.remaining() or self._chunk is None:
            return None
        chunk, start = self._chunk, self._offset
        stop = chunk.length if limit is None else min(chunk.length, start + limit)
        self._offset = stop
        return chunk.cut(start, stop)

    def _advance(self) -> bool:
        """Go on to the next chunk; return whether there is one."""
        skip = self._offset if self._chunk is None else self._offset - self._chunk.length
        following = next(self._chunks, None)
        if following is None:
            return False
        self._before = self._after
        self._chunk, self._after = following
        self._offset = skip
        return True

    def read(self, count: int) -> Chunk | None:
        """Return the next `count` elements, fewer at the end, None where there are no more."""
        parts: list[Chunk] = []
        while count > 0 and (part := self.piece(count)) is not None:
            parts.append(part)
            count -= part.length
        return join(parts) if parts else None

    def close(self) -> None:
        """Give back what the stream holds."""
        close_iterator(self._chunks)


def close_iterator(items: Iterator[Any]) -> None:
    """Close an iterator that can be closed."""
    close = getattr(items, "close", None)
    if close is not None:
        close()
