"""Values become arrays by TensorFlow's dtype rules, and nothing is changed in silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError
from mainstay.framework import GradientTape, Variable, cast, constant, convert_to_tensor


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"),
        (3, "int32"),
        (3.0, "float32"),
        (1j, "complex64"),
        ([1, 2], "int32"),
        ([1, 2.5], "float32"),
        ([], "float32"),
        (np.float64(1), "float32"),
        (np.arange(3), "int32"),
        (np.uint64(3), "uint32"),
        (np.int8([1]), "int8"),
        ([np.int8(1)], "int8"),
        (np.float16(1), "float16"),
        (jnp.bfloat16(1), "bfloat16"),
        (np.ones(2, jnp.bfloat16), "bfloat16"),
        (1e40, "float32"),
    ],
)
def test_dtypes_follow_the_documented_rules(value, dtype) -> None:
    array = constant(value)
    assert isinstance(array, jax.Array)
    assert array.dtype == dtype


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", np.float16, jnp.bfloat16, np.dtype("int8"), int, float, bool])
def test_a_dtype_may_be_given_in_any_form(dtype) -> None:
    expected = {int: "int32", float: "float32", bool: "bool"}.get(dtype, dtype)
    assert constant(1, dtype).dtype == jnp.dtype(expected)
    assert cast(1, dtype).dtype == jnp.dtype(expected)


def test_64_bits_are_kept_where_jax_has_them() -> None:
    assert constant(1, "int64").dtype == "int32"
    with jax.enable_x64(True):
        assert constant(1).dtype == "int32"
        assert constant(2**40).dtype == "int64"
        assert constant(np.float64(1)).dtype == "float64"
        assert constant(1.0).dtype == "float32"
        assert constant(1j).dtype == "complex128"
        assert constant(1.0, "float64").dtype == "float64"
        assert cast(jnp.float32(1), "float64").dtype == "float64"


@pytest.mark.parametrize("value", [2**40, [-(2**31) - 1], np.int64(2**31), np.uint64(2**32)])
def test_an_integer_that_does_not_fit_is_refused(value) -> None:
    with pytest.raises(ArgumentError, match="cannot be held as") as error:
        constant(value)
    assert "jax_enable_x64" in error.value.fix


@pytest.mark.parametrize(("value", "dtype"), [(1.5, "int32"), (300, "uint8"), (-1, "uint8"), (float("nan"), "int32")])
def test_a_dtype_that_would_change_the_value_is_refused(value, dtype) -> None:
    with pytest.raises(ArgumentError, match=f"cannot be held as {dtype}"):
        constant(value, dtype)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "this is text"),
        (b"bytes", "this is text"),
        (["a", "b"], "this is text"),
        (np.array(["a"], object), "this is text"),
        ([[1], [2, 3]], "one length"),
        (None, "not of None or a structure"),
        ({"a": 1}, "not of None or a structure"),
    ],
)
def test_what_is_no_number_is_refused_and_it_is_said_what_to_do(value, message) -> None:
    for convert in (constant, convert_to_tensor, lambda value: cast(value, "float32")):
        with pytest.raises(ArgumentError, match=message) as error:
            convert(value)
        assert error.value.fix


@pytest.mark.parametrize("dtype", ["string", str, object, "float33"])
def test_a_dtype_that_arrays_cannot_have_is_refused(dtype) -> None:
    with pytest.raises(ArgumentError, match=r"text|no dtype"):
        constant(1, dtype)


def test_a_symbolic_tensor_is_cast_but_has_no_values() -> None:
    symbolic = keras.Input((3,), dtype="int32")
    assert cast(symbolic, "float16").dtype == "float16"
    with pytest.raises(ArgumentError, match="symbolic tensor"):
        constant(symbolic)


def test_a_shape_is_filled() -> None:
    assert constant(2, shape=(2, 3)).tolist() == [[2, 2, 2], [2, 2, 2]]
    assert constant([1, 2, 3, 4], shape=[2, 2]).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ArgumentError, match="does not fill the shape"):
        constant([1, 2, 3], shape=(2, 2))


def test_arrays_pass_as_they_are_and_are_not_cast_by_themselves() -> None:
    x = jnp.ones(2)
    assert constant(x) is x
    assert convert_to_tensor(x, "float32") is x
    with pytest.raises(ArgumentError, match="another dtype") as error:
        convert_to_tensor(x, "int32")
    assert error.value.fix == 'use cast(value, "int32")'


def test_a_numpy_array_is_copied() -> None:
    array = np.zeros(64, "float32")
    value = constant(array)
    array[:] = 1.0
    assert float(value.sum()) == 0.0


def test_lists_of_arrays_are_stacked_with_their_gradient() -> None:
    v = Variable(2.0)
    with GradientTape() as tape:
        y = constant([v * v, 1.0])
        z = constant([[v, 2.0], [3.0, jnp.float32(4.0)]])
        total = jnp.sum(y) + jnp.sum(z)
    assert z.tolist() == [[2.0, 2.0], [3.0, 4.0]]
    assert float(tape.gradient(total, v)) == 5.0


def test_a_cast_cuts_off_fractions_and_keeps_gradients() -> None:
    assert cast([1.7, -1.7, 0.0], "int32").tolist() == [1, -1, 0]
    assert cast([0.5, 0.0], "bool").tolist() == [True, False]
    assert cast(1 + 2j, "float32") == 1.0
    assert cast(np.int64(3), None).dtype == "int32"
    v = Variable(2.0)
    with GradientTape() as tape:
        y = cast(cast(v, "bfloat16"), "float32") * 3.0
    assert float(tape.gradient(y, v)) == 3.0
