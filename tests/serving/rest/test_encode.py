import json
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mainstay.core import RequestError
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.rest.encode import columns, predictions


def both(**arrays):
    outputs = Outputs.of(arrays)
    return predictions(outputs).decode(), columns(outputs).decode()


def test_a_single_output_is_written_without_its_name():
    assert both(y=np.array([[0.1], [2.0]], np.float32)) == (
        '{"predictions":[[0.1],[2.0]]}',
        '{"outputs":[[0.1],[2.0]]}',
    )
    assert both(y=np.array([1, 2])) == ('{"predictions":[1,2]}', '{"outputs":[1,2]}')


def test_several_outputs_are_objects():
    row, column = both(p=np.array([[0.25, 0.75]], np.float32), label=np.array(["ä"], object))
    assert row == '{"predictions":[{"p":[0.25,0.75],"label":"ä"}]}'
    assert column == '{"outputs":{"p":[[0.25,0.75]],"label":["ä"]}}'


def test_numbers_that_are_none_are_bare_words():
    values = np.array([[1.5, np.nan], [np.inf, -np.inf]], np.float32)
    assert both(y=values) == (
        '{"predictions":[[1.5,NaN],[Infinity,-Infinity]]}',
        '{"outputs":[[1.5,NaN],[Infinity,-Infinity]]}',
    )
    row, _ = both(y=values, n=np.array([1, 2]))
    assert row == '{"predictions":[{"y":[1.5,NaN],"n":1},{"y":[Infinity,-Infinity],"n":2}]}'
    assert both(y=np.array([np.nan]))[0] == '{"predictions":[NaN]}'


def test_strings_are_text_and_base64_where_the_name_says_bytes():
    values = np.array([b"hi", b"\xff"], object)
    assert both(image_bytes=values)[0] == '{"predictions":[{"b64":"aGk="},{"b64":"/w=="}]}'
    assert both(image=values)[0] == '{"predictions":["hi","\ufffd"]}'
    assert both(words=np.array([["a", "b\udcff"]]))[0] == '{"predictions":[["a","b\ufffd"]]}'


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, ">f4", "<f8", "bool", "uint64", "int8", ">i2"])
def test_every_dtype_is_written(dtype):
    expected = [True, False] if dtype == "bool" else [1, 0]
    assert json.loads(both(y=np.array([1, 0]).astype(dtype))[0])["predictions"] == expected


def test_views_that_are_not_contiguous_are_written():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    assert json.loads(both(y=values)[0])["predictions"] == values.tolist()


def test_rows_of_any_shape_are_objects_of_their_own():
    arrays = {
        "a": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
        "b": np.array([True, False]),
        "c": np.zeros((2, 0), np.float32),
        "d": np.array([[["x"]], [["y"]]], object),
        "e": np.array([[1], [2]]),
    }
    row, column = both(**arrays)
    assert json.loads(row)["predictions"][1] == {"a": [[4, 5], [6, 7]], "b": False, "c": [], "d": [["y"]], "e": [2]}
    assert json.loads(column)["outputs"] == {name: array.tolist() for name, array in arrays.items()}


def test_single_values_are_columns_and_no_rows():
    for dtype, text in (("float32", "2.0"), ("float64", "2.0"), ("float16", "2.0"), ("int64", "2"), ("bool", "true")):
        outputs = Outputs.of({"y": np.array(2, dtype)})
        assert columns(outputs) == b'{"outputs":%b}' % text.encode()
        with pytest.raises(RequestError, match="Tensor name: y has no shape information"):
            predictions(outputs)
    assert columns(Outputs.of({"y_bytes": np.array(b"x", object)})) == b'{"outputs":{"b64":"eA=="}}'


def test_outputs_of_unequal_length_are_no_rows():
    outputs = Outputs.of({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(RequestError, match="Tensor name: b has inconsistent batch size: 3 expecting: 2"):
        predictions(outputs)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=3), elements=st.floats(width=32)))
def test_floats_survive_the_way_through_text_bit_for_bit(values):
    written = np.array(json.loads(both(y=values)[0])["predictions"], np.float32)
    np.testing.assert_array_equal(written, values)


@given(st.integers(1, 9), st.data())
def test_slices_joined_again_are_the_whole(rows, data):
    outputs = Outputs.of({"y": np.arange(rows, dtype=np.float32), "s": np.array([str(i) for i in range(rows)], object)})
    cuts = sorted({0, rows, *data.draw(st.lists(st.integers(0, rows)))})
    pieces = [outputs.slice(a, b) for a, b in pairwise(cuts)]
    assert predictions(Outputs.join(pieces)) == predictions(outputs)
