"""Windows: datasets of consecutive elements, overlapping or not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk, join
from mainstay.data.columns import Array, Loose
from mainstay.data.operations.reading import Read
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.sources.source import RandomAccess
from mainstay.data.specs import DatasetSpec, spec_of_chunk
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, map_structure

_MOST_WINDOWS = 64
_MOST_ROWS = 16384


@dataclass(frozen=True)
class Span:
    """Which elements make a window.

    Args:
        size: How many.
        shift: From the first one of a window to the first one of the next.
        stride: From one element of a window to its next.
        drop_remainder: Whether windows with fewer elements are left out.
    """

    size: int
    shift: int
    stride: int
    drop_remainder: bool

    @property
    def length(self) -> int:
        """How far a window reaches."""
        return (self.size - 1) * self.stride + 1

    def count(self, rows: int) -> int:
        """Return how many windows some rows have."""
        if not self.drop_remainder:
            return -(-rows // self.shift)
        return max(0, (rows - self.length) // self.shift + 1)


class Window(Operation):
    """Datasets of consecutive elements, one dataset for each component.

    Args:
        upstream: The elements.
        span: Which ones make a window.
    """

    name = "window"
    is_light = True

    def __init__(self, upstream: Operation, span: Span) -> None:
        self.inputs, self.span = (upstream,), span

    @property
    def spec(self) -> Structure:
        """A dataset for each component."""
        return map_structure(DatasetSpec, self.inputs[0].spec)

    @property
    def cardinality(self) -> int:
        """How many windows there are."""
        count = self.inputs[0].cardinality
        return count if count < 0 else self.span.count(count)

    def parameters(self) -> Any:
        """Which elements make a window."""
        return [self.span.size, self.span.shift, self.span.stride, self.span.drop_remainder]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return WindowNode(planner.node(self.inputs[0], batch_rows=self.span.shift), self.span)


class ChunkRows(RandomAccess):
    """The elements of a chunk as a source.

    Args:
        chunk: The elements.
    """

    name = "window"
    is_light = True

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk

    @property
    def spec(self) -> Structure:
        """What they look like."""
        return spec_of_chunk(self._chunk)

    def __len__(self) -> int:
        return self._chunk.length

    def load(self, indices: Array) -> Chunk:
        """Return the elements at some indices."""
        return self._chunk.take(indices)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`, without a copy."""
        return self._chunk.cut(start, stop)

    def fingerprint(self) -> Any:
        """How many there are."""
        return ["chunk", self._chunk.length]


def dataset_of(chunk: Chunk) -> Any:
    """Return the dataset of the elements of a chunk."""
    from mainstay.data.dataset import Dataset

    return Dataset(Read(ChunkRows(chunk)))


@dataclass(frozen=True)
class WindowNode(Node):
    """Cuts windows from what it holds of a stream; its state is that of the stream at the next window."""

    upstream: Node
    span: Span

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks of windows, more at a time as it goes on."""
        span = self.span
        before, skipped = state or (None, 0)
        held = HeldRows(Cursor(self.upstream, before, epoch))
        most = max(1, min(_MOST_WINDOWS, _MOST_ROWS // span.shift))
        limit = 1
        try:
            held.drop(skipped)
            while True:
                have = held.fill((limit - 1) * span.shift + span.length)
                count = min(limit, span.count(have))
                if not count:
                    return
                windows = _windows(held.chunk(min(have, (count - 1) * span.shift + span.length)), span, count)
                held.drop(count * span.shift)
                yield windows, [held.state, held.behind]
                limit = min(2 * limit, most)
        finally:
            held.close()


def _windows(chunk: Chunk, span: Span, count: int) -> Chunk:
    """Return the windows that begin in a chunk, as a dataset for each component."""
    starts = [number * span.shift for number in range(count)]
    pieces = [_piece(chunk, start, span) for start in starts]
    columns = tuple(
        Loose([dataset_of(Chunk(0, (piece.columns[place],), piece.length, piece.origin)) for piece in pieces])
        for place in range(len(chunk.columns))
    )
    return Chunk(chunk.skeleton, columns, count)


def _piece(chunk: Chunk, start: int, span: Span) -> Chunk:
    stop = min(chunk.length, start + span.length)
    if span.stride == 1:
        return chunk.cut(start, stop)
    return chunk.take(np.arange(start, stop, span.stride))


class HeldRows:
    """Elements of a stream that were read and are still needed, and the state of the stream at the first of them.

    Args:
        cursor: The stream.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._parts: deque[tuple[State, Chunk]] = deque()
        self._length = 0
        self.behind = 0
        """How many elements after those that were read are to be dropped, too."""

    @property
    def state(self) -> State:
        """The state of the stream at the first element that is held, or after what was read."""
        return self._parts[0][0] if self._parts else self._cursor.state

    def fill(self, count: int) -> int:
        """Read until `count` elements are held; return how many are, fewer at the end."""
        self._catch_up()
        while self._length < count:
            before = self._cursor.state
            chunk = self._cursor.piece()
            if chunk is None:
                break
            self._parts.append((before, chunk))
            self._length += chunk.length
        return self._length

    def _catch_up(self) -> None:
        while self.behind and (chunk := self._cursor.piece(self.behind)) is not None:
            self.behind -= chunk.length

    def chunk(self, count: int) -> Chunk:
        """Return the first elements that are held."""
        parts: list[Chunk] = []
        for _, part in self._parts:
            if count <= 0:
                break
            parts.append(part.cut(0, min(count, part.length)))
            count -= part.length
        return join(parts)

    def drop(self, count: int) -> None:
        """Let go of the first elements; those that were not read yet are skipped later."""
        while count and self._parts:
            state, chunk = self._parts.popleft()
            self._length -= chunk.length
            if chunk.length > count:
                before, offset = state
                self._parts.appendleft(([before, offset + count], chunk.cut(count, chunk.length)))
                self._length += chunk.length - count
            count = max(0, count - chunk.length)
        self.behind += count

    def close(self) -> None:
        """Give back what the stream holds."""
        self._cursor.close()
