import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving.batching.chunks import merge
from mainstay.serving.rest.decode import RequestDecoder


def decoder(*inputs):
    return RequestDecoder(
        [HostInput(TensorSpec([None, *rest], dtype, name), opt) for name, dtype, opt, *rest in inputs]
    )


TAXI = (
    ("fare", "float64", False),
    ("company", "string", True),
    ("trip_seconds", "int64", True),
    ("is_night", "bool", True),
)


def columns_of(read, chunk):
    return {
        plan.name: [
            None if column.missing is not None and column.missing[i] else value
            for i, value in enumerate(column.values.tolist())
        ]
        for plan, column in zip(read.plans, merge([chunk], read.plans), strict=True)
    }


def refused(call, *parts):
    with pytest.raises(RequestError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)
    return caught.value


def test_rows_are_objects_with_values_in_any_order():
    read = decoder(*TAXI)
    chunk = read.rows(
        [
            {"fare": 1.5, "company": "A", "trip_seconds": 60, "is_night": True},
            {"trip_seconds": 2**40, "fare": 2, "is_night": False, "company": "Ü"},
        ]
    )
    assert columns_of(read, chunk) == {
        "fare": [1.5, 2.0],
        "company": ["A", "Ü"],
        "trip_seconds": [60, 2**40],
        "is_night": [True, False],
    }
    assert [column.values.dtype.kind for column in merge([chunk], read.plans)] == ["f", "O", "i", "b"]


def test_an_optional_value_may_be_null_or_absent():
    read = decoder(*TAXI)
    for _ in range(2):  # the second time, the pattern of types is known
        chunk = read.rows([{"fare": 1.0, "company": None}, {"fare": 2.0, "trip_seconds": 5}])
        assert columns_of(read, chunk) == {
            "fare": [1.0, 2.0],
            "company": [None, None],
            "trip_seconds": [None, 5],
            "is_night": [None, None],
        }


def test_a_required_value_may_not_be_absent():
    read = decoder(*TAXI)
    read.rows([{"fare": 1.0}])
    error = refused(
        lambda: read.rows([{"fare": 1.0}, {"company": "A"}]),
        'Failed to process element: 1 of \'instances\' list. JSON object: {"company":"A"} keys must be equal to: '
        "company,fare,is_night,trip_seconds",
    )
    assert (error.where, error.expected, error.received) == ("$.instances[1].fare", "float64", "nothing")
    refused(lambda: read.rows([{"fare": None}]), "this input is required")


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    read = decoder(*TAXI)
    full = {"fare": 1.0, "company": "A", "trip_seconds": 1, "is_night": True}
    read.rows([full, {"fare": 1.0}])
    for row in (full | {"compani": "B"}, {"fare": 1.0, "compani": "B"}):
        error = refused(
            lambda row=row: read.rows([full, row]),
            "Failed to process element: 1 key: compani of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: compani",
            "did you mean 'company'?",
        )
        assert error.where == "$.instances[1].compani"


def test_a_wrong_type_is_refused_with_its_path():
    read = decoder(*TAXI)
    error = refused(
        lambda: read.rows([{"fare": 1.0}, {"fare": 1.0}, {"fare": 1.0}, {"fare": "abc"}]),
        "Failed to process element: 3 key: fare of 'instances' list. Error: INVALID_ARGUMENT: "
        'JSON Value: "abc" Type: String is not of expected type: double',
    )
    assert (error.where, error.expected, error.received) == ("$.instances[3].fare", "float64", '"abc"')


def test_ranges_are_checked_in_rows_whose_types_are_known_to_be_fine():
    read = decoder(("a", "int8", False), ("b", "float64", False), ("c", "float32", False))
    for _ in range(2):
        read.rows([{"a": 127, "b": 2**53, "c": 1.5}])
        refused(lambda: read.rows([{"a": 128, "b": 1, "c": 1.5}]), "out of range")
        refused(lambda: read.rows([{"a": 1, "b": 2**53 + 1, "c": 1.5}]), "without loss")
        refused(lambda: read.rows([{"a": 1, "b": 1, "c": 1e39}]), "without loss")
        chunk = read.rows([{"a": 1, "b": 2**60, "c": math.inf}])
        assert columns_of(read, chunk) == {"a": [1], "b": [2.0**60], "c": [math.inf]}


def test_values_may_stand_alone_where_there_is_one_input():
    read = decoder(("x", "float64", False))
    for instances in ([1.5, 2, math.inf], [{"x": 1.5}, {"x": 2}, {"x": math.inf}]):
        assert columns_of(read, read.rows(instances)) == {"x": [1.5, 2.0, math.inf]}
    words = decoder(("s", "string", False))
    assert columns_of(words, words.rows([{"b64": "aGk="}, "ho"])) == {"s": [b"hi", "ho"]}
    assert columns_of(words, words.rows([{"s": {"b64": "aGk="}}])) == {"s": [b"hi"]}


def test_lists_are_the_values_of_an_input_with_inner_axes():
    read = decoder(("image", "float32", False, 2, 2))
    for instances in ([[[1, 2], [3, 4]]] * 3, [{"image": [[1, 2], [3, 4]]}] * 3):
        (column,) = merge([read.rows(instances)], read.plans)
        assert column.values.dtype == np.float32
        np.testing.assert_array_equal(column.values, [[[1, 2], [3, 4]]] * 3)
    refused(lambda: read.rows([[[1, 2], [3, "a"]]]), "$.instances[0][1][1]")


def test_inputs_with_and_without_inner_axes_mix():
    read = decoder(("x", "float32", True, 2), ("n", "int64", False))
    chunk = read.rows([{"x": [1, 2], "n": 1}, {"n": 2}, {"x": None, "n": 3}])
    x, n = merge([chunk, read.rows([{"x": [5, 6], "n": 4}])], read.plans)
    assert x.values.tolist() == [[1, 2], [0, 0], [0, 0], [5, 6]]
    assert x.missing.tolist() == [False, True, True, False]
    assert n.values.tolist() == [1, 2, 3, 4]


def test_chunks_of_open_axes_know_their_shape():
    read = decoder(("tokens", "int64", False, None))
    assert read.rows([[1, 2, 3]]).shape == ((3,),)
    refused(lambda: read.rows([[1, 2], [1, 2, 3]]), "$.instances[1]")


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([1.0], "instances is a plain list, but expecting list of objects"),
        ([[1.0]], "instances is a plain list, but expecting list of objects"),
        ([{"b64": "AA=="}], "instances is a plain list, but expecting list of objects"),
        ([{"fare": 1.0}, 2.0], "Expecting object but got list at item 1 of input list"),
        ([{"fare": 1.0}, None], "Expecting object but got list at item 1 of input list"),
        ([{"fare": 1.0}, {"b64": "AA=="}], "Expecting object but got list at item 1 of input list"),
    ],
)
def test_rows_of_another_form_are_refused(instances, message):
    refused(lambda: decoder(*TAXI).rows(instances), message)


def test_an_object_among_plain_values_is_refused():
    refused(
        lambda: decoder(("x", "float64", False)).rows([1.0, {"x": 2.0}]),
        "Expecting value/list but got object at item 1",
    )


def test_columns_are_lists_of_one_length():
    read = decoder(*TAXI)
    chunk = read.columns({"fare": [1.5, 2], "company": ["A", None], "trip_seconds": None})
    assert chunk.rows == 2
    assert columns_of(read, chunk) == {
        "fare": [1.5, 2.0],
        "company": ["A", None],
        "trip_seconds": [None, None],
        "is_night": [None, None],
    }


def test_a_single_column_needs_no_name():
    read = decoder(("x", "float32", False, 2))
    for inputs in ([[1, 2], [3, 4]], {"x": [[1, 2], [3, 4]]}):
        (column,) = merge([read.columns(inputs)], read.plans)
        assert column.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("inputs", "message", "where"),
    [
        ([1.0], "inputs is a plain value/list, but expecting an object", "$.inputs"),
        ({"b64": "AA=="}, "inputs is a plain value/list, but expecting an object", "$.inputs"),
        ({"company": ["A"]}, "Missing named input: fare in 'inputs' object.", "$.inputs.fare"),
        ({"fare": None}, "is not a list with one value per row", "$.inputs.fare"),
        ({"fare": 1.0}, "is not a list with one value per row", "$.inputs.fare"),
        ({"fare": []}, "No values in 'inputs'", "$.inputs"),
        ({"fare": [1.0], "company": ["A", "B"]}, "differ in length", "$.inputs.company"),
        ({"fare": [1.0], "compani": ["A"]}, "does not have named input: compani", "$.inputs.compani"),
        ({"fare": [1.0, "x"]}, "Type: String", "$.inputs.fare[1]"),
        ({"fare": [1.0, None]}, "this input is required", "$.inputs.fare[1]"),
    ],
)
def test_columns_of_another_form_are_refused_with_the_path(inputs, message, where):
    assert refused(lambda: decoder(*TAXI).columns(inputs), message).where == where


def test_a_signature_of_optional_inputs_only_needs_at_least_one_column():
    refused(lambda: decoder(("a", "int64", True)).columns({}), "No values in 'inputs'")


def test_hostile_variety_of_types_does_not_grow_without_bound():
    names = [f"x{i}" for i in range(12)]
    read = decoder(*((name, "float64", True) for name in names))
    for number in range(2**10):
        read.rows([{name: [1.0, 1, None][(number >> i) % 3] for i, name in enumerate(names)}])
    assert len(read._patterns) <= 256


ROWS = st.lists(
    st.fixed_dictionaries(
        {"fare": st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)},
        optional={
            "company": st.none() | st.text(),
            "trip_seconds": st.none() | st.integers(-(2**63), 2**63 - 1),
            "is_night": st.none() | st.booleans(),
        },
    ),
    min_size=1,
    max_size=8,
)

_SHARED = decoder(*TAXI)


@given(ROWS)
def test_rows_and_columns_of_the_same_values_are_the_same(rows):
    names = [name for name, *_ in TAXI]
    expected = {name: [row.get(name) for row in rows] for name in names}
    expected["fare"] = [float(value) for value in expected["fare"]]
    assert columns_of(_SHARED, _SHARED.rows(rows)) == expected
    assert columns_of(_SHARED, _SHARED.columns({name: [row.get(name) for row in rows] for name in names})) == expected


@given(st.data())
def test_any_json_is_either_read_or_refused_with_a_path(data):
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    value = st.recursive(
        scalar, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["b64", "fare", "x"]), v)
    )
    row = st.dictionaries(st.sampled_from([name for name, *_ in TAXI] + ["other"]), value)
    for call in (_SHARED.rows, _SHARED.columns):
        rows = st.lists(row | value, min_size=1)
        document = data.draw(rows if call == _SHARED.rows else rows | row | value)
        place = "$"
        try:
            merge([call(document)], _SHARED.plans)
        except RequestError as error:
            place = error.where
        assert re.match(r"\$", place)
