"""Chunks: the decoded rows of one request, and how several become the columns of one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from mainstay.hostops import Column
from mainstay.serving.plans import InputPlan

Part: TypeAlias = Any
"""The values of one input: a sequence of bool, int, float or str with None for missing, `[rows]`; or, for an input
with inner axes, an array `[rows, *inner]`."""


def _no_place(name: str, row: int) -> str:
    return f"$.{name}[{row}]"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one request, input by input, already checked.

    Args:
        rows: How many.
        parts: The values of each input, in the signature's order.
        missing: Whether any value may be missing.
        shape: The inner shapes of this chunk where a signature leaves them open; only chunks of one shape share
            a batch.
        place: Gives the path of a value in the request from the input's name and the row.
        start: The row of the request that is the first one here.
    """

    rows: int
    parts: Sequence[Part]
    missing: bool = False
    shape: tuple[tuple[int, ...], ...] = ()
    place: Callable[[str, int], str] = _no_place
    start: int = 0

    def slice(self, start: int, stop: int) -> Chunk:
        """Return the rows from `start` to before `stop`."""
        parts = [part[start:stop] for part in self.parts]
        return Chunk(stop - start, parts, self.missing, self.shape, self.place, self.start + start)


@dataclass(frozen=True, slots=True)
class DensePart:
    """The values of an input with inner axes, of which some rows are missing.

    Args:
        values: The values, `[rows, *inner]`.
        missing: True where a row has none, `[rows]` bool.
    """

    values: np.ndarray[Any, Any]
    missing: np.ndarray[Any, Any]

    def __getitem__(self, rows: slice) -> DensePart:
        return DensePart(self.values[rows], self.missing[rows])


def merge(chunks: Sequence[Chunk], plans: Sequence[InputPlan]) -> list[Column]:
    """Return the rows of all chunks, in order, as one column per input."""
    may_miss = any(chunk.missing for chunk in chunks)
    columns = []
    for index, plan in enumerate(plans):
        parts = [chunk.parts[index] for chunk in chunks]
        if plan.inner:
            columns.append(_dense_column(parts))
            continue
        values = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
        columns.append(_column(values, plan, may_miss and plan.optional))
    return columns


def _column(values: Sequence[Any], plan: InputPlan, may_miss: bool) -> Column:
    missing = None
    if may_miss and None in values:
        missing = np.fromiter((value is None for value in values), bool, len(values))
        filler: Any = "" if plan.dtype == "string" else 0
        values = [filler if value is None else value for value in values]
    if plan.dtype == "string":
        strings = np.empty(len(values), object)
        strings[:] = values
        return Column(strings, missing)
    return Column(np.array(values, plan.dtype), missing)


def _dense_column(parts: Sequence[Any]) -> Column:
    arrays = [part.values if isinstance(part, DensePart) else part for part in parts]
    values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    if not any(isinstance(part, DensePart) for part in parts):
        return Column(values)
    masks = [
        part.missing if isinstance(part, DensePart) else np.zeros(len(array), bool)
        for part, array in zip(parts, arrays, strict=True)
    ]
    return Column(values, np.concatenate(masks))
