"""Non-maximum suppression: of boxes that overlap, the ones with the best scores stay."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer


def _overlaps(boxes: Any, one: Any) -> Any:
    """Return the shares of the unions of boxes with one box that both cover."""
    low, high = jnp.minimum(boxes[:, :2], boxes[:, 2:]), jnp.maximum(boxes[:, :2], boxes[:, 2:])
    one_low, one_high = jnp.minimum(one[:2], one[2:]), jnp.maximum(one[:2], one[2:])
    area = jnp.prod(high - low, -1)
    one_area = jnp.prod(one_high - one_low)
    common = jnp.prod(jnp.maximum(jnp.minimum(high, one_high) - jnp.maximum(low, one_low), 0), -1)
    union = area + one_area - common
    real = (area > 0) & (one_area > 0)
    return jnp.where(real, common / jnp.where(real, union, 1), 0)


def suppress(
    similarity: Any, scores: Any, count: int, *, most: Any, least_score: Any, sigma: Any = None
) -> tuple[Any, Any, Any]:
    """Return the boxes that stay, best first.

    Args:
        similarity: Returns the similarity of all boxes with the one at an index.
        scores: `[boxes]`.
        count: How many boxes stay at most.
        most: The similarity with a better box up to which one stays.
        least_score: The score that a box must exceed.
        sigma: Lowers the scores of similar boxes by a Gaussian of this width instead, where it is above zero.

    Returns:
        Indices and scores, `[count]`, with zeros at the end, and how many there are.
    """
    soft = jnp.asarray(False) if sigma is None else jnp.asarray(sigma) > 0
    scale = jnp.where(soft, -0.5 / jnp.where(soft, 1.0 if sigma is None else sigma, 1.0), 0.0).astype(scores.dtype)
    lowest = jnp.asarray(-jnp.inf, scores.dtype)

    def step(index: Any, carried: tuple[Any, ...]) -> tuple[Any, ...]:
        left, indices, values, number = carried
        best = jnp.argmax(left)
        value = left[best]
        valid = value > lowest
        alike = similarity(best)
        weight = jnp.where(soft | (alike <= most), jnp.exp(scale * alike * alike), 0)
        lowered = jnp.where(weight > 0, left * weight, lowest)
        lowered = jnp.where(lowered > least_score, lowered, lowest).at[best].set(lowest)
        return (
            jnp.where(valid, lowered, left),
            indices.at[index].set(jnp.where(valid, best.astype(jnp.int32), 0)),
            values.at[index].set(jnp.where(valid, value, 0)),
            number + valid.astype(jnp.int32),
        )

    start = jnp.where(scores > least_score, scores, lowest)
    results = (start, jnp.zeros(count, jnp.int32), jnp.zeros(count, scores.dtype), jnp.zeros((), jnp.int32))
    _, indices, values, number = lax.fori_loop(0, count, step, results)
    return indices, values, number


def _boxes(boxes: Value, scores: Value, count: Value, most: Any, least: Any, sigma: Any = None) -> tuple[Any, Any, Any]:
    boxes, scores = jnp.asarray(boxes), jnp.asarray(scores)
    number = integer(count)
    if not scores.shape[0]:
        return jnp.zeros(number, jnp.int32), jnp.zeros(number, scores.dtype), jnp.zeros((), jnp.int32)
    most, least = (jnp.asarray(each).astype(scores.dtype) for each in (most, least))
    return suppress(
        lambda index: _overlaps(boxes, boxes[index]), scores, number, most=most, least_score=least, sigma=sigma
    )


def _cut(indices: Any, number: Any) -> np.ndarray[Any, Any]:
    return np.asarray(indices)[: int(number)]


@graph_op("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3", kind="host")
def non_max_suppression(node: OpNode, boxes: Value, scores: Value, count: Value, *limits: Value) -> Value:
    """Return the indices of the boxes that stay; how many depends on the data."""
    most = limits[0] if limits else np.asarray(node.attr("iou_threshold", 0.5))
    least = limits[1] if len(limits) > 1 else np.asarray(-np.inf)
    indices, _, number = _boxes(boxes, scores, _at_most(count, scores), most, least)
    return _cut(indices, number)


def _at_most(count: Value, scores: Value) -> np.ndarray[Any, Any]:
    return np.asarray(min(integer(count), np.shape(scores)[0]), np.int32)


def _padded_or_cut(node: OpNode, results: tuple[Any, ...]) -> tuple[Any, ...]:
    *vectors, number = results
    if node.attr("pad_to_max_output_size", False):
        return (*vectors, number)
    return (*[_cut(each, number) for each in vectors], np.asarray(number))


@graph_op("NonMaxSuppressionV4")
def non_max_suppression_v4(node: OpNode, boxes: Value, scores: Value, count: Value, *limits: Value) -> Value:
    """Return the indices of the boxes that stay, padded where the graph says so, and how many there are."""
    indices, _, number = _boxes(boxes, scores, count, *limits)
    return _padded_or_cut(node, (indices, number))


@graph_op("NonMaxSuppressionV5")
def non_max_suppression_v5(node: OpNode, boxes: Value, scores: Value, count: Value, *limits: Value) -> Value:
    """Return indices and scores of the boxes that stay, padded where the graph says so, and how many there are."""
    return _padded_or_cut(node, _boxes(boxes, scores, count, *limits))


@graph_op("NonMaxSuppressionWithOverlaps", kind="host")
def non_max_suppression_with_overlaps(_node: OpNode, overlaps: Value, scores: Value, *limits: Value) -> Value:
    """Return the indices of the boxes that stay, given how much each pair overlaps."""
    count, most, least = limits
    overlaps, scores = jnp.asarray(overlaps), jnp.asarray(scores)
    number = integer(_at_most(count, scores))
    indices, _, found = suppress(
        lambda index: overlaps[:, index], scores, number, most=jnp.asarray(most), least_score=jnp.asarray(least)
    )
    return _cut(indices, found)


@graph_op("CombinedNonMaxSuppression")
def combined_non_max_suppression(node: OpNode, boxes: Value, scores: Value, *limits: Value) -> Value:
    """Suppress boxes class by class, and return the best of all classes for each image.

    Boxes are `[batch, boxes, classes or 1, 4]` and scores `[batch, boxes, classes]`; the results are padded with zeros.
    """
    per_class, total = integer(limits[0]), integer(limits[1])
    boxes, scores = jnp.asarray(boxes), jnp.asarray(scores)
    classes = scores.shape[2]
    most, least = (jnp.asarray(each).astype(scores.dtype) for each in limits[2:4])
    number = min(total, per_class * classes) if node.attr("pad_per_class", False) else total
    kept = min(per_class, boxes.shape[1])

    def one_class(own_boxes: Any, own_scores: Any) -> tuple[Any, ...]:
        indices, values, found = suppress(
            lambda index: _overlaps(own_boxes, own_boxes[index]), own_scores, kept, most=most, least_score=least
        )
        return own_boxes[indices], jnp.where(jnp.arange(kept) < found, values, -jnp.inf)

    def one_image(own_boxes: Any, own_scores: Any) -> tuple[Any, ...]:
        shared = own_boxes.shape[1] == 1
        by_class = jax.vmap(one_class, (None if shared else 1, 1))
        chosen, values = by_class(own_boxes[:, 0] if shared else own_boxes, own_scores)
        flat = values.reshape(-1)
        order = jnp.argsort(-flat, stable=True)[:number]
        best = flat[order]
        valid = best > -jnp.inf
        picked = jnp.where(valid[:, None], chosen.reshape(-1, 4)[order], 0)
        picked = jnp.clip(picked, 0, 1) if node.attr("clip_boxes", True) else picked
        groups = jnp.where(valid, order // kept, 0).astype(scores.dtype)
        return picked, jnp.where(valid, best, 0), groups, jnp.sum(valid).astype(jnp.int32)

    results = jax.vmap(one_image)(boxes, scores)
    missing = number - results[1].shape[1]
    padded = [jnp.pad(each, [(0, 0), (0, missing)] + [(0, 0)] * (each.ndim - 2)) for each in results[:3]]
    return (*padded, results[3])
