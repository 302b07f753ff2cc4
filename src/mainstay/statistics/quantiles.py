"""Quantiles of a column of numbers: exact while few distinct values occur, bounded memory with a stated error after."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import ArgumentError
from mainstay.statistics.distinct import DistinctCount
from mainstay.statistics.distribution import Distribution
from mainstay.statistics.hashing import hash_numbers
from mainstay.statistics.moments import as_numbers
from mainstay.statistics.state import State, pack, unpack
from mainstay.statistics.summaries import Summary, compact, compact_block, join, summarize

Array: TypeAlias = np.ndarray[Any, Any]

_KIND = "quantiles/1"
_EXACT_VALUES = 16384
_BLOCK = 65536
_FAN_IN = 8


class Quantiles:
    """A deterministic, mergeable summary of the ranks of int64 or float64 values.

    Up to 16,384 distinct values every rank is exact. Beyond, blocks are compacted to 4,096 equidistant ranks and
    eight such summaries at a time are joined and compacted again, so that memory grows with the logarithm of the
    rows (half a MiB for each factor of eight) and so does the error: below 0.001 at a million rows, below 0.002 at
    a thousand million. The same calls give the same bits.

    Args:
        dtype: ``float64`` or ``int64``; integers are kept as they are, also beyond 2**53.
    """

    __slots__ = ("_distinct", "_dtype", "_exact", "_levels", "_max", "_min")

    def __init__(self, dtype: str = "float64") -> None:
        if dtype not in ("float64", "int64"):
            raise ArgumentError("quantiles are of numbers", expected="float64 or int64", received=dtype)
        self._dtype = np.dtype(dtype)
        self._exact: Summary | None = Summary(np.zeros(0, self._dtype), np.zeros(0))
        self._levels: list[list[Summary]] = []
        self._distinct: DistinctCount | None = None
        self._min: Any = None
        self._max: Any = None

    def update(self, values: Array, weights: Array | None = None) -> None:
        """Take in values; NaN is left out.

        Args:
            values: `[rows]` of a boolean, integer or floating dtype.
            weights: What each value counts for, `[rows]` of finite numbers not below zero; 1 where None.

        Raises:
            ArgumentError: The dtype or the weights are wrong.
        """
        numbers = self._numbers(values)
        if weights is not None:
            self._update_weighted(numbers, np.asarray(weights, np.float64))
            return
        if numbers.dtype.kind == "f" and numbers.size and math.isnan(numbers.min()):
            numbers = numbers[~np.isnan(numbers)]
        for start in range(0, numbers.size, _BLOCK):
            self._update_block(numbers[start : start + _BLOCK])

    def update_runs(self, values: Array, counts: Array) -> None:
        """Take in distinct values in rising order and how often each occurs, `[runs]` each; no NaN."""
        if values.size:
            self._widen(values[0], values[-1])
            self._add(Summary(values, counts.astype(np.float64)), values)

    def merge(self, other: Quantiles) -> None:
        """Take in all that `other` took in.

        Raises:
            ArgumentError: `other` is of another dtype.
        """
        if other._dtype != self._dtype:
            raise ArgumentError("quantiles of two dtypes cannot be merged", expected=self._dtype, received=other._dtype)
        if other._min is not None:
            self._widen(other._min, other._max)
        if other._exact is not None:
            if other._exact.values.size:
                self._add(other._exact, other._exact.values)
            return
        self._leave_exact()
        if self._distinct is not None and other._distinct is not None:
            self._distinct.merge(other._distinct)
        for level, summaries in enumerate(other._levels):
            for summary in summaries:
                self._push(summary, level)

    def copy(self) -> Quantiles:
        """Return an independent accumulator with the same state."""
        twin = Quantiles(self._dtype.name)
        twin._exact, twin._min, twin._max = self._exact, self._min, self._max
        twin._levels = [list(level) for level in self._levels]
        twin._distinct = None if self._distinct is None else self._distinct.copy()
        return twin

    @property
    def dtype(self) -> str:
        """The dtype of the values, ``float64`` or ``int64``."""
        return self._dtype.name

    @property
    def is_exact(self) -> bool:
        """Whether every rank, and the number of distinct values, is exact."""
        return self._exact is not None

    @property
    def error_bound(self) -> float:
        """The most by which an estimated rank may be off, as a fraction of the total weight."""
        if self._exact is not None:
            return 0.0
        summaries = [summary for level in self._levels for summary in level]
        return sum(summary.error for summary in summaries) / sum(float(summary.weights.sum()) for summary in summaries)

    @property
    def distinct(self) -> int:
        """Distinct values: exact while `is_exact`, after that within 1.6 % (one standard error)."""
        if self._exact is not None:
            return int(self._exact.values.size)
        return 0 if self._distinct is None else self._distinct.result()

    def quantiles(self, num_quantiles: int) -> Array:
        """Return the values at the ranks 0, 1/num_quantiles, ..., 1, `[num_quantiles + 1]`; see `Distribution`."""
        return self.result().quantiles(num_quantiles)[0]

    def result(self) -> Distribution:
        """Return the distribution of everything taken in so far."""
        if self._exact is not None:
            whole = self._exact
        else:
            whole = join([summary for level in reversed(self._levels) for summary in level])
        return Distribution(whole.values, whole.weights, self._min, self._max, whole.error)

    def to_bytes(self) -> bytes:
        """Return the state as bytes for `from_bytes`."""
        levels = [[self._exact]] if self._exact is not None else self._levels
        flat = [summary for level in levels for summary in level]
        table = [[[int(summary.values.size), summary.error.hex()] for summary in level] for level in levels]
        extremes = [] if self._min is None else [self._min, self._max]
        arrays: dict[str, Array | bytes] = {
            "extremes": np.array(extremes, self._dtype),
            "values": np.concatenate([summary.values for summary in flat]),
            "weights": np.concatenate([summary.weights for summary in flat]),
        }
        if self._distinct is not None:
            arrays["distinct"] = self._distinct.to_bytes()
        scalars = {"dtype": self._dtype.name, "exact": int(self._exact is not None), "levels": table}
        return pack(_KIND, scalars, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Quantiles:
        """Return the accumulator that `to_bytes` wrote.

        Raises:
            FormatError: The bytes are not such a state.
        """
        state = unpack(data, _KIND)
        dtype = state.text("dtype")
        if dtype not in ("float64", "int64"):
            raise state.fault("its dtype is unknown")
        quantiles = cls(dtype)
        code = quantiles._dtype.newbyteorder("<").str
        extremes = state.array("extremes", code)
        if extremes.size == 2:
            quantiles._min, quantiles._max = extremes
        levels = _read_levels(state, code)
        if state.integer("exact"):
            if len(levels) != 1 or len(levels[0]) != 1 or levels[0][0].error:
                raise state.fault("an exact state holds one exact summary")
            quantiles._exact = levels[0][0]
        else:
            quantiles._exact, quantiles._levels = None, levels
            quantiles._distinct = DistinctCount.from_bytes(state.child("distinct"))
        if (extremes.size == 2) != any(summary.values.size for level in levels for summary in level):
            raise state.fault("the extremes do not fit the values")
        return quantiles

    def _numbers(self, values: Array) -> Array:
        numbers = as_numbers(values)
        if self._dtype.kind == "f":
            return numbers.astype(np.float64, copy=False)
        if numbers.dtype.kind == "f":
            raise ArgumentError("quantiles of integers take no floats", expected="int64", received=numbers.dtype)
        return numbers

    def _update_block(self, values: Array) -> None:
        if self._exact is not None:
            summary = summarize(values)
            self._widen(summary.values[0], summary.values[-1])
            self._add(summary, summary.values)
            return
        low, high = values.min(), values.max()
        self._widen(low, high)
        finite = bool(np.isfinite(low) and np.isfinite(high))
        self._add(compact_block(values) if finite else summarize(values), values)

    def _update_weighted(self, values: Array, weights: Array) -> None:
        if weights.shape != values.shape or not np.isfinite(weights).all() or bool((weights < 0).any()):
            raise ArgumentError(
                "weights do not fit the values",
                expected=f"{values.size} finite numbers not below zero",
                received=f"{weights.size} weights",
            )
        kept = weights > 0
        if values.dtype.kind == "f":
            kept &= ~np.isnan(values)
        values, weights = values[kept], weights[kept]
        if values.size:
            summary = summarize(values, weights)
            self._widen(summary.values[0], summary.values[-1])
            self._add(summary, summary.values)

    def _widen(self, low: Any, high: Any) -> None:
        self._min = low if self._min is None else min(self._min, low)
        self._max = high if self._max is None else max(self._max, high)

    def _add(self, summary: Summary, values: Array) -> None:
        """Take in a summary of `values`, which are hashed unless all is exact."""
        if self._exact is not None:
            joined = join([self._exact, summary]) if self._exact.values.size else summary
            if joined.values.size <= _EXACT_VALUES:
                self._exact = joined
                return
            self._leave_exact()
        if self._distinct is not None:
            self._distinct.update(hash_numbers(values))
        self._push(summary, 0)

    def _leave_exact(self) -> None:
        exact, self._exact = self._exact, None
        if exact is not None:
            self._distinct = DistinctCount()
            self._distinct.update(hash_numbers(exact.values))
            if exact.values.size:
                self._push(exact, 0)

    def _push(self, summary: Summary, level: int) -> None:
        summary = compact(summary)
        while True:
            while len(self._levels) <= level:
                self._levels.append([])
            siblings = self._levels[level]
            siblings.append(summary)
            if len(siblings) < _FAN_IN:
                return
            summary = compact(join(siblings))
            siblings.clear()
            level += 1


def _read_levels(state: State, dtype: str) -> list[list[Summary]]:
    values, weights = state.array("values", dtype), state.array("weights", "<f8")
    if values.size != weights.size or bool((weights < 0).any()) or not np.isfinite(weights).all():
        raise state.fault("the weights do not fit the values")
    levels: list[list[Summary]] = []
    position = 0
    try:
        for level in state.scalars["levels"]:
            levels.append([])
            for size, error in level:
                part = slice(position, position + int(size))
                levels[-1].append(Summary(values[part], weights[part], float.fromhex(error)))
                position += int(size)
    except (KeyError, TypeError, ValueError) as error:
        raise state.fault("its levels are damaged") from error
    for summary in (summary for level in levels for summary in level):
        if not summary.error >= 0.0 or not bool(np.all(summary.values[1:] > summary.values[:-1])):
            raise state.fault("the values are not in order")
    if position != values.size:
        raise state.fault("the levels do not cover the values")
    return levels
