"""Chunks: the decoded rows of one request, and how several become the columns of one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.hostops import Column
from mainstay.serving.plans import InputPlan

Part: TypeAlias = Any
"""The values of one input: an array `[rows, *inner]`; for an input without inner axes also a sequence of bool, int,
float, str or bytes with None for missing, `[rows]`; or a `DensePart`. Strings are arrays of object, of str or bytes.
"""

Array: TypeAlias = np.ndarray[Any, Any]

_MOST_PADDED_AXES = 6

MOST_ROWS = 1 << 20
"""The most rows of one request. Each batch of them is a piece of work of its own, which rows of nothing would make many
of in a few bytes."""


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

    values: Array
    missing: Array

    def __getitem__(self, rows: slice) -> DensePart:
        return DensePart(self.values[rows], self.missing[rows])


def merge(chunks: Sequence[Chunk], plans: Sequence[InputPlan], *, length: int | None = None) -> list[Column]:
    """Return the rows of all chunks, in order, as one column per input.

    Args:
        chunks: The chunks.
        plans: The inputs.
        length: How long the columns shall be: rows of zeros and empty strings are added. None adds none.
    """
    may_miss = any(chunk.missing for chunk in chunks)
    columns = []
    for index, plan in enumerate(plans):
        parts = [chunk.parts[index] for chunk in chunks]
        kinds = set(map(type, parts))
        if len(kinds) == 1 and np.ndarray in kinds:
            columns.append(Column(_stack(parts, length)))
            continue
        if np.ndarray in kinds or DensePart in kinds:
            column = _joined([_column_of(part, plan, may_miss) for part in parts])
        else:
            values = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
            column = _column(values, plan, may_miss and plan.optional)
        columns.append(column if length is None else _lengthened(column, length))
    return columns


def _stack(parts: Sequence[Array], length: int | None) -> Array:
    """Return arrays one after the other, copied at the most once, with blank rows up to `length`."""
    first = parts[0]
    if len(parts) == 1:
        if length is None or length == len(first):
            return first
    elif length is None:
        return np.concatenate(parts)
    whole = np.empty((length, *first.shape[1:]), first.dtype)
    rows = len(first) if len(parts) == 1 else sum(map(len, parts))
    np.concatenate(parts, out=whole[:rows])
    if rows != length:
        whole[rows:] = "" if first.dtype == object else 0
    return whole


def _lengthened(column: Column, length: int) -> Column:
    values = column.values
    if not isinstance(values, np.ndarray) or len(values) == length:
        return column
    missing = column.missing
    return Column(_stack([values], length), None if missing is None else _stack([missing], length))


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


def padded_to_longest(chunks: Sequence[Chunk], plans: Sequence[InputPlan]) -> Sequence[Chunk]:
    """Return chunks of one shape: each input padded at the end of its open axes to the longest among them.

    A chunk is padded with its own first value, as TF Serving does.

    Args:
        chunks: The chunks, at least one.
        plans: The inputs.

    Raises:
        RequestError: A chunk has nothing to be padded with, or an input has too many axes.
    """
    if len({chunk.shape for chunk in chunks}) == 1:
        return chunks
    columns = []
    for index, plan in enumerate(plans):
        parts = [chunk.parts[index] for chunk in chunks]
        columns.append(_padded_parts(parts, plan) if None in plan.inner else parts)
    return [
        Chunk(chunk.rows, parts, chunk.missing, (), chunk.place, chunk.start)
        for chunk, *parts in zip(chunks, *columns, strict=True)
    ]


def _padded_parts(parts: Sequence[Part], plan: InputPlan) -> list[Part]:
    arrays = [part.values if isinstance(part, DensePart) else part for part in parts]
    longest = tuple(map(max, zip(*(array.shape[1:] for array in arrays), strict=True)))
    padded: list[Part] = []
    for part, array in zip(parts, arrays, strict=True):
        array = _padded(array, longest, plan)
        padded.append(DensePart(array, part.missing) if isinstance(part, DensePart) else array)
    return padded


def _padded(array: Array, inner: tuple[int, ...], plan: InputPlan) -> Array:
    if array.shape[1:] == inner:
        return array
    if array.ndim > _MOST_PADDED_AXES:
        raise RequestError("Only tensors with rank from 1 to 6 can be padded.", where=f"$.{plan.name}")
    if not array.size:
        raise RequestError("Got empty tensor in batch of non-empty tensors.", where=f"$.{plan.name}")
    whole = np.full((len(array), *inner), array.flat[0], array.dtype)
    whole[tuple(slice(size) for size in array.shape)] = array
    return whole
