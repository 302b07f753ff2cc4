"""Datasets whose batches arrive on the devices of a strategy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import numpy as np

from mainstay.core import ArgumentError
from mainstay.data import Dataset, DatasetIterator, Place
from mainstay.distribute.placement import BatchParallel

_AHEAD = 2


@dataclass(frozen=True)
class InputContext:
    """What the input function of `Strategy.distribute_datasets_from_function` is told.

    Args:
        num_input_pipelines: How many pipelines feed the strategy.
        input_pipeline_id: Which one of them this is, from 0.
        num_replicas_in_sync: How many devices share a global batch.
    """

    num_input_pipelines: int = 1
    input_pipeline_id: int = 0
    num_replicas_in_sync: int = 1

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """Return how many rows of a global batch each replica gets.

        Raises:
            ArgumentError: The replicas do not divide the global batch.

        >>> InputContext(num_replicas_in_sync=4).get_per_replica_batch_size(64)
        16
        """
        size, rest = divmod(global_batch_size, self.num_replicas_in_sync)
        if rest:
            raise ArgumentError(
                "the replicas do not divide the global batch",
                where="global_batch_size",
                expected=f"a multiple of {self.num_replicas_in_sync}",
                received=global_batch_size,
            )
        return size


class DistributedIterator(Iterator[Any]):
    """The batches of one pass on the devices; two are brought there ahead of their use.

    Those before a failure arrive before it.

    Args:
        source: The dataset.
        placement: Where batches go.
        state: Where to begin; None for the beginning.
    """

    def __init__(self, source: Iterable[Any], placement: BatchParallel, state: bytes | None = None) -> None:
        if state is not None and not isinstance(source, Dataset):
            raise ArgumentError(
                "this dataset cannot go on from a state",
                expected="a mainstay.data.Dataset",
                received=type(source).__name__,
            )
        self._batches = source.iter(state) if isinstance(source, Dataset) else iter(source)
        self._placement = placement
        self._waiting: deque[tuple[Any, Place | None]] = deque()
        self._number = 0
        self._failure: Exception | None = None
        self._is_over = False
        self._place = self._current()

    def __next__(self) -> Any:
        while len(self._waiting) <= _AHEAD and not self._is_over:
            self._bring()
        if not self._waiting:
            failure, self._failure = self._failure, None
            raise failure or StopIteration
        batch, self._place = self._waiting.popleft()
        return batch

    def _bring(self) -> None:
        try:
            batch = self._placement.place_batch(next(self._batches), f"batch {self._number}")
        except StopIteration:
            self._is_over = True
        except Exception as error:
            self._failure, self._is_over = error, True
        else:
            self._number += 1
            self._waiting.append((batch, self._current()))

    def _current(self) -> Place | None:
        return self._batches.place() if isinstance(self._batches, DatasetIterator) else None

    def state(self) -> bytes:
        """Return the place after the batch that came last, as a few bytes of JSON.

        Raises:
            ArgumentError: The source has no places.
        """
        if self._place is None:
            raise ArgumentError("this dataset has no states", expected="a mainstay.data.Dataset")
        return self._place.to_bytes()


class DistributedDataset:
    """The batches of a dataset, each of them on the devices of a strategy; two are brought there ahead of their use.

    It can be iterated as often as its source can, and has a length and an `element_spec` if its source has them.
    `Strategy.experimental_distribute_dataset` makes one.
    """

    def __init__(self, source: Iterable[Any], placement: BatchParallel) -> None:
        self.source = source
        self._placement = placement

    def __iter__(self) -> Iterator[Any]:
        return self.iter()

    def iter(self, state: bytes | None = None) -> DistributedIterator:
        """Return an iterator over one pass, from a place on if one is given.

        Args:
            state: What `state()` of an iterator gave; the source is a `mainstay.data.Dataset` then.

        Raises:
            ArgumentError: A state is given, and the source has none.
        """
        return DistributedIterator(self.source, self._placement, state)

    def __len__(self) -> int:
        return len(self.source)  # type: ignore[arg-type]

    @property
    def element_spec(self) -> Any:
        """What the source says about its elements."""
        return self.source.element_spec  # type: ignore[attr-defined]


class JoinedBatches:
    """A dataset of per-replica batches, each `count` of them joined to one global batch."""

    def __init__(self, source: Iterable[Any], count: int) -> None:
        self._source = source
        self._count = count

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._source)
        while parts := list(islice(batches, self._count)):
            yield jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)

    def __len__(self) -> int:
        return -(-len(self._source) // self._count)  # type: ignore[arg-type]


def check_dataset(dataset: Any) -> Iterable[Any]:
    """Return a dataset if its elements can be iterated and are no rows of an array.

    Raises:
        ArgumentError: It is an array, or nothing that can be iterated.
    """
    is_array = hasattr(dataset, "shape") and hasattr(dataset, "dtype")
    if is_array or not (hasattr(dataset, "__iter__") or hasattr(dataset, "__getitem__")):
        raise ArgumentError(
            "this is not a dataset of batches",
            where="dataset",
            expected="something that gives a structure of arrays per batch",
            received=f"{type(dataset).__name__} of shape {list(dataset.shape)}" if is_array else type(dataset).__name__,
        )
    iterable: Iterable[Any] = dataset
    return iterable
