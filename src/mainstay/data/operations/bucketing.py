"""Sequences of similar length in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array
from mainstay.data.operations.batching import grouped
from mainstay.data.operations.grouping import Group, GroupNode, Rule, keyed
from mainstay.data.operations.padding import Padding, padded
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, batched
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure, flatten, pack, skeleton_of


@dataclass(frozen=True)
class Buckets:
    """Which lengths come together, and how.

    Args:
        boundaries: Where the next bucket begins, in rising order.
        sizes: How many elements make a batch in each bucket, one more than there are boundaries.
        padding: How they are filled up; None where they are of one shape.
        to_boundary: Whether axes of any length are filled up to the longest that the bucket takes.
        drop_remainder: Whether batches that are not full are left out.
    """

    boundaries: tuple[int, ...]
    sizes: tuple[int, ...]
    padding: Padding | None
    to_boundary: bool
    drop_remainder: bool

    def parameters(self) -> Any:
        """All of it."""
        padding = self.padding and self.padding.parameters()
        return [list(self.boundaries), list(self.sizes), padding, self.to_boundary, self.drop_remainder]


class BucketBySequenceLength(Operation):
    """Batches of elements of similar length.

    Args:
        upstream: The elements.
        length_function: Gives the length of an element.
        buckets: Which lengths come together.
    """

    name = "bucket_by_sequence_length"

    def __init__(self, upstream: Operation, length_function: Callable[..., Any], buckets: Buckets) -> None:
        self._elements, self.buckets = upstream, buckets
        self.inputs = (keyed(upstream, length_function),)

    @property
    def spec(self) -> Structure:
        """That of the elements, filled up, with a leading axis."""
        buckets = self.buckets
        sizes = set(buckets.sizes)
        size = buckets.sizes[0] if buckets.drop_remainder and len(sizes) == 1 else None
        if buckets.padding is None:
            return batched(self._elements.spec, size)
        return buckets.padding.spec(self._elements.spec, size)

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count in (0, INFINITE_CARDINALITY) else UNKNOWN_CARDINALITY

    def parameters(self) -> Any:
        """The buckets."""
        return self.buckets.parameters()

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        buckets = self.buckets
        paddings: Sequence[Padding | None] = [buckets.padding] * len(buckets.sizes)
        if buckets.padding is not None and buckets.to_boundary:
            paddings = [self._up_to(buckets.padding, boundary) for boundary in buckets.boundaries]
        return GroupNode(planner.node(self.inputs[0], batch_rows=0), _Lengths(buckets, paddings))

    def _up_to(self, padding: Padding, boundary: int) -> Padding:
        """Return a padding with axes of any length made as long as the longest below a boundary."""
        spec = self._elements.spec
        skeleton = skeleton_of(spec)
        shapes = [
            own if shape is None else shape
            for shape, own in zip(padding.shapes_for(skeleton), [leaf.shape for leaf in flatten(spec)], strict=True)
        ]
        filled = [tuple(boundary - 1 if axis is None else axis for axis in shape) for shape in shapes]
        return replace(padding, shapes=pack(skeleton, filled))


class _Lengths(Rule):
    def __init__(self, buckets: Buckets, paddings: Sequence[Padding | None]) -> None:
        self._buckets, self._paddings = buckets, paddings
        self._bounds = np.array(buckets.boundaries, np.int64)

    def keys(self, numbers: Array, chunk: Chunk) -> Array:
        keys: Array = np.searchsorted(self._bounds, numbers, side="right")
        if len(self._paddings) == len(self._bounds) and chunk.length and keys.max() == len(self._bounds):
            index = int(keys.argmax())
            raise DataError(
                "an element is too long to be filled up to the boundary of its bucket",
                where=chunk.address(index),
                expected=f"a length below {self._buckets.boundaries[-1]}, the last boundary",
                received=int(numbers[index]),
                fix="add a boundary above the longest element, or leave pad_to_bucket_boundary out",
            )
        return keys

    def size(self, key: int) -> int:
        return self._buckets.sizes[key]

    def keeps(self, key: int, count: int) -> bool:
        return count > 0 and not self._buckets.drop_remainder

    def results(self, group: Group, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        padding = self._paddings[group.key]
        chunk = group.chunk
        if padding is None:
            yield grouped(chunk, chunk.length, group.number), None
        else:
            yield padded(chunk, chunk.length, padding, group.number), None
