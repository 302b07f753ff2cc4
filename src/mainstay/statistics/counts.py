"""Counts of a column of strings: exact while few distinct values occur, bounded memory with a stated error after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import ArgumentError
from mainstay.statistics.distinct import DistinctCount
from mainstay.statistics.hashing import hash_strings
from mainstay.statistics.results import StringStatistics
from mainstay.statistics.state import State, pack, unpack
from mainstay.statistics.strings import StringRuns, count_strings, present_strings, unite_runs

Array: TypeAlias = np.ndarray[Any, Any]

_KIND = "counts/1"
_PENDING_ROWS = 4 * 65536
_PENDING_BYTES = 64 << 20


class Counts:
    """Mergeable counts of strings.

    Up to `capacity` distinct values every count is exact. Beyond, the counters of Misra and Gries (1982) in their
    mergeable form (Agarwal et al., 2012) remain: a value that occurs in more than 1/capacity of the rows is never
    lost, and no count is too small by more than `error`, itself at most rows/capacity. A value that was never
    dropped keeps its exact count. The number of distinct values is then an estimate.

    Values of more than 1,024 bytes are counted together as ``__LARGE_BYTES__`` and values that are not UTF-8 as
    ``__BYTES_VALUE__``, as TensorFlow Data Validation does, so that memory does not depend on the values' lengths.

    Args:
        capacity: Distinct values that are counted exactly.
    """

    __slots__ = ("_capacity", "_credit", "_distinct", "_error", "_pending", "_seen", "_totals", "_values")

    def __init__(self, *, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise ArgumentError("counts need room for a value", expected="1 or more", received=capacity)
        self._capacity = capacity
        self._values = pa.array([], pa.large_string())
        self._credit: Array = np.zeros(0, np.int64)
        self._seen: Array = np.zeros(0, np.int64)
        self._error = 0
        self._distinct: DistinctCount | None = None
        self._totals = _Totals()
        self._pending = _Pending()

    def update(self, values: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> None:
        """Take in values, `[rows]`: Arrow strings or bytes, plain or dictionary-encoded, or Python strings.

        Missing values are left out.

        Raises:
            ArgumentError: The values are no strings.
        """
        for chunk in present_strings(values):
            self._pending.add(chunk)
            if self._pending.rows >= _PENDING_ROWS or self._pending.size >= _PENDING_BYTES:
                self._settle()

    def merge(self, other: Counts) -> None:
        """Take in all that `other` took in.

        Raises:
            ArgumentError: `other` has another capacity.
        """
        if other._capacity != self._capacity:
            raise ArgumentError(
                "counts of two capacities cannot be merged", expected=self._capacity, received=other._capacity
            )
        self._settle()
        other = other._settled()
        self._totals.merge(other._totals)
        self._error += other._error
        if other._distinct is not None:
            self._start_estimate().merge(other._distinct)
        elif self._distinct is not None:
            self._distinct.update(hash_strings(other._values))
        self._add(other._values, other._credit, other._seen)

    def copy(self) -> Counts:
        """Return an independent accumulator with the same state."""
        twin = Counts(capacity=self._capacity)
        twin._values, twin._credit, twin._seen, twin._error = self._values, self._credit, self._seen, self._error
        twin._distinct = None if self._distinct is None else self._distinct.copy()
        twin._totals = self._totals.copy()
        twin._pending = self._pending.copy()
        return twin

    @property
    def count(self) -> int:
        """Values taken in, missing ones left out."""
        return self._settled()._totals.count

    @property
    def is_exact(self) -> bool:
        """Whether every count, and the number of distinct values, is exact."""
        settled = self._settled()
        return settled._distinct is None and settled._totals.large_distinct.is_exact

    @property
    def error(self) -> int:
        """The most by which a count may be too small; zero where exact."""
        return self._settled()._error

    @property
    def distinct(self) -> int:
        """Distinct values: exact while `is_exact`, after that within 1.6 % (one standard error)."""
        settled = self._settled()
        kept = len(settled._values) if settled._distinct is None else settled._distinct.result()
        placeholder = int(settled._totals.large > 0)
        return min(kept - placeholder + settled._totals.large_distinct.result(), settled._totals.count)

    @property
    def invalid_utf8(self) -> int:
        """Values that are not valid UTF-8."""
        return self._settled()._totals.invalid_utf8

    def top(self, k: int | None = None) -> list[tuple[str, int]]:
        """Return values with their counts: most frequent first, ties larger value (by its bytes) first.

        Args:
            k: How many to return; None returns all that are kept.
        """
        settled = self._settled()
        kept = len(settled._values)
        table = pa.table({"value": settled._values.cast(pa.large_binary()), "count": settled._seen})
        wanted = kept if k is None else min(k, kept)
        keys = [("count", "descending"), ("value", "descending")]
        few = wanted <= kept // 20  # choosing more costs more than sorting all
        order = pc.select_k_unstable(table, wanted, keys) if few else pc.sort_indices(table, keys)[:wanted]
        values = settled._values.take(order).to_pylist()
        return list(zip(values, settled._seen[order.to_numpy()].tolist(), strict=True))

    def result(self, *, num_top_values: int = 1000) -> StringStatistics:
        """Return the statistics of everything taken in so far, with that many of the most frequent values."""
        settled = self._settled()
        totals = settled._totals
        return StringStatistics(
            distinct=settled.distinct,
            distinct_is_exact=settled.is_exact,
            average_length=totals.bytes / totals.count if totals.count else 0.0,
            min_length=max(totals.min_length, 0),
            max_length=totals.max_length,
            invalid_utf8=totals.invalid_utf8,
            large=totals.large,
            top_values=tuple(settled.top(num_top_values)),
            count_error=settled._error,
        )

    def to_bytes(self) -> bytes:
        """Return the state as bytes for `from_bytes`."""
        settled = self._settled()
        encoded = settled._values.cast(pa.large_binary())
        arrays: dict[str, Array | bytes] = {
            "lengths": pc.binary_length(encoded).to_numpy(zero_copy_only=False).astype(np.int64),
            "text": b"".join(encoded.to_pylist()),
            "credit": settled._credit,
            "seen": settled._seen,
            "large_distinct": settled._totals.large_distinct.to_bytes(),
        }
        if settled._distinct is not None:
            arrays["distinct"] = settled._distinct.to_bytes()
        scalars = {name: getattr(settled._totals, name) for name in _Totals.NUMBERS}
        return pack(_KIND, scalars | {"capacity": self._capacity, "error": settled._error}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Counts:
        """Return the accumulator that `to_bytes` wrote.

        Raises:
            FormatError: The bytes are not such a state.
        """
        state = unpack(data, _KIND)
        counts = cls(capacity=state.integer("capacity", 1))
        counts._error = state.integer("error")
        counts._values = _read_values(state)
        counts._credit, counts._seen = state.array("credit", "<i8"), state.array("seen", "<i8")
        if not len(counts._values) == counts._credit.size == counts._seen.size:
            raise state.fault("the counts do not fit the values")
        if counts._credit.size and (counts._credit.min() < 1 or (counts._seen < counts._credit).any()):
            raise state.fault("the counts are out of range")
        for name in _Totals.NUMBERS:
            setattr(counts._totals, name, state.integer(name, -1))
        counts._totals.large_distinct = DistinctCount.from_bytes(state.child("large_distinct"))
        if "distinct" in state.arrays:
            counts._distinct = DistinctCount.from_bytes(state.child("distinct"))
        return counts

    def _settled(self) -> Counts:
        """Return these counts with nothing pending; itself where nothing is, so that reading changes nothing."""
        if not self._pending.rows:
            return self
        twin = self.copy()
        twin._settle()
        return twin

    def _settle(self) -> None:
        if not self._pending.rows:
            return
        runs = count_strings(self._pending.take())
        self._totals.add(runs)
        if self._distinct is not None:
            self._distinct.update(hash_strings(runs.values))
        self._add(runs.values, runs.counts, runs.counts)

    def _add(self, values: pa.Array, credit: Array, seen: Array) -> None:
        if len(self._values):
            values, (credit, seen) = unite_runs(
                [self._values, values],
                [np.concatenate([self._credit, credit]), np.concatenate([self._seen, seen])],
            )
        self._values, self._credit, self._seen = values, credit, seen
        if len(values) > self._capacity:
            self._start_estimate()
            self._drop_rare()

    def _drop_rare(self) -> None:
        """Subtract the largest count that does not fit from all, and drop what it brings to zero."""
        excess = len(self._values) - self._capacity
        step = int(np.partition(self._credit, excess - 1)[excess - 1])
        kept = np.flatnonzero(self._credit > step)
        self._values = self._values.take(pa.array(kept))
        self._credit, self._seen = self._credit[kept] - step, self._seen[kept]
        self._error += step

    def _start_estimate(self) -> DistinctCount:
        if self._distinct is None:
            self._distinct = DistinctCount()
            self._distinct.update(hash_strings(self._values))
        return self._distinct


class _Pending:
    """Chunks that wait to be counted together, for counting many at once is cheaper than joining counts."""

    __slots__ = ("chunks", "rows", "size")

    def __init__(self) -> None:
        self.chunks: list[pa.Array] = []
        self.rows = 0
        self.size = 0

    def add(self, chunk: pa.Array) -> None:
        self.chunks.append(chunk)
        self.rows += len(chunk)
        self.size += chunk.nbytes

    def take(self) -> list[pa.Array]:
        chunks = self.chunks
        self.chunks, self.rows, self.size = [], 0, 0
        return chunks

    def copy(self) -> _Pending:
        twin = _Pending()
        twin.chunks, twin.rows, twin.size = list(self.chunks), self.rows, self.size
        return twin


class _Totals:
    """Sums over all values that do not depend on which values are kept."""

    NUMBERS = ("count", "bytes", "min_length", "max_length", "invalid_utf8", "large")
    __slots__ = (*NUMBERS, "large_distinct")

    def __init__(self) -> None:
        self.count = self.bytes = self.max_length = self.invalid_utf8 = self.large = 0
        self.min_length = -1
        self.large_distinct = DistinctCount()

    def add(self, runs: StringRuns) -> None:
        if runs.count:
            self.count += runs.count
            self.bytes += runs.bytes
            self.min_length = runs.min_length if self.min_length < 0 else min(self.min_length, runs.min_length)
            self.max_length = max(self.max_length, runs.max_length)
            self.invalid_utf8 += runs.invalid_utf8
            self.large += runs.large
            self.large_distinct.update(runs.large_hashes)

    def merge(self, other: _Totals) -> None:
        if other.count:
            low = other.min_length if self.min_length < 0 else min(self.min_length, other.min_length)
            for name in ("count", "bytes", "invalid_utf8", "large"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
            self.min_length, self.max_length = low, max(self.max_length, other.max_length)
            self.large_distinct.merge(other.large_distinct)

    def copy(self) -> _Totals:
        twin = _Totals()
        for name in self.NUMBERS:
            setattr(twin, name, getattr(self, name))
        twin.large_distinct = self.large_distinct.copy()
        return twin


def _read_values(state: State) -> pa.Array:
    lengths, text = state.array("lengths", "<i8"), state.array("text", "|u1")
    if bool((lengths < 0).any()) or int(lengths.sum()) != text.size:
        raise state.fault("the lengths do not fit the text")
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(text.tobytes())]
    values = pa.Array.from_buffers(pa.large_string(), lengths.size, buffers)
    try:
        values.validate(full=True)
    except pa.ArrowInvalid as error:
        raise state.fault("the values are not UTF-8") from error
    return values
