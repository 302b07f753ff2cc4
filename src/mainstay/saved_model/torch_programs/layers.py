"""Operators of layers: convolutions, normalisations, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.torch_programs.registry import operator
from mainstay.saved_model.torch_programs.spans import each_axis


@operator("aten.convolution")
def _convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    axes = weight.ndim - 2
    single = x.ndim == axes + 1
    x = x[None] if single else x
    stride, padding, dilation = each_axis(stride, axes), each_axis(padding, axes), each_axis(dilation, axes)
    letters = "DHW"[-axes:]
    layout = (f"NC{letters}", f"OI{letters}", f"NC{letters}")
    if transposed:
        result = _transposed(x, weight, (stride, padding, dilation, each_axis(output_padding, axes)), groups, layout)
    else:
        result = lax.conv_general_dilated(
            x,
            weight,
            stride,
            [(amount, amount) for amount in padding],
            rhs_dilation=dilation,
            dimension_numbers=layout,
            feature_group_count=groups,
        )
    if bias is not None:
        result = result + bias.reshape((1, -1) + (1,) * axes)
    return result[0] if single else result


def _transposed(
    x: Any,
    weight: Any,
    spans: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    groups: int,
    layout: tuple[str, str, str],
) -> Any:
    """Return the transpose of a convolution: one of the input with zeros in between and the kernel turned round."""
    stride, padding, dilation, output_padding = spans
    kernel = jnp.flip(weight, tuple(range(2, weight.ndim)))
    inputs, outputs, *lengths = kernel.shape
    kernel = kernel.reshape(groups, inputs // groups, outputs, *lengths)
    kernel = jnp.swapaxes(kernel, 1, 2).reshape(groups * outputs, inputs // groups, *lengths)
    reach = [rate * (length - 1) for rate, length in zip(dilation, lengths, strict=True)]
    around = [
        (span - before, span - before + more) for span, before, more in zip(reach, padding, output_padding, strict=True)
    ]
    return lax.conv_general_dilated(
        x,
        kernel,
        (1,) * len(stride),
        around,
        lhs_dilation=stride,
        rhs_dilation=dilation,
        dimension_numbers=layout,
        feature_group_count=groups,
    )


@operator("aten._native_batch_norm_legit_no_training", "aten.batch_norm")
def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, *rest: Any) -> Any:
    # batch_norm has (training, momentum, eps, cudnn) behind the statistics, the other (momentum, eps).
    separate = isinstance(rest[0], bool)
    if separate and rest[0]:
        raise NotImplementedError("batch normalisation in training mode")
    epsilon = rest[2] if separate else rest[1]
    shape = (1, -1) + (1,) * (x.ndim - 2)
    scale = lax.rsqrt(variance + epsilon)
    scale = scale if weight is None else scale * weight
    result = (x - mean.reshape(shape)) * scale.reshape(shape)
    result = result if bias is None else result + bias.reshape(shape)
    empty = jnp.zeros((0,), x.dtype)
    return result if separate else (result, empty, empty)


@operator("aten._native_batch_norm_legit.no_stats")
def _batch_norm_of_itself(
    x: Any, weight: Any, bias: Any, training: bool, momentum: float, epsilon: float
) -> tuple[Any, Any, Any]:
    """Normalise by the statistics of `x` itself: instance normalisation is one over a single row of all channels."""
    del training, momentum
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = jnp.mean(x, axes, keepdims=True)
    scale = lax.rsqrt(jnp.mean(jnp.square(x - mean), axes, keepdims=True) + epsilon)
    result = (x - mean) * scale
    result = result if weight is None else result * weight.reshape(shape)
    return (result if bias is None else result + bias.reshape(shape)), mean.reshape(-1), scale.reshape(-1)


@operator("aten.native_layer_norm")
def _layer_norm(x: Any, shape: Sequence[int], weight: Any, bias: Any, epsilon: float) -> tuple[Any, Any, Any]:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    mean = jnp.mean(x, axes, keepdims=True)
    scale = lax.rsqrt(jnp.mean(jnp.square(x - mean), axes, keepdims=True) + epsilon)
    result = (x - mean) * scale
    result = result if weight is None else result * weight
    return (result if bias is None else result + bias), mean, scale


@operator("aten.layer_norm")
def _layer_norm_alone(
    x: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, epsilon: float = 1e-5, *_: Any
) -> Any:
    return _layer_norm(x, shape, weight, bias, epsilon)[0]


@operator("aten._fused_rms_norm")
def _fused_rms_norm(x: Any, shape: Sequence[int], weight: Any = None, epsilon: float | None = None) -> tuple[Any, None]:
    return _rms_norm(x, shape, weight, epsilon), None


@operator("aten.rms_norm")
def _rms_norm(x: Any, shape: Sequence[int], weight: Any = None, epsilon: float | None = None) -> Any:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    if epsilon is None:
        epsilon = float(jnp.finfo(x.dtype).eps)  # type: ignore[no-untyped-call]
    result = x * lax.rsqrt(jnp.mean(jnp.square(x), axes, keepdims=True) + epsilon)
    return result if weight is None else result * weight


@operator("aten.native_group_norm")
def _group_norm(x: Any, weight: Any, bias: Any, *sizes: Any) -> tuple[Any, Any, Any]:
    _, channels, _, groups, epsilon = sizes
    grouped = x.reshape((x.shape[0], groups, channels // groups, *x.shape[2:]))
    axes = tuple(range(2, grouped.ndim))
    mean = jnp.mean(grouped, axes, keepdims=True)
    scale = lax.rsqrt(jnp.mean(jnp.square(grouped - mean), axes, keepdims=True) + epsilon)
    result = ((grouped - mean) * scale).reshape(x.shape)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    result = result if weight is None else result * weight.reshape(shape)
    result = result if bias is None else result + bias.reshape(shape)
    return result, mean.reshape(mean.shape[:2]), scale.reshape(scale.shape[:2])


@operator("aten.upsample_nearest1d", "aten.upsample_nearest2d", "aten.upsample_nearest3d")
def _resize_nearest(x: Any, size: Sequence[int] | None, *factors: Any) -> Any:
    for axis, length in enumerate(_lengths(x, size, factors), 2):
        places = jnp.floor(jnp.arange(length) * (x.shape[axis] / length)).astype(jnp.int32)
        x = jnp.take(x, jnp.minimum(places, x.shape[axis] - 1), axis=axis)
    return x


@operator("aten.upsample_bilinear2d", "aten.upsample_linear1d", "aten.upsample_trilinear3d")
def _resize_linear(x: Any, size: Sequence[int] | None, align_corners: bool, *factors: Any) -> Any:
    for axis, length in enumerate(_lengths(x, size, factors), 2):
        old = x.shape[axis]
        if align_corners:
            at = jnp.arange(length, dtype=jnp.float32) * ((old - 1) / max(length - 1, 1))
        else:
            at = jnp.maximum((jnp.arange(length, dtype=jnp.float32) + 0.5) * (old / length) - 0.5, 0)
        low = jnp.minimum(jnp.floor(at).astype(jnp.int32), old - 1)
        part = (at - low).astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - axis - 1))
        first, second = (jnp.take(x, place, axis=axis) for place in (low, jnp.minimum(low + 1, old - 1)))
        x = first * (1 - part) + second * part
    return x


def _lengths(x: Any, size: Sequence[int] | None, factors: tuple[Any, ...]) -> list[int]:
    if size is not None:
        return [int(length) for length in size]
    scales = factors[0] if len(factors) == 1 and isinstance(factors[0], (list, tuple)) else factors
    return [int(length * scale) for length, scale in zip(x.shape[2:], scales, strict=True)]


@operator("aten.glu")
def _glu(x: Any, axis: int = -1) -> Any:
    first, second = jnp.split(x, 2, axis)
    return first * jax.nn.sigmoid(second)
