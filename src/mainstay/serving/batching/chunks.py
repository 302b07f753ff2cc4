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
"""The values of one input: an array `[rows, *inner]`; for an input without inner axes also a sequence of bool, int,
float, str or bytes with None for missing, `[rows]`; or a `DensePart`. Strings are arrays of object, of str or bytes.
"""


def _no_place(name: str, row: int) -> str:
    return f"$.{name}[{row}]"


@dataclass(slots=True, eq=False)
class Chunk:
    """Rows of one request, input by input, already checked. Nobody changes one; it is not frozen for speed alone.

    Args:
        rows: How many.
        parts: The values of each input, in the signature's order.
        missing: Whether any value may be missing.
        shape: The inner shapes of this chunk where a signature leaves them open; only chunks of one shape share
            a batch.
        place: Gives the path of a value in the request from the input's name and the row.
        start: The row of the request that is the first one here.
        whole: Whether the parts are whole tensors of any shape, to be run just as they are: never split, padded or
            put together with others.
    """

    rows: int
    parts: Sequence[Part]
    missing: bool = False
    shape: tuple[tuple[int, ...], ...] = ()
    place: Callable[[str, int], str] = _no_place
    start: int = 0
    whole: bool = False

    def slice(self, start: int, stop: int) -> Chunk:
        """Return the rows from `start` to before `stop`."""
        parts = [part[start:stop] for part in self.parts]
        return Chunk(stop - start, parts, self.missing, self.shape, self.place, self.start + start)


@dataclass(frozen=True, slots=True)
class DensePart:
    """The values of an input, of which some rows are missing.

    Args:
        values: The values, `[rows, *inner]`.
        missing: True where a row has none, `[rows]` bool.
    """

    values: np.ndarray[Any, Any]
    missing: np.ndarray[Any, Any]

    def __getitem__(self, rows: slice) -> DensePart:
        return DensePart(self.values[rows], self.missing[rows])


def merge(chunks: Sequence[Chunk], plans: Sequence[InputPlan]) -> list[Column]:
    """Return the rows of all chunks, in order, as one column per input; those of whole tensors as they are."""
    may_miss = any(chunk.missing for chunk in chunks)
    columns = []
    for index, plan in enumerate(plans):
        parts = [chunk.parts[index] for chunk in chunks]
        kinds = set(map(type, parts))
        if kinds == {np.ndarray}:
            columns.append(Column(parts[0] if len(parts) == 1 else np.concatenate(parts)))
        elif np.ndarray in kinds or DensePart in kinds:
            columns.append(_joined([_column_of(part, plan, may_miss) for part in parts]))
        else:
            values = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
            columns.append(_column(values, plan, may_miss and plan.optional))
    return columns


def _column_of(part: Part, plan: InputPlan, may_miss: bool) -> Column:
    if isinstance(part, DensePart):
        return Column(part.values, part.missing)
    return Column(part) if isinstance(part, np.ndarray) else _column(part, plan, may_miss and plan.optional)


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


def _joined(columns: Sequence[Column]) -> Column:
    if len(columns) == 1:
        return columns[0]
    values = np.concatenate([column.values for column in columns])
    if all(column.missing is None for column in columns):
        return Column(values)
    masks = [np.zeros(len(c.values), bool) if c.missing is None else c.missing for c in columns]
    return Column(values, np.concatenate(masks))
