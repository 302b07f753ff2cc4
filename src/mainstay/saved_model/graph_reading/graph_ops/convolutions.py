"""Convolutions, their transposes, and convolutions with what stands before and after them.

On CPUs, depthwise convolutions are sums of shifted products, and large convolutions without padding get a border that
is cut off again: XLA's CPU compiler is several times faster at these. `lax.platform_dependent` keeps the plain ones for
other platforms, so that one program serves all.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.reductions import lowest
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers
from mainstay.saved_model.graph_reading.graph_ops.windows import MOST_TAPS, Layout, Window, layout_of, taps, window_of

_MANY = 1 << 22
"""From this many elements on, all windows together, a convolution without a border misses XLA's fast path."""


def is_static(x: Any) -> bool:
    """Return whether all sizes are numbers above zero: none is symbolic, and the batch is not empty."""
    return all(isinstance(size, int) and size > 0 for size in x.shape)


def convolution(image: Any, kernel: Any, window: Window, groups: int = 1) -> Any:
    """Return the convolution of images.

    Args:
        image: In the layout of the window.
        kernel: `[*window, channels / groups, filters]`.
        window: How the kernel slides.
        groups: How many groups of channels are convolved apart.
    """
    layout = window.layout

    def plain(image: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(
            image,
            kernel,
            window.strides,
            window.pads if window.is_measured else "SAME",
            rhs_dilation=window.dilation,
            dimension_numbers=(layout.names, layout.kernel_names, layout.names),
            feature_group_count=groups,
        )

    if groups == 1 and _is_slow_unpadded(image, kernel, window):
        bordered = functools.partial(_bordered, window=window)
        return lax.platform_dependent(image, kernel, cpu=bordered, default=plain)
    return plain(image, kernel)


def _is_slow_unpadded(image: Any, kernel: Any, window: Window) -> bool:
    unit = set(window.strides) == set(window.dilation) == {1}
    if image.ndim != 4 or window.layout.channels != 3 or not unit or window.is_padded or window.num_taps == 1:
        return False
    if not is_static(image) or image.dtype not in (jnp.float32, jnp.float64):
        return False
    channels, filters = kernel.shape[-2:]
    elements = image.shape[0] * math.prod(window.counts(image.shape)) * math.prod(kernel.shape[:-1])
    return bool(channels >= 16 and filters >= 32 and elements >= _MANY)


def _bordered(image: Any, kernel: Any, *, window: Window) -> Any:
    """Convolve with a border of zeros, and cut off the places that see it."""
    borders = [((size - 1) // 2, size // 2) for size in window.size]
    names = (window.layout.names, window.layout.kernel_names, window.layout.names)
    padded = lax.conv_general_dilated(image, kernel, window.strides, borders, dimension_numbers=names)
    rows, columns = (slice(low, low + n) for (low, _), n in zip(borders, window.counts(image.shape), strict=True))
    return padded[:, rows, columns]


def depthwise_convolution(image: Any, kernel: Any, window: Window) -> Any:
    """Return the convolution of each channel on its own.

    Args:
        image: In the layout of the window.
        kernel: `[*window, channels, multiplier]`.
        window: How the kernel slides.

    Returns:
        Channel ``c * multiplier + m`` is channel ``c`` under kernel ``m``.
    """
    *size, channels, multiplier = kernel.shape

    def plain(image: Any, kernel: Any) -> Any:
        return convolution(image, kernel.reshape(*size, 1, channels * multiplier), window, channels)

    suits = window.layout.channels == window.layout.rank - 1 and window.num_taps <= MOST_TAPS
    if suits and is_static(image) and image.dtype in (jnp.float32, jnp.float64):
        shifted = functools.partial(_shifted_products, window=window)
        return lax.platform_dependent(image, kernel, cpu=shifted, default=plain)
    return plain(image, kernel)


def _shifted_products(image: Any, kernel: Any, *, window: Window) -> Any:
    weights = kernel.reshape(window.num_taps, *kernel.shape[-2:])
    shifted = zip(taps(image, window, 0), weights, strict=True)
    if kernel.shape[-1] == 1:
        return functools.reduce(lax.add, [tap * weight[:, 0] for tap, weight in shifted])
    output = functools.reduce(lax.add, [tap[..., None] * weight for tap, weight in shifted])
    return output.reshape(*output.shape[:-2], output.shape[-2] * output.shape[-1])


def _kernel_window(node: OpNode, image: Any, kernel: Any, layout: Layout) -> Window:
    return window_of(
        node,
        image.shape,
        layout,
        size=kernel.shape[:-2],
        strides=layout.of_space(node.attr("strides", ())),
        dilation=layout.of_space(node.attr("dilations", ())),
    )


def _convolved(node: OpNode, image: Value, kernel: Value) -> Any:
    image, kernel = jnp.asarray(image), jnp.asarray(kernel)
    layout = layout_of(node, image.ndim)
    window = _kernel_window(node, image, kernel, layout)
    return convolution(image, kernel, window, image.shape[layout.channels] // kernel.shape[-2])


@graph_op("Conv2D", "Conv3D")
def conv(node: OpNode, image: Value, kernel: Value) -> Value:
    """Convolve images or volumes."""
    return _convolved(node, image, kernel)


@graph_op("Conv")
def conv_general(node: OpNode, image: Value, kernel: Value) -> Value:
    """Convolve images or volumes that may have several axes of batches."""
    image = jnp.asarray(image)
    outer = image.shape[: node.attr("batch_dims", 1)]
    result = _convolved(node, image.reshape(-1, *image.shape[len(outer) :]), kernel)
    return result.reshape(*outer, *result.shape[1:])


@graph_op("DepthwiseConv2dNative")
def depthwise_conv(node: OpNode, image: Value, kernel: Value) -> Value:
    """Convolve each channel of images on its own."""
    return _depthwise(node, image, kernel)


def _depthwise(node: OpNode, image: Value, kernel: Value) -> Any:
    image, kernel = jnp.asarray(image), jnp.asarray(kernel)
    layout = layout_of(node, image.ndim)
    window = _kernel_window(node, image, kernel, layout)
    return depthwise_convolution(image, kernel, window)


def _transposed(node: OpNode, shape: tuple[Any, ...], kernel: Any, gradient: Any, *, depthwise: bool = False) -> Any:
    """Return the transpose of a convolution, applied to what has the shape of its result.

    Args:
        node: The node, with the attributes of the convolution.
        shape: The shape of the convolution's input.
        kernel: `[*window, channels / groups, filters]`, or `[*window, channels, multiplier]` for a depthwise one.
        gradient: What has the shape of the convolution's result.
        depthwise: Whether each channel is on its own.
    """
    layout = layout_of(node, gradient.ndim)
    window = window_of(
        node,
        shape,
        layout,
        size=kernel.shape[:-2],
        strides=layout.of_space(node.attr("strides", ())),
        dilation=layout.of_space(node.attr("dilations", ())),
    )
    groups = shape[layout.channels] if depthwise else shape[layout.channels] // kernel.shape[-2]
    pads = []
    for index, axis in enumerate(layout.spatial):
        span = (window.size[index] - 1) * window.dilation[index] + 1
        low = span - 1 - window.pads[index][0]
        spread = (gradient.shape[axis] - 1) * window.strides[index] + 1
        pads.append((low, shape[axis] + span - 1 - spread - low))
    flipped = jnp.flip(kernel, tuple(range(len(layout.spatial))))
    return lax.conv_general_dilated(
        gradient,
        _swapped(flipped, groups, depthwise=depthwise),
        (1,) * len(layout.spatial),
        pads,
        lhs_dilation=window.strides,
        rhs_dilation=window.dilation,
        dimension_numbers=(layout.names, layout.kernel_names, layout.names),
        feature_group_count=groups,
    )


def _swapped(kernel: Any, groups: int, *, depthwise: bool) -> Any:
    """Return a kernel whose input channels are the filters of a convolution, group by group."""
    if depthwise or groups == 1:
        return jnp.swapaxes(kernel, -1, -2)
    *size, channels, filters = kernel.shape
    apart = kernel.reshape(*size, channels, groups, filters // groups)
    return jnp.moveaxis(apart, (-1, -2, -3), (-3, -2, -1)).reshape(*size, filters // groups, groups * channels)


def _input_shape(sizes: Value, layout: Layout, gradient: Any, channels: Any) -> tuple[Any, ...]:
    given = integers(sizes)
    if len(given) == layout.rank:
        return given
    full = [gradient.shape[0]] * layout.rank
    full[layout.channels] = channels
    for axis, size in zip(layout.spatial, given, strict=True):
        full[axis] = size
    return tuple(full)


@graph_op("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def conv_backprop_input(node: OpNode, sizes: Value, kernel: Value, gradient: Value) -> Value:
    """Return the transposed convolution, whose result has the given sizes."""
    kernel, gradient = jnp.asarray(kernel), jnp.asarray(gradient)
    shape = _input_shape(sizes, layout_of(node, gradient.ndim), gradient, kernel.shape[-2])
    return _transposed(node, shape, kernel, gradient)


@graph_op("Conv2DBackpropInputV2", "Conv3DBackpropInput")
def conv_backprop_input_like(node: OpNode, image: Value, kernel: Value, gradient: Value) -> Value:
    """Return the transposed convolution, whose result has the shape of an image."""
    return _transposed(node, tuple(image.shape), jnp.asarray(kernel), jnp.asarray(gradient))


@graph_op("DepthwiseConv2dNativeBackpropInput")
def depthwise_backprop_input(node: OpNode, sizes: Value, kernel: Value, gradient: Value) -> Value:
    """Return the transposed depthwise convolution, whose result has the given sizes."""
    kernel, gradient = jnp.asarray(kernel), jnp.asarray(gradient)
    shape = _input_shape(sizes, layout_of(node, gradient.ndim), gradient, kernel.shape[-2])
    return _transposed(node, shape, kernel, gradient, depthwise=True)


@graph_op("BiasAdd", "BiasAddV1")
def bias_add(node: OpNode, x: Value, bias: Value) -> Value:
    """Add one number for each channel."""
    if node.attr("data_format") == b"NCHW" and x.ndim > 2:
        bias = bias.reshape(-1, *[1] * (x.ndim - 2))
    return x + bias


@graph_op("BiasAddGrad")
def bias_add_grad(node: OpNode, gradient: Value) -> Value:
    """Add up all but the channels."""
    channels = 1 if node.attr("data_format") == b"NCHW" else gradient.ndim - 1
    return jnp.sum(jnp.asarray(gradient), tuple(axis for axis in range(gradient.ndim) if axis != channels))


@graph_op("Dilation2D")
def dilation2d(node: OpNode, image: Value, kernel: Value) -> Value:
    """Return the largest sum of image and kernel in each window."""
    image, kernel = jnp.asarray(image), jnp.asarray(kernel)
    layout = Layout((1, 2), 3)
    window = window_of(
        node,
        image.shape,
        layout,
        size=kernel.shape[:2],
        strides=layout.of_space(node.attr("strides")),
        dilation=layout.of_space(node.attr("rates")),
    )
    weights = kernel.reshape(-1, kernel.shape[-1])
    shifted = zip(taps(image, window, lowest(image.dtype)), weights, strict=True)
    return functools.reduce(lax.max, [tap + weight for tap, weight in shifted])
