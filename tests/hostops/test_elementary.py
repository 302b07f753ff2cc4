"""log, log1p and exp: the same bits in every batch size, and right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.hostops import elementary

SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1e-310, 1.7976931348623157e308]
SPECIAL += [709.7827128933840, 709.79, -745.13, -745.2, -708.5, 2.0**53, 2.0**54 + 4, -1 + 2.0**-53, 2.0**-53, 0.5]
FUNCTIONS = {"log": np.log, "log1p": np.log1p, "exp": np.exp}


def values(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    wide = rng.normal(size=150) * 10.0 ** rng.uniform(-30, 30, 150)
    with np.errstate(over="ignore"):
        return np.concatenate([SPECIAL, wide, rng.normal(size=150) * 5]).astype(dtype)


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_batch_size_and_offset_gives_the_same_bits(name, dtype):
    function, x = getattr(elementary, name), values(dtype)
    whole = function(x)
    assert whole.dtype == dtype
    for size in range(1, 71):
        for offset in (0, 1, 2, 3, 5, 7, 20, 64, 130, 250):
            part = function(x[offset : offset + size])
            np.testing.assert_array_equal(part, whole[offset : offset + size])
            np.testing.assert_array_equal(np.signbit(part), np.signbit(whole[offset : offset + size]))
    strided = np.repeat(x, 3)[::3]
    np.testing.assert_array_equal(function(strided), whole)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_within_one_unit_in_the_last_place(name):
    x = values("float64")
    got, want = getattr(elementary, name)(x), FUNCTIONS[name](x)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    assert (np.abs(got[finite] - want[finite]) <= np.spacing(np.abs(want[finite]))).all()
    np.testing.assert_array_equal(np.signbit(got[finite]), np.signbit(want[finite]))


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_one_row_is_as_many_rows(name, x):
    function = getattr(elementary, name)
    with np.errstate(all="ignore"):
        one, many = function(np.array([x])), function(np.full(100, x))
    assert math.isnan(one[0]) == math.isnan(many[0])
    assert math.isnan(one[0]) or one.tobytes() == many[:1].tobytes()


def test_pinned_results_hold_on_every_machine():
    x = np.array([0.1, 1.9, 12345.678, 3e-9])
    assert elementary.log(x).tolist() == [
        -2.3025850929940455,
        0.6418538861723947,
        9.421061321291832,
        -19.624653548278303,
    ]
    assert elementary.log1p(x).tolist() == [0.09531017980432487, 1.0647107369924282, 9.42114231801815, 2.9999999955e-09]
    assert elementary.exp(x[:2]).tolist() == [1.1051709180756477, 6.6858944422792685]
    np.testing.assert_array_equal(elementary.log1p(np.tile(x, 30)), np.tile(elementary.log1p(x), 30))


def test_an_empty_column_stays_empty():
    assert elementary.log1p(np.zeros(0, np.float32)).dtype == np.float32
