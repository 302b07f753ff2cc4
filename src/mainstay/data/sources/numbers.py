"""Numbers without an end: counting, and pseudo-random ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mainstay.core import TensorSpec
from mainstay.data.addressing import key
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array
from mainstay.data.sources.source import RandomAccess, Stream
from mainstay.data.specs import INFINITE_CARDINALITY
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure

_ROWS = 2**62


class CounterSource(RandomAccess):
    """Numbers from a start on.

    Args:
        start: The first.
        step: From one to the next.
        dtype: The dtype of the elements.
    """

    name = "counter"
    is_light = True

    def __init__(self, start: int, step: int, dtype: str) -> None:
        self._start, self._step, self._dtype = start, step, np.dtype(dtype)

    @property
    def spec(self) -> Structure:
        """One number."""
        return TensorSpec((), self._dtype)

    def __len__(self) -> int:
        return _ROWS

    @property
    def cardinality(self) -> int:
        """There is no end."""
        return INFINITE_CARDINALITY

    @property
    def row_bytes(self) -> int:
        """The size of a number."""
        return self._dtype.itemsize

    def load(self, indices: Array) -> Chunk:
        """Return the numbers at some indices."""
        numbers = indices * self._step + self._start
        return Chunk(0, (numbers.astype(self._dtype, copy=False),), len(indices))

    def fingerprint(self) -> Any:
        """The start, the step and the dtype."""
        return ["counter", self._start, self._step, self._dtype.name]


def random_numbers(indices: Array, word: int) -> Array:
    """Return a pseudo-random number (int64, 32 bits of it used) for each index: the outputs of SplitMix64.

    Args:
        indices: int64 ``[n]``.
        word: 64 bits that choose the sequence.
    """
    return (random_words(indices, word) >> np.uint64(32)).astype(np.int64)


def random_words(indices: Array, word: int) -> Array:
    """Return 64 pseudo-random bits (uint64) for each index.

    Args:
        indices: int64 ``[n]``.
        word: 64 bits that choose the sequence.
    """
    with np.errstate(over="ignore"):
        words = (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(word)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result: Array = words ^ (words >> np.uint64(31))
    return result


def random_fractions(indices: Array, word: int) -> Array:
    """Return a pseudo-random float64 from 0 up, below 1, for each index; the arguments are those of `random_words`."""
    return (random_words(indices, word) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class RandomSource(RandomAccess):
    """Pseudo-random numbers, the same ones in every pass.

    Args:
        seed: Chooses them.
    """

    name = "random"
    is_light = True

    def __init__(self, seed: int) -> None:
        self._word = key("random", seed)

    @property
    def spec(self) -> Structure:
        """One int64."""
        return TensorSpec((), "int64")

    def __len__(self) -> int:
        return _ROWS

    @property
    def cardinality(self) -> int:
        """There is no end."""
        return INFINITE_CARDINALITY

    @property
    def row_bytes(self) -> int:
        """The size of a number."""
        return 8

    def load(self, indices: Array) -> Chunk:
        """Return the numbers at some indices."""
        return Chunk(0, (random_numbers(indices, self._word),), len(indices))

    def fingerprint(self) -> Any:
        """Only the name: a seed is no part of it."""
        return ["random"]


class RandomStream(Stream):
    """Pseudo-random numbers, others in every pass.

    Args:
        seed: Chooses them, with the number of the pass.
    """

    name = "random"
    is_columnar = True
    reads_again = True

    def __init__(self, seed: int) -> None:
        self._seed = seed

    @property
    def spec(self) -> Structure:
        """One int64."""
        return TensorSpec((), "int64")

    @property
    def cardinality(self) -> int:
        """There is no end."""
        return INFINITE_CARDINALITY

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield ranges of positions, with what chooses the numbers of the pass."""
        start = state or 0
        word = key("random", self._seed, epoch)
        while True:
            yield (word, start, start + rows), start + rows
            start += rows

    def load(self, address: Any) -> Chunk:
        """Return the numbers of a range."""
        word, start, stop = address
        return Chunk(0, (random_numbers(np.arange(start, stop, dtype=np.int64), word),), stop - start)

    def fingerprint(self) -> Any:
        """Only the name: a seed is no part of it."""
        return ["random", "every pass"]
