"""Two answers are compared number by number and text by text."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay.serving.traffic.comparison import compare
from mainstay.serving.traffic.config import Tolerance

EXACT = Tolerance(0.0, 0.0)


def one(answer, other, tolerance=EXACT):
    return compare({"y": np.asarray(answer)}, {"y": np.asarray(other)}, tolerance)["y"]


def test_differences_are_counted_by_row_and_measured():
    found = one([[1.0, 2.0], [4.0, 3.0], [0.0, 0.0]], [[1.0, 2.0], [4.0, 5.0], [0.0, 0.25]])
    assert (found.rows, found.differing, found.worst) == (3, 2, 1)
    assert found.largest_absolute == 2.0
    assert found.largest_relative == pytest.approx(2 / 3)
    assert found.other_argmax == 2


def test_within_the_tolerance_is_equal_but_still_measured():
    found = one([100.0], [100.5], Tolerance(0.25, 0.0025))
    assert (found.differing, found.worst, found.largest_absolute) == (0, None, 0.5)
    assert one([100.0], [100.6], Tolerance(0.25, 0.0025)).differing == 1


def test_nan_and_infinities_equal_their_like_only():
    values = [np.nan, np.inf, -np.inf, 1.0]
    assert one(values, values).differing == 0
    found = one(values, [1.0, -np.inf, -np.inf, np.nan])
    assert (found.differing, found.largest_absolute) == (3, 0.0)


def test_texts_and_bytes_are_compared_as_bytes():
    answer = np.array(["a", b"b", "ü"], object)
    assert one(answer, np.array([b"a", "b", "ü".encode()], object)).differing == 0
    assert one(answer, np.array(["a", "c", "ü"], object)).worst == 1


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "int8", "uint64", "bool", "complex64"])
def test_every_kind_of_number_is_compared(dtype):
    found = one(np.array([0, 1], dtype), np.array([0, 0], dtype))
    assert (found.differing, found.worst, found.largest_absolute) == (1, 1, 1.0)


def test_what_cannot_be_compared_says_why():
    found = compare(
        {"shape": np.zeros((2, 3)), "kind": np.zeros(2), "gone": np.zeros(2)},
        {"shape": np.zeros((2, 4)), "kind": np.array(["a", "b"], object), "new": np.zeros(2)},
        EXACT,
    )
    assert {name: item.reason for name, item in found.items()} == {
        "shape": "shape [2, 4] instead of [2, 3]",
        "kind": "object instead of float64",
        "gone": "the other version does not have this output",
        "new": "the answer does not have this output",
    }
    assert all(item.differing == 2 for item in found.values())


def test_outputs_without_rows_or_values_are_compared():
    assert one(1.0, 2.0).differing == 1
    assert one(np.zeros((0, 3)), np.zeros((0, 3))).differing == 0
    assert one(np.zeros((2, 0)), np.zeros((2, 0))).rows == 2


numbers = arrays.arrays(
    np.float32, arrays.array_shapes(max_dims=3, max_side=4), elements=st.floats(width=32, allow_subnormal=False)
)


@settings(max_examples=25)
@given(numbers, st.data())
def test_an_answer_equals_itself_and_a_changed_row_is_found(answer, data):
    assert one(answer, answer.copy()).differing == 0
    row = data.draw(st.integers(0, len(answer) - 1))
    other = answer.copy()
    other[row] = np.where(answer[row] == 1, 2, 1)
    found = one(answer, other)
    assert (found.differing, found.worst) == (1, row)
