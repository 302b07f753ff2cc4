"""Values become plain `jax.Array`s by TensorFlow's dtype rules: `constant`, `convert_to_tensor`, `cast`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import ml_dtypes
import numpy as np

from mainstay.core import ArgumentError
from mainstay.framework.keras_internals import is_variable

_PYTHON_DTYPES: dict[Any, str] = {bool: "bool", int: "int32", float: "float32", complex: "complex128"}
_INT32 = np.iinfo(np.int32)


def constant(
    value: Any,
    dtype: Any = None,
    shape: Sequence[int] | None = None,
    name: str | None = None,  # noqa: ARG001
) -> jax.Array:
    """Make an array of a Python value, a NumPy array or a list of them.

    Without a dtype Python's bool, int and float become bool, int32 and float32, and an array keeps its dtype. JAX
    holds 64-bit numbers only with ``jax.config.update("jax_enable_x64", True)``; without it int64, uint64, float64
    and complex128 become their 32-bit kin, asked for or not, and an integer that does not fit is refused.

    Args:
        value: A number, a bool, a NumPy array, an array, a variable, or nested lists of these.
        dtype: The dtype of the result: a name, a NumPy or JAX dtype, or a Python type.
        shape: The shape of the result; one number is repeated, several are laid out row by row.
        name: Accepted for programs written for TensorFlow; arrays have no names.

    Returns:
        A new array, or `value` itself if it is an array already.

    Raises:
        ArgumentError: The value is no number, is ragged, or is changed by the dtype (a fraction, out of range); it is
            an array of another dtype (use `cast`); or it does not fill the shape.

    Example:
        >>> import mainstay as tf
        >>> tf.constant([1, 2, 3]).dtype
        dtype('int32')
        >>> tf.constant(0.5, shape=(2, 2)).shape
        (2, 2)
    """
    array = convert_to_tensor(value, dtype)
    if shape is None:
        return array
    shape = tuple(shape)
    if array.size == 1:
        return jnp.broadcast_to(array.reshape(()), shape)
    if array.size != np.prod(shape, dtype=np.int64):
        raise ArgumentError(
            "the number of values does not fill the shape",
            where="shape",
            expected=shape,
            received=f"{array.size} values",
        )
    return array.reshape(shape)


def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,  # noqa: ARG001
) -> jax.Array:
    """Return a value as an array, by the rules of `constant`.

    Args:
        value: A number, a bool, a NumPy array, an array, a variable, or nested lists of these.
        dtype: The dtype that the result must have; None takes that of the value.
        name: Accepted for programs written for TensorFlow; arrays have no names.

    Returns:
        An array: `value` itself if it is one.

    Raises:
        ArgumentError: As for `constant`.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if is_variable(value):
        value = value.value
    if isinstance(value, jax.Array):
        if wanted is not None and value.dtype != wanted:
            raise ArgumentError(
                "an array of another dtype is not converted by itself",
                expected=wanted,
                received=value.dtype,
                fix=f'use cast(value, "{wanted}")',
            )
        return value
    if isinstance(value, list | tuple) and _holds_arrays(value):
        return jnp.stack([convert_to_tensor(item, dtype) for item in value])
    return jnp.array(_checked(_as_numpy(value), wanted))


def cast(x: Any, dtype: Any) -> Any:
    """Return a value with another dtype, as `tf.cast` does: fractions are cut off, everything but zero is True.

    Args:
        x: An array, a variable, a number, a NumPy array, nested lists of these, or a symbolic tensor of a Keras model.
        dtype: A name, a NumPy or JAX dtype, a Python type, or None to leave the dtype as it is. 64-bit dtypes mean
            their 32-bit kin unless ``jax_enable_x64`` is set.

    Returns:
        An array (a symbolic tensor for one) of the shape of `x`.

    Raises:
        ArgumentError: The dtype is unknown, or `x` is no number.

    Example:
        >>> import mainstay as tf
        >>> tf.cast([1.7, -1.7, 0.0], "int32").tolist()
        [1, -1, 0]
    """
    if isinstance(x, keras.KerasTensor):
        return x if dtype is None else keras.ops.cast(x, as_dtype(dtype).name)
    array = convert_to_tensor(x)
    if dtype is None:
        return array
    wanted = as_dtype(dtype)
    if jnp.iscomplexobj(array) and not jnp.issubdtype(wanted, jnp.complexfloating):
        array = array.real
    return array.astype(wanted)


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """Return a dtype as arrays have it: 64 bits become 32 unless ``jax_enable_x64`` is set.

    Raises:
        ArgumentError: There is no such dtype, or arrays cannot have it (text).
    """
    try:
        known = np.dtype(_PYTHON_DTYPES.get(dtype, dtype) if isinstance(dtype, type) else dtype)
    except TypeError:
        known = getattr(ml_dtypes, str(dtype), None) or (np.dtype(object) if dtype == "string" else None)
        if known is None:
            raise ArgumentError("this is no dtype", where="dtype", received=repr(dtype)) from None
        known = np.dtype(known)
    if known.kind in "OSUT":
        raise _no_text(f"the dtype {dtype}")
    return np.dtype(jax.dtypes.canonicalize_dtype(known))


def _no_text(received: str) -> ArgumentError:
    return ArgumentError(
        "arrays hold numbers, and this is text or another Python object",
        received=received,
        fix="keep text in NumPy arrays of dtype object, and turn it into numbers with mainstay.transform or"
        " mainstay.hostops",
    )


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_arrays(item) for item in value)
    return isinstance(value, jax.Array) or is_variable(value)


def _as_numpy(value: Any) -> np.ndarray[Any, Any]:
    """Return a Python value as NumPy holds it, with TensorFlow's dtypes for Python's numbers."""
    if isinstance(value, keras.KerasTensor):
        raise ArgumentError(
            "a symbolic tensor of a Keras model has no values",
            received=repr(value),
            fix="use functions of keras.ops or layers on it",
        )
    if value is None or isinstance(value, dict | set):
        raise ArgumentError(
            "an array is made of numbers, not of None or a structure",
            received=f"{type(value).__name__}: {value!r}",
            fix="convert each part: keras.tree.map_structure(constant, value)",
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(
            "the rows do not have one length",
            received=repr(value),
            fix="pad them, for instance with keras.utils.pad_sequences",
        ) from error
    if array.dtype.kind not in "biufc" and not _is_small_float(array.dtype):
        raise _no_text(f"{type(value).__name__}: {value!r}")
    if not hasattr(value, "dtype") and not _holds_dtypes(value):
        array = _with_python_dtype(array)
    return array


def _is_small_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "V" and jnp.issubdtype(dtype, jnp.number)


def _holds_dtypes(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_dtypes(item) for item in value)
    return hasattr(value, "dtype")


def _with_python_dtype(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind == "i" and (not array.size or (array.min() >= _INT32.min and array.max() <= _INT32.max)):
        return array.astype(np.int32)
    with np.errstate(over="ignore"):
        return array.astype(np.float32) if array.dtype.kind == "f" else array


def _checked(array: np.ndarray[Any, Any], wanted: np.dtype[Any] | None) -> np.ndarray[Any, Any]:
    """Return an array with the wanted dtype, or refuse what that would change beyond rounding."""
    dtype = np.dtype(jax.dtypes.canonicalize_dtype(array.dtype)) if wanted is None else wanted
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.real.astype(dtype) if array.dtype.kind == "c" and dtype.kind != "c" else array.astype(dtype)
    if dtype.kind in "biu" and array.dtype != dtype and not np.array_equal(result.astype(array.dtype), array):
        wide = jax.dtypes.canonicalize_dtype(np.int64) == np.int32 and array.dtype.itemsize == 8
        raise ArgumentError(
            f"a value cannot be held as {dtype}",
            received=array if array.size < 10 else f"values from {array.min()} to {array.max()}",
            fix="use a float dtype, or cast(...) to cut off fractions"
            + ("; jax.config.update('jax_enable_x64', True) gives 64-bit integers" if wide else ""),
        )
    return result
