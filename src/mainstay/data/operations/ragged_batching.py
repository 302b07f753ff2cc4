"""Ragged batches: rows of different lengths become list columns, nothing is filled up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import DataError, TensorSpec
from mainstay.data import columns as _columns
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, Loose
from mainstay.data.execution.engine import Engine
from mainstay.data.operations.batching import Batching, grouped
from mainstay.data.operations.mapping import Map
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import RaggedTensorSpec, Spec, batched
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, flatten, leaf_names, map_structure
from mainstay.io import Ragged


class RaggedBatch(Batching):
    """Batches of `size` elements; a component whose shape varies becomes a `Ragged`, any other an array.

    Args:
        upstream: The elements.
        size: How many make a batch.
        drop_remainder: Whether a last batch that is not full is left out.
        splits_dtype: The dtype of the row splits: int64 or int32.
    """

    name = "ragged_batch"

    def __init__(self, upstream: Operation, size: int, *, drop_remainder: bool, splits_dtype: str) -> None:
        super().__init__(upstream, size, drop_remainder)
        self.splits_dtype = splits_dtype

    @property
    def spec(self) -> Structure:
        """Lists where an axis varies."""
        size = self.fixed_size
        engine = Engine()
        try:
            is_certain = _has_certain_shapes(self.inputs[0], Planner(engine))
        finally:
            engine.close()

        def of(spec: Spec) -> Spec:
            rank = ragged_axes(spec, is_certain=is_certain)
            if not rank or not isinstance(spec, TensorSpec):
                batch: Spec = batched(spec, size)
                return batch
            return RaggedTensorSpec((size, *[None] * rank, *spec.shape[rank:]), spec.dtype, rank)

        return map_structure(of, self.inputs[0].spec)

    def parameters(self) -> Any:
        """The size, and whether the remainder is dropped."""
        return [self.size, self.drop_remainder]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        is_certain = _has_certain_shapes(self.inputs[0], planner)
        ranks = tuple(ragged_axes(spec, is_certain=is_certain) for spec in flatten(self.inputs[0].spec))
        upstream = planner.node(self.inputs[0], batch_rows=self.size)
        return RaggedBatchNode(upstream, self, ranks)


def ragged_axes(spec: Spec, *, is_certain: bool = True) -> int:
    """Return how many axes of the elements are lists: all up to the last one whose length is not known.

    Args:
        spec: The spec of the elements.
        is_certain: Whether its lengths hold for all elements; else one axis at least is a list.
    """
    if not isinstance(spec, TensorSpec):
        return 0
    least = 1 if spec.shape and not is_certain else 0
    return max((axis + 1 for axis, length in enumerate(spec.shape) if length is None), default=least)


def _has_certain_shapes(operation: Operation, planner: Planner) -> bool:
    """Return whether the shapes in a spec hold for all elements: not where a few calls of a row function told them."""
    while isinstance(operation, Reordering):
        operation = operation.inputs[0]
    if not isinstance(operation, Map):
        return True
    functions = planner.pipe(planner.lower(operation)).functions
    return all(function.is_ready and not function.is_row_bound for function in functions)


@dataclass(frozen=True)
class RaggedBatchNode(Node):
    """Cuts a stream into batches of lists; its state is that of the stream, and the number of the batch."""

    upstream: Node
    operation: RaggedBatch
    ranks: tuple[int, ...]

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks of batches."""
        before, number = state or (None, 0)
        size = self.operation.size
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (left := cursor.remaining()) > 0:
                chunk = cursor.piece(left - left % size) if left >= size else cursor.read(size)
                if chunk is None or (chunk.length < size and self.operation.drop_remainder):
                    return
                batches = self._batches(chunk, min(size, chunk.length), number)
                number += batches.length
                yield batches, [cursor.state, number]
        finally:
            cursor.close()

    def _batches(self, chunk: Chunk, size: int, number: int) -> Chunk:
        dtype = np.dtype(self.operation.splits_dtype)
        columns: list[Column] = []
        for place, (column, rank) in enumerate(zip(chunk.columns, self.ranks, strict=True)):
            if rank:
                starts = range(0, chunk.length, size)
                batches = [_lists(_columns.cut(column, start, start + size), rank) for start in starts]
                columns.append(Loose([_with_splits(batch, dtype) for batch in batches]))
            else:
                name = leaf_names(chunk.skeleton)[place]
                one = Chunk({name: 0}, (column,), chunk.length, chunk.origin)
                columns.extend(grouped(one, size, number).columns)
        return Chunk(chunk.skeleton, tuple(columns), chunk.length // size)


def _lists(column: Column, rank: int) -> Ragged:
    """Return rows as lists, `rank` axes deep."""
    if isinstance(column, Ragged):
        return column if rank == 1 else Ragged(_lists(column.values, rank - 1), column.splits)
    if isinstance(column, Loose) and rank == 1:
        return _from_arrays(column.rows)
    if isinstance(column, Loose):
        rows = [_lists(np.asarray(row), rank - 1) for row in column.rows]
        return Ragged(Ragged.concatenate(rows), _splits([len(row) for row in rows]))
    rows, length = column.shape[:2]
    flat = column.reshape(rows * length, *column.shape[2:])
    return Ragged(flat if rank == 1 else _lists(flat, rank - 1), np.arange(rows + 1, dtype=np.int64) * length)


def _from_arrays(rows: Sequence[Any]) -> Ragged:
    shapes = {np.shape(row)[1:] for row in rows}
    if len(shapes) > 1:
        raise DataError(
            "lists hold rows of different shapes",
            expected="one shape, apart from the first axis",
            received=", ".join(str(list(shape)) for shape in sorted(shapes)),
            fix="say so in the spec of the elements, with None for each axis that varies",
        )
    return Ragged.from_rows(list(rows), dtype=None if np.asarray(rows[0]).dtype == object else rows[0].dtype)


def _splits(lengths: Sequence[int]) -> Any:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _with_splits(batch: Ragged, dtype: np.dtype[Any]) -> Ragged:
    if dtype == np.int64:
        return batch
    values = _with_splits(batch.values, dtype) if isinstance(batch.values, Ragged) else batch.values
    return Ragged(values, batch.splits.astype(dtype))
