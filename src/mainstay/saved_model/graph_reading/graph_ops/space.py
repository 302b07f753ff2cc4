"""Blocks of space moved into the batch or the channels and back, and patches cut out of images."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.dimensions import product
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integers
from mainstay.saved_model.graph_reading.graph_ops.windows import Layout, layout_of, taps, window_of


def _space_to_batch(x: Any, block: tuple[int, ...], pads: tuple[Any, ...]) -> Any:
    count = len(block)
    amounts = [(0, 0, 0)] + [(pads[2 * i], pads[2 * i + 1], 0) for i in range(count)]
    x = lax.pad(x, jnp.zeros((), x.dtype), amounts + [(0, 0, 0)] * (x.ndim - 1 - count))
    batch, rest = x.shape[0], x.shape[count + 1 :]
    cells = [each for axis, size in enumerate(block) for each in (x.shape[axis + 1] // size, size)]
    apart = x.reshape(batch, *cells, *rest)
    inner = [2 * axis + 2 for axis in range(count)]
    outer = [2 * axis + 1 for axis in range(count)]
    moved = apart.transpose(*inner, 0, *outer, *range(2 * count + 1, apart.ndim))
    return moved.reshape(batch * product(block), *[apart.shape[axis] for axis in outer], *rest)


def _batch_to_space(x: Any, block: tuple[int, ...], crops: tuple[Any, ...]) -> Any:
    count = len(block)
    batch, space, rest = x.shape[0] // product(block), x.shape[1 : count + 1], x.shape[count + 1 :]
    apart = x.reshape(*block, batch, *space, *rest)
    order = [count]
    for axis in range(count):
        order += [count + 1 + axis, axis]
    moved = apart.transpose(*order, *range(2 * count + 1, apart.ndim))
    whole = moved.reshape(batch, *[size * cells for size, cells in zip(block, space, strict=True)], *rest)
    kept = [slice(crops[2 * axis], whole.shape[axis + 1] - crops[2 * axis + 1]) for axis in range(count)]
    return whole[(slice(None), *kept)]


@graph_op("SpaceToBatchND")
def space_to_batch_nd(_node: OpNode, x: Value, block: Value, amounts: Value) -> Value:
    """Move the elements of each block to the batch."""
    return _space_to_batch(jnp.asarray(x), integers(block), integers(amounts))


@graph_op("BatchToSpaceND")
def batch_to_space_nd(_node: OpNode, x: Value, block: Value, crops: Value) -> Value:
    """Move the elements of each block back from the batch."""
    return _batch_to_space(jnp.asarray(x), integers(block), integers(crops))


@graph_op("SpaceToBatch")
def space_to_batch(node: OpNode, x: Value, amounts: Value) -> Value:
    """Move the elements of each square block to the batch."""
    return _space_to_batch(jnp.asarray(x), (node.attr("block_size"),) * 2, integers(amounts))


@graph_op("BatchToSpace")
def batch_to_space(node: OpNode, x: Value, crops: Value) -> Value:
    """Move the elements of each square block back from the batch."""
    return _batch_to_space(jnp.asarray(x), (node.attr("block_size"),) * 2, integers(crops))


@graph_op("SpaceToDepth")
def space_to_depth(node: OpNode, x: Value) -> Value:
    """Move the elements of each square block to the channels."""
    block = node.attr("block_size")
    x, back = _channels_last(node, x)
    batch, height, width, depth = x.shape
    apart = x.reshape(batch, height // block, block, width // block, block, depth)
    moved = apart.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, depth * block * block)
    return moved.transpose(back)


@graph_op("DepthToSpace")
def depth_to_space(node: OpNode, x: Value) -> Value:
    """Move channels to the elements of square blocks."""
    block = node.attr("block_size")
    x, back = _channels_last(node, x)
    batch, height, width, depth = x.shape
    apart = x.reshape(batch, height, width, block, block, depth // (block * block))
    moved = apart.transpose(0, 1, 3, 2, 4, 5)
    return moved.reshape(batch, height * block, width * block, depth // (block * block)).transpose(back)


def _channels_last(node: OpNode, x: Value) -> tuple[Any, tuple[int, ...]]:
    """Return an image with channels last, and the order of axes that undoes that."""
    if layout_of(node, 4).channels == 1:
        return jnp.asarray(x).transpose(0, 2, 3, 1), (0, 3, 1, 2)
    return jnp.asarray(x), (0, 1, 2, 3)


@graph_op("ExtractImagePatches", "ExtractVolumePatches")
def extract_patches(node: OpNode, x: Value) -> Value:
    """Return the elements of each window as channels."""
    x = jnp.asarray(x)
    layout = Layout(tuple(range(1, x.ndim - 1)), x.ndim - 1)
    window = window_of(
        node,
        x.shape,
        layout,
        size=layout.of_space(node.attr("ksizes")),
        strides=layout.of_space(node.attr("strides")),
        dilation=layout.of_space(node.attr("rates", ())),
    )
    return jnp.concatenate(taps(x, window, np.zeros((), x.dtype)), -1)
