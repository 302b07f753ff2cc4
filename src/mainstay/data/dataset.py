"""The dataset: an immutable plan with `tf.data`'s vocabulary, iterated as often as one likes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from mainstay.core import ArgumentError
from mainstay.data.array import Count
from mainstay.data.columns import Nested
from mainstay.data.creation import Creation
from mainstay.data.iteration import ChunkIterator, Compiled, DatasetIterator, Place, compile_plan
from mainstay.data.plan import Operation, digest, seeded
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from mainstay.data.structures import Structure
from mainstay.data.transformation import Transformation


class Dataset(Creation, Transformation, Nested):
    """A sequence of elements: what to read, and what to do to it, until it is iterated nothing but a plan.

    Elements are arrays, bytes and `mainstay.io.Ragged` in dicts and tuples. Inside they flow as chunks of columns.
    Iterating gives the same elements in the same order whatever the number of threads; every pass over a
    shuffled dataset has an order of its own.

    Args:
        plan: What it does; use `from_tensor_slices` and its siblings.

    Example:
        >>> dataset = Dataset.range(5).map(lambda x: x * 2).batch(2)
        >>> [batch.tolist() for batch in dataset]
        [[0, 2], [4, 6], [8]]
    """

    def __init__(self, plan: Operation) -> None:
        if not isinstance(plan, Operation):
            raise ArgumentError(
                "a dataset is made by one of its class methods",
                expected="Dataset.from_tensor_slices, Dataset.range, Dataset.from_generator, …",
                received=type(plan).__name__,
            )
        self._plan = plan
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...] | None, Compiled] = {}
        self._passes = 0
        self._seeds: tuple[int, ...] | None = None

    @property
    def plan(self) -> Operation:
        """What it does."""
        return self._plan

    @property
    def element_spec(self) -> Structure:
        """The shapes and dtypes of an element, in its structure; axes that vary are None."""
        return self._plan.spec

    def cardinality(self) -> Count:
        """Return the number of elements, `INFINITE_CARDINALITY` (-1) or `UNKNOWN_CARDINALITY` (-2); an int."""
        return Count(self._plan.cardinality)

    def __len__(self) -> int:
        count = self.cardinality()
        if count < 0:
            raise TypeError(
                "the dataset has no end"
                if count == INFINITE_CARDINALITY
                else "the length of the dataset is not known before it is read"
            )
        return count

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return self.iter()

    def iter(self, state: bytes | None = None) -> DatasetIterator:
        """Return an iterator over one pass.

        Args:
            state: Where to begin: what `DatasetIterator.state` gave, in this process or in another one. The passes
                after it follow on. None begins the next pass.

        Returns:
            The elements; the iterator has `state()`.

        Raises:
            ArgumentError: The state is that of another dataset.
            FormatError: It is no state.

        Example:
            >>> dataset = Dataset.range(10).shuffle(10, seed=1)
            >>> iterator = dataset.iter()
            >>> first = [int(next(iterator)) for _ in range(3)]
            >>> rest = [int(x) for x in dataset.iter(iterator.state())]
            >>> rest == [int(x) for x in iterator]
            True
        """
        return DatasetIterator(self.iterate_chunks(state))

    def as_numpy_iterator(self) -> DatasetIterator:
        """Return an iterator over plain NumPy arrays and scalars, and bytes."""
        return DatasetIterator(self.iterate_chunks(), plain=True)

    def iterate_chunks(self, state: bytes | None = None) -> ChunkIterator:
        """Return an iterator over chunks of many elements, for consumers that take them so.

        Args:
            state: Where to begin; see `iter`.
        """
        if state is None:
            compiled = self._compile(self._seeds)
            with self._lock:
                epoch, self._passes = self._passes, self._passes + 1
            return ChunkIterator(compiled, epoch)
        place = Place.from_bytes(state)
        place.check(digest(self._plan), len(seeded(self._plan)))
        with self._lock:
            self._passes, self._seeds = place.epoch + 1, place.seeds
        return ChunkIterator(self._compile(place.seeds), place.epoch, place.position)

    def _compile(self, seeds: tuple[int, ...] | None) -> Compiled:
        with self._lock:
            if seeds is not None and seeds == tuple(operation.seed or 0 for operation in seeded(self._plan)):
                seeds = None
            if seeds not in self._compiled:
                self._compiled[seeds] = compile_plan(self._plan, seeds)
            return self._compiled[seeds]

    def __repr__(self) -> str:
        count = self.cardinality()
        length = {INFINITE_CARDINALITY: "infinite", UNKNOWN_CARDINALITY: "of unknown length"}.get(count, f"{count:,}")
        return f"<{type(self).__name__} {self._plan.name}, {length}, element_spec={self.element_spec}>"
