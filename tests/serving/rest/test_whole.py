import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay.core import RequestError
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.whole import read_tensor, whole_columns, whole_rows

DTYPES = ["float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"]
X = InputPlan("x", "float32", False, (2,), free=True)
N = InputPlan("n", "int64", False, (), free=True)


@given(st.data(), st.sampled_from(DTYPES))
def test_any_array_of_any_dtype_comes_back_from_its_json(data, dtype):
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3))
    elements = st.floats(width=int(dtype[5:])) if "float" in dtype else None
    array = data.draw(arrays.arrays(dtype, shape, elements=elements))
    plan = InputPlan("x", dtype, False, (), free=True)
    found = read_tensor(array.tolist(), plan, "$")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    if shape:
        (rows,) = whole_rows(array.tolist(), [plan], batched=True).parts
        np.testing.assert_array_equal(rows, array)
        (rows,) = whole_rows([{"x": row} for row in array.tolist()], [plan], batched=True).parts
        np.testing.assert_array_equal(rows, array)
    (column,) = whole_columns({"x": array.tolist()}, [plan], batched=True).parts
    np.testing.assert_array_equal(column, array)


@given(st.data(), st.sampled_from(DTYPES))
def test_ragged_lists_are_always_refused(data, dtype):
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=4, min_side=2, max_side=3))
    values = np.ones(shape, dtype).tolist()
    lists = values
    for _ in range(data.draw(st.integers(0, len(shape) - 2))):
        lists = lists[data.draw(st.integers(0, len(lists) - 1))]
    index = data.draw(st.integers(0, len(lists) - 1))
    longer = data.draw(st.booleans())
    lists[index] = [*lists[index], lists[index][0]] if longer else lists[index][:-1]
    plan = InputPlan("x", dtype, False, (), free=True)
    with pytest.raises(RequestError):
        whole_rows(values, [plan], batched=True)
    with pytest.raises(RequestError):
        whole_rows([{"x": row} for row in values], [plan], batched=True)
    with pytest.raises(RequestError):
        read_tensor(values, plan, "$")


def test_rows_of_the_stated_shape_may_share_a_batch_and_others_run_alone():
    stated = whole_rows([[1, 2], [3, 4]], [X], batched=True)
    assert (stated.rows, stated.whole, stated.parts[0].dtype) == (2, False, np.float32)
    other = whole_rows([1.5, 2.0, 3.0], [X], batched=True)
    assert (other.rows, other.whole, other.parts[0].tolist()) == (3, True, [1.5, 2.0, 3.0])
    assert whole_rows([[1, 2]], [X], batched=False).whole


def test_columns_may_have_any_shapes():
    chunk = whole_columns({"x": [[1, 2]], "n": 5, "more": "ignored"}, [X, N], batched=True)
    assert chunk.whole
    assert [part.tolist() for part in chunk.parts] == [[[1.0, 2.0]], 5]
    assert whole_columns([], [X], batched=True).parts[0].shape == (0,)
    assert not whole_columns({"x": [[1, 2]], "n": [5]}, [X, N], batched=True).whole


@pytest.mark.parametrize(
    ("instances", "message", "where"),
    [
        ([1.0], "instances is a plain list, but expecting list of objects", "$.instances[0]"),
        ([{"x": 1, "n": 1}, 2], "Expecting object but got list at item 1 of input list", "$.instances[1]"),
        (
            [{"x": 1, "n": 1}, {"x": [1], "n": 1}],
            "Failed to process element: 1 key: x of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting shape [] but got: [1]",
            "$.instances[1]",
        ),
        (
            [{"x": [1, 2], "n": 1}, {"x": [1], "n": 1}],
            "Failed to process element: 1 key: x of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting tensor size: 2 but got: 1",
            "$.instances[1]",
        ),
        (
            [{"x": 1}],
            "Failed to process element: 0 of 'instances' list. JSON object: {\"x\":1} keys must be equal to: n,x",
            "$.instances[0].n",
        ),
        (
            [{"x": 1, "y": 1}],
            "Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: y",
            "$.instances[0].y",
        ),
        ([{"x": None, "n": 1}], "Type: Null is not of expected type: float", "$.instances[0].x"),
    ],
)
def test_faulty_rows_are_refused_in_the_words_of_tf_serving(instances, message, where):
    with pytest.raises(RequestError) as caught:
        whole_rows(instances, [X, N], batched=True)
    assert message in caught.value.summary
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("inputs", "message", "where"),
    [
        ([1.0], "inputs is a plain value/list, but expecting an object", "$.inputs"),
        ({"x": 1}, "Missing named input: n in 'inputs' object.", "$.inputs.n"),
        ({"x": [[1, 2], [3]], "n": 1}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2", None),
        ({"x": [1, [3]], "n": 1}, "Encountered list at unexpected level: 1 expected < 1", "$.inputs.x[1]"),
        ({"x": [[1], 3], "n": 1}, "JSON Value: 3 found at incorrect level: 2 in the JSON DOM", "$.inputs.x[1]"),
        ({"x": 1, "n": 1.5}, "JSON Value: 1.5 Type: Number is not of expected type: int64", "$.inputs.n"),
        ({"x": True, "n": 1}, "Type: True is not of expected type: float", "$.inputs.x"),
    ],
)
def test_faulty_columns_are_refused_in_the_words_of_tf_serving(inputs, message, where):
    with pytest.raises(RequestError) as caught:
        whole_columns(inputs, [X, N], batched=True)
    assert message in caught.value.summary
    assert caught.value.where == (where or "$.inputs.x[1]")


def test_an_object_among_plain_rows_is_refused():
    with pytest.raises(RequestError, match="Expecting value/list but got object at item 1 of input list"):
        whole_rows([1.0, {"x": 2.0}], [X], batched=True)


def test_lists_nested_without_end_are_refused():
    value = 1.0
    for _ in range(900):
        value = [value]
    with pytest.raises(RequestError, match="unexpected level: 32"):
        read_tensor(value, X, "$")


def test_strings_of_any_shape_keep_their_bytes():
    plan = InputPlan("s", "string", False, (), free=True)
    assert read_tensor([["a\0", {"b64": "/w=="}]], plan, "$").tolist() == [["a\0", b"\xff"]]
    assert read_tensor({"b64": "aGVsbG8="}, plan, "$").tolist() == b"hello"
