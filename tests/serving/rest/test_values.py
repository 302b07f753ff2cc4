import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.values import read_dense, read_value


def plan(dtype, *inner, optional=False):
    return InputPlan("x", dtype, optional, inner)


def place(row):
    return f"$[{row}]"


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float64", 1.5),
        ("float64", 3),
        ("float64", 2**60),
        ("float64", math.inf),
        ("float32", 16777216),
        ("float32", 3.4e38),
        ("float16", 65504),
        ("int64", 2**63 - 1),
        ("int64", -(2**63)),
        ("uint64", 2**64 - 1),
        ("int8", -128),
        ("bool", True),
        ("string", "Zürich"),
        ("string", ""),
    ],
)
def test_a_value_of_the_right_type_is_taken_as_it_is(dtype, value):
    assert read_value(value, plan(dtype), "$") == value


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("float64", "1.5", 'JSON Value: "1.5" Type: String is not of expected type: double'),
        ("float64", True, "JSON Value: true Type: True is not of expected type: double"),
        ("float64", [1.0], "Type: Array"),
        ("float64", {"b64": "AA=="}, "Type: Object"),
        ("float64", None, "Type: Null"),
        ("float64", 2**53 + 1, "Cannot convert JSON value: 9007199254740993 to double without loss of precision."),
        ("float64", 10**400, "without loss of precision"),
        ("float32", 16777217, "to float without loss"),
        ("float32", 3.5e38, "without loss"),
        ("float16", 65520.0, "to half without loss"),
        ("int64", 2.5, "Type: Number is not of expected type: int64"),
        ("int64", 2.0, "write whole numbers without a decimal point"),
        ("int64", True, "Type: True"),
        ("int64", 2**63, "out of range"),
        ("int8", 128, "int8, -128 to 127"),
        ("uint8", -1, "uint8, 0 to 255"),
        ("bool", 1, "is not of expected type: bool"),
        ("bool", "true", "is not of expected type: bool"),
        ("string", 5, "is not of expected type: string"),
        ("string", {"b65": "x"}, "not formatted correctly for base64 data"),
        ("string", {"b64": "x", "y": 1}, "not formatted correctly for base64 data"),
        ("string", {"b64": "ä"}, "Unable to base64 decode"),
        ("string", {"b64": "A"}, "Unable to base64 decode"),
    ],
)
def test_any_other_value_is_refused_with_its_path(dtype, value, message):
    with pytest.raises(RequestError) as caught:
        read_value(value, plan(dtype), "$.instances[3].fare")
    assert message in str(caught.value)
    assert caught.value.where == "$.instances[3].fare"


def test_a_missing_value_is_taken_only_where_it_may_be():
    assert read_value(None, plan("int64", optional=True), "$") is None
    with pytest.raises(RequestError, match="this input is required"):
        read_value(None, plan("int64"), "$")


@pytest.mark.parametrize(
    ("text", "value"), [("aGk=", b"hi"), ("aGk", b"hi"), ("a G\nk=", b"hi"), ("/w==", b"\xff"), ("", b"")]
)
def test_base64_becomes_bytes_padded_or_not(text, value):
    assert read_value({"b64": text}, plan("string"), "$") == value


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "float16", "uint8"])
def test_nested_lists_become_an_array(dtype):
    array = read_dense([[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [11, 12]]], plan(dtype, 2, None), place)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.arange(1, 13).reshape(3, 2, 2))


def test_nested_strings_and_booleans_become_arrays():
    words = read_dense([["a", {"b64": "YmI="}]], plan("string", 2), place)
    assert words.tolist() == [["a", b"bb"]]
    assert words.dtype == object
    flags = read_dense([[True, False]], plan("bool", 2), place)
    assert flags.dtype == bool
    assert flags.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("values", "message", "where"),
    [
        ([[1, 2], [3]], "Expecting tensor size: 2 but got: 1", "$[1]"),
        ([[1, 2, 3]], "Expecting shape [2] but got: [3]", "$[0]"),
        ([1, 2], "Expecting shape [2] but got: []", "$[0]"),
        ([[[1], [2]]], "Expecting shape [2] but got: [2,1]", "$[0]"),
        ([[1, [2]]], "Encountered list at unexpected level: 1 expected < 1", "$[0][1]"),
        ([[1, "2"]], "Type: String", "$[0][1]"),
        ([[1, 2], [1.5, True]], "Type: True", "$[1][1]"),
        ([[1, None]], "Type: Null", "$[0][1]"),
        ([[1.5, 2**53 + 1]], "without loss", "$[0][1]"),
        ([None], "Expecting shape", "$[0]"),
    ],
)
def test_a_fault_in_a_nested_list_is_found(values, message, where):
    with pytest.raises(RequestError) as caught:
        read_dense(values, plan("float64", 2), place)
    assert message in str(caught.value)
    assert caught.value.where == where


def test_deeper_raggedness_is_found():
    with pytest.raises(RequestError, match="unexpected size: 1 at level: 1 expected size: 2"):
        read_dense([[[1, 2], [3]]], plan("float64", 2, None), place)
    with pytest.raises(RequestError, match="found at incorrect level: 2"):
        read_dense([[[1, 2], 3]], plan("float64", 2, 2), place)


def test_lists_nested_without_end_are_refused():
    value = 1.0
    for _ in range(500):
        value = [value]
    with pytest.raises(RequestError):
        read_dense([value], plan("float64", 2), place)


def test_numbers_that_are_none_are_kept_in_arrays():
    array = read_dense([[math.nan, math.inf]], plan("float32", 2), place)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[math.nan, math.inf]])


def test_rows_without_a_value_are_filled_where_that_is_allowed():
    array = read_dense([None, [1, 2], None], plan("int64", 2, optional=True), place)
    assert array.tolist() == [[0, 0], [1, 2], [0, 0]]


NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64), st.floats(width=64), st.booleans(), st.none(), st.text(max_size=2), st.just([1.0])
)


@given(
    st.lists(st.lists(NUMBERS, min_size=1, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["float32", "float64", "int32", "int64", "uint64", "bool", "string"]),
)
def test_arrays_and_single_values_are_read_by_the_same_rules(rows, dtype):
    """The quick conversion of whole arrays accepts exactly what the value by value reading accepts."""
    width = len(rows[0])
    try:
        expected = [[read_value(value, plan(dtype), "$") for value in row] for row in rows]
        good = all(len(row) == width for row in rows)
    except RequestError:
        good = False
    if not good:
        with pytest.raises(RequestError):
            read_dense(rows, plan(dtype, width), place)
        return
    array = read_dense(rows, plan(dtype, width), place)
    np.testing.assert_array_equal(array, np.array(expected, object if dtype == "string" else dtype))
