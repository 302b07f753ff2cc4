"""Moments agree with exact computations, whatever the parts."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay.core import ArgumentError, FormatError
from mainstay.statistics import Moments

FLOATS = arrays.arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 1e6))
ANY_FLOATS = arrays.arrays(np.float64, st.integers(0, 60), elements=st.floats(width=64))


def moments_of(*parts):
    moments = Moments()
    for part in parts:
        moments.update(np.asarray(part))
    return moments


def merged(*parts):
    whole = Moments()
    for part in parts:
        whole.merge(moments_of(part))
    return whole


@given(FLOATS, FLOATS)
def test_mean_and_variance_are_those_of_exact_fractions(left, right):
    result = merged(left, right).result()
    values = [Fraction(float(value)) for value in np.concatenate([left, right])]
    assert result.count == len(values)
    if not values:
        assert math.isnan(result.mean)
        assert math.isnan(result.variance)
        return
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    scale = max(abs(float(value)) for value in values)
    assert result.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-12 * scale)
    assert result.variance == pytest.approx(float(variance), rel=1e-9, abs=1e-12 * scale**2)


@given(ANY_FLOATS, ANY_FLOATS)
def test_counts_and_extremes_are_exact_with_nan_infinities_and_zeros(left, right):
    values = np.concatenate([left, right])
    result = merged(left, right).result()
    known = values[~np.isnan(values)]
    assert result.nan == np.isnan(values).sum()
    assert result.positive_infinities == (values == math.inf).sum()
    assert result.negative_infinities == (values == -math.inf).sum()
    assert result.zeros == (values == 0).sum()
    assert result.num_values == values.size
    assert (result.min, result.max) == ((known.min(), known.max()) if known.size else (None, None))
    assert result.count == 0 or math.isfinite(result.mean)


@given(FLOATS, FLOATS, FLOATS)
def test_merging_is_associative_to_rounding(first, second, third):
    left, right = merged(first, second), merged(second, third)
    left.merge(moments_of(third))
    whole = moments_of(first)
    whole.merge(right)
    one, other = left.result(), whole.result()
    assert (one.count, one.zeros, one.min, one.max) == (other.count, other.zeros, other.min, other.max)
    scale = max((abs(value) for part in (first, second, third) for value in part), default=0.0)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-9, atol=1e-9 * scale**2)


@given(ANY_FLOATS)
def test_bytes_bring_the_same_state_back(values):
    moments = moments_of(values)
    data = moments.to_bytes()
    again = Moments.from_bytes(data)
    assert again.to_bytes() == data
    assert repr(again.result()) == repr(moments.result())


def test_a_large_mean_costs_no_precision():
    values = 1e9 + np.arange(1000.0)
    assert merged(*np.split(values, 10)).result().variance == pytest.approx(np.var(np.arange(1000.0)), rel=1e-9)


def test_values_near_the_largest_float_overflow_no_mean():
    largest = np.finfo(np.float64).max
    result = moments_of([largest, largest, largest]).result()
    assert result.mean == pytest.approx(largest)
    apart = merged([largest], [-largest]).result()
    assert apart.mean == 0.0
    assert apart.variance == math.inf


def test_integers_keep_their_exact_extremes():
    low, high = -(2**63), 2**62 + 1
    result = moments_of([low, high, 0]).result()
    assert (result.min, result.max, result.zeros) == (low, high, 1)
    assert Moments.from_bytes(moments_of([low, high]).to_bytes()).result().max == high


def test_booleans_count_as_zero_and_one():
    result = moments_of(np.array([True, False, True, True])).result()
    assert (result.mean, result.zeros, result.max) == (0.75, 1, 1)


def test_text_is_refused():
    with pytest.raises(ArgumentError, match="numbers"):
        moments_of(np.array(["a"]))


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data + b"x"])
def test_damaged_bytes_are_refused(damage):
    with pytest.raises(FormatError):
        Moments.from_bytes(damage(moments_of([1.0]).to_bytes()))


def test_bytes_of_another_accumulator_are_refused():
    from mainstay.statistics import DistinctCount

    with pytest.raises(FormatError, match="another kind"):
        Moments.from_bytes(DistinctCount().to_bytes())
