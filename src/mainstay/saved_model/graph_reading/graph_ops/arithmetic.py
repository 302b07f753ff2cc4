"""Arithmetic on two and more tensors, comparisons, logic and bits."""

from __future__ import annotations

import functools
import operator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.core import DataError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device
from mainstay.saved_model.graph_reading.graph_ops.elementwise import register as register_elementwise
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import backend_of

register = functools.partial(register_elementwise, module=__name__)


def _is_integer(x: Any) -> bool:
    return bool(jnp.issubdtype(x.dtype, jnp.integer)) or x.dtype == object


def _refuse_zero(divisor: Any) -> None:
    if np.asarray(divisor).dtype != object and not np.all(divisor):
        raise DataError("an integer is divided by zero", where="a node of the graph", fix="check the inputs")


def _numpy_floor_div(x: Any, y: Any) -> Any:
    if _is_integer(np.asarray(x)):
        _refuse_zero(y)
        return np.floor_divide(x, y)
    return np.floor(np.divide(x, y))


def _jax_floor_div(x: Any, y: Any) -> Any:
    return jnp.floor_divide(x, y) if _is_integer(x) else jnp.floor(x / y)


def _numpy_floor_mod(x: Any, y: Any) -> Any:
    if _is_integer(np.asarray(x)):
        _refuse_zero(y)
    return np.remainder(x, y)


def _numpy_truncate_div(x: Any, y: Any) -> Any:
    x, y = np.asarray(x), np.asarray(y)
    if not _is_integer(x):
        return np.trunc(np.divide(x, y))
    _refuse_zero(y)
    if x.dtype == object or y.dtype == object:
        return np.floor_divide(x, y)
    return np.floor_divide(x - np.fmod(x, y), y)


def _jax_truncate_div(x: Any, y: Any) -> Any:
    x, y = jnp.broadcast_arrays(x, y)
    return lax.div(x, y) if _is_integer(x) else jnp.trunc(x / y)


def _numpy_truncate_mod(x: Any, y: Any) -> Any:
    x = np.asarray(x)
    if x.dtype == object:
        return np.remainder(x, y)
    if _is_integer(x):
        _refuse_zero(y)
    return np.fmod(x, y)


def _jax_truncate_mod(x: Any, y: Any) -> Any:
    return lax.rem(*jnp.broadcast_arrays(x, y))


def _numpy_divide(x: Any, y: Any) -> Any:
    x = np.asarray(x)
    return _numpy_truncate_div(x, y) if _is_integer(x) else np.divide(x, y)


def _jax_divide(x: Any, y: Any) -> Any:
    return _jax_truncate_div(x, y) if _is_integer(x) else jnp.divide(x, y)


def _safe(xp: Any, x: Any, y: Any, value: Any) -> Any:
    """Return `value` where `y` is not zero, and zero where it is."""
    return xp.where(y == 0, xp.zeros_like(x), value)


def _div_no_nan(xp: Any, x: Any, y: Any) -> Any:
    return _safe(xp, x, y, x / xp.where(y == 0, xp.ones_like(y), y))


def _mul_no_nan(xp: Any, x: Any, y: Any) -> Any:
    return _safe(xp, x, y, x * y)


def _zero_for_zero(xp: Any, x: Any, value: Any) -> Any:
    """Return `value`, and zero where `x` is zero, whatever `value` is there."""
    return xp.where(x == 0, xp.zeros_like(value), value)


def _numpy_power(x: Any, y: Any) -> Any:
    x, y = np.asarray(x), np.asarray(y)
    if _is_integer(x) and x.dtype != object and y.dtype != object and np.any(y < 0):
        raise DataError("an integer is raised to a negative power", where="a node of the graph", fix="use floats")
    return np.power(x, y)


def _shift(xp: Any, x: Any, y: Any) -> Any:
    """Return the amount to shift by, which stays between none and all bits but one."""
    most = np.dtype(x.dtype).itemsize * 8 - 1
    return xp.clip(y, xp.asarray(0, x.dtype), xp.asarray(most, x.dtype))


def _maximum(xp: Any, x: Any, y: Any) -> Any:
    return xp.maximum(x, y)


def _minimum(xp: Any, x: Any, y: Any) -> Any:
    return xp.minimum(x, y)


def _squared_difference(xp: Any, x: Any, y: Any) -> Any:
    difference = x - y
    if jnp.issubdtype(difference.dtype, jnp.complexfloating):
        return difference * xp.conj(difference)
    return difference * difference


def _both(names: str, function: Any, *, symbolic: bool = False) -> None:
    """Register an operation that is written once, for the module that it gets first."""
    register(names, functools.partial(function, np), functools.partial(function, jnp), symbolic=symbolic)


register("Add AddV2", np.add, jnp.add, symbolic=True)
register("Sub", np.subtract, jnp.subtract, symbolic=True)
register("Mul", np.multiply, jnp.multiply, symbolic=True)
register("RealDiv", np.divide, jnp.divide)
register("Div", _numpy_divide, _jax_divide, symbolic=True)
register("FloorDiv", _numpy_floor_div, _jax_floor_div, symbolic=True)
register("TruncateDiv", _numpy_truncate_div, _jax_truncate_div, symbolic=True)
register("FloorMod", _numpy_floor_mod, jnp.mod, symbolic=True)
register("Mod TruncateMod", _numpy_truncate_mod, _jax_truncate_mod, symbolic=True)
register("Pow", _numpy_power, jnp.power, symbolic=True)
register("Atan2", np.arctan2, jnp.arctan2)
register("NextAfter", np.nextafter, jnp.nextafter)
_both("DivNoNan", _div_no_nan)
_both("MulNoNan", _mul_no_nan)
_both("Maximum", _maximum, symbolic=True)
_both("Minimum", _minimum, symbolic=True)
_both("SquaredDifference", _squared_difference)
_both("Xlogy", lambda xp, x, y: _zero_for_zero(xp, x, x * xp.log(y)))
_both("Xlog1py", lambda xp, x, y: _zero_for_zero(xp, x, x * xp.log1p(y)))
_both("Xdivy", lambda xp, x, y: _zero_for_zero(xp, x, x / y))

register("Less", np.less, jnp.less)
register("LessEqual", np.less_equal, jnp.less_equal)
register("Greater", np.greater, jnp.greater)
register("GreaterEqual", np.greater_equal, jnp.greater_equal)
register("LogicalAnd", np.logical_and, jnp.logical_and)
register("LogicalOr", np.logical_or, jnp.logical_or)
register("LogicalNot", np.logical_not, jnp.logical_not)

register("BitwiseAnd", np.bitwise_and, jnp.bitwise_and)
register("BitwiseOr", np.bitwise_or, jnp.bitwise_or)
register("BitwiseXor", np.bitwise_xor, jnp.bitwise_xor)
register("Invert", np.invert, jnp.invert)
_both("LeftShift", lambda xp, x, y: xp.left_shift(x, _shift(xp, x, y)))
_both("RightShift", lambda xp, x, y: xp.right_shift(x, _shift(xp, x, y)))


def _equality(node: OpNode, x: Any, y: Any, *, equal: bool) -> Any:
    if not node.attr("incompatible_shape_error"):
        try:
            np.broadcast_shapes(np.shape(x), np.shape(y))
        except ValueError:
            return np.asarray(not equal)
    if backend_of(x, y) is np:
        x, y = np.asarray(x), np.asarray(y)
        compared = operator.eq(x, y) if equal else operator.ne(x, y)
        return np.asarray(compared, np.bool_)
    x, y = on_device(x, node.attr("T")), on_device(y, node.attr("T"))
    return jnp.equal(x, y) if equal else jnp.not_equal(x, y)


@graph_op("Equal")
def equal(node: OpNode, x: Any, y: Any) -> Any:
    """Compare; shapes that do not broadcast are different where the graph allows them."""
    return _equality(node, x, y, equal=True)


@graph_op("NotEqual")
def not_equal(node: OpNode, x: Any, y: Any) -> Any:
    """Compare; shapes that do not broadcast are different where the graph allows them."""
    return _equality(node, x, y, equal=False)


@graph_op("ApproximateEqual")
def approximate_equal(node: OpNode, x: Any, y: Any) -> Any:
    """Return whether two values differ by less than the tolerance."""
    return abs(x - y) < np.asarray(node.attr("tolerance"), x.dtype)


@graph_op("AddN", "AccumulateNV2")
def add_n(_node: OpNode, *values: Any) -> Any:
    """Return the sum of tensors of one shape."""
    return functools.reduce(operator.add, values)


@graph_op("PopulationCount")
def population_count(_node: OpNode, x: Any) -> Any:
    """Count the bits that are set, in uint8."""
    return lax.population_count(jnp.asarray(x)).astype(jnp.uint8)


@graph_op("Select")
def select(_node: OpNode, condition: Any, x: Any, y: Any) -> Any:
    """Choose by a condition of the same shape, a scalar, or one value for each row."""
    missing = np.ndim(x) - np.ndim(condition)
    if np.ndim(condition) == 1 and missing > 0:
        condition = condition.reshape(condition.shape + (1,) * missing)
    return backend_of(condition, x, y).where(condition, x, y)


@graph_op("SelectV2")
def select_v2(node: OpNode, condition: Any, x: Any, y: Any) -> Any:
    """Choose element by element, with broadcasting."""
    xp = backend_of(condition, x, y)
    if xp is not np:
        x, y = on_device(x, node.attr("T")), on_device(y, node.attr("T"))
    return xp.where(condition, x, y)


@graph_op("ClipByValue")
def clip_by_value(_node: OpNode, x: Any, low: Any, high: Any) -> Any:
    """Limit values; the lower limit wins where the limits are in the wrong order."""
    xp = backend_of(x, low, high)
    return xp.maximum(xp.minimum(x, high), low)


@graph_op("Cross")
def cross(_node: OpNode, x: Any, y: Any) -> Any:
    """Return the cross products of vectors of three elements."""
    return backend_of(x, y).cross(x, y)


@graph_op("ToBool")
def to_bool(_node: OpNode, x: Any) -> Any:
    """Return whether a scalar is not zero, or a tensor not empty."""
    if np.ndim(x):
        return np.asarray(np.size(x) > 0)
    return backend_of(x).not_equal(x, np.zeros((), x.dtype))
