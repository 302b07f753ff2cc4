"""Sequences of labels: decoded from what a network says of each step, and compared with each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, flat, refused
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.sparse_places import checked, numbered
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_NEVER = -np.inf


def _sparse(rows: list[list[int]]) -> tuple[Array, Array, Array]:
    lengths = np.array([len(row) for row in rows], np.int64)
    row = np.repeat(np.arange(len(rows)), lengths)
    column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    values = np.array([label for labels in rows for label in labels], np.int64)
    return np.stack([row, column], axis=1), values, np.array([len(rows), lengths.max(initial=0)], np.int64)


def _checked_steps(node: OpNode, scores: Array, lengths: Array) -> None:
    if scores.ndim != 3 or lengths.shape != scores.shape[1:2]:
        raise refused(node, "scores and lengths do not fit", received=[scores.shape, lengths.shape])
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= len(scores):
        raise refused(node, "no such length", expected=f"at most {len(scores)}", received=flat(lengths)[:8])


@graph_op("CTCGreedyDecoder", kind="host")
def ctc_greedy(node: OpNode, scores: Value, lengths: Value) -> tuple[Value, ...]:
    """Take the best label of every step, `[steps, batch, labels]`, without blanks."""
    scores, lengths = np.asarray(scores), np.asarray(lengths)
    _checked_steps(node, scores, lengths)
    blank = node.attr("blank_index", -1)
    blank = blank + scores.shape[2] if blank < 0 else blank
    if not 0 <= blank < scores.shape[2]:
        raise refused(node, "there is no such blank", expected=scores.shape[2], received=blank)
    best, most = scores.argmax(axis=2), scores.max(axis=2)
    inside = np.arange(len(scores))[:, None] < lengths
    kept = inside & (best != blank)
    if node.attr("merge_repeated", False):
        kept[1:] &= best[1:] != best[:-1]
    rows = [best[kept[:, at], at].tolist() for at in range(scores.shape[1])]
    total = -np.where(inside, most, 0).sum(axis=0, dtype=scores.dtype)
    return *_sparse(rows), total[:, None].astype(scores.dtype)


@graph_op("EditDistance", kind="host")
def edit_distance(node: OpNode, *both: Value) -> Value:
    """Return how many changes lie between two sequences, over the length of the second if normalised."""
    hypothesis, truth = checked(node, *both[:3]), checked(node, *both[3:])
    if len(hypothesis[2]) != len(truth[2]) or len(truth[2]) < 2:
        raise refused(node, "the sequences differ in axes", received=[hypothesis[2].tolist(), truth[2].tolist()])
    outer = np.maximum(hypothesis[2][:-1], truth[2][:-1])
    made, wanted = _sequences(hypothesis, outer), _sequences(truth, outer)
    normalised = node.attr("normalize", True)
    distances = np.zeros(int(np.prod(outer)), np.float32)
    for group in made.keys() | wanted.keys():
        one, other = made.get(group, []), wanted.get(group, [])
        distance = float(_distance(one, other))
        if normalised:
            distance = distance / len(other) if other else (np.inf if one else 0.0)
        distances[group] = distance
    return distances.reshape(outer)


def _sequences(sparse: tuple[Array, Array, Array], outer: Array) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for group, value in zip(numbered(sparse[0][:, :-1], outer).tolist(), sparse[1].tolist(), strict=True):
        found.setdefault(group, []).append(value)
    return found


def _distance(one: list[Any], other: list[Any]) -> int:
    """Return the number of insertions, deletions and replacements that turn one list into the other."""
    before = list(range(len(other) + 1))
    for at, left in enumerate(one):
        row = [at + 1]
        for column, right in enumerate(other):
            row.append(min(before[column + 1] + 1, row[column] + 1, before[column] + (left != right)))
        before = row
    return before[-1]
