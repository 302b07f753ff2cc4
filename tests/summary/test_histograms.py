"""Histograms: TensorFlow's buckets, edge cases first."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay import summary
from mainstay.core import ArgumentError
from mainstay.summary.histograms import bucketed


def test_values_fall_into_buckets_of_equal_width() -> None:
    found = bucketed(np.array([0.0, 1.0, 1.0, 2.0, 3.9, 4.0]), 4)
    np.testing.assert_array_equal(found, [[0, 1, 1], [1, 2, 2], [2, 3, 1], [3, 4, 2]])


def test_nothing_gives_empty_buckets() -> None:
    np.testing.assert_array_equal(bucketed(np.zeros((0, 5)), 3), np.zeros((3, 3)))
    np.testing.assert_array_equal(bucketed(np.array([np.nan, np.inf]), 3), np.zeros((3, 3)))


@pytest.mark.parametrize("value", [0.0, -2.5, 1e300, 5e-324])
def test_one_value_lies_in_the_last_bucket(value: float) -> None:
    expected = [[value, value, 0], [value, value, 0], [value, value, 6]]
    np.testing.assert_array_equal(bucketed(np.full((2, 3), value), 3), expected)


def test_nan_and_infinity_are_left_out() -> None:
    found = bucketed(np.array([np.nan, 0.0, 1.0, -np.inf, np.inf]), 2)
    np.testing.assert_array_equal(found, [[0, 0.5, 1], [0.5, 1, 1]])


@pytest.mark.parametrize("values", [[-1.7e308, 0.0, 1.7e308], [0.0, 5e-324], [0.0, 1e-310, 3e-309]])
def test_ranges_at_the_ends_of_float64_are_counted(values: list[float]) -> None:
    found = bucketed(np.array(values), 30)
    assert np.isfinite(found).all()
    assert found[:, 2].sum() == len(values)
    assert (found[0, 0], found[-1, 1]) == (min(values), max(values))


@given(
    arrays.arrays(np.float64, arrays.array_shapes(max_dims=2, max_side=30), elements=st.floats(-1e6, 1e6)),
    st.integers(1, 40),
)
def test_buckets_hold_every_value_between_their_edges(values: np.ndarray, count: int) -> None:
    found = bucketed(values, count)
    left, right, counts = found.T
    assert found.shape == (count, 3)
    assert counts.sum() == values.size
    assert (left[0], right[-1]) == (values.min(), values.max())
    assert (left <= right).all()
    np.testing.assert_array_equal(left[1:], right[:-1])
    slack = 1e-9 * max(1.0, float(np.ptp(values)))
    for edge, before in zip(left[1:], np.cumsum(counts)[:-1], strict=True):
        assert (values < edge - slack).sum() <= before <= (values < edge + slack).sum() or np.ptp(values) == 0


def test_a_histogram_is_recorded_as_float64_rows(tmp_path: Path, read_values) -> None:
    import jax.numpy as jnp

    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=2):
        assert summary.histogram("weights", jnp.arange(8, dtype="bfloat16").reshape(2, 4), buckets=2)
        assert summary.histogram("default", np.arange(10))
    writer.close()
    first, second = read_values(tmp_path)
    assert first[:3] == ("weights", 2, "histograms")
    np.testing.assert_array_equal(first[3], [[0, 3.5, 4], [3.5, 7, 4]])
    assert second[3].shape == (30, 3)


def test_the_data_may_change_after_the_call(tmp_path: Path, read_values) -> None:
    data = np.array([0.0, 1.0])
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=0):
        summary.histogram("a", data, buckets=1)
        data[:] = 100
    writer.close()
    np.testing.assert_array_equal(read_values(tmp_path)[0][3], [[0, 1, 2]])


@pytest.mark.parametrize(
    "arguments", [{"data": "abc"}, {"data": [1j]}, {"data": [1], "buckets": 0}, {"data": [1], "buckets": 1.5}]
)
def test_wrong_data_and_buckets_are_refused(tmp_path: Path, arguments: dict) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=0), pytest.raises(ArgumentError, match=r"^h: "):
        summary.histogram("h", **arguments)
    writer.close()
