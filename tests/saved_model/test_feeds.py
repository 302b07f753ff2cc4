"""Feeds: inputs travel in few arrays, padded with zeros, and come apart as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.saved_model.feeds import Feeds
from mainstay.saved_model.program import ProgramTensor

INPUTS = [
    ProgramTensor("a", "float32", ("batch",)),
    ProgramTensor("image", "float32", ("batch", 2, 3)),
    ProgramTensor("id", "int32", ("batch",)),
    ProgramTensor("b", "float32", ("batch",)),
    ProgramTensor("flag", "bool", ("batch",)),
    ProgramTensor("tokens", "int32", ("batch", "n1")),
]


def values(rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(rows)
    return {
        "a": random.standard_normal(rows),
        "image": random.standard_normal((rows, 2, 3)).astype(np.float32),
        "id": random.integers(-5, 5, rows),
        "b": random.standard_normal(rows).astype(np.float32),
        "flag": random.integers(0, 2, rows).astype(bool),
        "tokens": random.integers(0, 9, (rows, 4)),
    }


@given(st.integers(0, 8), st.integers(0, 3), st.integers(8, 16))
def test_inputs_come_apart_as_they_were_and_padding_is_zero(rows: int, start: int, bucket: int) -> None:
    feeds, given_values = Feeds(INPUTS), values(rows + start)
    arrays = feeds.fill(given_values, start, rows, bucket)
    taken = feeds.take_apart(arrays)
    for tensor in INPUTS:
        expected = given_values[tensor.name][start:].astype(tensor.dtype)
        assert taken[tensor.name].dtype == tensor.dtype
        assert (taken[tensor.name][:rows] == expected).all()
        assert not taken[tensor.name][rows:].any()
    lengths = dict(feeds.lengths(given_values))
    assert [(array.shape, array.dtype) for array in arrays] == feeds.specs(bucket, lengths)


def test_inputs_of_one_dtype_travel_as_one_array() -> None:
    arrays = Feeds([ProgramTensor(f"f{i}", "float32", ("batch",)) for i in range(16)]).fill(
        {f"f{i}": np.full(3, i, np.float32) for i in range(16)}, 0, 3, 4
    )
    assert [array.shape for array in arrays] == [(16, 4)]


def test_an_integer_beyond_32_bits_is_refused_with_its_place() -> None:
    feeds = Feeds([ProgramTensor("id", "int32", ("batch",)), ProgramTensor("other", "int32", ("batch",))])
    columns = {"id": np.array([1, 2]), "other": np.array([0, 2**31])}
    with pytest.raises(RequestError) as failure:
        feeds.fill(columns, 0, 2, 2)
    assert failure.value.where == "$.other[1]"
    assert failure.value.received == str(2**31)


def test_an_integer_of_a_matrix_beyond_32_bits_is_refused_with_its_row() -> None:
    feeds = Feeds([ProgramTensor("ids", "int32", ("batch", 2))])
    with pytest.raises(RequestError) as failure:
        feeds.fill({"ids": np.array([[0, 0], [0, -(2**40)]])}, 0, 2, 4)
    assert failure.value.where == "$.ids[1]"


def test_a_number_too_large_for_float32_becomes_infinite_without_a_warning() -> None:
    arrays = Feeds([ProgramTensor("x", "float32", ("batch",))]).fill({"x": np.array([1e300])}, 0, 1, 1)
    assert np.isinf(arrays[0]).all()


def test_inputs_that_must_agree_on_a_length_are_held_to_it() -> None:
    feeds = Feeds([ProgramTensor("a", "float32", ("batch", "n1")), ProgramTensor("b", "float32", ("batch", "n1"))])
    with pytest.raises(RequestError, match="must agree") as failure:
        feeds.lengths({"a": np.zeros((1, 3)), "b": np.zeros((1, 4))})
    assert failure.value.where == "$.b"
