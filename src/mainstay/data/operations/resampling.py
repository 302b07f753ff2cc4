"""rejection_resample: elements left out at random so that classes come in wanted proportions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.data.addressing import key
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array
from mainstay.data.operations.grouping import keyed
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.sources.numbers import random_fractions
from mainstay.data.specs import UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State


def distribution(values: Any, name: str) -> tuple[float, ...]:
    """Return probabilities of classes.

    Raises:
        ArgumentError: They are none.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size or (array < 0).any() or not np.isfinite(array).all() or not array.sum():
        raise ArgumentError(
            "these are no probabilities of classes",
            where=name,
            expected="one number from 0 up for each class",
            received=repr(values),
        )
    return tuple((array / array.sum()).tolist())


class RejectionResample(Reordering):
    """Pairs of the class of an element and the element, with wanted proportions of the classes.

    Args:
        upstream: The elements.
        class_function: Gives the number of the class of an element.
        target: The wanted proportions.
        initial: The proportions in the elements; None to count them as they come.
        seed: What the choice depends on.
    """

    name = "rejection_resample"
    is_choosy = True

    def __init__(
        self,
        upstream: Operation,
        class_function: Callable[..., Any],
        *,
        target: Sequence[float],
        initial: Sequence[float] | None,
        seed: int,
    ) -> None:
        super().__init__(keyed(upstream, class_function))
        self.target, self.seed = tuple(target), seed
        self.initial = None if initial is None else tuple(initial)

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count <= 0 else UNKNOWN_CARDINALITY

    def parameters(self) -> Any:
        """The proportions."""
        return [self.target, self.initial]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return ResampleNode(planner.node(self.inputs[0]), self.target, self.initial, planner.seed(self))


@dataclass(frozen=True)
class ResampleNode(Node):
    """Drops elements at random; its state is the stream's, the number of the next element, and those of each class."""

    upstream: Node
    target: tuple[float, ...]
    initial: tuple[float, ...] | None
    seed: int

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements that stay."""
        before, number, seen = state or (None, 0, [0] * len(self.target))
        counts = np.array(seen, np.int64)
        word = key("resample", self.seed, epoch)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (chunk := cursor.piece()) is not None:
                classes = self._classes(chunk)
                so_far = counts + np.cumsum(classes[:, None] == np.arange(len(self.target)), axis=0)
                fractions = random_fractions(np.arange(number, number + chunk.length), word)
                mask = fractions < self._chances(classes, so_far)
                number, counts = number + chunk.length, so_far[-1]
                if mask.any():
                    yield chunk.filter(mask), [cursor.state, number, counts.tolist()]
        finally:
            cursor.close()

    def _chances(self, classes: Array, counts: Array) -> Array:
        """Return the probability with which each element stays."""
        found = counts / counts.sum(axis=1, keepdims=True) if self.initial is None else np.array([self.initial])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(found > 0, np.array(self.target) / found, 0.0)
        most = ratios.max(axis=1, keepdims=True)
        chances: Array = (ratios / np.where(most > 0, most, 1.0))[np.arange(len(classes)) % len(ratios), classes]
        return chances

    def _classes(self, chunk: Chunk) -> Array:
        """Return the class of each element.

        Raises:
            DataError: There is no such class.
        """
        column = chunk.columns[0]
        if not isinstance(column, np.ndarray) or column.ndim != 1 or column.dtype.kind not in "iub":
            raise DataError("a class is one whole number", received=getattr(column, "dtype", type(column).__name__))
        classes = column.astype(np.int64)
        wrong = np.flatnonzero((classes < 0) | (classes >= len(self.target)))
        if wrong.size:
            raise DataError(
                "there is no such class",
                where=chunk.address(int(wrong[0])),
                expected=f"0 to {len(self.target) - 1}",
                received=int(classes[wrong[0]]),
            )
        return classes
