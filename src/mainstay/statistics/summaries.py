"""Rank summaries: sorted values with weights that stand for a larger set, and the error that standing-in costs.

The estimated rank of x is the weight of the entries up to x. `error` is the most by which it may differ, at any x,
from the true weight of all values up to x. Errors of summaries that are joined add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array: TypeAlias = np.ndarray[Any, Any]

POINTS = 4096
"""Entries that a compacted summary has at most."""

_BINS = 65536
_CROWDED = 32
_SMALL_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Summary:
    """Distinct finite values in rising order, their float64 weights, `[entries]` each, and the rank error."""

    values: Array
    weights: Array
    error: float = 0.0


def count_runs(values: Array) -> tuple[Array, Array]:
    """Return the distinct values of an int64 or finite float64 array in rising order and their counts (int64)."""
    if values.size == 0:
        return values, np.zeros(0, np.int64)
    if values.dtype.kind == "i":
        low = int(values.min())
        width = int(values.max()) - low + 1
        if width <= max(_BINS, values.size):
            counts = np.bincount(values - low, minlength=width)
            present = np.flatnonzero(counts)
            return present + low, counts[present]
    counted = pc.value_counts(pa.array(values))
    distinct = counted.field(0).to_numpy(zero_copy_only=False)
    order = np.argsort(distinct)
    return distinct[order], counted.field(1).to_numpy(zero_copy_only=False)[order]


def join(summaries: Sequence[Summary]) -> Summary:
    """Return the summary of everything that the given ones stand for."""
    if len(summaries) == 1:
        return summaries[0]
    values = np.concatenate([summary.values for summary in summaries])
    weights = np.concatenate([summary.weights for summary in summaries])
    order = np.argsort(values, kind="stable")
    runs = _add_equal(values[order], weights[order])
    return Summary(*runs, sum(summary.error for summary in summaries))


def summarize(values: Array, weights: Array | None = None) -> Summary:
    """Return the exact summary of int64 or finite float64 values, each of weight 1 or its own."""
    if weights is None:
        distinct, counts = count_runs(values)
        return Summary(distinct, counts.astype(np.float64))
    order = np.argsort(values, kind="stable")
    return Summary(*_add_equal(values[order], weights[order]))


def compact(summary: Summary) -> Summary:
    """Return a summary of at most `POINTS` entries: the values at equidistant ranks.

    Each of them stands for 1/POINTS of the weight around it, which adds half of that to the error.
    """
    if summary.values.size <= POINTS:
        return summary
    cumulative = np.cumsum(summary.weights)
    step = cumulative[-1] / POINTS
    picked = np.searchsorted(cumulative, (np.arange(POINTS) + 0.5) * step, side="right")
    return _equal_weights(summary.values[picked], step, summary.error + step / 2)


def compact_block(values: Array) -> Summary:
    """Return a summary of at most `POINTS` entries of many int64 or finite float64 values, without sorting them.

    The values are counted in equally wide bins between their extremes, and the value at a rank is taken to be one
    that lies in the rank's bin: off by no more ranks than the bin holds. Bins that hold many are sorted. This costs
    a fraction of a full sort, whatever the sort is worth on the machine at hand.
    """
    low, high = values.min(), values.max()
    if values.size <= _SMALL_BLOCK or low == high:
        return compact(summarize(values))
    if values.dtype.kind == "i":
        offsets = (values.view(np.uint64) - low.view(np.uint64)).astype(np.float64)
        width = float(int(high) - int(low))
    else:
        with np.errstate(over="ignore"):
            offsets, width = values - low, float(high - low)
    scale = (_BINS - 1) / width if width else np.inf
    if not 0.0 < scale < np.inf:
        return compact(summarize(values))
    offsets *= scale
    bins = offsets.astype(np.int64)
    counts = np.bincount(bins, minlength=_BINS)
    crowded = counts > _CROWDED
    cumulative = np.cumsum(counts)
    step = values.size / POINTS
    targets = (np.arange(POINTS) + 0.5) * step
    picked = np.searchsorted(cumulative, targets, side="right")
    one_of = np.empty(_BINS, values.dtype)
    one_of[bins] = values
    points = one_of[picked]
    if crowded.any():
        inside = np.sort(values[crowded[bins]])
        before = np.cumsum(np.where(crowded, 0, counts))
        in_crowd = crowded[picked]
        points[in_crowd] = inside[(targets[in_crowd] - before[picked[in_crowd]]).astype(np.int64)]
    loose = int(counts[~crowded].max(initial=0))
    return _equal_weights(points, step, loose + step / 2)


def _equal_weights(points: Array, weight: float, error: float) -> Summary:
    starts = _run_starts(points)
    return Summary(points[starts], np.diff(np.append(starts, points.size)) * weight, error)


def _add_equal(values: Array, weights: Array) -> tuple[Array, Array]:
    starts = _run_starts(values)
    if starts.size == values.size:
        return values, weights
    return values[starts], np.add.reduceat(weights, starts)


def _run_starts(ordered: Array) -> Array:
    first = np.empty(ordered.size, bool)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return np.flatnonzero(first)
