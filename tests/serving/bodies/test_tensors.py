import numpy as np
import pytest

from mainstay.core import RequestError, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving.bodies.tensors import as_dtype
from mainstay.serving.plans import InputPlan


def plan(dtype, *inner, optional=False):
    return InputPlan.of(HostInput(TensorSpec([None, *inner], dtype, "x"), optional))


@pytest.mark.parametrize(
    ("values", "have", "want"),
    [
        ([1, 2], "int64", "float32"),
        ([2**24, -(2**24)], "int32", "float32"),
        ([2**60], "int64", "float64"),
        ([0.1, 2.5], "float64", "float32"),
        ([0.5], "float16", "float64"),
        ([1.5], "bfloat16", "float32"),
        ([np.nan, np.inf, -np.inf], "float64", "float16"),
        ([0, 255], "int64", "uint8"),
        ([True], "bool", "bool"),
        ([], "float64", "float32"),
    ],
)
def test_numbers_that_the_dtype_holds_are_taken(values, have, want):
    array = as_dtype(np.array(values, have), plan(want), "$.x")
    assert array.dtype == want
    assert np.array_equal(array, np.array(values, want), equal_nan=have != "bool")


@pytest.mark.parametrize(
    ("values", "have", "want"),
    [
        ([2**24 + 1], "int64", "float32"),
        ([2**63], "uint64", "float16"),
        ([-(2**53) - 1], "int64", "float64"),
        ([1e39], "float64", "float32"),
        ([65536.0], "float32", "float16"),
        ([256], "int64", "uint8"),
        ([-1], "int8", "uint64"),
        ([1.0], "float32", "int32"),
        ([True], "bool", "float32"),
        ([1], "int8", "bool"),
        (["1"], "object", "float32"),
        ([1], "int8", "string"),
    ],
)
def test_numbers_that_would_change_and_other_kinds_are_refused(values, have, want):
    with pytest.raises(RequestError, match=r"\$\.x"):
        as_dtype(np.array(values, have), plan(want), "$.x")


def test_what_fits_is_not_copied():
    array = np.arange(4, dtype=np.float32)
    assert as_dtype(array, plan("float32"), "$.x") is array
