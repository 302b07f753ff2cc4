"""Normalisation over batches and neighbouring channels."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graph_reading.graph_ops.windows import layout_of


def _of_channels(vector: Any, rank: int, channels: int) -> Any:
    return jnp.asarray(vector).reshape([-1 if axis == channels else 1 for axis in range(rank)])


def batch_norm(node: OpNode, x: Any, parameters: tuple[Value, ...]) -> tuple[Any, ...]:
    """Return normalised images, with running and batch statistics.

    Args:
        node: The node.
        x: Images or volumes.
        parameters: Scale, offset, mean and variance, one number for each channel.

    Returns:
        The images, the running mean and variance after this batch, and the mean and biased variance of the batch.
    """
    scale, offset, mean, variance = (jnp.asarray(each) for each in parameters)
    channels = layout_of(node, x.ndim).channels
    wide = x.astype(scale.dtype)
    epsilon = jnp.asarray(node.attr("epsilon", 1e-4), scale.dtype)
    used_mean, used_variance, new_mean, new_variance = mean, variance, mean, variance
    if node.attr("is_training", True):
        used_mean, used_variance, new_mean, new_variance = _batch_statistics(node, wide, channels, (mean, variance))
    factor = _of_channels(lax.rsqrt(used_variance + epsilon) * scale, x.ndim, channels)
    centred = wide - _of_channels(used_mean, x.ndim, channels)
    y = centred * factor + _of_channels(offset, x.ndim, channels)
    return y.astype(x.dtype), new_mean, new_variance, used_mean, used_variance


def _batch_statistics(node: OpNode, x: Any, channels: int, running: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    axes = tuple(axis for axis in range(x.ndim) if axis != channels)
    count = 1
    for axis in axes:
        count = count * x.shape[axis]
    mean, variance = jnp.mean(x, axes), jnp.var(x, axes)
    number = jnp.asarray(count, x.dtype)
    unbiased = variance * (number / jnp.maximum(number - 1, 1))
    share = jnp.asarray(node.attr("exponential_avg_factor", 1.0), x.dtype)
    if node.attr("exponential_avg_factor", 1.0) == 1.0:
        return mean, variance, mean, unbiased
    return mean, variance, (1 - share) * running[0] + share * mean, (1 - share) * running[1] + share * unbiased


@graph_op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(node: OpNode, x: Value, *parameters: Value) -> Value:
    """Normalise channels by running statistics, or by those of the batch where the graph is in training mode."""
    results = batch_norm(node, jnp.asarray(x), parameters)
    return (*results, jnp.zeros((), results[1].dtype)) if node.op == "FusedBatchNormV3" else results


@graph_op("LRN")
def local_response_normalization(node: OpNode, x: Value) -> Value:
    """Divide each element by a power of the squares of its neighbours in the channels."""
    x = jnp.asarray(x)
    radius = node.attr("depth_radius", 5)
    sums = lax.reduce_window(
        x * x,
        jnp.zeros((), x.dtype),
        lax.add,
        (1,) * (x.ndim - 1) + (2 * radius + 1,),
        (1,) * x.ndim,
        [(0, 0)] * (x.ndim - 1) + [(radius, radius)],
    )
    bias, alpha, beta = (jnp.asarray(node.attr(name, default), x.dtype) for name, default in _LRN_DEFAULTS.items())
    return x / (bias + alpha * sums) ** beta


_LRN_DEFAULTS = {"bias": 1.0, "alpha": 1.0, "beta": 0.5}
