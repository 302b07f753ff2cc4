"""The chunk: many elements of a dataset, as columns in a structure. It is what flows between the stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.data import columns as _columns
from mainstay.data.columns import Array, Column
from mainstay.data.structures import Structure, flatten, pack, skeleton_of
from mainstay.io import Spans


@dataclass(frozen=True, eq=False)
class Origin:
    """Where the elements of a chunk come from, for messages.

    Args:
        describe: Gives the address of an element from its index in the source.
        indices: The index of each element, int64; None where the source says more by itself.
    """

    describe: Callable[[int], str]
    indices: Array | range


@dataclass(frozen=True, eq=False)
class Chunk:
    """Elements of a dataset, one column per leaf of their structure.

    Args:
        skeleton: The structure, with the number of each column at its place; see `structures.skeleton_of`.
        columns: The columns, all of one length.
        length: How many elements there are.
        origin: Where they come from, as far as it is known.
    """

    skeleton: Structure
    columns: tuple[Column, ...]
    length: int
    origin: Origin | None = None

    @classmethod
    def of(cls, structure: Structure, length: int | None = None, origin: Origin | None = None) -> Chunk:
        """Return the chunk of a structure of columns; `length` is needed where it has no leaf."""
        columns = tuple(flatten(structure))
        return cls(skeleton_of(structure), columns, len(columns[0]) if length is None else length, origin)

    @classmethod
    def of_rows(cls, elements: Sequence[Structure]) -> Chunk:
        """Return the chunk of some elements, at least one.

        Raises:
            DataError: Their structures or dtypes differ.
        """
        skeleton = skeleton_of(elements[0])
        leaves = _leaves_of_flat(elements, skeleton)
        if leaves is None:
            _check_structures(elements, skeleton)
            leaves = list(zip(*map(flatten, elements), strict=True))
        return cls(skeleton, tuple(map(_columns.stack, leaves)), len(elements))

    @property
    def structure(self) -> Structure:
        """The columns in their structure."""
        return pack(self.skeleton, self.columns)

    @cached_property
    def nbytes(self) -> int:
        """About how many bytes of memory the columns take."""
        return sum(map(_columns.num_bytes, self.columns))

    def __len__(self) -> int:
        return self.length

    def cut(self, start: int, stop: int) -> Chunk:
        """Return the elements from `start` to `stop`, without a copy."""
        if start == 0 and stop == self.length:
            return self
        origin = self.origin and Origin(self.origin.describe, self.origin.indices[start:stop])
        return Chunk(
            self.skeleton, tuple(_columns.cut(column, start, stop) for column in self.columns), stop - start, origin
        )

    def take(self, indices: Array) -> Chunk:
        """Return the elements at some indices (int64)."""
        origin = self.origin and Origin(self.origin.describe, np.asarray(self.origin.indices)[indices])
        return Chunk(
            self.skeleton, tuple(_columns.take(column, indices) for column in self.columns), len(indices), origin
        )

    def filter(self, mask: Array) -> Chunk:
        """Return the elements where a mask (bool) is true."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def row(self, index: int) -> Structure:
        """Return one element."""
        return pack(self.skeleton, [_columns.row(column, index) for column in self.columns])

    def rows(self) -> Iterator[Structure]:
        """Yield the elements."""
        if self.skeleton == 0:
            yield from _columns.rows(self.columns[0])
            return
        if not self.columns:
            yield from (pack(self.skeleton, []) for _ in range(self.length))
            return
        skeleton, columns = self.skeleton, list(map(_columns.rows, self.columns))
        if type(skeleton) is dict and all(type(place) is int for place in skeleton.values()):
            keys = tuple(skeleton)
            for leaves in zip(*[columns[place] for place in skeleton.values()], strict=True):
                yield dict(zip(keys, leaves, strict=True))
            return
        flat_tuple = type(skeleton) is tuple and skeleton == tuple(range(len(columns)))
        for leaves in zip(*columns, strict=True):
            yield leaves if flat_tuple else pack(skeleton, leaves)

    def with_columns(self, structure: Structure) -> Chunk:
        """Return a chunk of other columns for the same elements."""
        return Chunk.of(structure, self.length, self.origin)

    def group(self, size: int) -> Chunk:
        """Return the chunk of the batches of `size` elements each; `size` divides the length.

        Raises:
            DataError: Elements of one batch have different shapes.
        """
        columns = tuple(_columns.group(column, size) for column in self.columns)
        return Chunk(self.skeleton, columns, self.length // size)

    def plain(self) -> Chunk:
        """Return the chunk with columns that everybody knows; see `columns.plain`."""
        if not any(isinstance(column, (_columns.Texts, Spans)) for column in self.columns):
            return self
        return Chunk(self.skeleton, tuple(map(_columns.plain, self.columns)), self.length, self.origin)

    def frozen(self) -> Chunk:
        """Return the chunk with arrays that nobody can change, as others look at the same memory."""
        columns = tuple(map(_columns.read_only, self.columns))
        return Chunk(self.skeleton, columns, self.length, self.origin)

    def address(self, index: int) -> str:
        """Return where an element comes from, for messages."""
        return f"row {index} of the chunk" if self.origin is None else self.origin.describe(self.origin.indices[index])


def join(chunks: Sequence[Chunk]) -> Chunk:
    """Return the elements of chunks one after the other; there is at least one chunk.

    Raises:
        DataError: Their structures or dtypes differ.
    """
    if len(chunks) == 1:
        return chunks[0]
    first = chunks[0]
    if any(chunk.skeleton != first.skeleton for chunk in chunks):
        _check_structures([chunk.structure for chunk in chunks], first.skeleton)
    columns = tuple(_columns.join(parts) for parts in zip(*(chunk.columns for chunk in chunks), strict=True))
    return Chunk(first.skeleton, columns, sum(chunk.length for chunk in chunks), _joined_origin(chunks))


def _joined_origin(chunks: Sequence[Chunk]) -> Origin | None:
    """Return where the elements of chunks come from, if one source tells the addresses of all."""
    origins = [chunk.origin for chunk in chunks if chunk.origin is not None]
    if len(origins) < len(chunks) or any(origin.describe != origins[0].describe for origin in origins):
        return None
    return Origin(origins[0].describe, np.concatenate([np.asarray(origin.indices) for origin in origins]))


def _leaves_of_flat(elements: Sequence[Structure], skeleton: Structure) -> list[Any] | None:
    """Return the values of each leaf, quickly; None unless all elements are alike: single leaves or flat containers."""
    if len(set(map(type, elements))) != 1:
        return None
    leaves: list[Any]
    if skeleton == 0 and type(skeleton) is int:
        leaves = [elements]
    elif type(skeleton) is tuple and skeleton and len(set(map(len, elements))) == 1:
        leaves = list(zip(*elements, strict=True))
    elif type(skeleton) is dict and skeleton and all(element.keys() == skeleton.keys() for element in elements):
        leaves = [[element[key] for element in elements] for key in sorted(skeleton)]
    else:
        return None
    kinds = {kind for values in leaves for kind in set(map(type, values))}
    is_flat = not any(kind is type(None) or issubclass(kind, (tuple, Mapping)) for kind in kinds)
    return leaves if is_flat else None


def _check_structures(structures: Sequence[Structure], skeleton: Structure) -> None:
    from mainstay.core import DataError
    from mainstay.data.structures import describe

    for index, structure in enumerate(structures):
        if skeleton_of(structure) != skeleton:
            raise DataError(
                "the structure changes between elements",
                where=f"element {index} of {len(structures)}",
                expected=f"{describe(structures[0])}, as the first one",
                received=describe(structure),
            )
