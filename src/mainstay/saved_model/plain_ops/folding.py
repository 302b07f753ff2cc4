"""Equations that depend on no input are computed when the program is written.

Most of them are computed by NumPy, since compiling each small one with XLA would take longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.extend import core

from mainstay.saved_model.plain_ops.values import DTYPES, Value, constant, is_static, product

Array: TypeAlias = np.ndarray[Any, Any]

MOST_FOLDED = 1 << 18
"""So many elements a constant may have that is computed when a program is written."""

_KEPT = frozenset(["broadcast_in_dim", "dim_as_value"])
"""These stay as small as they are."""


def fold(equation: Any, inputs: Sequence[Value]) -> list[Value] | None:
    """Return the results of an equation whose inputs are known and small, or None."""
    if any(value.known is None for value in inputs) or equation.primitive.name in _KEPT or equation.effects:
        return None
    if has_programs(equation.params) or _symbolic(equation.params):
        return None
    if not all(_is_small(value.shape) for value in inputs):
        return None
    if not all(str(getattr(v.aval, "dtype", "")) in DTYPES and _is_small(v.aval.shape) for v in equation.outvars):
        return None
    arrays = [np.broadcast_to(value.known, value.shape) for value in inputs if value.known is not None]
    aval = equation.outvars[0].aval
    with np.errstate(all="ignore"):
        result = _with_numpy(equation.primitive.name, arrays, equation.params, aval)
    if result is not None:
        return [constant(result.astype(aval.dtype, copy=False).reshape(aval.shape))]
    return [constant(each) for each in _with_jax(equation, arrays)]


def has_programs(params: Mapping[str, Any]) -> bool:
    """Return whether a primitive has programs among its parameters."""
    each = [item for value in params.values() for item in (value if isinstance(value, tuple) else (value,))]
    return any(isinstance(item, core.Jaxpr | core.ClosedJaxpr) for item in each)


def _symbolic(params: Mapping[str, Any]) -> bool:
    each = [item for value in params.values() for item in (value if isinstance(value, tuple) else (value,))]
    return any(hasattr(item, "scope") for item in each)


def _is_small(shape: Sequence[Any]) -> bool:
    return is_static(shape) and product(shape) <= MOST_FOLDED


def _with_jax(equation: Any, arrays: Sequence[Array]) -> list[Array]:
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]), jax.ensure_compile_time_eval():
        results = equation.primitive.bind(*map(jax.numpy.asarray, arrays), **equation.params)
    return [np.asarray(each) for each in (results if equation.primitive.multiple_results else [results])]


_PLAIN: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "and": np.bitwise_and,
    "ceil": np.ceil,
    "eq": np.equal,
    "floor": np.floor,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "or": np.bitwise_or,
    "sqrt": np.sqrt,
    "square": np.square,
    "sub": np.subtract,
    "copy": np.asarray,
    "copy_p": np.asarray,
    "stop_gradient": np.asarray,
}
"""Functions of which NumPy's results are those of XLA to the last bit."""

_SHAPES = frozenset(["reshape", "squeeze", "expand_dims"])


def _with_numpy(name: str, arrays: Sequence[Array], params: Mapping[str, Any], aval: Any) -> Array | None:
    """Return what NumPy makes of an equation, or None if it is not one for it."""
    if name in _PLAIN:
        return np.asarray(_PLAIN[name](*arrays))
    if (name in _SHAPES and params.get("dimensions") is None) or name == "squeeze":
        return arrays[0].reshape(aval.shape)
    match name:
        case "iota":
            shape = [1] * len(aval.shape)
            shape[params["dimension"]] = -1
            count = np.arange(aval.shape[params["dimension"]]).astype(aval.dtype)
            return np.broadcast_to(count.reshape(shape), aval.shape)
        case "div" if aval.dtype.kind == "f":
            return np.asarray(np.divide(*arrays))
        case "not" if arrays[0].dtype == np.bool_:
            return np.logical_not(arrays[0])
        case "select_n" if len(arrays) == 3 and arrays[0].dtype == np.bool_:
            return np.where(arrays[0], arrays[2], arrays[1])
        case "convert_element_type" if _converts_alike(arrays[0], np.dtype(aval.dtype)):
            return arrays[0].astype(aval.dtype)
        case "transpose":
            return arrays[0].transpose(params["permutation"])
        case "rev":
            return np.flip(arrays[0], params["dimensions"])
        case "concatenate":
            return np.concatenate(arrays, params["dimension"])
        case "stack":
            return np.stack(arrays, params["axis"])
        case "slice":
            steps = params["strides"] or (1,) * arrays[0].ndim
            limits = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
            return arrays[0][tuple(slice(*each) for each in limits)]
    return None


def _converts_alike(array: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether NumPy converts an array as XLA does: not where numbers are beyond the range of an integer."""
    if array.dtype.kind in "biu" or dtype.kind == "b":
        return True
    if array.dtype.kind == "f" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return bool(((array > limits.min) & (array < limits.max)).all())
    return array.dtype.kind == "f" and dtype.kind == "f"
