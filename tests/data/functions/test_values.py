"""What a user's function may return becomes an element by TensorFlow's rules."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import DataError
from mainstay.data.functions.values import as_element
from mainstay.io import Ragged


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"),
        (3, "int32"),
        (-(2**31), "int32"),
        (2**31, "int64"),
        (0.5, "float32"),
        (np.int64(3), "int64"),
        (np.float64(0.5), "float64"),
        ([1, 2], "int32"),
        ([0.5, 1.0], "float32"),
        ([[True], [False]], "bool"),
        ([], "float32"),
        (np.zeros(2, np.uint8), "uint8"),
    ],
)
def test_numbers_have_the_dtype_that_tensorflow_gives_them(value: Any, dtype: str) -> None:
    assert as_element(value).dtype == dtype


@pytest.mark.parametrize("value", ["é", "é".encode(), np.str_("é"), np.bytes_("é".encode()), bytearray("é".encode())])
def test_text_becomes_bytes(value: Any) -> None:
    assert as_element(value) == "é".encode()
    assert type(as_element(value)) is bytes


def test_lists_of_text_become_arrays_of_bytes() -> None:
    assert as_element(["a", b"b"]).tolist() == [b"a", b"b"]
    assert as_element(np.array(["a", "b"])).tolist() == [b"a", b"b"]
    assert as_element(pa.array([b"a", b"b"])).tolist() == [b"a", b"b"]


def test_structures_stay_and_none_is_one() -> None:
    element = as_element({"a": (1, None), "b": Pair("x", [1, 2])})
    assert element["a"] == (1, None)
    assert type(element["b"]) is Pair
    assert element["b"].second.tolist() == [1, 2]


def test_ragged_values_stay() -> None:
    ragged = Ragged.from_rows([[1], [2, 3]])
    assert as_element((ragged,))[0] is ragged


def test_arrays_of_jax_become_arrays_of_numpy_and_weak_numbers_32_bits() -> None:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        strong, weak = as_element((jnp.zeros(2, "int64"), jnp.where(jnp.bool_(True), 1, 2)))
    assert (type(strong), strong.dtype, weak.dtype) == (np.ndarray, "int64", "int32")


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), [[1], [1, 2]], (x for x in "a")])
def test_what_is_no_array_is_refused(value: Any) -> None:
    with pytest.raises((DataError, ValueError)):
        as_element(value)
