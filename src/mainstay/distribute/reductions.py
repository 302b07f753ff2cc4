"""Sums and means over replicas and over the global batch."""

from __future__ import annotations

import enum
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from mainstay.core import ArgumentError


class ReduceOp(enum.Enum):
    """How values of replicas become one: `SUM` or `MEAN`."""

    SUM = "SUM"
    MEAN = "MEAN"


def check_reduce_op(reduce_op: ReduceOp | str) -> ReduceOp:
    """Return the operation of that name in any case, or say which ones there are."""
    if isinstance(reduce_op, str) and reduce_op.upper() in ReduceOp.__members__:
        return ReduceOp[reduce_op.upper()]
    if not isinstance(reduce_op, ReduceOp):
        raise ArgumentError(
            "there is no such reduction", expected="ReduceOp.SUM or ReduceOp.MEAN", received=repr(reduce_op)
        )
    return reduce_op


def reduce_over_axis(reduce_op: ReduceOp, value: Any, axis: int) -> Any:
    """Return the sum or the mean of each array of a structure along one axis."""

    def reduce_one(item: ArrayLike) -> jax.Array:
        array = jnp.asarray(item)
        if not -array.ndim <= axis < array.ndim:
            raise ArgumentError(
                "the value does not have the axis to reduce",
                expected=f"a value with the axis {axis}",
                received=f"shape {list(array.shape)}",
                fix="pass axis=None for a value that is one number per replica",
            )
        return array.sum(axis) if reduce_op is ReduceOp.SUM else array.mean(axis)

    return jax.tree.map(reduce_one, value)


def compute_average_loss(
    per_example_loss: ArrayLike, sample_weight: ArrayLike | None = None, global_batch_size: ArrayLike | None = None
) -> jax.Array:
    """Return the sum of the losses of the examples divided by the size of the global batch.

    This is ``tf.nn.compute_average_loss``.

    Args:
        per_example_loss: One loss per example, ``[batch]`` or ``[batch, ...]``.
        sample_weight: A weight per example, ``[batch]``, or one that broadcasts to the losses.
        global_batch_size: What to divide by; by default the number of examples in `per_example_loss`, which under a
            strategy is the global batch.

    Raises:
        ArgumentError: The losses are a single number.

    >>> float(compute_average_loss([1.0, 2.0, 6.0]))
    3.0
    >>> float(compute_average_loss([1.0, 2.0, 6.0], sample_weight=[1.0, 1.0, 0.5], global_batch_size=4))
    1.5
    """
    losses = jnp.asarray(per_example_loss)
    if losses.ndim == 0:
        raise ArgumentError(
            "the losses are one number already",
            where="per_example_loss",
            expected="one loss per example, [batch] or [batch, ...]",
            received="a scalar",
            fix='ask the loss for reduction="none"',
        )
    if sample_weight is not None:
        weights = jnp.asarray(sample_weight, losses.dtype)
        if 0 < weights.ndim < losses.ndim:
            weights = weights.reshape(weights.shape + (1,) * (losses.ndim - weights.ndim))
        losses = losses * weights
    size = losses.shape[0] if global_batch_size is None else global_batch_size
    return losses.sum() / jnp.asarray(size, losses.dtype)


def scale_regularization_loss(regularization_loss: ArrayLike) -> jax.Array:
    """Return the sum of regularisation losses, to be added once to the loss of the global batch.

    This is ``tf.nn.scale_regularization_loss``. TensorFlow divides by the number of replicas, because each of them
    adds its own copy; here the loss of the global batch is computed once.

    Args:
        regularization_loss: One loss, or an array of them.

    >>> float(scale_regularization_loss([0.5, 0.25]))
    0.75
    """
    return jnp.asarray(regularization_loss).sum()
