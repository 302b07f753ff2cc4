"""Datasets put together: zip and concatenate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mainstay.core import ArgumentError
from mainstay.data.addressing import View
from mainstay.data.chunks import Chunk
from mainstay.data.feeds import RowFeed
from mainstay.data.operations.rows_of_pipes import OneAfterTheOther, SideBySide, rows_of_pipes, side_by_side
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, relax
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, describe, map_structure, pack, skeleton_of


class Zip(Operation):
    """Elements made of one element of each dataset; the shortest one ends it.

    Args:
        parts: The datasets.
        skeleton: The structure of an element, with the number of each dataset at its place.
    """

    name = "zip"
    is_light = True

    def __init__(self, parts: Sequence[Operation], skeleton: Structure) -> None:
        self.inputs, self.skeleton = tuple(parts), skeleton

    @property
    def spec(self) -> Structure:
        """Those of the datasets in one structure."""
        return pack(self.skeleton, [part.spec for part in self.inputs])

    @property
    def cardinality(self) -> int:
        """That of the shortest."""
        return shortest([part.cardinality for part in self.inputs])

    def parameters(self) -> Any:
        """The structure."""
        return str(self.skeleton)

    def lower(self, planner: Planner) -> Lowered:
        """Return rows side by side where all have addresses, or a stage that reads all streams at once."""
        lowered = [planner.lower(part) for part in self.inputs]
        rows = rows_of_pipes(lowered)
        if rows is not None:
            source = SideBySide(self, rows, self.skeleton)
            return Pipe(RowFeed(source, View(len(source)), rows=0))
        return ZipNode(tuple(map(planner.finish, lowered)), self.skeleton)


def shortest(counts: Sequence[int]) -> int:
    """Return the cardinality of what ends with the shortest of some datasets."""
    if any(count == 0 for count in counts):
        return 0
    if any(count == UNKNOWN_CARDINALITY for count in counts):
        return UNKNOWN_CARDINALITY
    return min((count for count in counts if count >= 0), default=INFINITE_CARDINALITY)


@dataclass(frozen=True)
class ZipNode(Node):
    """Reads several streams in step; its state is that of each."""

    upstreams: tuple[Node, ...]
    skeleton: Structure

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield elements made of one of each."""
        states = state or [None] * len(self.upstreams)
        cursors = [Cursor(node, before, epoch) for node, before in zip(self.upstreams, states, strict=True)]
        try:
            while cursors:
                count = _together(cursors)
                pieces = [piece for cursor in cursors if count and (piece := cursor.piece(count)) is not None]
                if not pieces:
                    return
                yield side_by_side(pieces, self.skeleton), [cursor.state for cursor in cursors]
        finally:
            for cursor in cursors:
                cursor.close()


def _together(cursors: Sequence[Cursor]) -> int:
    """Return how many elements lie together in all streams; a stream after one that has ended is not asked."""
    count = 2**62
    for cursor in cursors:
        count = min(count, cursor.remaining())
        if not count:
            break
    return count


class Concatenate(Operation):
    """The elements of one dataset, then those of the next.

    Args:
        parts: The datasets.

    Raises:
        ArgumentError: Their elements differ in structure or dtype.
    """

    name = "concatenate"
    is_light = True

    def __init__(self, parts: Sequence[Operation]) -> None:
        self.inputs = tuple(parts)

    @property
    def spec(self) -> Structure:
        """What admits the elements of all of them."""
        return common_spec([part.spec for part in self.inputs], self.name)

    @property
    def cardinality(self) -> int:
        """The sum."""
        counts = [part.cardinality for part in self.inputs]
        if INFINITE_CARDINALITY in counts:
            return INFINITE_CARDINALITY
        return UNKNOWN_CARDINALITY if UNKNOWN_CARDINALITY in counts else sum(counts)

    def lower(self, planner: Planner) -> Lowered:
        """Return rows one after the other where all have addresses, or a stage that reads one stream at a time."""
        common_spec([part.spec for part in self.inputs], self.name)
        lowered = [planner.lower(part) for part in self.inputs]
        rows = rows_of_pipes(lowered) if self.cardinality >= 0 else None
        if rows is not None:
            source = OneAfterTheOther(self, rows)
            return Pipe(RowFeed(source, View(len(source)), rows=0))
        return ConcatenateNode(tuple(map(planner.finish, lowered)))


def common_spec(specs: Sequence[Structure], name: str) -> Structure:
    """Return the spec that admits the elements of all of some datasets.

    Raises:
        ArgumentError: Two contradict each other.
    """
    result = specs[0]
    for number, spec in enumerate(specs[1:], 1):
        if skeleton_of(spec) != skeleton_of(result):
            raise ArgumentError(
                f"{name} takes datasets with elements of one structure",
                where=f"dataset {number}",
                expected=f"{describe(result)}, as dataset 0",
                received=describe(spec),
            )
        try:
            result = map_structure(relax, result, spec)
        except ArgumentError as error:
            raise ArgumentError(
                f"{name} takes datasets with elements of one dtype and rank",
                where=f"dataset {number}",
                expected=f"{specs[0]}, as dataset 0",
                received=str(spec),
                fix="bring them together with map, for instance with a cast",
            ) from error
    return result


@dataclass(frozen=True)
class ConcatenateNode(Node):
    """Reads streams one after the other; its state is the number of the stream, and its state.

    The same dataset twice gives another order the second time if it is shuffled.
    """

    upstreams: tuple[Node, ...]

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements of each stream."""
        number, before = state or (0, None)
        while number < len(self.upstreams):
            for chunk, after in self.upstreams[number].run(before, (*epoch, number)):
                yield chunk, [number, after]
            number, before = number + 1, None
