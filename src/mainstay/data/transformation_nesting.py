"""The methods of a dataset whose functions give datasets, or see one element after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError
from mainstay.data.columns import Nested
from mainstay.data.operations.arguments import function_of, positive
from mainstay.data.operations.interleaving import FlatMap, Interleave
from mainstay.data.operations.resampling import RejectionResample, distribution
from mainstay.data.operations.scanning import Scan
from mainstay.data.operations.seeds import drawn_seed
from mainstay.data.operations.tolerance import IgnoreErrors
from mainstay.data.plan import Operation
from mainstay.data.structures import Structure

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset

_CYCLE = 4


class Nesting:
    """Datasets inside of datasets, and functions with a memory."""

    _plan: Operation

    if TYPE_CHECKING:

        def _with(self, plan: Operation, label: str | None = None) -> Dataset: ...

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Dataset:
        """Return the elements of the datasets that a function makes, one dataset after the other.

        Args:
            map_func: Makes a dataset of an element. What it shuffles without a seed has an order that this dataset
                decides, so that resuming gives the same.
            name: What reports call it.

        Raises:
            ArgumentError: While iterating: the function returned something else.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(3).flat_map(lambda n: Dataset.range(n))]
            [0, 0, 1]
        """
        return self._with(FlatMap(self._plan, function_of(map_func, "map_func")), name)

    def interleave(
        self,
        map_func: Callable[..., Any],
        cycle_length: int | None = None,
        block_length: int | None = None,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return the elements of the datasets that a function makes, several of them in turns.

        All open datasets are read ahead on the threads of this one, so that files are read in parallel; the order
        does not depend on it.

        Args:
            map_func: Makes a dataset of an element; see `flat_map`.
            cycle_length: How many datasets are open at a time; 4 unless given, or `num_parallel_calls` if that is.
            block_length: How many elements come from one before the next has its turn; 1 unless given.
            num_parallel_calls: How many datasets are open at a time where `cycle_length` does not say it.
            deterministic: Taken for TensorFlow's programs; the order is always kept.
            name: What reports call it.

        Raises:
            ArgumentError: A length is below 1. While iterating: the function returned something else.

        Example:
            >>> from mainstay.data import Dataset
            >>> dataset = Dataset.range(2).interleave(lambda n: Dataset.range(10 * n, 10 * n + 3), cycle_length=2)
            >>> [int(x) for x in dataset]
            [0, 10, 1, 11, 2, 12]
        """
        if cycle_length in (None, -1):
            cycle_length = _CYCLE if num_parallel_calls in (None, -1) else num_parallel_calls
        cycle = positive(cycle_length, "cycle_length")
        block = 1 if block_length is None else positive(block_length, "block_length")
        return self._with(Interleave(self._plan, function_of(map_func, "map_func"), cycle=cycle, block=block), name)

    def scan(self, initial_state: Structure, scan_func: Callable[[Any, Any], Any], name: str | None = None) -> Dataset:
        """Return what a function makes of each element and of what it kept from the one before.

        Args:
            initial_state: What comes with the first element: arrays in any structure.
            scan_func: Makes a pair of a state and an element; what it keeps is part of the state of an iterator.
            name: What reports call it.

        Raises:
            DataError: While iterating: the function gives no pair, or a state of another structure.

        Example:
            >>> import numpy as np
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(5).scan(np.int64(0), lambda total, x: (total + x, total + x))]
            [0, 1, 3, 6, 10]
        """
        return self._with(Scan(self._plan, initial_state, function_of(scan_func, "scan_func")), name)

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Dataset:
        """Return the elements without those for which the functions right before it raise an exception.

        Args:
            log_warning: Whether each is logged as a warning of the logger ``mainstay.data``.
            name: What reports call it.

        Raises:
            ArgumentError: While iterating: what comes before it, such as `batch`, works on several elements together.

        Example:
            >>> from mainstay.data import Dataset
            >>> def inverse(x):
            ...     if x == 0:
            ...         raise ZeroDivisionError
            ...     return 1.0 / x
            >>> [float(x) for x in Dataset.from_tensor_slices([1.0, 0.0, 4.0]).map(inverse).ignore_errors()]
            [1.0, 0.25]
        """
        return self._with(IgnoreErrors(self._plan, bool(log_warning)), name)

    def apply(self, transformation_func: Callable[[Any], Any]) -> Dataset:
        """Return what a function makes of this dataset.

        Args:
            transformation_func: Makes a dataset of a dataset.

        Raises:
            ArgumentError: It returned something else.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(9).apply(lambda dataset: dataset.skip(7))]
            [7, 8]
        """
        made = function_of(transformation_func, "transformation_func")(self)
        if not isinstance(made, Nested):
            raise ArgumentError(
                "the function of apply returns a dataset", expected="a Dataset", received=type(made).__name__
            )
        return made  # type: ignore[return-value]

    def rejection_resample(
        self,
        class_func: Callable[..., Any],
        target_dist: Sequence[float],
        initial_dist: Sequence[float] | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return pairs of a class and an element, some left out at random so that the classes have wanted proportions.

        Args:
            class_func: Gives the number of the class of an element, from 0 up.
            target_dist: The wanted proportion of each class.
            initial_dist: Their proportions in this dataset; counted as the elements come unless given.
            seed: What is left out depends on it; drawn from NumPy's global generator unless given.
            name: What reports call it.

        Raises:
            ArgumentError: The proportions are none, or differ in number.

        Example:
            >>> from mainstay.data import Dataset
            >>> dataset = Dataset.range(1000).rejection_resample(lambda x: x % 2, [1.0, 0.0])
            >>> {int(label) for label, _ in dataset}
            {0}
        """
        target = distribution(target_dist, "target_dist")
        initial = None if initial_dist is None else distribution(initial_dist, "initial_dist")
        if initial is not None and len(initial) != len(target):
            raise ArgumentError(
                "the distributions have different numbers of classes",
                where="initial_dist",
                expected=f"{len(target)}, as target_dist",
                received=len(initial),
            )
        function = function_of(class_func, "class_func")
        operation = RejectionResample(self._plan, function, target=target, initial=initial, seed=drawn_seed(seed))
        return self._with(operation, name)
