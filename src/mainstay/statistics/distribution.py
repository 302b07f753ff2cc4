"""What a rank summary says: quantiles by TFDV's rule, cumulative weights and histograms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import ArgumentError
from mainstay.statistics.results import Histogram

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of a column of numbers, from `Quantiles`.

    Attributes:
        values: Distinct values in rising order, infinities included, `[entries]` int64 or float64.
        weights: What each of them stands for, `[entries]` float64.
        min: The exact smallest value; None where there is none.
        max: The exact largest value; None where there is none.
        error: The most by which the weight of the entries up to any x may differ from the true weight up to x.
    """

    values: Array
    weights: Array
    min: Any
    max: Any
    error: float

    @property
    def total(self) -> float:
        """The weight of everything."""
        return float(self.weights.sum())

    @property
    def error_bound(self) -> float:
        """`error` as a fraction of the total weight; zero where every rank is exact."""
        return self.error / self.total if self.values.size else 0.0

    def quantiles(self, num_quantiles: int) -> tuple[Array, Array]:
        """Return the values at equidistant ranks and the weight up to and including each.

        The value at rank t = i * total / num_quantiles is the first one whose cumulative weight exceeds t, the last
        one at the end: the rule of TensorFlow Data Validation. The ends are the exact extremes.

        Args:
            num_quantiles: Into how many parts the distribution is cut.

        Returns:
            Values, `[num_quantiles + 1]`, and cumulative weights, `[num_quantiles + 1]` float64; both empty where
            the distribution is.

        Raises:
            ArgumentError: `num_quantiles` is below one.
        """
        if num_quantiles < 1:
            raise ArgumentError("there is at least one quantile", expected="1 or more", received=num_quantiles)
        if self.values.size == 0:
            return self.values, self.weights
        cumulative = np.cumsum(self.weights)
        ranks = np.arange(num_quantiles + 1) * cumulative[-1] / num_quantiles
        entries = np.minimum(np.searchsorted(cumulative, ranks, side="right"), self.values.size - 1)
        values = self.values[entries]
        values[0], values[-1] = self.min, self.max
        return values, cumulative[entries]

    def quantile_histogram(self, num_buckets: int, *, per_bucket: int = 100) -> Histogram:
        """Return a histogram of buckets that hold equal weight, as TensorFlow Data Validation builds it.

        Buckets with the same upper bound share their weight equally; the weight of the minimum goes to the buckets
        that equal the first one.

        Args:
            num_buckets: How many buckets there are.
            per_bucket: How many quantiles are computed for each.
        """
        if self.values.size == 0:
            return Histogram((), (), ())
        every, ranks = self.quantiles(num_buckets * per_bucket)
        bounds = every[::per_bucket].astype(np.float64)
        cumulative = ranks[::per_bucket]
        low, high, counts = bounds[:-1], bounds[1:], np.diff(cumulative)
        _, group, sizes = np.unique(high, return_inverse=True, return_counts=True)
        counts = (np.bincount(group, weights=counts) / sizes)[group]
        leading = int(np.argmin(np.append((low == low[0]) & (high == high[0]), False)))
        counts[:leading] += cumulative[0] / leading
        return Histogram(tuple(low.tolist()), tuple(high.tolist()), tuple(counts.tolist()))

    def histogram(self, num_buckets: int) -> Histogram:
        """Return a histogram of equally wide buckets between the finite extremes.

        A bucket holds the values from its low bound, inclusive, to its high bound, exclusive, the last one both.
        Counts are counted, not interpolated: exact where the ranks are, else each within twice `error`. Infinities
        have buckets of their own; where all values are equal there is one bucket.
        """
        values = self.values.astype(np.float64)
        finite = np.isfinite(values)
        low_end = [(-math.inf, float(self.weights[values == -math.inf].sum()))]
        high_end = [(math.inf, float(self.weights[values == math.inf].sum()))]
        buckets = [(edge, edge, count) for edge, count in low_end if count]
        if finite.any():
            inner = values[finite]
            low = float(self.min) if math.isfinite(self.min) else float(inner[0])
            high = float(self.max) if math.isfinite(self.max) else float(inner[-1])
            edges = np.array([low]) if low == high else _edges(low, high, num_buckets)
            places = np.clip(np.searchsorted(edges, inner, side="right") - 1, 0, max(edges.size - 2, 0))
            counts = np.bincount(places, weights=self.weights[finite], minlength=max(edges.size - 1, 1))
            lows, highs = (edges, edges) if edges.size == 1 else (edges[:-1], edges[1:])
            buckets += zip(lows.tolist(), highs.tolist(), counts.tolist(), strict=True)
        buckets += [(edge, edge, count) for edge, count in high_end if count]
        lows_, highs_, counts_ = zip(*buckets, strict=True) if buckets else ((), (), ())
        return Histogram(lows_, highs_, counts_)


def _edges(low: float, high: float, num_buckets: int) -> Array:
    """Return equidistant edges, `[num_buckets + 1]`, without overflow at the ends of the float range."""
    if math.isfinite(high - low):
        return np.linspace(low, high, num_buckets + 1)
    shares = np.arange(num_buckets + 1) / num_buckets
    return low * (1.0 - shares) + high * shares
