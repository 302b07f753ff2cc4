"""Histograms count what numpy counts, and have TFDV's form."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainstay.statistics import Quantiles

VALUES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=100).map(np.array)


def distribution_of(values):
    quantiles = Quantiles()
    quantiles.update(np.asarray(values, np.float64))
    return quantiles.result()


@given(VALUES, st.integers(1, 30))
def test_the_standard_histogram_is_numpys(values, num_buckets):
    histogram = distribution_of(values).histogram(num_buckets)
    if values.min() == values.max():
        assert (histogram.low, histogram.high, histogram.count) == ((values[0],), (values[0],), (len(values),))
        return
    edges = np.linspace(values.min(), values.max(), num_buckets + 1)
    counts = [
        int(((values >= low) & ((values < high) if i < num_buckets - 1 else (values <= high))).sum())
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    assert histogram.low == tuple(edges[:-1])
    assert histogram.high == tuple(edges[1:])
    assert histogram.count == tuple(counts)


@given(VALUES, st.integers(1, 12))
def test_the_quantile_histogram_holds_everything_between_the_extremes(values, num_buckets):
    histogram = distribution_of(values).quantile_histogram(num_buckets)
    assert len(histogram) == num_buckets
    assert math.isclose(sum(histogram.count), len(values))
    assert (histogram.low[0], histogram.high[-1]) == (values.min(), values.max())
    assert list(histogram.high[:-1]) == list(histogram.low[1:])


def test_the_quantile_histogram_shares_the_weight_of_equal_buckets():
    histogram = distribution_of([0.0] * 60 + list(range(1, 41))).quantile_histogram(10)
    assert histogram.high[:6] == (0.0,) * 5 + (1.0,)
    assert histogram.count[:5] == (12.0,) * 5
    assert sum(histogram.count) == 100


def test_infinities_have_buckets_of_their_own():
    histogram = distribution_of([-math.inf, 0.0, 1.0, 2.0, math.inf, math.inf]).histogram(2)
    assert histogram.low == (-math.inf, 0.0, 1.0, math.inf)
    assert histogram.high == (-math.inf, 1.0, 2.0, math.inf)
    assert histogram.count == (1, 1, 2, 2)


def test_only_infinities_have_a_histogram_too():
    assert distribution_of([math.inf]).histogram(10).count == (1,)
    assert len(distribution_of([]).histogram(10)) == 0
    assert len(distribution_of([]).quantile_histogram(10)) == 0


def test_the_whole_range_of_floats_has_finite_edges():
    largest = np.finfo(np.float64).max
    histogram = distribution_of([-largest, 0.0, largest]).histogram(4)
    assert np.isfinite(histogram.low + histogram.high).all()
    assert sum(histogram.count) == 3


def test_counts_of_a_compacted_histogram_are_within_twice_the_error():
    values = np.random.default_rng(0).normal(size=100_000)
    distribution = distribution_of(values)
    histogram = distribution.histogram(10)
    exact, _ = np.histogram(values, 10)
    assert np.abs(np.array(histogram.count) - exact).max() <= 2 * distribution.error
