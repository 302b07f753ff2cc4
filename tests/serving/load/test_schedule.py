import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError
from mainstay.serving import LoadStep


@given(st.floats(1, 2000), st.integers(0, 5))
def test_random_arrivals_are_ordered_and_as_many_as_the_rate_says(rate, seed):
    times = list(LoadStep(rate, 10.0, seed=seed).times())
    assert times == sorted(times)
    assert all(0 < time < 10 for time in times)
    assert abs(len(times) - rate * 10) < 6 * (rate * 10) ** 0.5 + 1
    assert times == list(LoadStep(rate, 10.0, seed=seed).times())


def test_even_arrivals_are_evenly_spaced():
    assert list(LoadStep(4, 1.0, arrivals="even").times()) == [0.25, 0.5, 0.75]


def test_without_a_rate_nothing_is_scheduled():
    assert list(LoadStep(None).times()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0}, {"rate": -1.0}, {"rate": float("nan")}, {"seconds": 0}, {"connections": 0}, {"arrivals": "odd"}],
)
def test_load_out_of_range_is_refused(wrong):
    with pytest.raises(ArgumentError):
        LoadStep(**{"rate": 10.0, **wrong})
