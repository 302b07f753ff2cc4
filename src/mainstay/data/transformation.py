"""What can be done to a dataset: `tf.data`'s methods, each giving a new dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError
from mainstay.data.operations.batching import Batch
from mainstay.data.operations.mapping import Filter, Map
from mainstay.data.operations.ordering import Repeat, Skip, Take
from mainstay.data.operations.seeds import drawn_seed
from mainstay.data.operations.shuffling import Shuffle
from mainstay.data.plan import Operation
from mainstay.data.transformation_storage import Storage

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Transformation(Storage):
    """The methods of `Dataset` that add to a plan."""

    _plan: Operation

    def _with(self, plan: Operation, label: str | None = None) -> Dataset:
        from mainstay.data.dataset import Dataset

        return Dataset(plan.labelled(label))

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        *,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return the dataset of what a function makes of each element."""
        return self._with(Map(self._plan, map_func, num_parallel_calls, deterministic), name)

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """Return the elements for which a predicate is true."""
        return self._with(Filter(self._plan, predicate), name)

    def batch(self, batch_size: int, drop_remainder: bool = False, *, name: str | None = None) -> Dataset:
        """Return batches of consecutive elements."""
        return self._with(Batch(self._plan, positive(batch_size, "batch_size"), drop_remainder), name)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        *,
        reshuffle_each_iteration: bool = True,
        name: str | None = None,
    ) -> Dataset:
        """Return the elements in another order."""
        return self._with(Shuffle(self._plan, int(buffer_size), drawn_seed(seed), reshuffle_each_iteration), name)

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """Return the elements several times over."""
        return self._with(Repeat(self._plan, -1 if count is None else int(count)), name)

    def take(self, count: int, name: str | None = None) -> Dataset:
        """Return the first elements."""
        return self._with(Take(self._plan, int(count)), name)

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """Return the elements after the first ones."""
        return self._with(Skip(self._plan, int(count)), name)

    def prefetch(self, buffer_size: int | None = None, name: str | None = None) -> Dataset:
        """Return the dataset, read ahead."""
        return self._with(self._plan)


def positive(value: Any, name: str) -> int:
    """Return a whole number from 1 up.

    Raises:
        ArgumentError: It is none.
    """
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise ArgumentError("this is no number of elements", where=name, expected="1 or more", received=repr(value))
    return number
