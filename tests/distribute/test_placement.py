"""Layouts on one device; those on several are in `several_devices/check_layout.py`."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental.sparse import BCOO

from mainstay.core import DataError
from mainstay.distribute.placement import BatchParallel, check_rows, prime_factors


@given(st.integers(1, 5000))
def test_the_product_of_the_prime_factors_is_the_number(number: int) -> None:
    factors = prime_factors(number)
    assert np.prod(factors, dtype=int) == number
    assert factors == sorted(factors)
    assert all(factor % smaller for factor in factors for smaller in range(2, factor))


def test_the_rows_of_a_batch_are_those_that_all_arrays_share() -> None:
    assert check_rows({"a": np.zeros((3, 2)), "b": [np.zeros(3), None]}) == 3
    assert check_rows(BCOO.fromdense(np.eye(4))) == 4
    with pytest.raises(DataError, match=r"batch: the arrays of a batch differ(.|\n)*\$\['a'\] \[3\], \$\['b'\] \[4\]"):
        check_rows({"a": np.zeros(3), "b": np.zeros(4)})


def test_only_arrays_of_other_devices_are_brought() -> None:
    placement = BatchParallel(jax.devices()[:1])
    here, there = jax.numpy.ones(2), np.ones(2)
    brought = placement.bring({"a": here, "b": there, "c": "text"})
    assert brought["a"] is here
    assert brought["b"] is there
    assert brought["c"] == "text"
