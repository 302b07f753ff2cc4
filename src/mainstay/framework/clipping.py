"""Gradients that are cut to a largest norm, one by one or all together, as TensorFlow cuts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.core import ArgumentError
from mainstay.framework.conversion import convert_to_tensor

tree: Any = jax.tree_util


def global_norm(
    t_list: Any,
    name: str | None = None,  # noqa: ARG001
) -> jax.Array:
    """Return the norm of many arrays, taken as one long vector: the root of the sum of all squares.

    Args:
        t_list: Floating-point arrays or variables of any shapes, in a list or any other structure; None is left out.
        name: Accepted for programs written for TensorFlow; arrays have no names.

    Returns:
        `[]`, float32 or wider; 0 if there is no array.

    Raises:
        ArgumentError: A part holds no floating-point numbers.

    Example:
        >>> import mainstay as tf
        >>> float(tf.global_norm([tf.constant([3.0]), None, tf.constant([[4.0]])]))
        5.0
    """
    return _root(sum((jnp.sum(_squares(array)) for array in _arrays(t_list)[0] if array is not None), jnp.zeros(())))


def clip_by_global_norm(
    t_list: Any,
    clip_norm: Any,
    use_norm: Any = None,
    name: str | None = None,  # noqa: ARG001
) -> tuple[Any, jax.Array]:
    """Scale many arrays by one factor, so that their `global_norm` is at most `clip_norm`.

    Gradients keep their common direction. If the norm is infinite or no number, all results are NaN, as in TensorFlow:
    a step that went wrong is seen at once.

    Args:
        t_list: Floating-point arrays or variables of any shapes, in a list or any other structure; None stays None.
        clip_norm: The largest norm: a number or an array `[]`.
        use_norm: The norm of `t_list`, if it is known already.
        name: Accepted for programs written for TensorFlow; arrays have no names.

    Returns:
        The structure with the scaled arrays, each of its dtype, and the norm that there was before.

    Raises:
        ArgumentError: A part holds no floating-point numbers.

    Example:
        >>> import mainstay as tf
        >>> clipped, norm = tf.clip_by_global_norm([tf.constant([3.0]), None, tf.constant([4.0])], 1.0)
        >>> [None if array is None else array.tolist() for array in clipped], float(norm)
        ([[0.6000000238418579], None, [0.800000011920929]], 5.0)
    """
    arrays, structure = _arrays(t_list)
    norm = global_norm(arrays) if use_norm is None else convert_to_tensor(use_norm)
    scale = jnp.where(jnp.isfinite(norm), clip_norm / jnp.maximum(norm, clip_norm), jnp.nan)
    clipped = [None if array is None else array * scale.astype(array.dtype) for array in arrays]
    return structure.unflatten(clipped), norm


def clip_by_norm(
    t: Any,
    clip_norm: Any,
    axes: int | Sequence[int] | None = None,
    name: str | None = None,  # noqa: ARG001
) -> jax.Array:
    """Scale an array so that its norm is at most `clip_norm`.

    Args:
        t: A floating-point array or a variable.
        clip_norm: The largest norm: a number, or an array that fits `t`.
        axes: The axes along which norms are taken, one for each place on the other axes; None takes one of all numbers.
        name: Accepted for programs written for TensorFlow; arrays have no names.

    Returns:
        An array of the shape and dtype of `t`.

    Raises:
        ArgumentError: `t` holds no floating-point numbers, or `clip_norm` does not fit it.

    Example:
        >>> import mainstay as tf
        >>> tf.clip_by_norm([[3.0, 4.0], [0.3, 0.4]], 2.5, axes=1).tolist()
        [[1.5, 2.0], [0.30000001192092896, 0.4000000059604645]]
    """
    array = _floating(t)
    axis = axes if axes is None or isinstance(axes, int) else tuple(axes)
    norm = _root(jnp.sum(_squares(array), axis=axis, keepdims=True))
    clipped: jax.Array = array * (clip_norm / jnp.maximum(norm, clip_norm)).astype(array.dtype)
    if clipped.shape != array.shape:
        raise ArgumentError(
            "the norm does not fit the array", where="clip_norm", expected=array.shape, received=jnp.shape(clip_norm)
        )
    return clipped


def _arrays(structure: Any) -> tuple[list[jax.Array | None], Any]:
    """Return the arrays of a structure, None among them, and what puts them together again."""
    values, form = tree.tree_flatten(structure, is_leaf=lambda value: value is None)
    return [None if value is None else _floating(value) for value in values], form


def _floating(value: Any) -> jax.Array:
    array = convert_to_tensor(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ArgumentError("only floating-point numbers can be scaled to a norm", received=f"dtype {array.dtype}")
    return array


def _squares(array: jax.Array) -> jax.Array:
    # In float32 at least: squares of gradients in half precision overflow soon.
    return jnp.square(array.astype(jnp.promote_types(array.dtype, jnp.float32)))


def _root(squares: jax.Array) -> jax.Array:
    # The root of zero has an infinite gradient, which would become NaN further back.
    is_positive = squares > 0
    return jnp.where(is_positive, jnp.sqrt(jnp.where(is_positive, squares, 1)), squares)
