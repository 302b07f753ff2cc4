"""Several datasets mixed: a stream of numbers says from which one each element comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.data.addressing import key
from mainstay.data.chunks import Chunk, join
from mainstay.data.columns import Array
from mainstay.data.operations.combining import common_spec
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.sources.numbers import random_fractions
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure

_CHOICES = 1024


class Choose(Operation):
    """Elements of several datasets, each from the one that a further dataset of numbers names.

    Args:
        parts: The datasets.
        choices: The numbers.
        stop_on_empty: Whether the first choice of a dataset that has ended ends it; else such choices are skipped.
    """

    name = "choose_from_datasets"
    is_light = True

    def __init__(self, parts: Sequence[Operation], choices: Operation, *, stop_on_empty: bool) -> None:
        self.inputs = (*parts, choices)
        self.stop_on_empty = stop_on_empty

    @property
    def parts(self) -> tuple[Operation, ...]:
        """The datasets."""
        return self.inputs[:-1]

    @property
    def spec(self) -> Structure:
        """What admits the elements of all of them."""
        return common_spec([part.spec for part in self.parts], self.name)

    @property
    def cardinality(self) -> int:
        """Unknown, unless none of it ends."""
        counts = [part.cardinality for part in self.inputs]
        return INFINITE_CARDINALITY if set(counts) == {INFINITE_CARDINALITY} else UNKNOWN_CARDINALITY

    def parameters(self) -> Any:
        """Whether an empty dataset ends it."""
        return self.stop_on_empty

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        common_spec([part.spec for part in self.parts], self.name)
        nodes = tuple(planner.node(part) for part in self.parts)
        return ChooseNode(nodes, planner.node(self.inputs[-1], batch_rows=_CHOICES), self.stop_on_empty)


class Weighted(Operation):
    """Numbers of datasets, drawn with the weights that a dataset gives, or always the same ones.

    Args:
        weights: One weight for each dataset; or a plan whose elements are such weights.
        seed: What the numbers depend on.
        every_epoch: Whether every pass has its own.
    """

    name = "weighted choices"
    is_light = True

    def __init__(self, weights: Sequence[float] | Operation, seed: int, every_epoch: bool) -> None:
        self.inputs = (weights,) if isinstance(weights, Operation) else ()
        self.weights = () if isinstance(weights, Operation) else tuple(map(float, weights))
        self.seed, self.every_epoch = seed, every_epoch

    @property
    def spec(self) -> Structure:
        """One int64."""
        from mainstay.core import TensorSpec

        return TensorSpec((), "int64")

    @property
    def cardinality(self) -> int:
        """That of the weights, or no end."""
        return self.inputs[0].cardinality if self.inputs else INFINITE_CARDINALITY

    def parameters(self) -> Any:
        """The weights, and whether every pass has its own choices."""
        return [list(self.weights), self.every_epoch]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        upstream = planner.node(self.inputs[0], batch_rows=_CHOICES) if self.inputs else None
        return WeightedNode(upstream, self.weights, planner.seed(self), self.every_epoch)


@dataclass(frozen=True)
class WeightedNode(Node):
    """Draws numbers; its state is the number of the next one, and the state of the weights."""

    upstream: Node | None
    weights: tuple[float, ...]
    seed: int
    every_epoch: bool

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield numbers of datasets."""
        start, before = state or (0, None)
        word = key("weights", self.seed, epoch if self.every_epoch else ())
        cursor = None if self.upstream is None else Cursor(self.upstream, before, epoch)
        try:
            while True:
                weights = np.array([self.weights])
                count = _CHOICES
                if cursor is not None:
                    chunk = cursor.piece(_CHOICES)
                    if chunk is None:
                        return
                    weights, count = np.asarray(chunk.columns[0], np.float64), chunk.length
                drawn = _drawn(weights, random_fractions(np.arange(start, start + count), word))
                start += count
                yield Chunk(0, (drawn,), count), [start, None if cursor is None else cursor.state]
        finally:
            if cursor is not None:
                cursor.close()


def _drawn(weights: Array, fractions: Array) -> Array:
    """Return a number for each fraction, with the probabilities of the weights, one row of them or one for each."""
    ends = np.cumsum(weights, axis=1)
    below = fractions[:, None] * ends[:, -1:] >= ends
    numbers: Array = np.minimum(below.sum(axis=1), weights.shape[1] - 1).astype(np.int64)
    return numbers


class Sample(Choose):
    """Elements of several datasets, drawn by weights.

    Args:
        parts: The datasets.
        choices: The numbers that were drawn.
        stop_on_empty: Whether the end of one dataset ends it.
    """

    name = "sample_from_datasets"

    @property
    def cardinality(self) -> int:
        """The sum, where nothing is left out; without an end where one dataset has none."""
        counts = [part.cardinality for part in self.parts]
        if INFINITE_CARDINALITY in counts:
            return UNKNOWN_CARDINALITY if self.stop_on_empty and max(counts) >= 0 else INFINITE_CARDINALITY
        return UNKNOWN_CARDINALITY


@dataclass(frozen=True)
class ChooseNode(Node):
    """Takes from each stream what was chosen; its state is that of the choices, and that of each stream."""

    upstreams: tuple[Node, ...]
    choices: Node
    stop_on_empty: bool

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the chosen elements."""
        chosen, states = state or (None, [None] * len(self.upstreams))
        choices = Cursor(self.choices, chosen, epoch)
        cursors = [Cursor(node, before, epoch) for node, before in zip(self.upstreams, states, strict=True)]
        ended: set[int] = set()
        try:
            while len(ended) < len(cursors):
                before, offset = choices.state
                wanted = self._numbers(choices)
                if wanted is None:
                    return
                done = 0
                while done < len(wanted):
                    chunk, used = self._take(wanted[done:], cursors, ended)
                    done += used
                    if chunk is not None:
                        yield chunk, [[before, offset + done], [cursor.state for cursor in cursors]]
                    elif self.stop_on_empty or len(ended) == len(cursors):
                        return
        finally:
            for cursor in (choices, *cursors):
                cursor.close()

    def _numbers(self, choices: Cursor) -> Array | None:
        """Return the next choices.

        Raises:
            DataError: There is no such dataset.
        """
        chunk = choices.piece(_CHOICES)
        if chunk is None:
            return None
        numbers = np.asarray(chunk.columns[0])
        count = len(self.upstreams)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise DataError("a choice is one whole number", received=f"{numbers.dtype}{list(numbers.shape[1:])}")
        wrong = np.flatnonzero((numbers < 0) | (numbers >= count))
        if wrong.size:
            raise DataError(
                "there is no dataset of this number",
                where=chunk.address(int(wrong[0])),
                expected=f"0 to {count - 1}",
                received=int(numbers[wrong[0]]),
            )
        return numbers

    def _take(self, wanted: Array, cursors: Sequence[Cursor], ended: set[int]) -> tuple[Chunk | None, int]:
        """Return chosen elements, as many as lie together in all streams, and how many choices that were.

        Choices of streams that are known to have ended are passed over; there are no elements where the first of the
        others is one whose stream has ended, too.
        """
        if not ended or self.stop_on_empty:
            chunk, limit = _take(wanted, cursors, ended)
            return chunk, limit or 1
        places = np.flatnonzero(~np.isin(wanted, list(ended)))
        if not places.size:
            return None, len(wanted)
        chunk, limit = _take(wanted[places], cursors, ended)
        return chunk, len(wanted) if limit == len(places) else int(places[limit]) + (not limit)


def _take(wanted: Array, cursors: Sequence[Cursor], ended: set[int]) -> tuple[Chunk | None, int]:
    """Return chosen elements, as many as lie together in all streams, and how many they are."""
    limit = len(wanted)
    for number, cursor in enumerate(cursors):
        places = np.flatnonzero(wanted[:limit] == number)
        if not places.size:
            continue
        left = cursor.remaining()
        if not left:
            ended.add(number)
        if left < places.size:
            limit = int(places[left])
    if not limit:
        return None, 0
    numbers = wanted[:limit]
    pieces, order = [], np.empty(limit, np.int64)
    start = 0
    for number, cursor in enumerate(cursors):
        places = np.flatnonzero(numbers == number)
        if places.size and (piece := cursor.piece(int(places.size))) is not None:
            pieces.append(piece)
            order[places] = np.arange(start, start + places.size)
            start += places.size
    return (pieces[0] if len(pieces) == 1 else join(pieces).take(order)), limit
