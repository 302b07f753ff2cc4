"""What the passes over the data add up: the accumulators of `statistics`, and exact sums and counts beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from mainstay.hostops import Column
from mainstay.statistics import Counts, Moments, Quantiles

Array = np.ndarray[Any, Any]


class Accumulator(Protocol):
    """Takes a node's values chunk by chunk; missing values, NaN and infinities do not count."""

    def update(self, column: Column) -> None:
        """Take in the next rows."""

    def result(self) -> Any:
        """Return what was found out."""


def present(column: Column) -> Array:
    """Return the values of a numeric column that are not missing, NaN or infinite, `[values]`."""
    values: Array = column.values
    if column.missing is not None:
        values = values[~column.missing]
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        return values if finite.all() else values[finite]
    return values


class _Moments:
    def __init__(self) -> None:
        self._moments = Moments()

    def update(self, column: Column) -> None:
        self._moments.update(present(column))

    def result(self) -> Any:
        return self._moments.result()


class _Quantiles:
    def __init__(self) -> None:
        self._quantiles = Quantiles("float64")

    def update(self, column: Column) -> None:
        self._quantiles.update(present(column))

    def result(self) -> Any:
        return self._quantiles.result()


class _Counts:
    def __init__(self, capacity: int) -> None:
        self._counts = Counts(capacity=capacity)

    def update(self, column: Column) -> None:
        values = column.values
        if isinstance(values, np.ndarray):
            values = _strings(values, column.missing)
        elif column.missing is not None and not values.null_count:
            values = values.filter(pa.array(~column.missing))
        self._counts.update(values)

    def result(self) -> Counts:
        return self._counts


def _strings(values: Array, missing: Array | None) -> pa.Array:
    """Return an object array of strings in Arrow; where a surrogate stands alone, as bytes that are no UTF-8."""
    try:
        return pa.array(values, pa.string(), mask=missing)
    except UnicodeEncodeError:
        encoded = np.array([value.encode("utf-8", "surrogatepass") for value in values], object)
        return pa.array(encoded, pa.binary(), mask=missing)


class _Sum:
    """The sum of the values: of integers exactly, of floats with an error that does not grow with the rows."""

    def __init__(self) -> None:
        self._whole = 0
        self._parts: list[float] = []

    def update(self, column: Column) -> None:
        values = present(column)
        if values.dtype.kind == "f":
            self._parts = [math.fsum([*self._parts, float(values.sum(dtype=np.float64))])]
            return
        values = values.astype(np.int64, copy=False)
        self._whole += (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())

    def result(self) -> float:
        return self._whole + math.fsum(self._parts) if self._parts else self._whole


class _Size:
    def __init__(self) -> None:
        self._rows = 0

    def update(self, column: Column) -> None:
        self._rows += len(column) - (0 if column.missing is None else int(column.missing.sum()))

    def result(self) -> int:
        return self._rows


_KINDS: dict[str, Callable[[], Accumulator]] = {
    "moments": _Moments,
    "quantiles": _Quantiles,
    "sum": _Sum,
    "size": _Size,
}


def make_accumulator(kind: str, capacity: int) -> Accumulator:
    """Return a fresh accumulator of a kind: ``moments``, ``quantiles``, ``counts``, ``sum`` or ``size``."""
    return _Counts(capacity) if kind == "counts" else _KINDS[kind]()
