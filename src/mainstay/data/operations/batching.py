"""Batches of consecutive elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mainstay.data.chunks import Chunk
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import batched
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure


class Batch(Operation):
    """Batches of `size` elements.

    Args:
        upstream: The elements.
        size: How many make a batch.
        drop_remainder: Whether a last batch that is not full is left out.
    """

    name = "batch"

    def __init__(self, upstream: Operation, size: int, drop_remainder: bool) -> None:
        self.inputs = (upstream,)
        self.size, self.drop_remainder = size, drop_remainder

    @property
    def spec(self) -> Structure:
        """That of the elements, with a leading axis."""
        return batched(self.inputs[0].spec, self.size if self.drop_remainder else None)

    @property
    def cardinality(self) -> int:
        """How many batches there are."""
        count = self.inputs[0].cardinality
        if count < 0:
            return count
        return count // self.size if self.drop_remainder else -(-count // self.size)

    def parameters(self) -> Any:
        """The size, and whether the remainder is dropped."""
        return [self.size, self.drop_remainder]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return BatchNode(planner.node(self.inputs[0], batch_rows=self.size), self.size, self.drop_remainder)


@dataclass(frozen=True)
class BatchNode(Node):
    """Cuts chunks into batches: views of one chunk where the batch lies in it."""

    upstream: Node
    size: int
    drop_remainder: bool

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks of batches."""
        cursor = Cursor(self.upstream, state, epoch)
        try:
            while (left := cursor.remaining()) > 0:
                chunk = cursor.piece(left - left % self.size) if left >= self.size else cursor.read(self.size)
                if chunk is None or (chunk.length < self.size and self.drop_remainder):
                    return
                yield chunk.group(min(self.size, chunk.length)), cursor.state
        finally:
            cursor.close()
