"""Elements gathered by a key until a group is complete: group_by_window, and what bucketing stands on.

What is gathered is never part of a state. Groups take the elements of a key in their order, so a state says where to
begin to read, how many elements to read from there, and how many of them, by key, went into groups already: that
gathers the same again.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.data.chunks import Chunk, join
from mainstay.data.columns import Array
from mainstay.data.functions.steps import name_of
from mainstay.data.operations.mapping import Map
from mainstay.data.operations.nesting import Opener, made_by
from mainstay.data.operations.sampling import FirstElements
from mainstay.data.operations.seeds import drawn_seed, inside_a_dataset
from mainstay.data.operations.windows import dataset_of
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure


def keyed(upstream: Operation, function: Callable[..., Any]) -> Operation:
    """Return the elements, each as a pair of what a function makes of it and itself."""

    def with_key(*element: Any) -> Any:
        whole = element if len(element) != 1 else element[0]
        return function(*element), whole

    with_key.__qualname__ = name_of(function)
    return Map(upstream, with_key, None, None)


class Rule(abc.ABC):
    """Which elements make a group, and what becomes of it."""

    @abc.abstractmethod
    def keys(self, numbers: Array, chunk: Chunk) -> Array:
        """Return the key of each element, int64, from what the user's function gave for it."""

    @abc.abstractmethod
    def size(self, key: int) -> int:
        """Return how many elements of a key make a group."""

    def keeps(self, key: int, count: int) -> bool:
        """Return whether a group is given out at the end that is not complete."""
        return count > 0

    @abc.abstractmethod
    def results(self, group: Group, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield what becomes of a group, each chunk with the state after it; None after what surely is the last."""


@dataclass(frozen=True)
class Group:
    """Elements of one key.

    Args:
        key: The key.
        chunk: The elements.
        number: The number of the group.
    """

    key: int
    chunk: Chunk
    number: int


@dataclass(frozen=True)
class GroupNode(Node):
    """Gathers the elements of a stream by key and gives what becomes of groups, as they are complete.

    At the end come the groups that are not, by their keys. The state is what the module says about the place where the
    last piece of the stream was read; how many groups were done since; and the state in the next one.
    """

    upstream: Node
    rule: Rule

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield what becomes of the groups."""
        *place, skip, inner = state or (None, 0, [], 0, 0, None)
        gathered = _Gathered(self, place, epoch)
        is_ended = False
        try:
            while not is_ended:
                place = gathered.place
                is_ended = not gathered.read()
                parts: list[Chunk] = []
                done = 0
                for done, group in enumerate(gathered.groups(is_ended), 1):
                    if skip:
                        skip -= 1
                        continue
                    begin, inner = inner, None
                    for part, after in self.rule.results(group, begin, epoch):
                        parts.append(part)
                        if after is not None:
                            yield join(parts), [*place, done - 1, after]
                            parts = []
                if parts:
                    yield join(parts), [*place, done, None]
        finally:
            gathered.cursor.close()


class _Gathered:
    """The elements that wait, and the pieces of the stream since the oldest of them."""

    def __init__(self, node: GroupNode, place: State, epoch: Epoch) -> None:
        self._rule = node.rule
        before, count, gone, self._number = place
        self.cursor = Cursor(node.upstream, before, epoch)
        self._waiting: dict[int, _Waiting] = {}
        self._pieces: deque[_Piece] = deque()
        self._totals: dict[int, int] = {}
        self._full: list[tuple[int, int]] = []
        self._end = 0
        gone_by_key = {int(key): int(number) for key, number in gone}
        while count > 0 and (piece := self._next_piece(count)) is not None:
            count -= len(piece.keys)
            self._add(piece, gone_by_key)

    @property
    def place(self) -> list[State]:
        """Where to begin to read, how many elements, how many of them are gone by key, and the number of groups."""
        oldest = min((waiting.oldest for waiting in self._waiting.values() if waiting.length), default=self._end)
        while self._pieces and self._pieces[0].start + len(self._pieces[0].keys) <= oldest:
            for key, count in self._pieces.popleft().counts:
                self._totals[key] -= count
        first = self._pieces[0].before if self._pieces else self.cursor.state
        begin = self._pieces[0].start if self._pieces else self._end
        gone = []
        for key, total in sorted(self._totals.items()):
            count = total - (self._waiting[key].length if key in self._waiting else 0)
            if count:
                gone.append([key, count])
        self._totals = {key: total for key, total in self._totals.items() if total}
        return [first, self._end - begin, gone, self._number]

    def _next_piece(self, limit: int | None = None) -> _Piece | None:
        before = self.cursor.state
        chunk = self.cursor.piece(limit)
        if chunk is None:
            return None
        elements = Chunk.of(chunk.structure[1], chunk.length, chunk.origin)
        keys = self._rule.keys(_whole_numbers(chunk.columns[0]), elements)
        found, counts = np.unique(keys, return_counts=True)
        piece = _Piece(before, self._end, keys, elements, list(zip(found.tolist(), counts.tolist(), strict=True)))
        self._end += chunk.length
        self._pieces.append(piece)
        return piece

    def read(self) -> bool:
        """Read a piece of the stream; return whether there is one."""
        self._full = []
        piece = self._next_piece()
        if piece is None:
            return False
        self._add(piece, {})
        return True

    def _add(self, piece: _Piece, gone: dict[int, int]) -> None:
        """Let the elements of a piece wait, but for those that went into groups already."""
        completions: list[tuple[int, int]] = []
        for key, count in piece.counts:
            self._totals[key] = self._totals.get(key, 0) + count
            places = np.flatnonzero(piece.keys == key)
            passed = min(gone.get(key, 0), count)
            if passed:
                gone[key] -= passed
                places = places[passed:]
            if not places.size:
                continue
            waiting = self._waiting.setdefault(key, _Waiting())
            size = self._rule.size(key)
            last = places[size - 1 - waiting.length :: size]
            completions.extend((int(place), key) for place in last)
            waiting.add(piece.start + places, piece.chunk.take(places))
        self._full = [(key, self._rule.size(key)) for _, key in sorted(completions)]

    def groups(self, is_ended: bool) -> Iterator[Group]:
        """Yield the groups that are complete, or at the end the rest."""
        full = self._full
        if is_ended:
            full = [(key, self._waiting[key].length) for key in sorted(self._waiting)]
            full = [(key, count) for key, count in full if self._rule.keeps(key, count)]
        for key, count in full:
            self._number += 1
            yield Group(key, self._waiting[key].pop(count), self._number - 1)


@dataclass(frozen=True)
class _Piece:
    """A piece of the stream: the state before it, the number of its first element, and the keys."""

    before: State
    start: int
    keys: Array
    chunk: Chunk
    counts: list[tuple[int, int]]


class _Waiting:
    """The elements of one key that wait, with their numbers in the stream."""

    def __init__(self) -> None:
        self.length = 0
        self._parts: deque[tuple[Array, Chunk]] = deque()

    def add(self, numbers: Array, chunk: Chunk) -> None:
        self._parts.append((numbers, chunk))
        self.length += chunk.length

    def pop(self, count: int) -> Chunk:
        """Return the first elements, which wait no longer."""
        found = []
        self.length -= count
        while count:
            numbers, chunk = self._parts.popleft()
            used = min(count, chunk.length)
            found.append(chunk.cut(0, used))
            if used < chunk.length:
                self._parts.appendleft((numbers[used:], chunk.cut(used, chunk.length)))
            count -= used
        return join(found)

    @property
    def oldest(self) -> int:
        return int(self._parts[0][0][0])


def _whole_numbers(column: Any) -> Array:
    """Return what a user's function gave for each element as int64.

    Raises:
        DataError: It is no whole number.
    """
    if not isinstance(column, np.ndarray) or column.ndim != 1 or column.dtype.kind not in "iub":
        raise DataError(
            "the function of a key gives one whole number for each element",
            received=f"{column.dtype}{list(column.shape[1:])}" if isinstance(column, np.ndarray) else "no number",
        )
    return column.astype(np.int64)


class GroupByWindow(Operation):
    """What a function makes of groups of elements with the same key.

    Args:
        upstream: The elements.
        key_function: Gives the key of an element.
        reduce_function: Makes a dataset of a key and the dataset of the elements of a group.
        size_function: Gives the number of elements of a group from its key.
    """

    name = "group_by_window"

    def __init__(
        self,
        upstream: Operation,
        key_function: Callable[..., Any],
        reduce_function: Callable[..., Any],
        size_function: Callable[[Any], Any],
    ) -> None:
        self._elements = upstream
        self.inputs = (keyed(upstream, key_function),)
        self.reduce_function, self.size_function = reduce_function, size_function
        self.seed = drawn_seed()

    @property
    def spec(self) -> Structure:
        """That of the elements of the first dataset."""
        return self._found_spec

    @cached_property
    def _found_spec(self) -> Structure:
        chunk = FirstElements(self._elements).begin()
        if chunk is None or not chunk.length:
            raise ArgumentError("an empty dataset does not tell the spec of its groups", where=self.name)
        return _reduced(self.reduce_function, 0, chunk.cut(0, 1)).element_spec

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count in (0, INFINITE_CARDINALITY) else UNKNOWN_CARDINALITY

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        opener = Opener(self.reduce_function, planner.engine, planner.seed(self), planner.batch_rows, self.name)
        return GroupNode(planner.node(self.inputs[0], batch_rows=0), _Windows(opener, self.size_function))


def _reduced(function: Callable[..., Any], key: int, chunk: Chunk) -> Any:
    with inside_a_dataset():
        return made_by(function, function(np.int64(key), dataset_of(chunk)), GroupByWindow.name)


class _Windows(Rule):
    def __init__(self, opener: Opener, size_function: Callable[[Any], Any]) -> None:
        self._opener, self._size_function = opener, size_function
        self._sizes: dict[int, int] = {}

    def keys(self, numbers: Array, chunk: Chunk) -> Array:
        return numbers

    def size(self, key: int) -> int:
        if key not in self._sizes:
            size = int(self._size_function(np.int64(key)))
            if size < 1:
                raise ArgumentError(
                    "this is no size of a window", where=f"key {key}", expected="1 or more", received=size
                )
            self._sizes[key] = size
        return self._sizes[key]

    def results(self, group: Group, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        dataset = _reduced(self._opener.function, group.key, group.chunk)
        cursor = self._opener.open(dataset, group.number, state, epoch)
        try:
            while (chunk := cursor.piece()) is not None:
                yield chunk, cursor.state
        finally:
            cursor.close()
