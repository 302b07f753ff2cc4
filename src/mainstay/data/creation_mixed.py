"""Datasets made of other datasets, and of numbers without an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.columns import Nested
from mainstay.data.operations.arguments import plan_of, whole
from mainstay.data.operations.choosing import Choose, Sample, Weighted
from mainstay.data.operations.combining import Zip
from mainstay.data.operations.random_numbers import Random
from mainstay.data.operations.reading import of_source
from mainstay.data.operations.seeds import drawn_seed
from mainstay.data.plan import Operation
from mainstay.data.sources.numbers import CounterSource
from mainstay.data.structures import Structure, flatten, skeleton_of

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


def _dataset(plan: Operation, label: str | None = None) -> Dataset:
    from mainstay.data.dataset import Dataset

    return Dataset(plan.labelled(label))


class MixedCreation:
    """The class methods of `Dataset` that put datasets together, or count."""

    @staticmethod
    def zip(*args: Any, datasets: Structure = None, name: str | None = None) -> Dataset:
        """Return elements made of one element of each dataset, until the shortest one ends.

        Where all of them have addresses, so has the result: a shuffle behind it is global and needs no memory.

        Args:
            *args: Datasets; or one tuple or dict of them, nested as one likes, whose structure the elements get.
            datasets: The same by name.
            name: What reports call it.

        Raises:
            ArgumentError: Something in it is no dataset.

        Example:
            >>> from mainstay.data import Dataset
            >>> [(int(a), int(b)) for a, b in Dataset.zip(Dataset.range(2), Dataset.range(5, 9))]
            [(0, 5), (1, 6)]
        """
        if (datasets is None) == (not args):
            raise ArgumentError(
                "zip takes datasets", where="zip", expected="datasets, or one structure of them", received=repr(args)
            )
        structure = (args[0] if len(args) == 1 else args) if args else datasets
        _check_structure(structure)
        leaves = flatten(structure)
        if not leaves:
            raise ArgumentError("there is no dataset to zip", where="zip", received=repr(structure))
        return _dataset(Zip([plan_of(leaf, "zip") for leaf in leaves], skeleton_of(structure)), name)

    @staticmethod
    def counter(start: int = 0, step: int = 1, dtype: Any = "int64", name: str | None = None) -> Dataset:
        """Return whole numbers without an end.

        Args:
            start: The first.
            step: From one to the next.
            dtype: Their dtype.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.counter(2, 3).take(3)]
            [2, 5, 8]
        """
        dtype_name = str(getattr(dtype, "name", dtype))
        return of_source(CounterSource(whole(start, "start"), whole(step, "step"), dtype_name), name)

    @staticmethod
    def random(
        seed: int | None = None, rerandomize_each_iteration: bool | None = None, name: str | None = None
    ) -> Dataset:
        """Return pseudo-random numbers of 32 bits, as int64, without an end.

        Args:
            seed: Chooses them; drawn from NumPy's global generator unless given.
            rerandomize_each_iteration: Whether every pass has its own; None means no.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.random(seed=4).take(2)]
            [1585123763, 1575418160]
        """
        return _dataset(Random(drawn_seed(seed), bool(rerandomize_each_iteration)), name)

    @staticmethod
    def sample_from_datasets(
        datasets: Sequence[Dataset],
        weights: Any = None,
        seed: int | None = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
    ) -> Dataset:
        """Return elements of several datasets, each drawn by weights.

        Args:
            datasets: The datasets, with elements of the same structure and dtypes.
            weights: How often each has its turn, relative to the others; or a dataset of such weights, one for each
                element; equal unless given.
            seed: What the choice depends on; drawn from NumPy's global generator unless given.
            stop_on_empty_dataset: Whether the end of one dataset ends it all; else the others go on.
            rerandomize_each_iteration: Whether every pass has its own choice; None means no.

        Raises:
            ArgumentError: There are no datasets, or the weights are none.

        Example:
            >>> from mainstay.data import Dataset
            >>> small, large = Dataset.range(3), Dataset.range(10, 13)
            >>> sorted(int(x) for x in Dataset.sample_from_datasets([small, large], seed=1))
            [0, 1, 2, 10, 11, 12]
        """
        plans = _plans(datasets)
        every_epoch = bool(rerandomize_each_iteration)
        if isinstance(weights, Nested):
            drawn = Weighted(plan_of(weights, "weights"), drawn_seed(seed), every_epoch)
        else:
            numbers = _weights(weights, len(plans))
            plans = [plan for plan, weight in zip(plans, numbers, strict=True) if weight]
            drawn = Weighted([weight for weight in numbers if weight], drawn_seed(seed), every_epoch)
        return _dataset(Sample(plans, drawn, stop_on_empty=bool(stop_on_empty_dataset)))

    @staticmethod
    def choose_from_datasets(
        datasets: Sequence[Dataset], choice_dataset: Dataset, stop_on_empty_dataset: bool = True
    ) -> Dataset:
        """Return elements of several datasets, each from the one that a further dataset names.

        Args:
            datasets: The datasets, with elements of the same structure and dtypes.
            choice_dataset: The number of a dataset for each element.
            stop_on_empty_dataset: Whether the first choice of a dataset that has ended ends it all; else it is passed
                over.

        Raises:
            ArgumentError: There are no datasets, or something is none.
            DataError: While iterating: there is no dataset of a number.

        Example:
            >>> from mainstay.data import Dataset
            >>> parts = [Dataset.range(3), Dataset.range(10, 13)]
            >>> choices = Dataset.from_tensor_slices([0, 1, 1, 0])
            >>> [int(x) for x in Dataset.choose_from_datasets(parts, choices)]
            [0, 10, 11, 1]
        """
        choices = plan_of(choice_dataset, "choice_dataset")
        return _dataset(Choose(_plans(datasets), choices, stop_on_empty=bool(stop_on_empty_dataset)))


def _check_structure(structure: Structure) -> None:
    if isinstance(structure, (tuple, Mapping)):
        for item in structure.values() if isinstance(structure, Mapping) else structure:
            _check_structure(item)
    elif not isinstance(structure, Nested):
        fix = "use a tuple in place of the list" if isinstance(structure, list) else None
        raise ArgumentError(
            "zip takes datasets", where="zip", expected="a Dataset", received=type(structure).__name__, fix=fix
        )


def _plans(datasets: Any) -> list[Operation]:
    if not isinstance(datasets, Sequence) or not datasets:
        raise ArgumentError(
            "there are no datasets to choose from",
            where="datasets",
            expected="a list of at least one dataset",
            received=type(datasets).__name__ if not isinstance(datasets, Sequence) else "an empty list",
        )
    return [plan_of(dataset, f"datasets[{number}]") for number, dataset in enumerate(datasets)]


def _weights(weights: Any, count: int) -> list[float]:
    if weights is None:
        return [1.0] * count
    array = np.asarray(weights, np.float64)
    if array.shape != (count,) or (array < 0).any() or not np.isfinite(array).all() or not array.any():
        raise ArgumentError(
            "these are no weights of the datasets",
            where="weights",
            expected=f"{count} numbers from 0 up, not all 0",
            received=repr(weights),
        )
    return [float(weight) for weight in array]
