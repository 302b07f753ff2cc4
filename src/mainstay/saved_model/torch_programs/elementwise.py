"""Operators that work element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.torch_programs.registry import operator

_ONE: dict[str, Callable[[Any], Any]] = {
    "abs": jnp.abs,
    "acos": jnp.arccos,
    "acosh": jnp.arccosh,
    "asin": jnp.arcsin,
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "atanh": jnp.arctanh,
    "bitwise_not": jnp.bitwise_not,
    "ceil": jnp.ceil,
    "cos": jnp.cos,
    "cosh": jnp.cosh,
    "erf": lax.erf,
    "erfc": lax.erfc,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "isfinite": jnp.isfinite,
    "isinf": jnp.isinf,
    "isnan": jnp.isnan,
    "log": jnp.log,
    "log10": jnp.log10,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "logical_not": jnp.logical_not,
    "neg": jnp.negative,
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: jnp.maximum(x, 0),
    "relu6": lambda x: jnp.clip(x, 0, 6),
    "rsqrt": lambda x: lax.rsqrt(_floating(x)),
    "sigmoid": lambda x: jax.nn.sigmoid(_floating(x)),
    "sign": jnp.sign,
    "silu": jax.nn.silu,
    "sin": jnp.sin,
    "sinh": jnp.sinh,
    "sqrt": jnp.sqrt,
    "square": jnp.square,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
    "trunc": jnp.trunc,
    "hardswish": jax.nn.hard_swish,
    "hardsigmoid": jax.nn.hard_sigmoid,
    "mish": jax.nn.mish,
    "log_sigmoid": jax.nn.log_sigmoid,
    "softsign": jax.nn.soft_sign,
}
for _name, _function in _ONE.items():
    operator(f"aten.{_name}")(_function)

_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "atan2": jnp.arctan2,
    "bitwise_and": jnp.bitwise_and,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
    "eq": jnp.equal,
    "fmod": jnp.fmod,
    "ge": jnp.greater_equal,
    "gt": jnp.greater,
    "le": jnp.less_equal,
    "logical_and": jnp.logical_and,
    "logical_or": jnp.logical_or,
    "logical_xor": jnp.logical_xor,
    "lt": jnp.less,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "mul": jnp.multiply,
    "ne": jnp.not_equal,
    "pow": jnp.power,
    "remainder": jnp.remainder,
    "bitwise_left_shift": jnp.left_shift,
    "bitwise_right_shift": jnp.right_shift,
}
for _name, _binary in _TWO.items():
    operator(f"aten.{_name}")(_binary)


def _floating(x: Any) -> Any:
    """Return integers and booleans as float32, as PyTorch's functions of real numbers take them."""
    return x if jnp.issubdtype(jnp.result_type(x), jnp.inexact) else jnp.asarray(x, jnp.float32)


@operator("aten.add")
def _add(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    return jnp.add(x, y if alpha == 1 else jnp.multiply(y, alpha))


@operator("aten.sub")
def _subtract(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    return jnp.subtract(x, y if alpha == 1 else jnp.multiply(y, alpha))


@operator("aten.rsub")
def _subtract_from(x: Any, y: Any, alpha: Any = 1) -> Any:
    return jnp.subtract(y, x if alpha == 1 else jnp.multiply(x, alpha))


@operator("aten.div")
def _divide(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return jnp.floor_divide(x, y)
    if rounding_mode == "trunc":
        whole = jnp.issubdtype(jnp.result_type(x, y), jnp.integer)
        return lax.div(*jnp.broadcast_arrays(x, y)) if whole else jnp.trunc(jnp.divide(x, y))
    return jnp.true_divide(x, y)


@operator("aten.floor_divide")
def _floor_divide(x: Any, y: Any) -> Any:
    return jnp.floor_divide(x, y)


@operator("aten.addcmul")
def _add_product(x: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return x + value * a * b


@operator("aten.addcdiv")
def _add_quotient(x: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return x + value * a / b


@operator("aten.lerp")
def _interpolate(start: Any, end: Any, weight: Any) -> Any:
    return start + weight * (end - start)


@operator("aten.clamp", "aten.clip", "aten.hardtanh")
def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    x = x if min is None else jnp.maximum(x, min)
    return x if max is None else jnp.minimum(x, max)


@operator("aten.clamp_min")
def _clamp_below(x: Any, least: Any) -> Any:
    return jnp.maximum(x, least)


@operator("aten.clamp_max")
def _clamp_above(x: Any, most: Any) -> Any:
    return jnp.minimum(x, most)


@operator("aten.round")
def _round(x: Any, *, decimals: int = 0) -> Any:
    return jnp.round(x, decimals)


@operator("aten.gelu")
def _gelu(x: Any, *, approximate: str = "none") -> Any:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


@operator("aten.elu")
def _elu(x: Any, alpha: Any = 1.0, scale: Any = 1.0, input_scale: Any = 1.0) -> Any:
    return scale * jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0, x * input_scale)))


@operator("aten.selu")
def _selu(x: Any) -> Any:
    return jax.nn.selu(x)


@operator("aten.leaky_relu")
def _leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    return jnp.where(x > 0, x, x * negative_slope)


@operator("aten._prelu_kernel", "aten.prelu")
def _prelu(x: Any, weight: Any) -> Any:
    if weight.ndim == 1 and x.ndim > 1:
        weight = weight.reshape((1, -1) + (1,) * (x.ndim - 2))
    return jnp.where(x > 0, x, x * weight)


@operator("aten.softplus")
def _softplus(x: Any, beta: Any = 1, threshold: Any = 20) -> Any:
    return jnp.where(x * beta > threshold, x, jax.nn.softplus(x * beta) / beta)


@operator("aten.threshold")
def _threshold(x: Any, threshold: Any, value: Any) -> Any:
    return jnp.where(x > threshold, x, jnp.asarray(value, x.dtype))


@operator("aten.where")
def _where(condition: Any, x: Any, y: Any) -> Any:
    return jnp.where(condition, x, y)


@operator("aten.masked_fill")
def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return jnp.where(mask, jnp.asarray(value, x.dtype), x)


@operator("aten.nan_to_num")
def _nan_to_num(x: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    return jnp.nan_to_num(x, nan=nan or 0.0, posinf=posinf, neginf=neginf)
