"""What can be done to a dataset: `tf.data`'s methods, each giving a new dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.core import ArgumentError
from mainstay.data.operations.prefetching import Prefetch
from mainstay.data.options import Options, WithOptions, checked, options_of
from mainstay.data.plan import Operation
from mainstay.data.reduction import Reduction
from mainstay.data.specs import AUTOTUNE
from mainstay.data.transformation_batches import Batches
from mainstay.data.transformation_functions import Functions
from mainstay.data.transformation_nesting import Nesting
from mainstay.data.transformation_order import Ordering
from mainstay.data.transformation_storage import Storage

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset
    from mainstay.data.profile import Profile


class Transformation(Batches, Functions, Nesting, Ordering, Reduction, Storage):
    """The methods of `Dataset` that add to a plan."""

    _plan: Operation

    def _with(self, plan: Operation, label: str | None = None) -> Dataset:
        from mainstay.data.dataset import Dataset

        return Dataset(plan.labelled(label))

    def prefetch(self, buffer_size: int | None = None, name: str | None = None) -> Dataset:
        """Return the dataset, read ahead of need.

        Stages that run in parallel work ahead without it. What comes after them, such as putting batches together,
        happens when the next element is asked for, unless it is prefetched.

        Args:
            buffer_size: How many elements wait at most, rounded up to the chunk in which they were made; 0 for none.
                None or `AUTOTUNE` lets the need decide, also whether a thread is worth it.
            name: What reports call it.

        Raises:
            ArgumentError: `buffer_size` is no such number.

        Example:
            >>> from mainstay.data import AUTOTUNE, Dataset
            >>> [x.tolist() for x in Dataset.range(4).batch(2).prefetch(AUTOTUNE)]
            [[0, 1], [2, 3]]
        """
        size = None if buffer_size is None or buffer_size == AUTOTUNE else buffer_size
        if size is not None and (not isinstance(size, int) or size < 0):
            raise ArgumentError(
                "this is no number of elements",
                where="buffer_size",
                expected="0 or more, or AUTOTUNE",
                received=repr(buffer_size),
            )
        return self._with(Prefetch(self._plan, size), name)

    def with_options(self, options: Options, name: str | None = None) -> Dataset:
        """Return the dataset with options for how it runs; of options that are set twice, the later ones hold.

        Args:
            options: The options; they hold for the whole dataset, whatever comes before or after.
            name: What reports call it.

        Raises:
            ArgumentError: They are no options.

        Example:
            >>> from mainstay.data import Dataset, Options
            >>> options = Options()
            >>> options.deterministic = False
            >>> Dataset.range(3).with_options(options).options().deterministic
            False
        """
        return self._with(WithOptions(self._plan, checked(options)), name)

    def options(self) -> Options:
        """Return the options that were set on this dataset and on those that it is made from."""
        return options_of(self._plan)

    def profile(self, *, seconds: float = 5.0, elements: int | None = None) -> Profile:
        """Run the dataset for a while, and return how quick each of its stages is.

        It is a pass of its own, the first one: the next iterator is not touched by it.

        Args:
            seconds: For how long at most.
            elements: How many elements are taken at most; None for any number.

        Returns:
            Elements per second and waiting times of each stage, which one holds the others up, and what would help;
            shown as a table.

        Raises:
            ArgumentError: A limit is not positive.

        Example:
            >>> from mainstay.data import Dataset
            >>> profile = Dataset.range(1000).batch(10).profile(seconds=1)
            >>> profile.elements
            100
        """
        from mainstay.data.profile import profile_plan

        return profile_plan(self._plan, seconds=seconds, elements=elements)
