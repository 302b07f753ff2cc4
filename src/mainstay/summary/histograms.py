"""Histograms: how the numbers of an array are spread, per step."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.summary.messages import TENSOR, double_tensor, plugin_metadata
from mainstay.summary.recording import host_numbers, record

_DEFAULT_BUCKETS = 30


def histogram(
    name: str, data: Any, step: Any = None, *, buckets: int | None = None, description: str | None = None
) -> bool:
    """Record how numbers are spread, for the pages Histograms and Distributions.

    Args:
        name: The name of the series; a slash groups series.
        data: Real numbers of any shape. NaN and infinity are left out, since they lie in no bucket.
        step: The step; without it, the default one.
        buckets: How many buckets of equal width; 30 without it.
        description: Markdown to show beside the histogram.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: An argument is wrong.
        StorageError: The event file could not be written.
    """
    count = _DEFAULT_BUCKETS if buckets is None else buckets
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ArgumentError(
            "the number of buckets is wrong", where=name, expected="a whole number from 1 on", received=repr(buckets)
        )
    metadata = plugin_metadata("histograms", TENSOR, description)
    return record(
        name, lambda value: double_tensor(bucketed(host_numbers(value, name), count)), (data,), step, metadata
    )


def bucketed(values: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Return the buckets of `tf.summary.histogram`.

    Args:
        values: Numbers of any shape, float64.
        count: How many buckets.

    Returns:
        [count, 3] float64: left edge, right edge and number of values. A value on an edge belongs to the bucket on its
        right, the largest one to the last bucket. Values that are all equal lie in the last bucket, of width 0.
        Without a finite value everything is 0.
    """
    flat = values.ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return np.zeros((count, 3))
    low, high = float(flat.min()), float(flat.max())  # whose difference overflows without a warning
    if low == high:
        return np.column_stack([np.full(count, low), np.full(count, high), np.eye(count)[-1] * flat.size])
    if not np.isfinite(high - low):  # a range beyond float64: halve, and double the edges
        halves = bucketed(flat / 2, count)
        halves[:, :2] *= 2
        return halves
    width = (high - low) / count
    # A width that float64 cannot hold would divide by zero; the second form differs in rounding only.
    ratio = (flat - low) / width if width >= np.finfo(np.float64).tiny else (flat - low) / (high - low) * count
    indices = np.minimum(np.floor(ratio).astype(np.int64), count - 1)
    edges = np.linspace(low, high, count + 1)
    edges[-1] = high
    return np.column_stack([edges[:-1], edges[1:], np.bincount(indices, minlength=count)])
