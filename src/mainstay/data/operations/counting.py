"""assert_cardinality: a length that the user knows, and that is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mainstay.core import DataError
from mainstay.data.chunks import Chunk
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import INFINITE_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State


class AssertCardinality(Reordering):
    """The elements, of which there are as many as the user says.

    Args:
        upstream: The elements.
        count: How many there are, or `INFINITE_CARDINALITY`.
    """

    name = "assert_cardinality"

    def __init__(self, upstream: Operation, count: int) -> None:
        super().__init__(upstream)
        self.count = count

    @property
    def cardinality(self) -> int:
        """What the user says."""
        return self.count

    def parameters(self) -> Any:
        """The number."""
        return self.count

    def lower(self, planner: Planner) -> Lowered:
        """Return what comes before it where its length is known and right, else a stage that counts."""
        lowered = planner.lower(self.inputs[0])
        if self.inputs[0].cardinality == self.count:
            return lowered
        return CountingNode(planner.finish(lowered), self.count)


@dataclass(frozen=True)
class CountingNode(Node):
    """Counts elements; its state is that of the stream, and how many there were."""

    upstream: Node
    count: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements.

        Raises:
            DataError: There are more, or fewer.
        """
        before, number = state or (None, 0)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (chunk := cursor.piece(self._limit(number))) is not None:
                number += chunk.length
                if self.count != INFINITE_CARDINALITY and number > self.count:
                    raise self._error("more")
                yield chunk, [cursor.state, number]
            if number != self.count:
                raise self._error(f"{number}")
        finally:
            cursor.close()

    def _limit(self, number: int) -> int | None:
        """Return how many elements may come at once, so that the surplus ones come apart."""
        return None if self.count == INFINITE_CARDINALITY else max(1, self.count - number)

    def _error(self, received: str) -> DataError:
        expected = "no end" if self.count == INFINITE_CARDINALITY else self.count
        return DataError("the dataset has another number of elements", expected=expected, received=received)
