"""flat_map and interleave: datasets made of elements, one after the other or several in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk, join
from mainstay.data.operations.nesting import Opener, spec_of_made
from mainstay.data.operations.seeds import drawn_seed
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure

_MOST_PARTS = 64
_ENOUGH_ROWS = 1024
_MOST_ROUNDS_ROWS = 1 << 16


class Interleave(Operation):
    """The elements of datasets that a function makes, several of them open at a time.

    Args:
        upstream: What the datasets are made of.
        function: Makes a dataset of an element.
        cycle: How many datasets are open at a time.
        block: How many elements come from one before the next has its turn.
    """

    name = "interleave"

    def __init__(self, upstream: Operation, function: Callable[..., Any], *, cycle: int, block: int) -> None:
        self.inputs = (upstream,)
        self.function, self.cycle, self.block = function, cycle, block
        self.seed = drawn_seed()

    @property
    def spec(self) -> Structure:
        """That of the elements of the first dataset."""
        return self._found_spec

    @cached_property
    def _found_spec(self) -> Structure:
        return spec_of_made(self.inputs[0], self.function, self.name)

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count in (0, INFINITE_CARDINALITY) else UNKNOWN_CARDINALITY

    def parameters(self) -> Any:
        """How many are open, and how many elements come from each."""
        return [self.cycle, self.block]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        above, seed = self.inputs[0], planner.seed(self)
        opener = Opener(self.function, planner.engine, seed, planner.batch_rows, self.name, upstream=above)
        upstream = planner.node(above, batch_rows=self.cycle)
        return InterleaveNode(upstream, opener, self.cycle, self.block)


class FlatMap(Interleave):
    """The elements of datasets that a function makes, one dataset after the other.

    Args:
        upstream: What the datasets are made of.
        function: Makes a dataset of an element.
    """

    name = "flat_map"

    def __init__(self, upstream: Operation, function: Callable[..., Any]) -> None:
        super().__init__(upstream, function, cycle=1, block=1)


@dataclass(frozen=True)
class InterleaveNode(Node):
    """Takes turns between the datasets that are open.

    Its state is that of each open dataset, with the state of the stream before the element that it was made of; the
    state of the stream; the number of the next element; whose turn it is, and how many elements of it were used.
    """

    upstream: Node
    opener: Opener
    cycle: int
    block: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield elements of several datasets in turns, more at a time as it goes on."""
        turns = _Turns(self, state, epoch)
        parts: list[Chunk] = []
        rows, limit = 0, 1
        try:
            while (part := turns.part()) is not None:
                parts.append(part)
                rows += part.length
                if len(parts) >= limit or rows >= _ENOUGH_ROWS:
                    yield join(parts), turns.state
                    parts, rows, limit = [], 0, min(2 * limit, _MOST_PARTS)
            if parts:
                yield join(parts), turns.state
        finally:
            turns.close()


@dataclass(frozen=True)
class _Open:
    """An open dataset: where the element it was made of lies, its number, and the place in it."""

    before: State
    number: int
    cursor: Cursor


class _Turns:
    """Who is open, and whose turn it is."""

    def __init__(self, node: InterleaveNode, state: State, epoch: Epoch) -> None:
        self._node, self._epoch = node, epoch
        slots, before, *numbers = state or ([None] * node.cycle, None, 0, 0, 0)
        self._count, self._index, self._used = map(int, numbers)
        self._slots: list[_Open | None] = [None] * node.cycle
        self._source = Cursor(node.upstream, before, epoch)
        self._has_ended = False
        for place, slot in enumerate(slots):
            if slot is not None:
                self._slots[place] = self._reopened(*slot)

    @property
    def state(self) -> State:
        slots = [slot and [slot.before, slot.number, slot.cursor.state] for slot in self._slots]
        return [slots, self._source.state, self._count, self._index, self._used]

    def close(self) -> None:
        self._source.close()
        for slot in self._slots:
            if slot is not None:
                slot.cursor.close()

    def _reopened(self, before: State, number: int, state: State) -> _Open | None:
        source = Cursor(self._node.upstream, before, self._epoch)
        try:
            chunk = source.piece(1)
        finally:
            source.close()
        return None if chunk is None else self._opened(chunk, before, number, state)

    def _opened(self, chunk: Chunk, before: State, number: int, state: State) -> _Open:
        opener = self._node.opener
        return _Open(before, number, opener.open(opener.dataset(chunk), number, state, self._epoch))

    def part(self) -> Chunk | None:
        """Return the next elements; None at the end."""
        while True:
            slot = self._slots[self._index]
            if slot is None:
                if not self._fill():
                    if not any(self._slots):
                        return None
                    self._advance()
                continue
            if not self._used and self._node.cycle > 1 and (part := self._rounds()) is not None:
                return part
            left = slot.cursor.remaining()
            if not left:
                slot.cursor.close()
                self._slots[self._index] = None
                self._advance()
                continue
            return self._visit(slot)

    def _visit(self, slot: _Open) -> Chunk | None:
        """Return elements of the dataset whose turn it is."""
        if self._node.cycle == 1:
            return slot.cursor.piece()
        part = slot.cursor.piece(self._node.block - self._used)
        self._used += 0 if part is None else part.length
        if self._used >= self._node.block:
            self._advance()
        return part

    def _advance(self) -> None:
        self._index, self._used = (self._index + 1) % self._node.cycle, 0

    def _fill(self) -> bool:
        """Open the next dataset at the place whose turn it is; return whether there is one."""
        if self._has_ended:
            return False
        before = self._source.state
        chunk = self._source.piece(1)
        if chunk is None:
            self._has_ended = True
            return False
        self._slots[self._index] = self._opened(chunk, before, self._count, None)
        self._count += 1
        return True

    def _rounds(self) -> Chunk | None:
        """Return whole rounds, as many as all open datasets have in what they have read; None where one has less."""
        order = [*self._slots[self._index :], *self._slots[: self._index]]
        open_ones = [slot for slot in order if slot is not None]
        if len(open_ones) < len(order) and not self._has_ended:
            return None
        block = self._node.block
        rounds = _MOST_ROUNDS_ROWS // (block * len(open_ones))
        for slot in open_ones:
            rounds = min(rounds, slot.cursor.remaining() // block)
            if rounds < 1:
                return None
        pieces = [piece for slot in open_ones if (piece := slot.cursor.piece(rounds * block)) is not None]
        places = np.arange(len(pieces) * rounds * block).reshape(len(pieces), rounds, block)
        return join(pieces).take(places.transpose(1, 0, 2).reshape(-1)) if len(pieces) > 1 else pieces[0]
