"""Gradients of convolutions, pooling, normalisation and resizing, for models that serve a gradient.

Each is the vector-Jacobian product that JAX makes of the forward operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.convolutions import conv, depthwise_conv
from mainstay.saved_model.graph_reading.graph_ops.images import (
    resize_bicubic,
    resize_bilinear,
    resize_nearest_neighbor,
)
from mainstay.saved_model.graph_reading.graph_ops.normalization import local_response_normalization
from mainstay.saved_model.graph_reading.graph_ops.pooling import average_pool
from mainstay.saved_model.graph_reading.graph_ops.reductions import lowest
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.shapes import mirror_pad
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers, shape_array
from mainstay.saved_model.graph_reading.graph_ops.windows import layout_of, window_of


def _pulled_back(function: Callable[[Any], Any], at: Any, gradient: Value) -> Any:
    """Return the gradient of what leads to a result, given that of the result."""
    result, pull = jax.vjp(function, at)
    return pull(jnp.asarray(gradient).astype(result.dtype))[0]


@graph_op("Conv2DBackpropFilter", "Conv3DBackpropFilterV2")
def conv_backprop_filter(node: OpNode, image: Value, sizes: Value, gradient: Value) -> Value:
    """Return the gradient of the kernel of a convolution, which has the given sizes."""
    kernel = jnp.zeros(integers(sizes), image.dtype)
    return _pulled_back(lambda weights: conv(node, image, weights), kernel, gradient)


@graph_op("Conv2DBackpropFilterV2", "Conv3DBackpropFilter")
def conv_backprop_filter_like(node: OpNode, image: Value, kernel: Value, gradient: Value) -> Value:
    """Return the gradient of the kernel of a convolution."""
    return _pulled_back(lambda weights: conv(node, image, weights), jnp.asarray(kernel), gradient)


@graph_op("DepthwiseConv2dNativeBackpropFilter")
def depthwise_backprop_filter(node: OpNode, image: Value, sizes: Value, gradient: Value) -> Value:
    """Return the gradient of the kernel of a depthwise convolution, which has the given sizes."""
    kernel = jnp.zeros(integers(sizes), image.dtype)
    return _pulled_back(lambda weights: depthwise_conv(node, image, weights), kernel, gradient)


@graph_op("AvgPoolGrad", "AvgPool3DGrad")
def average_pool_grad(node: OpNode, sizes: Value, gradient: Value) -> Value:
    """Return the gradient of images of given sizes that were averaged in windows."""
    images = jnp.zeros(integers(sizes), gradient.dtype)
    return _pulled_back(lambda x: average_pool(node, x), images, gradient)


@graph_op("MaxPoolGrad", "MaxPool3DGrad", "MaxPoolGradV2")
def max_pool_grad(node: OpNode, images: Value, _result: Value, gradient: Value, *window: Value) -> Value:
    """Return the gradient of images whose largest elements were taken; the first of equals in a window has it all."""
    images = jnp.asarray(images)
    size, strides = map(integers, window) if window else (node.attr("ksize"), node.attr("strides"))
    layout = layout_of(node, images.ndim)
    shape = window_of(node, images.shape, layout, size=layout.of_space(size), strides=layout.of_space(strides))

    def largest(x: Any) -> Any:
        # Shifted slices would share the gradient among equals; XLA's windows choose the first.
        start = lowest(x.dtype).item() if jnp.issubdtype(x.dtype, jnp.floating) else lowest(x.dtype)
        pads = shape.full(shape.pads, (0, 0))
        return lax.reduce_window(x, start, lax.max, shape.full(shape.size, 1), shape.full(shape.strides, 1), pads)

    return _pulled_back(largest, images, gradient)


@graph_op("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3")
def fused_batch_norm_grad(node: OpNode, gradient: Value, x: Value, *saved: Value) -> Value:
    """Return the gradients of images, scale and offset, given the mean and variance that were used."""
    scale, mean, variance = map(jnp.asarray, saved[:3])
    wide, dy = jnp.asarray(x).astype(scale.dtype), jnp.asarray(gradient).astype(scale.dtype)
    channels = layout_of(node, wide.ndim).channels
    axes = tuple(axis for axis in range(wide.ndim) if axis != channels)
    shape = [-1 if axis == channels else 1 for axis in range(wide.ndim)]
    inverse = lax.rsqrt(variance + jnp.asarray(node.attr("epsilon", 1e-4), variance.dtype)).reshape(shape)
    normal = (wide - mean.reshape(shape)) * inverse
    of_scale, of_offset = jnp.sum(dy * normal, axes), jnp.sum(dy, axes)
    if node.attr("is_training", True):
        means = [jnp.mean(each, axes, keepdims=True) for each in (dy, dy * normal)]
        dy = dy - means[0] - normal * means[1]
    of_images = (dy * inverse * scale.reshape(shape)).astype(x.dtype)
    nothing = jnp.zeros(0, scale.dtype)
    return of_images, of_scale, of_offset, nothing, nothing


@graph_op("LRNGrad")
def local_response_normalization_grad(node: OpNode, gradient: Value, images: Value, _result: Value) -> Value:
    """Return the gradient of images that were divided by their neighbours in the channels."""
    return _pulled_back(lambda x: local_response_normalization(node, x), jnp.asarray(images), gradient)


@graph_op("MirrorPadGrad")
def mirror_pad_grad(node: OpNode, gradient: Value, amounts: Value) -> Value:
    """Return the gradient of a tensor that was surrounded with its mirror image."""
    flat = integers(amounts)
    shape = [size - low - high for size, low, high in zip(gradient.shape, flat[::2], flat[1::2], strict=True)]
    return _pulled_back(lambda x: mirror_pad(node, x, amounts), jnp.zeros(shape, gradient.dtype), gradient)


@graph_op("ResizeBilinearGrad", "ResizeBicubicGrad")
def resize_grad(node: OpNode, gradient: Value, images: Value) -> Value:
    """Return the gradient of images that were resized."""
    resize = resize_bilinear if node.op == "ResizeBilinearGrad" else resize_bicubic
    size = shape_array(tuple(gradient.shape[1:3]))
    return _pulled_back(lambda x: resize(node, x, size), jnp.asarray(images), gradient)


@graph_op("ResizeNearestNeighborGrad")
def resize_nearest_neighbor_grad(node: OpNode, gradient: Value, sizes: Value) -> Value:
    """Return the gradient of images of a given size that were resized by repeating pixels."""
    shape = (gradient.shape[0], *integers(sizes), gradient.shape[3])
    size = shape_array(tuple(gradient.shape[1:3]))
    images = jnp.zeros(shape, gradient.dtype)
    return _pulled_back(lambda x: resize_nearest_neighbor(node, x, size), images, gradient)
