"""Raw inputs without a prefix: what is taken, and how the rest is refused with its place."""

from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import RequestError, TensorSpec
from mainstay.hostops import Column
from mainstay.saved_model.raw_inputs import as_bytes, as_text, raw_columns


def one(value: Any, dtype: str = "float32", shape: Any = (None,)) -> np.ndarray:
    return raw_columns([TensorSpec(shape, dtype, "x")], {"x": value})[0].values


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        ([1, 2.5], "float32", [None]),
        (np.array([1e300]), "float32", [None]),
        ([[1, 2], [3, 4]], "int32", [None, 2]),
        (pa.array([1.5, 2.5]), "float32", [None]),
        (pa.chunked_array([[1], [2]]), "int32", [None]),
        (Column(np.array([1, 2])), "float32", [None]),
        ([True, False], "int32", [None]),
        ([True, False], "bool", [None]),
        ([], "int32", [None]),
        (np.zeros((2, 0, 3)), "float32", [None, None, 3]),
        ([1, 2], "bfloat16", [None]),
        (np.ones(2, ml_dtypes.bfloat16), "float32", [None]),
    ],
)
def test_numbers_take_the_dtype_of_their_spec(value: Any, dtype: str, shape: list[int | None]) -> None:
    assert one(value, dtype, shape).dtype == dtype


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "message"),
    [
        ([1.5], "int32", [None], "wrong dtype"),
        ([1], "bool", [None], "wrong dtype"),
        (["1"], "float32", [None], "wrong dtype"),
        ([None, 1.0], "float32", [None], "wrong dtype"),
        ([1j], "float32", [None], "wrong dtype"),
        ([2**31], "int32", [None], "out of range"),
        ([-1], "uint8", [None], "out of range"),
        ([2**70], "int32", [None], "wrong dtype"),
        ([[1.0]], "float32", [None], "wrong shape"),
        (1.0, "float32", [None], "wrong shape"),
        ([[1.0, 2.0]], "float32", [None, 3], "wrong shape"),
        ([[1.0], [2.0, 3.0]], "float32", [None, 2], "do not form one array"),
        (pa.array([1.0, None]), "float32", [None], "missing"),
        (pa.array([[1.0]]), "float32", [None], "cannot read"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    value: Any, dtype: str, shape: list[int | None], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as failure:
        one(value, dtype, shape)
    assert failure.value.where.startswith("$.x")


def test_a_missing_input_and_a_shorter_one_are_named() -> None:
    specs = [TensorSpec([None], "float32", "x"), TensorSpec([None], "float32", "y")]
    with pytest.raises(RequestError, match=r"\$\.y: an input is not there"):
        raw_columns(specs, {"x": [1.0]})
    with pytest.raises(RequestError, match=r"\$\.y: the inputs differ in length"):
        raw_columns(specs, {"x": [1.0], "y": [1.0, 2.0]})


def test_names_that_nobody_asked_for_are_ignored() -> None:
    assert len(raw_columns([TensorSpec([None], "float32", "x")], {"x": [1.0], "key": ["a"]})) == 1


def test_strings_become_text_or_bytes_and_back_without_loss() -> None:
    mixed = np.array([["a", b"\xff\0"], ["\u00fc", b""]], object)
    assert as_text(mixed).tolist() == [["a", "\udcff\0"], ["\u00fc", ""]]
    assert as_bytes(mixed).tolist() == [[b"a", b"\xff\0"], ["\u00fc".encode(), b""]]
    assert as_bytes(as_text(mixed)).tolist() == as_bytes(mixed).tolist()
    text, data = as_text(mixed), as_bytes(mixed)
    assert as_text(text) is text
    assert as_bytes(data) is data
