"""Batches of consecutive elements, and back: batch, unbatch, rebatch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.data import columns as _columns
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Loose, Texts, is_text
from mainstay.data.functions.function import Function
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import UNKNOWN_CARDINALITY, batched, unbatched
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, flatten, leaf_names
from mainstay.io import Ragged, Spans


class Batching(Operation):
    """Batches of `size` elements, however they are put together.

    Args:
        upstream: The elements.
        size: How many make a batch.
        drop_remainder: Whether a last batch that is not full is left out.
    """

    is_light = True

    def __init__(self, upstream: Operation, size: int, drop_remainder: bool) -> None:
        self.inputs = (upstream,)
        self.size, self.drop_remainder = size, drop_remainder

    @property
    def fixed_size(self) -> int | None:
        """The length of the leading axis of every batch, if it is one."""
        return self.size if self.drop_remainder else None

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


class Batch(Batching):
    """Batches of `size` elements of one shape."""

    name = "batch"

    @property
    def spec(self) -> Structure:
        """That of the elements, with a leading axis."""
        return batched(self.inputs[0].spec, self.fixed_size)

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        keeps_texts = planner.keeps_texts
        upstream = planner.node(self.inputs[0], batch_rows=self.size, keeps_texts=keeps_texts)
        return BatchNode(upstream, self.size, self.drop_remainder, keeps_texts)


@dataclass(frozen=True)
class BatchNode(Node):
    """Cuts chunks into batches: views of one chunk where the batch lies in it.

    Its state is that of the stream, and the number of the next batch.

    Args:
        upstream: The elements.
        size: How many make a batch.
        drop_remainder: Whether a last batch that is not full is left out.
        keeps_texts: Whether batches of strings stay `columns.Texts`, which only functions right behind it know.
    """

    upstream: Node
    size: int
    drop_remainder: bool
    keeps_texts: bool = False

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks of batches."""
        before, number = state or (None, 0)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (left := cursor.remaining()) > 0:
                chunk = cursor.piece(left - left % self.size) if left >= self.size else cursor.read(self.size)
                if chunk is None or (chunk.length < self.size and self.drop_remainder):
                    return
                batches = grouped(chunk, min(self.size, chunk.length), number, keeps_texts=self.keeps_texts)
                number += batches.length
                yield batches, [cursor.state, number]
        finally:
            cursor.close()


def grouped(chunk: Chunk, size: int, number: int, *, keeps_texts: bool = False) -> Chunk:
    """Return the chunk of the batches of `size` elements each; `size` divides the length.

    Args:
        chunk: The elements.
        size: How many make a batch.
        number: The number of the first batch, for messages.
        keeps_texts: Whether batches of strings stay as they lie in Arrow.

    Raises:
        DataError: Elements of one batch have different shapes; it says which.
    """
    for place, column in enumerate(chunk.columns):
        if isinstance(column, Loose):
            _check_shapes(chunk, place, size, number)
    if not keeps_texts:
        return chunk.group(size)
    columns = (
        Texts(column, size) if is_text(column) or isinstance(column, Spans) else _columns.group(column, size)
        for column in chunk.columns
    )
    return Chunk(chunk.skeleton, tuple(columns), chunk.length // size)


def _check_shapes(chunk: Chunk, place: int, size: int, number: int) -> None:
    rows = chunk.columns[place].rows
    if not rows or isinstance(rows[0], (Ragged, _columns.Nested)):
        return
    for index, row in enumerate(rows):
        first = index - index % size
        if np.shape(row) != np.shape(rows[first]):
            raise DataError(
                "rows of different shapes do not make a batch",
                where=f"{leaf_names(chunk.skeleton)[place]}, row {index % size} of batch {number + index // size} "
                f"({chunk.address(index)})",
                expected=f"shape {list(np.shape(rows[first]))}, as row 0 of the batch",
                received=f"shape {list(np.shape(row))}",
                fix="bring the rows to one shape with map, or use padded_batch or ragged_batch",
            )


class Unbatch(Operation):
    """The rows of batches, one after the other.

    Args:
        upstream: The batches.
    """

    name = "unbatch"
    is_light = True

    def __init__(self, upstream: Operation) -> None:
        self.inputs = (upstream,)

    @property
    def spec(self) -> Structure:
        """That of the batches, without the leading axis."""
        return unbatched(self.inputs[0].spec)

    @property
    def cardinality(self) -> int:
        """The number of batches times their size, where both are known."""
        count = self.inputs[0].cardinality
        if count <= 0:
            return count
        sizes = {spec.shape[0] if spec.shape else None for spec in flatten(self.inputs[0].spec)}
        size = sizes.pop() if len(sizes) == 1 else None
        return UNKNOWN_CARDINALITY if size is None else count * size

    def lower(self, planner: Planner) -> Lowered:
        """Return the function behind what comes before it."""
        return planner.pipe(planner.lower(self.inputs[0])).then(Ungroup())


class Ungroup(Function):
    """Takes batches apart."""

    name = "unbatch"
    one_to_one = False

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return the rows of the batches."""
        if len(chunk.columns) > 1:
            _check_lengths(chunk)
        columns = [_columns.ungroup(column) for column in chunk.columns]
        return Chunk(chunk.skeleton, tuple(columns), len(columns[0]) if columns else 0)


def _check_lengths(chunk: Chunk) -> None:
    lengths = [_lengths(column) for column in chunk.columns]
    for place, own in enumerate(lengths[1:], 1):
        wrong = np.flatnonzero(own != lengths[0])
        if wrong.size:
            index = int(wrong[0])
            names = leaf_names(chunk.skeleton)
            raise DataError(
                "a batch has different numbers of rows in its components",
                where=f"{names[place]}, batch at {chunk.address(index)}",
                expected=f"{int(lengths[0][index])} rows, as in {names[0]}",
                received=f"{int(own[index])} rows",
            )


def _lengths(column: Any) -> Any:
    """Return how many rows each batch has."""
    if isinstance(column, np.ndarray) and column.ndim > 1:
        return np.full(len(column), column.shape[1])
    if isinstance(column, Ragged):
        return column.row_lengths()
    if isinstance(column, Loose) and all(isinstance(row, Ragged) or np.ndim(row) for row in column.rows):
        return np.array([len(row) for row in column.rows])
    raise DataError(
        "an element without axes has no rows to unbatch",
        expected="elements that were batched",
        received=_columns.kind_of(column),
    )


class Rebatch(Operation):
    """Batches of other sizes, of the same rows.

    Args:
        upstream: The batches.
        sizes: The sizes of the new batches, again and again.
        drop_remainder: Whether a last batch that is not full is left out.
    """

    name = "rebatch"
    is_light = True

    def __init__(self, upstream: Operation, sizes: Sequence[int], drop_remainder: bool) -> None:
        self.inputs = (Unbatch(upstream),)
        self.sizes, self.drop_remainder = tuple(sizes), drop_remainder

    @property
    def spec(self) -> Structure:
        """That of the rows, with a leading axis."""
        is_fixed = self.drop_remainder and len(set(self.sizes)) == 1
        return batched(self.inputs[0].spec, self.sizes[0] if is_fixed else None)

    @property
    def cardinality(self) -> int:
        """How many batches the rows make, where their number is known."""
        rows = self.inputs[0].cardinality
        if rows < 0:
            return rows
        cycles, rest = divmod(rows, sum(self.sizes))
        ends = list(itertools.accumulate(self.sizes))
        full = sum(end <= rest for end in ends)
        is_partial = rest > (ends[full - 1] if full else 0) and not self.drop_remainder
        return cycles * len(self.sizes) + full + is_partial

    def parameters(self) -> Any:
        """The sizes, and whether the remainder is dropped."""
        return [list(self.sizes), self.drop_remainder]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        rows = planner.node(self.inputs[0], batch_rows=1)
        if len(self.sizes) == 1:
            return BatchNode(rows, self.sizes[0], self.drop_remainder)
        return RebatchNode(rows, self.sizes, self.drop_remainder)


@dataclass(frozen=True)
class RebatchNode(Node):
    """Cuts a stream into batches of sizes that take turns.

    Its state is that of the stream, and the number of the next batch.
    """

    upstream: Node
    sizes: tuple[int, ...]
    drop_remainder: bool

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield one batch at a time."""
        before, number = state or (None, 0)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (chunk := cursor.read(size := self.sizes[number % len(self.sizes)])) is not None:
                if chunk.length < size and self.drop_remainder:
                    return
                number += 1
                yield grouped(chunk, chunk.length, number - 1), [cursor.state, number]
        finally:
            cursor.close()
