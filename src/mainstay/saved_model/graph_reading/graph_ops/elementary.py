"""Functions of one tensor: signs, roots, powers, logarithms, angles, rounding, complex numbers and their gradients."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.elementwise import elementwise
from mainstay.saved_model.graph_reading.graph_ops.elementwise import register as register_elementwise
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import backend_of

register = functools.partial(register_elementwise, module=__name__)


def _one(names: str, name: str) -> None:
    """Register an operation that NumPy and JAX have under the same name."""
    register(names, getattr(np, name), getattr(jnp, name))


def _both(names: str, function: Any) -> None:
    """Register an operation that is written once, for the module that it gets first."""
    register(names, functools.partial(function, np), functools.partial(function, jnp))


def _reciprocal(x: Any) -> Any:
    return np.divide(np.ones((), x.dtype), x)


def _sign(xp: Any, x: Any) -> Any:
    """Return the sign; NaN stays NaN, and a complex number is divided by its length."""
    return xp.sign(x)


def _round(xp: Any, x: Any) -> Any:
    """Round to the nearest integer, halves to the even one; integers stay what they are."""
    return x if jnp.issubdtype(x.dtype, jnp.integer) else xp.round(x)


_one("Abs ComplexAbs", "abs")
register("Neg", np.negative, jnp.negative, symbolic=True)
_one("Square", "square")
_one("Sqrt", "sqrt")
register("Rsqrt", lambda x: _reciprocal(np.sqrt(x)), lax.rsqrt)
register("Inv Reciprocal", _reciprocal, jnp.reciprocal)
_one("Exp", "exp")
_one("Expm1", "expm1")
_one("Log", "log")
_one("Log1p", "log1p")
for _name in ("Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh", "Floor", "Ceil", "Conj"):
    _one(_name, _name.lower())
for _name, _function in {"Asin": "arcsin", "Acos": "arccos", "Atan": "arctan"}.items():
    _one(_name, _function)
for _name, _function in {"Asinh": "arcsinh", "Acosh": "arccosh", "Atanh": "arctanh"}.items():
    _one(_name, _function)
_both("Sign", _sign)
_both("Round", _round)
_one("Rint", "rint")
_one("IsNan", "isnan")
_one("IsInf", "isinf")
_one("IsFinite", "isfinite")
_one("Real", "real")
_one("Imag", "imag")
_one("Angle", "angle")
_both("OnesLike", lambda xp, x: xp.ones_like(x))

# The gradients take the function's result (or, for the activations, its argument) first or second, as TensorFlow does.
_both("TanhGrad", lambda xp, y, dy: dy * (1 - y * y))
_both("SigmoidGrad", lambda xp, y, dy: dy * y * (1 - y))
_both("SqrtGrad", lambda xp, y, dy: dy * 0.5 / y)
_both("RsqrtGrad", lambda xp, y, dy: dy * -0.5 * y * y * y)
_both("InvGrad ReciprocalGrad", lambda xp, y, dy: -dy * y * y)


@graph_op("ZerosLike")
def zeros_like(node: OpNode, x: Any) -> Any:
    """Return zeros of the shape of a tensor, or empty strings."""
    if node.outputs[0] == "string":
        return np.full(np.shape(x), b"", object)
    return elementwise(np.zeros_like, jnp.zeros_like)(node, x)


@graph_op("Complex")
def make_complex(node: OpNode, real: Any, imaginary: Any) -> Any:
    """Return complex numbers of their two parts."""
    xp = backend_of(real, imaginary)
    if xp is not np:
        return lax.complex(*jnp.broadcast_arrays(real, imaginary))
    unit = np.asarray(1j, node.attr("Tout"))
    return np.asarray(real + unit * imaginary)


@graph_op("L2Loss")
def l2_loss(_node: OpNode, x: Any) -> Any:
    """Return half of the sum of squares."""
    xp = backend_of(x)
    return xp.asarray(xp.sum(x * x) / 2, x.dtype)


@graph_op("Sigmoid")
def sigmoid(_node: OpNode, x: Any) -> Any:
    """Return the logistic function."""
    return _logistic(x)


def _logistic(x: Any) -> Any:
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        return 1 / (1 + jnp.exp(-x))
    return jax.nn.sigmoid(x)
