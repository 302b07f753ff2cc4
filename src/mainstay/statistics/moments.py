"""Moments of a column of numbers: count, mean, variance, extremes, zeros and the values that are no finite number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mainstay.core import ArgumentError
from mainstay.statistics.state import pack, unpack

Array: TypeAlias = np.ndarray[Any, Any]

_KIND = "moments/1"


class FiniteValues(NamedTuple):
    """The finite values of an array and how many others there were."""

    values: Array
    nan: int
    negative_infinities: int
    positive_infinities: int


@dataclass(frozen=True, slots=True)
class MomentsResult:
    """The moments of a column.

    Attributes:
        count: Finite values.
        mean: Mean of the finite values; NaN where there is none.
        variance: Population variance of the finite values; NaN where there is none.
        min: Smallest value, infinities included; None where there is none.
        max: Largest value, infinities included; None where there is none.
        zeros: Values equal to zero.
        nan: Values that are not a number; they enter nothing else.
        positive_infinities: Values of plus infinity.
        negative_infinities: Values of minus infinity.
    """

    count: int
    mean: float
    variance: float
    min: float | None
    max: float | None
    zeros: int
    nan: int
    positive_infinities: int
    negative_infinities: int

    @property
    def std(self) -> float:
        """Population standard deviation of the finite values."""
        return math.sqrt(self.variance)

    @property
    def num_values(self) -> int:
        """All values: finite ones, infinities and NaN."""
        return self.count + self.nan + self.positive_infinities + self.negative_infinities


class Moments:
    """Mergeable moments in constant memory.

    Mean and squared deviations are kept in float64 and combined as Chan, Golub and LeVeque (1979) do, so that
    neither a large mean nor the number of parts costs precision. Integers keep their exact extremes.

    Infinities count in `min` and `max` but not in mean and variance: a single one would make both useless.
    """

    __slots__ = ("_count", "_max", "_mean", "_min", "_nan", "_negative", "_positive", "_squares", "_zeros")

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0
        self._min: float | None = None
        self._max: float | None = None
        self._zeros = 0
        self._nan = 0
        self._positive = 0
        self._negative = 0

    def update(self, values: Array) -> None:
        """Take in values, `[rows]` of a boolean, integer or floating dtype.

        Raises:
            ArgumentError: The dtype is none of these.
        """
        self.update_finite(split_finite(as_numbers(values)))

    def update_finite(self, split: FiniteValues) -> None:
        """Take in values that `split_finite` took apart."""
        values = split.values
        self._count_others(split)
        if values.size == 0:
            return
        low, high = values.min().item(), values.max().item()
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            if not math.isfinite(mean):
                mean = _within(float((values / values.size).sum()), low, high)
            away = values - mean
            squares = float(np.square(away).sum())
        self._widen(low, high)
        self._zeros += int(values.size - np.count_nonzero(values))
        self._combine(values.size, mean, squares)

    def update_runs(self, values: Array, counts: Array) -> None:
        """Take in distinct finite values in rising order and how often each occurs, `[runs]` each."""
        if values.size == 0:
            return
        low, high, total = values[0].item(), values[-1].item(), int(counts.sum())
        with np.errstate(over="ignore", invalid="ignore"):
            floats = values.astype(np.float64, copy=False)
            mean = float((floats * counts).sum()) / total
            if not math.isfinite(mean):
                mean = _within(float((floats / total * counts).sum()), low, high)
            away = floats - mean
            squares = float((np.square(away) * counts).sum())
        self._widen(low, high)
        self._zeros += int(counts[values == 0].sum())
        self._combine(total, mean, squares)

    def merge(self, other: Moments) -> None:
        """Take in all that `other` took in."""
        self._nan += other._nan
        self._positive += other._positive
        self._negative += other._negative
        self._zeros += other._zeros
        if other._min is not None and other._max is not None:
            self._widen(other._min, other._max)
        if other._count:
            self._combine(other._count, other._mean, other._squares)

    def copy(self) -> Moments:
        """Return an independent accumulator with the same state."""
        twin = Moments()
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def result(self) -> MomentsResult:
        """Return the moments of everything taken in so far."""
        return MomentsResult(
            count=self._count,
            mean=self._mean if self._count else math.nan,
            variance=self._squares / self._count if self._count else math.nan,
            min=self._min,
            max=self._max,
            zeros=self._zeros,
            nan=self._nan,
            positive_infinities=self._positive,
            negative_infinities=self._negative,
        )

    def to_bytes(self) -> bytes:
        """Return the state as bytes for `from_bytes`."""
        names = ("count", "zeros", "nan", "positive", "negative", "mean", "squares")
        scalars = {name: getattr(self, f"_{name}") for name in names}
        extremes = {} if self._min is None else {"min": self._min, "max": self._max}
        return pack(_KIND, scalars | extremes, {})

    @classmethod
    def from_bytes(cls, data: bytes) -> Moments:
        """Return the accumulator that `to_bytes` wrote.

        Raises:
            FormatError: The bytes are not such a state.
        """
        state = unpack(data, _KIND)
        moments = cls()
        for name in ("count", "zeros", "nan", "positive", "negative"):
            setattr(moments, f"_{name}", state.integer(name))
        moments._mean, moments._squares = state.number("mean"), state.number("squares")
        if "min" in state.scalars:
            whole = isinstance(state.scalars["min"], int)
            low, high = (state.integer(name, -(2**63)) if whole else state.number(name) for name in ("min", "max"))
            moments._min, moments._max = low, high
        return moments

    def _count_others(self, split: FiniteValues) -> None:
        self._nan += split.nan
        self._negative += split.negative_infinities
        self._positive += split.positive_infinities
        if split.negative_infinities:
            self._widen(-math.inf, -math.inf)
        if split.positive_infinities:
            self._widen(math.inf, math.inf)

    def _widen(self, low: float, high: float) -> None:
        self._min = low if self._min is None else min(self._min, low)
        self._max = high if self._max is None else max(self._max, high)

    def _combine(self, count: int, mean: float, squares: float) -> None:
        total = self._count + count
        share = count / total
        apart = mean - self._mean
        if math.isfinite(apart):
            self._squares += squares + apart * apart * (self._count * share)
            self._mean += apart * share
        else:
            self._squares = math.inf
            self._mean = self._mean * (1.0 - share) + mean * share
        self._count = total


def _within(mean: float, low: float, high: float) -> float:
    """Return a mean that rounding, near the largest float, may have pushed out of the values' range."""
    return min(max(mean, low), high)


def as_numbers(values: Array) -> Array:
    """Return values as int64 or, for floats, as float64 in which -0.0 has become 0.0.

    Raises:
        ArgumentError: The values are neither booleans, integers of up to 64 bits nor floats.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return array.astype(np.float64, copy=False) + 0.0
    if array.dtype.kind in "bi" or (array.dtype.kind == "u" and (array.size == 0 or array.max() < 2**63)):
        return array.astype(np.int64, copy=False)
    raise ArgumentError(
        "moments and quantiles are of numbers",
        expected="booleans, integers below 2**63 or floats",
        received=f"dtype {array.dtype}",
    )


def split_finite(values: Array) -> FiniteValues:
    """Return the finite values of an int64 or float64 array, `[rows]`, and how many others there were."""
    if values.dtype.kind != "f" or values.size == 0:
        return FiniteValues(values, 0, 0, 0)
    if math.isfinite(values.min()) and math.isfinite(values.max()):
        return FiniteValues(values, 0, 0, 0)
    nan = int(np.count_nonzero(np.isnan(values)))
    positive = int(np.count_nonzero(values == math.inf))
    negative = int(np.count_nonzero(values == -math.inf))
    return FiniteValues(values[np.isfinite(values)], nan, negative, positive)
