"""Addressable datasets put together, side by side or one after the other, that stay addressable.

What comes after them, a shuffle above all, is then arithmetic on positions as it is on one source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk, join
from mainstay.data.columns import Array
from mainstay.data.feeds import RowFeed
from mainstay.data.plan import Lowered, Operation, Pipe
from mainstay.data.sources.source import RandomAccess
from mainstay.data.structures import Structure, pack


class RowsOfPipe:
    """The elements of an addressable pipe at any positions.

    Args:
        pipe: The pipe.
    """

    def __init__(self, pipe: Pipe) -> None:
        feed = pipe.feed
        if not isinstance(feed, RowFeed):
            raise TypeError(f"{feed.name} has no rows")
        self.source, self.view, self.functions = feed.source, feed.view, pipe.functions

    def __len__(self) -> int:
        return len(self.view)

    @property
    def is_slow(self) -> bool:
        """Whether an element takes so long to make that chunks should be small."""
        return self.source.row_cost_is_high or any(function.is_row_bound for function in self.functions)

    def load(self, positions: Array) -> Chunk:
        """Return the elements at some positions."""
        return self._finished(self.source.load(self.view.rows_at(positions, ())))

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`."""
        span = self.view.span(start, stop)
        if span is None:
            return self.load(np.arange(start, stop, dtype=np.int64))
        return self._finished(self.source.span(*span))

    def _finished(self, chunk: Chunk) -> Chunk:
        for function in self.functions:
            chunk = function(chunk)
        return chunk


def rows_of_pipes(lowered: Sequence[Lowered]) -> list[RowsOfPipe] | None:
    """Return the elements of pipes that are addressable, each in one order for all passes; None if one is not."""
    pipes = [stage.addressed() if isinstance(stage, Pipe) else stage for stage in lowered]
    found = [RowsOfPipe(pipe) for pipe in pipes if isinstance(pipe, Pipe) and _has_fixed_rows(pipe)]
    return found if len(found) == len(pipes) else None


def _has_fixed_rows(pipe: Pipe) -> bool:
    return pipe.is_addressable and isinstance(pipe.feed, RowFeed) and not pipe.feed.view.is_shuffled


class _Combined(RandomAccess):
    def __init__(self, operation: Operation, parts: list[RowsOfPipe]) -> None:
        self._operation, self._parts = operation, parts
        self.name = " + ".join(part.source.name for part in parts)
        self.row_cost_is_high = any(part.is_slow for part in parts)

    @property
    def spec(self) -> Structure:
        """That of the operation."""
        return self._operation.spec

    def __getstate__(self) -> dict[str, Any]:
        # A worker process reads rows; the plan, which only tells their spec, stays behind.
        return {name: value for name, value in vars(self).items() if name != "_operation"}

    def fingerprint(self) -> Any:
        """Those of the parts."""
        return [part.source.fingerprint() for part in self._parts]


class SideBySide(_Combined):
    """Elements made of one element of each part.

    Args:
        operation: What puts them together.
        parts: The parts.
        skeleton: The structure of an element, with the number of each part at its place.
    """

    def __init__(self, operation: Operation, parts: list[RowsOfPipe], skeleton: Structure) -> None:
        super().__init__(operation, parts)
        self._skeleton = skeleton

    def __len__(self) -> int:
        return min(map(len, self._parts))

    @property
    def row_bytes(self) -> int:
        """The bytes of the parts."""
        return sum(part.source.row_bytes for part in self._parts)

    def load(self, indices: Array) -> Chunk:
        """Return the elements at some indices."""
        return side_by_side([part.load(indices) for part in self._parts], self._skeleton)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`."""
        return side_by_side([part.span(start, stop) for part in self._parts], self._skeleton)


def side_by_side(chunks: Sequence[Chunk], skeleton: Structure) -> Chunk:
    """Return the elements of chunks of one length in one structure; the first says where they come from."""
    structure = pack(skeleton, [chunk.structure for chunk in chunks])
    origin = next((chunk.origin for chunk in chunks if chunk.origin is not None), None)
    return Chunk.of(structure, chunks[0].length, origin)


class OneAfterTheOther(_Combined):
    """The elements of the first part, then those of the next.

    Args:
        operation: What puts them together.
        parts: The parts.
    """

    def __init__(self, operation: Operation, parts: list[RowsOfPipe]) -> None:
        super().__init__(operation, parts)
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def row_bytes(self) -> int:
        """The bytes of the larger elements."""
        return max(part.source.row_bytes for part in self._parts)

    def load(self, indices: Array) -> Chunk:
        """Return the elements at some indices."""
        owners = np.searchsorted(self._ends, indices, side="right")
        chunks, places = [], []
        for number, part in enumerate(self._parts):
            own = np.flatnonzero(owners == number)
            if own.size:
                chunks.append(part.load(indices[own] - (self._ends[number] - len(part))))
                places.append(own)
        if len(chunks) == 1:
            return chunks[0]
        order = np.empty(len(indices), np.int64)
        order[np.concatenate(places)] = np.arange(len(indices))
        return join(chunks).take(order)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`."""
        chunks = []
        for part, end in zip(self._parts, self._ends.tolist(), strict=True):
            begin = end - len(part)
            if start < end and stop > begin:
                chunks.append(part.span(max(start, begin) - begin, min(stop, end) - begin))
        return join(chunks) if chunks else self._parts[0].span(0, 0)
