"""What `tf.data.experimental` has for `Dataset.apply`: functions that give functions of a dataset.

Most of them are methods of `Dataset` today; they stay here for programs that were written before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from mainstay.data.operations.arguments import plan_of, whole
from mainstay.data.operations.counting import AssertCardinality
from mainstay.data.specs import INFINITE_CARDINALITY

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset

Transformation: TypeAlias = "Callable[[Dataset], Dataset]"
"""What `Dataset.apply` takes."""


def assert_cardinality(expected_cardinality: int) -> Transformation:
    """Return a function that gives a dataset the number of elements that the user knows it to have.

    Args:
        expected_cardinality: The number, or `INFINITE_CARDINALITY`; iterating checks it.

    Raises:
        ArgumentError: It is no number of elements.

    Example:
        >>> from mainstay.data import Dataset
        >>> odd = Dataset.range(10).filter(lambda x: x % 2 == 1)
        >>> len(odd.apply(assert_cardinality(5)))
        5
    """
    count = whole(expected_cardinality, "expected_cardinality", least=INFINITE_CARDINALITY)

    def apply(dataset: Dataset) -> Dataset:
        from mainstay.data.dataset import Dataset

        return Dataset(AssertCardinality(plan_of(dataset, "dataset"), count))

    return apply


def cardinality(dataset: Dataset) -> int:
    """Return the number of elements, `INFINITE_CARDINALITY` or `UNKNOWN_CARDINALITY`."""
    return dataset.cardinality()


def get_single_element(dataset: Dataset) -> Any:
    """Return the only element; see `Dataset.get_single_element`."""
    return dataset.get_single_element()


def _of_method(name: str, summary: str) -> Callable[..., Transformation]:
    """Return what gives a function that calls a method of a dataset."""

    def given(*args: Any, **kwargs: Any) -> Transformation:
        def apply(dataset: Dataset) -> Dataset:
            method: Callable[..., Dataset] = getattr(dataset, name)
            return method(*args, **kwargs)

        return apply

    given.__name__ = given.__qualname__ = name
    given.__doc__ = f"Return a function that gives {summary}; see `Dataset.{name}`."
    return given


bucket_by_sequence_length = _of_method("bucket_by_sequence_length", "batches of elements of similar length")
dense_to_ragged_batch = _of_method("ragged_batch", "batches of lists")
enumerate_dataset = _of_method("enumerate", "pairs of a number and an element")
group_by_window = _of_method("group_by_window", "what becomes of groups of elements with one key")
ignore_errors = _of_method("ignore_errors", "the elements whose functions do not fail")
rejection_resample = _of_method("rejection_resample", "elements whose classes have wanted proportions")
scan = _of_method("scan", "what a function with a memory makes of the elements")
take_while = _of_method("take_while", "the elements before the first refused one")
unbatch = _of_method("unbatch", "the rows of batches")
unique = _of_method("unique", "the elements without those that came before")


def shuffle_and_repeat(buffer_size: int, count: int | None = None, seed: int | None = None) -> Transformation:
    """Return a function that shuffles a dataset, then repeats it; the arguments are those of these methods."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def parallel_interleave(
    map_func: Callable[..., Any],
    cycle_length: int,
    block_length: int = 1,
    sloppy: bool | None = False,  # noqa: ARG001
) -> Transformation:
    """Return a function that gives the elements of several datasets in turns; see `Dataset.interleave`.

    Args:
        map_func: Makes a dataset of an element.
        cycle_length: How many datasets are open at a time.
        block_length: How many elements come from one before the next has its turn.
        sloppy: Allows another order; the order is kept all the same.
    """
    return lambda dataset: dataset.interleave(map_func, cycle_length, block_length)
