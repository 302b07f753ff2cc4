"""Quantiles are exact while few values are distinct and within the stated error after."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, FormatError
from mainstay.statistics import Quantiles

SMALL = st.lists(st.floats(allow_nan=False, width=32), max_size=80).map(lambda values: np.array(values, np.float64))
NUM_ROWS = 150_000


def quantiles_of(values, dtype="float64", block=65536):
    quantiles = Quantiles(dtype)
    for start in range(0, len(values), block):
        quantiles.update(values[start : start + block])
    return quantiles


def by_the_rule(values, num_quantiles):
    """TFDV's rule on exact data: the first value whose cumulative count exceeds the rank."""
    ordered = np.sort(values) + 0.0
    ranks = np.arange(num_quantiles + 1) * len(ordered) / num_quantiles
    return ordered[np.minimum(np.floor(ranks).astype(int), len(ordered) - 1)]


def largest_rank_error(distribution, values):
    """The largest difference between estimated and exact ranks, at the values and just below them."""
    ordered = np.sort(values)
    cumulative = np.concatenate([[0.0], np.cumsum(distribution.weights)])
    error = 0.0
    for side in ("left", "right"):
        for points in (distribution.values, ordered[:: max(1, len(ordered) // 5000)]):
            exact = np.searchsorted(ordered, points, side=side)
            estimated = cumulative[np.searchsorted(distribution.values, points, side=side)]
            error = max(error, float(np.abs(exact - estimated).max()))
    return error


def shapes():
    generator = np.random.default_rng(7)
    n = NUM_ROWS
    return {
        "normal": generator.normal(size=n),
        "lognormal": generator.lognormal(0, 2, n),
        "heavy tails": generator.standard_cauchy(n),
        "half zeros": np.where(generator.random(n) < 0.5, 0.0, generator.normal(size=n)),
        "sorted": np.sort(generator.normal(size=n)),
        "one outlier": np.append(generator.random(n - 1), 1e300),
        "both ends of the range": np.append(generator.normal(size=n - 2), [1.7e308, -1.7e308]),
        "subnormal": generator.random(n) * 1e-310,
        "clusters": generator.integers(0, 4, n) * 1e9 + generator.normal(size=n) * 1e-3,
        "with infinities": np.where(generator.random(n) < 0.01, np.inf, generator.normal(size=n)),
        "timestamps": generator.integers(1_400_000_000_000_000, 1_500_000_000_000_000, n),
        "wide integers": generator.integers(-(2**63), 2**63 - 1, n),
        "close large integers": 2**62 + generator.integers(0, 10**6, n),
    }


@pytest.fixture(scope="module", params=list(shapes()))
def column(request):
    return shapes()[request.param]


@given(SMALL.filter(len), st.integers(1, 40))
def test_few_values_give_exactly_the_quantiles_of_the_rule(values, num_quantiles):
    quantiles = quantiles_of(values)
    np.testing.assert_array_equal(quantiles.quantiles(num_quantiles), by_the_rule(values, num_quantiles))
    assert quantiles.is_exact
    assert quantiles.error_bound == 0.0
    assert quantiles.distinct == len(set(values.tolist()))


@given(SMALL, SMALL)
def test_merging_exact_parts_is_the_single_pass(left, right):
    parts = quantiles_of(left)
    parts.merge(quantiles_of(right))
    assert parts.to_bytes() == quantiles_of(np.concatenate([left, right])).to_bytes()


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=40))
def test_integer_weights_are_repetitions(pairs):
    values, weights = np.array(pairs).T
    weighted, repeated = Quantiles("int64"), Quantiles("int64")
    weighted.update(values, weights.astype(np.float64))
    repeated.update(np.repeat(values, weights))
    assert weighted.to_bytes() == repeated.to_bytes()


@given(SMALL, SMALL)
def test_bytes_bring_exact_states_back(left, right):
    quantiles = quantiles_of(left)
    again = Quantiles.from_bytes(quantiles.to_bytes())
    for each in (quantiles, again):
        each.update(right)
    assert again.to_bytes() == quantiles.to_bytes()


def test_ranks_of_many_values_are_within_the_stated_error(column):
    quantiles = quantiles_of(column, column.dtype.name)
    distribution = quantiles.result()
    assert not quantiles.is_exact
    assert 0 < quantiles.error_bound < 0.001
    assert distribution.error_bound == pytest.approx(quantiles.error_bound)
    assert distribution.total == pytest.approx(len(column))
    assert largest_rank_error(distribution, column) <= distribution.error * (1 + 1e-9)
    ends = quantiles.quantiles(10)[[0, -1]]
    assert ends.tolist() == [column.min(), column.max()]


def test_merges_of_compacted_summaries_stay_within_the_stated_error(column):
    tree = [quantiles_of(part, column.dtype.name) for part in np.array_split(column, 10)]
    while len(tree) > 1:
        for left, right in zip(tree[::2], tree[1::2], strict=False):
            left.merge(right)
        tree = tree[::2]
    distribution = tree[0].result()
    assert distribution.error_bound < 0.003
    assert largest_rank_error(distribution, column) <= distribution.error * (1 + 1e-9)


def test_merging_is_associative_within_the_stated_error():
    generator = np.random.default_rng(1)
    parts = [generator.gamma(2, size=30_000) for _ in range(3)]
    left = quantiles_of(parts[0])
    left.merge(quantiles_of(parts[1]))
    left.merge(quantiles_of(parts[2]))
    tail = quantiles_of(parts[1])
    tail.merge(quantiles_of(parts[2]))
    right = quantiles_of(parts[0])
    right.merge(tail)
    whole = np.concatenate(parts)
    for quantiles in (left, right):
        assert largest_rank_error(quantiles.result(), whole) <= quantiles.result().error * (1 + 1e-9)


def test_many_levels_keep_the_error_and_the_memory_small():
    generator = np.random.default_rng(2)
    values = generator.normal(size=100 * 9000)
    quantiles = quantiles_of(values, block=9000)
    assert quantiles.error_bound < 0.002
    assert largest_rank_error(quantiles.result(), values) <= quantiles.result().error
    assert len(quantiles.to_bytes()) < 2_000_000


def test_the_same_calls_give_the_same_bytes_and_bytes_bring_them_back(column):
    quantiles = quantiles_of(column, column.dtype.name)
    data = quantiles.to_bytes()
    assert data == quantiles_of(column, column.dtype.name).to_bytes()
    again = Quantiles.from_bytes(data)
    again.update(column[:1000])
    quantiles.update(column[:1000])
    assert again.to_bytes() == quantiles.to_bytes()


def test_reading_changes_nothing():
    values = np.random.default_rng(3).normal(size=70_000)
    asked, silent = quantiles_of(values), quantiles_of(values)
    asked.quantiles(100)
    asked.to_bytes()
    copy = asked.copy()
    copy.update(values)
    asked.update(values)
    silent.update(values)
    assert asked.to_bytes() == silent.to_bytes() == copy.to_bytes()


def test_the_number_of_distinct_values_is_estimated_within_some_percent():
    values = np.random.default_rng(4).permutation(200_000).astype(np.float64)
    quantiles = quantiles_of(np.concatenate([values, values]))
    assert quantiles.distinct == pytest.approx(200_000, rel=0.06)


def test_nan_is_left_out_and_negative_zero_is_zero():
    quantiles = quantiles_of(np.array([np.nan, -0.0, 0.0, 1.0]))
    assert quantiles.distinct == 2
    assert quantiles.result().total == 3
    assert quantiles_of(np.array([-0.0])).to_bytes() == quantiles_of(np.array([0.0])).to_bytes()


def test_integers_beyond_the_floats_are_kept():
    values = 2**53 + np.arange(9)
    np.testing.assert_array_equal(quantiles_of(values, "int64").quantiles(8), values)


def test_nothing_has_no_quantiles():
    quantiles = Quantiles()
    assert quantiles.quantiles(10).size == 0
    assert quantiles.error_bound == 0.0
    assert Quantiles.from_bytes(quantiles.to_bytes()).distinct == 0


@pytest.mark.parametrize(
    ("values", "weights"),
    [([1.0], [-1.0]), ([1.0], [np.nan]), ([1.0, 2.0], [1.0])],
)
def test_bad_weights_are_refused(values, weights):
    with pytest.raises(ArgumentError, match="weights"):
        Quantiles().update(np.array(values), np.array(weights))


def test_wrong_dtypes_are_refused():
    with pytest.raises(ArgumentError):
        Quantiles("float32")
    with pytest.raises(ArgumentError, match="take no floats"):
        Quantiles("int64").update(np.array([1.5]))
    with pytest.raises(ArgumentError, match="two dtypes"):
        Quantiles("int64").merge(Quantiles())
    with pytest.raises(ArgumentError):
        Quantiles().quantiles(0)


def test_edited_bytes_are_refused_or_read_without_another_error():
    data = quantiles_of(np.arange(50.0)).to_bytes()
    generator = np.random.default_rng(5)
    for _ in range(300):
        place, value = int(generator.integers(len(data))), int(generator.integers(256))
        damaged = data[:place] + bytes([value]) + data[place + 1 :]
        with contextlib.suppress(FormatError):
            Quantiles.from_bytes(damaged).quantiles(10)
