"""The ways to make a dataset from something that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.data.operations.reading import Read
from mainstay.data.sources.arrays import ArraySource, RangeSource
from mainstay.data.sources.source import Source
from mainstay.data.structures import Structure

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


def of_source(source: Source, label: str | None = None) -> Dataset:
    """Return the dataset of a source's elements, called `label` in reports."""
    from mainstay.data.dataset import Dataset

    return Dataset(Read(source).labelled(label))


class Creation:
    """The class methods of `Dataset` that begin a plan."""

    @staticmethod
    def from_tensor_slices(tensors: Structure, name: str | None = None) -> Dataset:
        """Return the rows of arrays.

        Args:
            tensors: Arrays, lists, Arrow arrays or `mainstay.io.Ragged` with one leading axis of the same length, in
                any structure of dicts and tuples. They are not copied: what is changed in them later shows.
            name: What reports call it.

        Raises:
            ArgumentError: There is no array, one has no axis, or their lengths differ.

        Example:
            >>> from mainstay.data import Dataset
            >>> [x.tolist() for x in Dataset.from_tensor_slices([[1, 2], [3, 4]])]
            [[1, 2], [3, 4]]
        """
        return of_source(ArraySource(tensors), name)

    @staticmethod
    def range(*args: int, output_type: Any = "int64", name: str | None = None) -> Dataset:
        """Return whole numbers, as Python's `range` has them.

        Args:
            *args: ``stop``, or ``start, stop``, or ``start, stop, step``.
            output_type: Their dtype.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(1, 6, 2)]
            [1, 3, 5]
        """
        numbers = range(*map(int, args))
        return of_source(RangeSource(numbers.start, numbers.stop, numbers.step, str(output_type)), name)
