"""The three kinds of source: rows at any index, blocks of rows, and a stream with a place that can be written down."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array
from mainstay.data.specs import UNKNOWN_CARDINALITY
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure


class Source(abc.ABC):
    """Where elements come from."""

    name: str
    """What it is, for reports, such as ``arrays`` or ``train.parquet``."""

    @property
    @abc.abstractmethod
    def spec(self) -> Structure:
        """The specs of the elements in their structure."""

    @property
    @abc.abstractmethod
    def cardinality(self) -> int:
        """The number of elements, or `UNKNOWN_CARDINALITY`, or `INFINITE_CARDINALITY`."""

    @abc.abstractmethod
    def fingerprint(self) -> Any:
        """Return what tells the source from others, as JSON values: names and sizes of files, a length."""

    def content(self) -> Any:
        """Return what changes whenever an element may have changed, as JSON values; files that keep elements need it.

        Raises:
            ArgumentError: That cannot be known.
        """
        return self.fingerprint()


class RandomAccess(Source):
    """A source that gives any of its rows by index."""

    is_light: bool = False
    """Whether its rows lie in memory, so that reading a few is not worth a thread."""
    row_cost_is_high: bool = False
    """Whether a row takes so long to make that chunks should be small, as with images."""
    is_shared: bool = False
    """Whether its readers share what one of them made, so that it is read in the dataset's own process only."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abc.abstractmethod
    def load(self, indices: Array) -> Chunk:
        """Return the rows at some indices, int64 ``[n]``; called on any thread, several at a time."""

    def span(self, start: int, stop: int) -> Chunk:
        """Return the rows from `start` to `stop`; without a copy where that is possible."""
        return self.load(np.arange(start, stop, dtype=np.int64))

    @property
    def cardinality(self) -> int:
        """The number of rows."""
        return len(self)

    @property
    def row_bytes(self) -> int:
        """About how many bytes a row takes."""
        count = min(len(self), 2)
        return self.span(0, count).nbytes // count if count else 1


class Blocks(Source):
    """A source that gives its rows in blocks that can be read in any order, such as the row groups of Parquet files."""

    @property
    @abc.abstractmethod
    def num_blocks(self) -> int:
        """How many blocks there are."""

    @abc.abstractmethod
    def block_rows(self, block: int) -> int:
        """Return how many rows a block has."""

    def bundles(self) -> Array | None:
        """Return where runs of blocks begin that are cheap only one after the other; None where every block is one.

        Returns:
            int64, increasing: the first block of each run, and at the end the number of all blocks.
        """
        return None

    @abc.abstractmethod
    def load_block(self, block: int) -> Chunk:
        """Return the rows of a block; called on any thread, several at a time."""

    @property
    def row_bytes(self) -> int:
        """About how many bytes a row takes."""
        return 64

    @property
    def cardinality(self) -> int:
        """The number of rows."""
        return sum(map(self.block_rows, range(self.num_blocks)))


class Stream(Source):
    """A source that gives its elements in one order only.

    Reading happens on one thread, decoding on many: what `run` yields is handed to `load` elsewhere.
    """

    is_columnar: bool = False
    """Whether many elements at a time cost little more than one, so that `rows` may be thousands."""
    reads_again: bool = False
    """Whether its beginning may be read once more at any time, to find out what functions make of it."""

    def rows(self, limit: int | None = None) -> RandomAccess | None:
        """Return the same elements as rows at any index, or None where that cannot be; it may look at all that is read.

        Args:
            limit: How many of the first elements are wanted at most.
        """
        return None

    def blocks(self) -> Blocks | None:
        """Return the same elements as blocks, or None where that cannot be; it may look at all that is read."""
        return None

    @abc.abstractmethod
    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield what was read from a state on, each with the state after it.

        Args:
            state: Where to go on; None at the beginning.
            epoch: Which pass over the data.
            rows: How many elements are wanted at a time; a hint.
        """

    def run_in_batches(self, state: State, epoch: Epoch, rows: int, batch: int) -> Iterator[tuple[Any, State]]:
        """Yield what `run` yields, in multiples of `batch` elements where that costs little."""
        return self.run(state, epoch, rows)

    @abc.abstractmethod
    def load(self, address: Any) -> Chunk:
        """Return the elements in what `run` yielded."""

    def load_in_place(self, address: Any) -> Chunk:
        """Return what `load` returns, for functions alone: strings may be `Spans`."""
        return self.load(address)

    def begin(self) -> Chunk | None:
        """Return the first element, or None where there is none, even if it can be read only once for every pass."""
        chunks = (self.load(address) for address, _ in self.run(None, (0,), 1))
        with closing(chunks):
            found = next((chunk for chunk in chunks if chunk.length), None)
        return found and found.cut(0, 1)

    @property
    def cardinality(self) -> int:
        """Unknown, unless the source says otherwise."""
        return UNKNOWN_CARDINALITY
