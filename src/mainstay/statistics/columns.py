"""Accumulators of one column of a table, by the column's kind; `TableAccumulator` drives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
import pyarrow as pa

from mainstay.statistics.counts import Counts
from mainstay.statistics.moments import FiniteValues, Moments, split_finite
from mainstay.statistics.quantiles import Quantiles
from mainstay.statistics.results import ColumnStatistics, NumericStatistics
from mainstay.statistics.state import pack, unpack
from mainstay.statistics.summaries import count_runs

Array: TypeAlias = np.ndarray[Any, Any]

_NUM_QUANTILES = 1000
_QUANTILE_BUCKETS = 10


class ColumnAccumulator(Protocol):
    """What the table asks of a column: chunks of one block of rows in, statistics out."""

    def update(self, chunks: Sequence[pa.Array]) -> None:
        """Take in the chunks of one block, all of this column's kind."""

    def merge(self, other: Self) -> None:
        """Take in all that `other`, of the same kind, took in."""

    def copy(self) -> Self:
        """Return an independent accumulator with the same state."""

    def to_bytes(self) -> bytes:
        """Return the state as bytes."""

    def result(self, num_histogram_buckets: int) -> ColumnStatistics:
        """Return the statistics of everything taken in so far."""


def column_kind(kind: pa.DataType) -> str | None:
    """Return the kind of a column by its Arrow type, or None where the type is not supported."""
    if pa.types.is_int64(kind):
        return "int"
    if pa.types.is_float64(kind) or pa.types.is_float32(kind):
        return "float"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        return "string" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "string"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.unit == "us" else None
    return "null" if pa.types.is_null(kind) else None


def column_accumulator(kind: str) -> ColumnAccumulator:
    """Return a fresh accumulator for a kind that `column_kind` returned."""
    if kind == "string":
        return StringColumn()
    return NullColumn() if kind == "null" else NumericColumn(kind)


def column_from_bytes(kind: str, data: bytes) -> ColumnAccumulator:
    """Return the accumulator of a column that `to_bytes` wrote.

    Raises:
        FormatError: The bytes are not such a state.
    """
    if kind == "string":
        return StringColumn.from_bytes(data)
    return NullColumn.from_bytes(data) if kind == "null" else NumericColumn.from_bytes(kind, data)


class NumericColumn:
    """Integers, floats, booleans (as 0 and 1) or timestamps (as microseconds)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.missing = 0
        self.moments = Moments()
        self.quantiles = Quantiles("float64" if kind == "float" else "int64")

    def update(self, chunks: Sequence[pa.Array]) -> None:
        """Take in the chunks of one block."""
        self.missing += sum(chunk.null_count for chunk in chunks)
        parts = [_numbers(chunk.drop_null() if chunk.null_count else chunk, self.kind) for chunk in chunks]
        split = split_finite(parts[0] if len(parts) == 1 else np.concatenate(parts))
        if self.quantiles.is_exact:
            values, counts = count_runs(split.values)
            self.moments.update_finite(split._replace(values=split.values[:0]))
            self.moments.update_runs(values, counts)
            self.quantiles.update_runs(values, counts)
        else:
            self.moments.update_finite(split)
            self.quantiles.update(split.values)
        self._add_infinities(split)

    def _add_infinities(self, split: FiniteValues) -> None:
        for value, count in ((-np.inf, split.negative_infinities), (np.inf, split.positive_infinities)):
            if count:
                self.quantiles.update_runs(np.array([value]), np.array([count]))

    def merge(self, other: NumericColumn) -> None:
        """Take in all that `other` took in."""
        self.missing += other.missing
        self.moments.merge(other.moments)
        self.quantiles.merge(other.quantiles)

    def copy(self) -> NumericColumn:
        """Return an independent accumulator with the same state."""
        twin = NumericColumn(self.kind)
        twin.missing, twin.moments, twin.quantiles = self.missing, self.moments.copy(), self.quantiles.copy()
        return twin

    def to_bytes(self) -> bytes:
        """Return the state as bytes."""
        parts = {"moments": self.moments.to_bytes(), "quantiles": self.quantiles.to_bytes()}
        return pack("numeric column/1", {"missing": self.missing}, parts)

    @classmethod
    def from_bytes(cls, kind: str, data: bytes) -> NumericColumn:
        """Return the accumulator that `to_bytes` wrote."""
        state = unpack(data, "numeric column/1")
        column = cls(kind)
        dtype = column.quantiles.dtype
        column.missing = state.integer("missing")
        column.moments = Moments.from_bytes(state.child("moments"))
        column.quantiles = Quantiles.from_bytes(state.child("quantiles"))
        if column.quantiles.dtype != dtype:
            raise state.fault("the dtype does not fit the column")
        return column

    def result(self, num_histogram_buckets: int) -> ColumnStatistics:
        """Return the statistics of everything taken in so far."""
        moments, distribution = self.moments.result(), self.quantiles.result()
        numeric = NumericStatistics(
            mean=moments.mean,
            std=moments.std,
            min=moments.min,
            max=moments.max,
            zeros=moments.zeros,
            nan=moments.nan,
            positive_infinities=moments.positive_infinities,
            negative_infinities=moments.negative_infinities,
            distinct=min(self.quantiles.distinct, moments.num_values - moments.nan),
            distinct_is_exact=self.quantiles.is_exact,
            quantiles=tuple(distribution.quantiles(_NUM_QUANTILES)[0].tolist()),
            rank_error=distribution.error_bound,
            histogram=distribution.histogram(num_histogram_buckets),
            quantile_histogram=distribution.quantile_histogram(_QUANTILE_BUCKETS),
        )
        return ColumnStatistics(self.kind, moments.num_values, self.missing, numeric=numeric)


class StringColumn:
    """Strings, plain or dictionary-encoded."""

    def __init__(self) -> None:
        self.present = 0
        self.missing = 0
        self.counts = Counts()

    def update(self, chunks: Sequence[pa.Array]) -> None:
        """Take in the chunks of one block."""
        for chunk in chunks:
            self.present += len(chunk) - chunk.null_count
            self.missing += chunk.null_count
            self.counts.update(chunk)

    def merge(self, other: StringColumn) -> None:
        """Take in all that `other` took in."""
        self.present += other.present
        self.missing += other.missing
        self.counts.merge(other.counts)

    def copy(self) -> StringColumn:
        """Return an independent accumulator with the same state."""
        twin = StringColumn()
        twin.present, twin.missing, twin.counts = self.present, self.missing, self.counts.copy()
        return twin

    def to_bytes(self) -> bytes:
        """Return the state as bytes."""
        scalars = {"present": self.present, "missing": self.missing}
        return pack("string column/1", scalars, {"counts": self.counts.to_bytes()})

    @classmethod
    def from_bytes(cls, data: bytes) -> StringColumn:
        """Return the accumulator that `to_bytes` wrote."""
        state = unpack(data, "string column/1")
        column = cls()
        column.present, column.missing = state.integer("present"), state.integer("missing")
        column.counts = Counts.from_bytes(state.child("counts"))
        return column

    def result(self, num_histogram_buckets: int) -> ColumnStatistics:
        """Return the statistics of everything taken in so far."""
        return ColumnStatistics("string", self.present, self.missing, string=self.counts.result())


class NullColumn:
    """A column without any value."""

    def __init__(self) -> None:
        self.missing = 0

    def update(self, chunks: Sequence[pa.Array]) -> None:
        """Take in the chunks of one block."""
        self.missing += sum(len(chunk) for chunk in chunks)

    def merge(self, other: NullColumn) -> None:
        """Take in all that `other` took in."""
        self.missing += other.missing

    def copy(self) -> NullColumn:
        """Return an independent accumulator with the same state."""
        twin = NullColumn()
        twin.missing = self.missing
        return twin

    def to_bytes(self) -> bytes:
        """Return the state as bytes."""
        return pack("null column/1", {"missing": self.missing}, {})

    @classmethod
    def from_bytes(cls, data: bytes) -> NullColumn:
        """Return the accumulator that `to_bytes` wrote."""
        column = cls()
        column.missing = unpack(data, "null column/1").integer("missing")
        return column

    def result(self, num_histogram_buckets: int) -> ColumnStatistics:
        """Return the statistics of everything taken in so far."""
        return ColumnStatistics("null", 0, self.missing)


def _numbers(array: pa.Array, kind: str) -> Array:
    if kind == "timestamp":
        array = array.view(pa.int64())
    values: Array = array.to_numpy(zero_copy_only=False)
    if kind == "float":
        return values.astype(np.float64, copy=False) + 0.0
    return values.astype(np.int64, copy=False)
