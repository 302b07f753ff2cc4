import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mainstay.core import native_library, without_native
from mainstay.serving.rest.float_text import float_text, floats_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (3.0, "3.0"),
        (2.5, "2.5"),
        (0.2, "0.2"),
        # Of TF Serving's own tests.
        (9000000, "9e+06"),
        (999999, "999999.0"),
        (0.5, "0.5"),
        (0.0003, "0.0003"),
        (0.00003, "3e-05"),
        (555557.5, "555557.5"),
        # What it has been seen to answer.
        (5.59353495, "5.59353495"),
        (1 / 3, "0.333333343"),
        (1e20, "1e+20"),
        (1e-7, "1e-07"),
        (123456.7, "123456.703"),
        (1234567.0, "1234567.0"),
        (16777216.0, "16777216.0"),
        (123456789012.0, "1.23456791e+11"),
        (3.4028235e38, "3.40282347e+38"),
        (1.1754944e-38, "1.17549435e-38"),
        (1e-45, "1.4013e-45"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_a_float_is_written_as_tf_serving_writes_it(value, text):
    array = np.array([value], np.float32)
    assert floats_text(array).decode() == f"[{text}]"
    assert float_text(float(array[0]), 4) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1 / 3, "0.33333333333333331"), (1e300, "1e+300"), (5e-324, "4.94066e-324"), (7.0, "7.0")],
)
def test_a_double_has_seventeen_digits_where_six_are_not_enough(value, text):
    assert floats_text(np.array([value])).decode() == f"[{text}]"
    assert float_text(value, 8) == text


FLOATS = st.one_of(
    st.floats(width=32),
    st.integers(0, 2**32 - 1).map(lambda bits: float(np.uint32(bits).view(np.float32))),
    st.builds(
        lambda digits, power: float(np.float32(digits * 10.0**power)), st.integers(1, 10**6), st.integers(-44, 32)
    ),
)


@pytest.mark.skipif(native_library() is None, reason="the C library is not built")
@given(
    st.one_of(
        hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4), elements=FLOATS),
        hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)),
    )
)
def test_c_and_python_write_the_same(array):
    text = floats_text(array)
    with without_native():
        assert floats_text(array) == text


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=FLOATS))
def test_what_is_written_reads_back_as_the_same_floats(array):
    np.testing.assert_array_equal(np.array(json.loads(floats_text(array)), np.float32), array)


def test_views_are_written_in_their_own_order():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert floats_text(array.T[::2]) == b"[[0.0,4.0,8.0],[2.0,6.0,10.0]]"
