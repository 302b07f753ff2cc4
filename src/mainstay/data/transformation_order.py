"""The methods of a dataset about which elements come, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainstay.data.operations.arguments import function_of, plan_of, whole
from mainstay.data.operations.combining import Concatenate, Zip
from mainstay.data.operations.ordering import Repeat, Shard, Skip, Take
from mainstay.data.operations.reading import Read
from mainstay.data.operations.scanning import TakeWhile, Unique
from mainstay.data.operations.seeds import drawn_seed
from mainstay.data.operations.shuffling import Shuffle
from mainstay.data.plan import Operation
from mainstay.data.sources.numbers import CounterSource

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Ordering:
    """Shuffling, repeating, choosing by position."""

    _plan: Operation

    if TYPE_CHECKING:

        def _with(self, plan: Operation, label: str | None = None) -> Dataset: ...

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return the elements in another order.

        Where the elements have addresses, as those of arrays, all of them are permuted, however small the buffer is,
        and no memory is used. Of a source in blocks, as of Parquet files, the blocks are permuted and the rows of as
        many blocks as hold about `buffer_size` rows. Elsewhere, as behind `flat_map`, consecutive windows of
        `buffer_size` elements are permuted; where they end differs from pass to pass.

        Args:
            buffer_size: How many elements are mixed where they have no addresses; 1 keeps the order;
                `dataset.cardinality()` mixes all, even where it is unknown.
            seed: What the order depends on; drawn from NumPy's global generator unless given.
            reshuffle_each_iteration: Whether every pass has an order of its own; None means yes.
            name: What reports call it.

        Raises:
            ArgumentError: The size is below 1, and not `UNKNOWN_CARDINALITY`.

        Example:
            >>> from mainstay.data import Dataset
            >>> dataset = Dataset.range(4).shuffle(4, seed=1)
            >>> sorted(int(x) for x in dataset)
            [0, 1, 2, 3]
        """
        every_epoch = reshuffle_each_iteration is not False
        return self._with(Shuffle(self._plan, whole(buffer_size, "buffer_size"), drawn_seed(seed), every_epoch), name)

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """Return the elements several times over, in another order every time where they are shuffled before.

        Args:
            count: How many times; without an end if it is None or negative.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(2).repeat(2)]
            [0, 1, 0, 1]
        """
        return self._with(Repeat(self._plan, -1 if count is None else whole(count, "count")), name)

    def take(self, count: int, name: str | None = None) -> Dataset:
        """Return the first elements.

        Args:
            count: How many; all if it is negative, or more than there are.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(5).take(2)]
            [0, 1]
        """
        return self._with(Take(self._plan, whole(count, "count")), name)

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """Return the elements after the first ones.

        Args:
            count: How many are left out; all if it is negative.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(5).skip(3)]
            [3, 4]
        """
        return self._with(Skip(self._plan, whole(count, "count")), name)

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Dataset:
        """Return every `num_shards`-th element, from the one numbered `index` on.

        All shards together are the whole, without overlap. Shard before what differs from host to host; a shuffle
        before it needs the same seed everywhere.

        Args:
            num_shards: How many shards there are.
            index: Which of them this is, from 0 up.
            name: What reports call it.

        Raises:
            ArgumentError: There is no such shard.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(7).shard(3, 1)]
            [1, 4]
        """
        return self._with(Shard(self._plan, whole(num_shards, "num_shards"), whole(index, "index")), name)

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Return pairs of a number and an element.

        Args:
            start: The number of the first element.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [(int(i), int(x)) for i, x in Dataset.range(5, 7).enumerate(start=1)]
            [(1, 5), (2, 6)]
        """
        numbers = Read(CounterSource(whole(start, "start"), 1, "int64"))
        return self._with(Zip([numbers, self._plan], (0, 1)), name)

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """Return the elements, then those of another dataset.

        Args:
            dataset: The other one; its elements have the same structure and dtypes, and shapes of the same rank.
            name: What reports call it.

        Raises:
            ArgumentError: It is no dataset. While iterating: its elements are others.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(2).concatenate(Dataset.range(8, 10))]
            [0, 1, 8, 9]
        """
        return self._with(Concatenate([self._plan, plan_of(dataset, "dataset")]), name)

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """Return the elements before the first one for which a predicate is false.

        Args:
            predicate: Says whether an element still belongs to them; called for one element after the other.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(9).take_while(lambda x: x < 3)]
            [0, 1, 2]
        """
        return self._with(TakeWhile(self._plan, function_of(predicate, "predicate")), name)

    def unique(self, name: str | None = None) -> Dataset:
        """Return the elements without those that came before.

        The elements have one component. All different ones are held in memory; resuming reads the dataset again up
        to where it stood.

        Args:
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.from_tensor_slices([3, 1, 3, 2]).unique()]
            [3, 1, 2]
        """
        return self._with(Unique(self._plan), name)
