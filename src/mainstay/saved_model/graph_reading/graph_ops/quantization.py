"""Quantisation: numbers rounded to steps, as floats or as the integers that count the steps."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.conversion import float_facts
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer


def _round_away(x: Any) -> Any:
    return jnp.trunc(x + jnp.sign(x) * jnp.asarray(0.5, x.dtype))


def _fake_quantized(node: OpNode, x: Value, low: Value, high: Value) -> Any:
    """Round to the steps between two ends, which are moved a little so that zero is a step."""
    x, low, high = (jnp.asarray(each, jnp.float32) for each in (x, low, high))
    first = jnp.float32(1 if node.attr("narrow_range", False) else 0)
    last = jnp.float32((1 << node.attr("num_bits", 8)) - 1)
    empty = (low == 0) & (high == 0)
    step = jnp.where(empty, 1, (high - low) / (last - first))
    zero = _round_away(jnp.clip(first - low / step, first, last))
    begin, end = (first - zero) * step, (last - zero) * step
    shifted = jnp.clip(x, begin, end) - begin
    return jnp.where(empty, 0, jnp.floor(shifted * (1 / step) + 0.5) * step + begin).astype(jnp.float32)


@graph_op("FakeQuantWithMinMaxArgs")
def fake_quant_args(node: OpNode, x: Value) -> Value:
    """Round to steps between constant ends."""
    return _fake_quantized(node, x, node.attr("min", -6.0), node.attr("max", 6.0))


@graph_op("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant_vars(node: OpNode, x: Value, low: Value, high: Value) -> Value:
    """Round to steps between given ends, one pair for all or for each channel."""
    return _fake_quantized(node, x, low, high)


def _per_axis(node: OpNode, value: Any, rank: int) -> Any:
    axis = node.attr("axis", -1)
    if axis is None or axis < 0:
        return value
    return value.reshape([-1 if each == axis else 1 for each in range(rank)])


def _quantize_and_dequantize(node: OpNode, x: Value, low: Value, high: Value, bits: int) -> Any:
    x = jnp.asarray(x)
    axis = node.attr("axis", -1)
    signed, given = node.attr("signed_input", True), node.attr("range_given", False)
    narrow = bool(node.attr("narrow_range", False))
    first, last = _integer_range(bits, signed=signed, narrow=narrow)
    if given:
        low, high = (jnp.asarray(each, x.dtype) for each in (low, high))
    else:
        axes = tuple(each for each in range(x.ndim) if axis < 0 or each != axis)
        low, high = jnp.min(x, axes), jnp.max(x, axes)
    scale, step, low, high = _scale(low, high, first, last)
    scale, step, low, high = (_per_axis(node, each, x.ndim) for each in (scale, step, low, high))
    clamped = jnp.clip(x, low, high) if given else x
    halves_up = node.attr("round_mode", b"HALF_TO_EVEN") == b"HALF_UP"
    counted = jnp.floor(clamped * scale + 0.5) if halves_up else jnp.round(clamped * scale)
    return (counted * step).astype(x.dtype)


def _integer_range(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    if not signed:
        return 0, (1 << bits) - 1
    return -(1 << (bits - 1)) + int(narrow), (1 << (bits - 1)) - 1


def _scale(low: Any, high: Any, first: int, last: int) -> tuple[Any, Any, Any, Any]:
    """Return steps per unit, units per step, and the ends that fit them."""
    dtype = low.dtype
    largest = float_facts(dtype).max
    below, above = jnp.asarray(first, dtype), jnp.asarray(last, dtype)
    from_low = jnp.where(below * low > 0, below / jnp.where(low == 0, 1, low), largest)
    from_high = jnp.where(above * high > 0, above / jnp.where(high == 0, 1, high), largest)
    by_low = from_low < from_high
    scale = jnp.where(by_low, from_low, from_high)
    step = jnp.where(by_low, low / jnp.where(below == 0, 1, below), high / above)
    return scale, step, jnp.where(by_low, low, below * step), jnp.where(by_low, above * step, high)


@graph_op("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
def quantize_and_dequantize_v2(node: OpNode, x: Value, low: Value, high: Value) -> Value:
    """Round to steps between given ends, or those of the tensor itself."""
    return _quantize_and_dequantize(node, x, low, high, node.attr("num_bits", 8))


@graph_op("QuantizeAndDequantizeV3")
def quantize_and_dequantize_v3(node: OpNode, x: Value, low: Value, high: Value, bits: Value) -> Value:
    """Round to steps between given ends, or those of the tensor itself."""
    return _quantize_and_dequantize(node, x, low, high, integer(bits))


@graph_op("QuantizeAndDequantize")
def quantize_and_dequantize(node: OpNode, x: Value) -> Value:
    """Round to steps between ends that the graph states, or those of the tensor itself."""
    return _quantize_and_dequantize(
        node, x, node.attr("input_min", 0.0), node.attr("input_max", 0.0), node.attr("num_bits", 8)
    )


@graph_op("Dequantize")
def dequantize(node: OpNode, x: Value, low: Value, high: Value) -> Value:
    """Return the numbers that integers stand for."""
    x = jnp.asarray(x)
    limits = np.iinfo(x.dtype)
    wide = x.astype(jnp.float32)
    low, high = (_per_axis(node, jnp.asarray(each, jnp.float32), x.ndim) for each in (low, high))
    mode = node.text("mode") if node.attr("mode") else "MIN_COMBINED"
    if mode == "SCALED":
        first = limits.min + int(bool(node.attr("narrow_range", False))) if limits.min < 0 else 0
        step = high / limits.max
        step = jnp.maximum(step, low / first) if first else step
        result = wide * step
    elif mode in ("MIN_COMBINED", "MIN_FIRST"):
        step = (high - low) / jnp.float32(limits.max - limits.min)
        result = (wide - limits.min) * step + low
    else:
        raise ModelError("integers are read in an unknown way", where=node.name, received=mode)
    return result.astype(node.attr("dtype", np.dtype(np.float32)))


@graph_op("QuantizeV2")
def quantize_v2(node: OpNode, x: Value, low: Value, high: Value) -> Value:
    """Return the integers that count the steps of numbers, and both ends of the steps."""
    x = jnp.asarray(x, jnp.float32)
    dtype = node.dtype("T")
    limits = np.iinfo(dtype)
    low, high = _ends(node, jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32))
    mode = node.text("mode") if node.attr("mode") else "MIN_COMBINED"
    round_ = jnp.round if node.attr("round_mode", b"") == b"HALF_TO_EVEN" else _round_away
    if mode == "SCALED":
        first = limits.min + int(bool(node.attr("narrow_range", False)))
        factor = jnp.minimum(jnp.where(high > 0, limits.max / high, jnp.inf), _low_factor(low, first))
        low, high = first / factor, limits.max / factor
        counted = round_(
            jnp.clip(x, *(_per_axis(node, e, x.ndim) for e in (low, high))) * _per_axis(node, factor, x.ndim)
        )
    else:
        factor = jnp.float32(limits.max - limits.min) / (high - low)
        wide = [_per_axis(node, each, x.ndim) for each in (low, high, factor)]
        if mode == "MIN_COMBINED":
            moved = (jnp.clip(x, wide[0], wide[1]) - wide[0]) * wide[2]
            counted = round_(moved + limits.min) if limits.min else round_(moved)
        elif mode == "MIN_FIRST":
            counted = round_(x * wide[2]) - round_(wide[0] * wide[2]) + limits.min
        else:
            raise ModelError("numbers are quantised in an unknown way", where=node.name, received=mode)
    return jnp.clip(counted, limits.min, limits.max).astype(jnp.int64).astype(dtype), low, high


def _low_factor(low: Any, first: int) -> Any:
    return jnp.where(low < 0, first / jnp.where(low < 0, low, 1), jnp.inf) if first < 0 else jnp.full_like(low, jnp.inf)


def _ends(node: OpNode, low: Any, high: Any) -> tuple[Any, Any]:
    """Return ends that hold zero and are not too close to each other."""
    low = jnp.minimum(low, 0)
    least = jnp.float32(node.attr("ensure_minimum_range", 0.01))
    epsilon = jnp.maximum(1, jnp.maximum(jnp.abs(low), jnp.abs(high))) * least
    return low, jnp.maximum(jnp.maximum(high, low + epsilon), 0)


def _along(node: OpNode, value: Value, rank: int) -> Any:
    value, axis = jnp.asarray(value), node.attr("quantization_axis", -1)
    return value if axis < 0 else value.reshape([-1 if each == axis else 1 for each in range(rank)])


@graph_op("UniformQuantize")
def uniform_quantize(node: OpNode, x: Value, scales: Value, zeros: Value) -> Value:
    """Return the integers that count steps from a zero point."""
    x = jnp.asarray(x)
    counted = jnp.floor(x * (1 / _along(node, scales, x.ndim)) + 0.5).astype(jnp.int32)
    bounds = node.attr("quantization_min_val"), node.attr("quantization_max_val")
    return jnp.clip(counted + _along(node, zeros, x.ndim), *bounds).astype(node.dtype("Tout"))


@graph_op("UniformDequantize")
def uniform_dequantize(node: OpNode, x: Value, scales: Value, zeros: Value) -> Value:
    """Return the numbers that integers count from a zero point."""
    x = jnp.asarray(x)
    counted = x.astype(jnp.int32) - _along(node, zeros, x.ndim)
    return counted.astype(jnp.float32) * _along(node, scales, x.ndim)
