"""What statistics say about a table: frozen values, made by the accumulators and shown by everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Histogram:
    """Buckets in rising order.

    Attributes:
        low: The buckets' low bounds, inclusive.
        high: Their high bounds, exclusive; inclusive in the last bucket and where both bounds are equal.
        count: What they hold.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.count)


@dataclass(frozen=True, slots=True)
class NumericStatistics:
    """What is known of the numbers of a column; timestamps are microseconds since 1970, booleans 0 and 1.

    Attributes:
        mean: Mean of the finite values; NaN where there is none.
        std: Population standard deviation of the finite values; NaN where there is none.
        min: Smallest value, infinities included; None where there is none but NaN.
        max: Largest value, infinities included; None where there is none but NaN.
        zeros: Values equal to zero.
        nan: Values that are not a number.
        positive_infinities: Values of plus infinity.
        negative_infinities: Values of minus infinity.
        distinct: Distinct values other than NaN.
        distinct_is_exact: Whether `distinct` is exact; else its relative standard error is 1.6 %.
        quantiles: The values at the ranks 0, 0.001, ..., 1: 1,001 of them, or none.
        rank_error: The most by which a quantile's rank may be off, as a fraction of the values; zero where exact.
        histogram: Equally wide buckets between the finite extremes.
        quantile_histogram: Ten buckets of equal weight.
    """

    mean: float
    std: float
    min: float | None
    max: float | None
    zeros: int
    nan: int
    positive_infinities: int
    negative_infinities: int
    distinct: int
    distinct_is_exact: bool
    quantiles: tuple[float, ...]
    rank_error: float
    histogram: Histogram
    quantile_histogram: Histogram

    @property
    def median(self) -> float | None:
        """The middle quantile; None where there is none."""
        return self.quantiles[len(self.quantiles) // 2] if self.quantiles else None


@dataclass(frozen=True, slots=True)
class StringStatistics:
    """What is known of the strings of a column.

    Attributes:
        distinct: Distinct values.
        distinct_is_exact: Whether `distinct` is exact; else its relative standard error is 1.6 %.
        average_length: Mean length in bytes of UTF-8; zero where there are no values.
        min_length: Length of the shortest value in bytes.
        max_length: Length of the longest value in bytes.
        invalid_utf8: Values that are not valid UTF-8; all are counted as ``__BYTES_VALUE__``.
        large: Values of more than 1,024 bytes; all are counted as ``__LARGE_BYTES__``.
        top_values: The most frequent values with their counts, most frequent first, ties larger value first.
        count_error: The most by which a count of `top_values` may be too small; zero where exact.
    """

    distinct: int
    distinct_is_exact: bool
    average_length: float
    min_length: int
    max_length: int
    invalid_utf8: int
    large: int
    top_values: tuple[tuple[str, int], ...]
    count_error: int


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What is known of one column.

    Attributes:
        kind: ``int``, ``float``, ``bool``, ``string``, ``timestamp`` or ``null`` (a column without any value).
        num_present: Rows with a value; NaN is one.
        num_missing: Rows without a value.
        numeric: Set for ``int``, ``float``, ``bool`` and ``timestamp``.
        string: Set for ``string``.
    """

    kind: str
    num_present: int
    num_missing: int
    numeric: NumericStatistics | None = None
    string: StringStatistics | None = None

    @property
    def distinct(self) -> int:
        """Distinct values of the column, exact or estimated."""
        if self.numeric is not None:
            return self.numeric.distinct
        return self.string.distinct if self.string is not None else 0


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """What is known of a table: its number of rows and its columns by name, in the table's order."""

    num_rows: int
    columns: Mapping[str, ColumnStatistics]
