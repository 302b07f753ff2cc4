import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mainstay.core import DTYPES as NAMES
from mainstay.core import RequestError
from mainstay.serving.inference_v2.tensor_data import DATATYPES, DTYPES, checked_shape, from_raw, to_raw


def test_every_dtype_has_a_name():
    assert set(DATATYPES) == set(NAMES)
    assert set(DTYPES) == set(DATATYPES.values())


@given(
    st.sampled_from([name for name in DATATYPES if name not in ("string", "bfloat16")]), hnp.array_shapes(), st.data()
)
def test_numbers_come_back_from_their_bytes(name, shape, data):
    array = data.draw(hnp.arrays(name, shape))
    again = from_raw(to_raw(array), DTYPES[DATATYPES[name]], shape, "x")
    assert again.dtype == array.dtype
    assert again.tobytes() == array.tobytes()


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=9))
def test_strings_come_back_from_their_bytes(values):
    array = np.empty(len(values), object)
    array[:] = values
    assert from_raw(to_raw(array), DTYPES["BYTES"], (len(values),), "x").tolist() == values


@given(st.binary(max_size=40), st.integers(0, 5))
def test_bytes_that_are_no_strings_are_refused(data, count):
    try:
        values = from_raw(data, DTYPES["BYTES"], (count,), "x").tolist()
    except RequestError:
        return
    assert sum(map(len, values)) + 4 * count == len(data)


@pytest.mark.parametrize("shape", [None, 5, "12", [1, None], [-1], [True], [1.0], [1] * 33, [2**40, 2**40]])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(RequestError):
        checked_shape(shape, "x")


def test_numbers_of_another_byte_order_are_turned():
    assert to_raw(np.array([1], ">i4")) == b"\x01\0\0\0"


def test_a_shape_that_numpy_cannot_hold_is_refused_even_without_values():
    with pytest.raises(RequestError):
        checked_shape([0, 2**62], "x")
