"""Operations that graph optimisers put together: a product or convolution with bias, normalisation and activation."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.activations import ACTIVATIONS
from mainstay.saved_model.graph_reading.graph_ops.convolutions import bias_add, conv, depthwise_conv
from mainstay.saved_model.graph_reading.graph_ops.images import resize_bilinear
from mainstay.saved_model.graph_reading.graph_ops.linear_algebra import mat_mul
from mainstay.saved_model.graph_reading.graph_ops.normalization import batch_norm
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.shapes import mirror_pad
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graph_reading.graph_ops.windows import layout_of


def _finished(node: OpNode, x: Any, arguments: tuple[Value, ...]) -> Any:
    """Apply what was fused with an operation to its result."""
    rest = list(map(jnp.asarray, arguments))
    for name in node.attr("fused_ops", ()):
        function = name.decode()
        if function == "BiasAdd":
            x = bias_add(node, x, rest.pop(0))
        elif function == "Add":
            x = x + rest.pop(0)
        elif function == "FusedBatchNorm":
            x, rest = _normalised(node, x, rest[:4]), rest[4:]
        elif function == "LeakyRelu":
            x = jnp.where(x > 0, x, x * jnp.asarray(node.attr("leakyrelu_alpha", 0.2), x.dtype))
        elif function in ACTIVATIONS:
            x = ACTIVATIONS[function](x)
        else:
            raise ModelError("an operation is fused with one that is not known", where=node.name, received=function)
    return x


def _normalised(node: OpNode, x: Any, parameters: list[Any]) -> Any:
    scale, offset, mean, variance = parameters
    layout = layout_of(node, x.ndim)
    shape = [-1 if axis == layout.channels else 1 for axis in range(x.ndim)]
    factor = lax.rsqrt(variance + jnp.asarray(node.attr("epsilon", 1e-4), variance.dtype)) * scale
    return (x - mean.reshape(shape)) * factor.reshape(shape) + offset.reshape(shape)


@graph_op("_FusedConv2D", "_FusedConv3D")
def fused_conv(node: OpNode, image: Value, kernel: Value, *arguments: Value) -> Value:
    """Convolve images, and apply what was fused with that."""
    return _finished(node, conv(node, image, kernel), arguments)


@graph_op("_FusedDepthwiseConv2dNative")
def fused_depthwise_conv(node: OpNode, image: Value, kernel: Value, *arguments: Value) -> Value:
    """Convolve each channel of images on its own, and apply what was fused with that."""
    return _finished(node, depthwise_conv(node, image, kernel), arguments)


@graph_op("_FusedMatMul")
def fused_mat_mul(node: OpNode, x: Value, y: Value, *arguments: Value) -> Value:
    """Multiply two matrices, and apply what was fused with that."""
    return _finished(node, mat_mul(node, x, y), arguments)


@graph_op("_FusedBatchNormEx")
def fused_batch_norm_ex(node: OpNode, x: Value, *parameters: Value) -> Value:
    """Normalise channels, add another tensor if there is one, and apply an activation."""
    y, *statistics = batch_norm(node, jnp.asarray(x), parameters[:4])
    if len(parameters) > 5 or (node.attr("num_side_inputs", 0) and len(parameters) > 4):
        y = y + jnp.asarray(parameters[-1])
    name = node.text("activation_mode") if node.attr("activation_mode") else "Identity"
    y = y if name == "Identity" else ACTIVATIONS[name](y)
    return (y, *statistics, jnp.zeros((), statistics[0].dtype))


@graph_op("FusedPadConv2D")
def fused_pad_conv(node: OpNode, image: Value, amounts: Value, kernel: Value) -> Value:
    """Surround images with their own mirror image, and convolve them."""
    return conv(node, mirror_pad(node, jnp.asarray(image), amounts), kernel)


@graph_op("FusedResizeAndPadConv2D")
def fused_resize_pad_conv(node: OpNode, image: Value, size: Value, amounts: Value, kernel: Value) -> Value:
    """Resize images, surround them with their own mirror image, and convolve them."""
    corners = OpNode(node.name, node.op, {**node.attrs, "align_corners": node.attr("resize_align_corners", False)}, ())
    return fused_pad_conv(node, resize_bilinear(corners, image, size), amounts, kernel)
