"""Host calls: calls of host functions that a traced function makes, taken out of it and made for whole columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.core import MainstayError
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, Loose, Texts, cut, group, join, plain, rows, ungroup
from mainstay.data.functions.opaque import Opaque, UntraceableError
from mainstay.data.functions.values import as_element
from mainstay.data.structures import Structure, flatten, map_structure, pack, skeleton_of
from mainstay.io import HostFunction, Spans, staged_calls


@dataclass(frozen=True)
class Place:
    """Stands for the column of that number among the arguments of a call."""

    index: int


@dataclass(frozen=True, eq=False)
class HostCall:
    """A call of a host function for whole columns.

    Args:
        function: The function.
        args: Its arguments; `Place` stands for a column.
        kwargs: Those by keyword.
    """

    function: HostFunction
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @cached_property
    def places(self) -> list[int]:
        """The numbers of the columns that it takes, in order."""
        found: list[int] = []
        _replace((self.args, self.kwargs), lambda value: _note(value, found))
        return found

    def run(self, columns: Sequence[Column]) -> Structure:
        """Return the structure of columns that it makes."""

        taken = {place: columns[place] for place in self.places}
        with staged_calls(None):
            if self.function.many is None:
                return self._each({place: plain(column) for place, column in taken.items()})
            size = _batch_size(list(taken.values())) if self.function.takes_rows else None
            if size is None:
                return self._call(self.function.many, {place: self._taken(column) for place, column in taken.items()})
            rows_of = {place: self._taken(ungroup(column)) for place, column in taken.items()}
            if self._depends_on_batch():
                return self._by_batch(self.function.many, rows_of, size)
            result = self._call(self.function.many, rows_of)
            return map_structure(lambda column: group(column, size), result)

    def _taken(self, column: Column) -> Column:
        return column if isinstance(column, Spans) and self.function.takes_spans else plain(column)

    def _depends_on_batch(self) -> bool:
        """Return whether a result has another form in each batch, such as the length of the longest sequence."""
        found = self.function.open_results
        return found is not None and bool(found(*self.args, **self.kwargs))

    def _by_batch(self, many: Callable[..., Any], rows_of: Mapping[int, Column], size: int) -> Structure:
        """Return what the function makes of each batch of rows on its own."""
        count = len(next(iter(rows_of.values()))) // size
        results = []
        for number in range(count):
            some = {place: cut(column, number * size, (number + 1) * size) for place, column in rows_of.items()}
            results.append(map_structure(lambda column: group(column, size), self._call(many, some)))
        return map_structure(lambda *columns: join(columns), *results)

    def _call(self, function: Callable[..., Any], values: Mapping[int, Any]) -> Any:
        def fill(value: Any) -> Any:
            return values[value.index] if isinstance(value, Place) else value

        return function(*_replace(self.args, fill), **_replace(dict(self.kwargs), fill))

    def _each(self, taken: Mapping[int, Column]) -> Structure:
        """Return what the function makes of the elements one by one."""
        results = [
            self._call(self.function.one, dict(zip(taken, values, strict=True)))
            for values in zip(*map(rows, taken.values()), strict=True)
        ]
        elements = [as_element(result) for result in results]
        if not self.function.varies:
            return Chunk.of_rows(elements).structure
        leaves = zip(*map(flatten, elements), strict=True)
        return pack(skeleton_of(elements[0]), [Loose(list(values)) for values in leaves])


def _batch_size(columns: Sequence[Column]) -> int | None:
    """Return how many strings there are in each element; None where an element is no batch of strings."""
    sizes = {column.size if isinstance(column, Texts) else column.shape[1] for column in columns if _is_batches(column)}
    return sizes.pop() if len(sizes) == 1 and all(map(_is_batches, columns)) else None


def _is_batches(column: Column) -> bool:
    is_array = isinstance(column, np.ndarray) and column.dtype == object and column.ndim == 2
    return is_array or isinstance(column, Texts)


def _note(value: Any, found: list[int]) -> Any:
    if isinstance(value, Place):
        found.append(value.index)
    return value


def _replace(value: Any, change: Any) -> Any:
    """Return nested arguments with each value that is no container changed."""
    if isinstance(value, dict):
        return {key: _replace(item, change) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_replace(item, change) for item in value)
    return change(value)


@dataclass(frozen=True, eq=False)
class Made:
    """A host call, and where its results are among the columns.

    Args:
        call: The call.
        skeleton: The structure of its results.
        first: The number of its first result among all columns.
        count: How many there are.
    """

    call: HostCall
    skeleton: Structure
    first: int
    count: int


class AnotherCall(BaseException):
    """Ends a trace at a host call whose results are not known yet; no user's `except Exception` may catch it."""

    def __init__(self, call: HostCall) -> None:
        self.call = call


class TraceStage:
    """Answers host calls while a function is traced, with what stands for their results.

    Args:
        values: What stands for each column, in order.
        known: The calls whose results are among the columns.
    """

    def __init__(self, values: Sequence[Any], known: Sequence[Made]) -> None:
        self._values, self._known, self._next = values, known, 0
        self._places = {id(value): index for index, value in enumerate(values)}

    def call(self, function: HostFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return what stands for the results of a call, or end the trace to make it first."""
        call = HostCall(function, _replace(tuple(args), self._place), _replace(dict(kwargs), self._place))
        if not call.places:
            with staged_calls(None):
                return function.one(*args, **kwargs)
        number, self._next = self._next, self._next + 1
        if number == len(self._known):
            raise AnotherCall(call)
        made = self._known[number]
        if made.call.function.one != function.one or made.call.places != call.places:
            raise UntraceableError("it calls other host functions each time")
        return pack(made.skeleton, self._values[made.first : made.first + made.count])

    def _place(self, value: Any) -> Any:
        if isinstance(value, Opaque):
            return Place(value.place)
        if id(value) in self._places:
            return Place(self._places[id(value)])
        jax = sys.modules.get("jax")
        if jax is not None and isinstance(value, jax.core.Tracer):
            raise UntraceableError("it gives a host function what it computed before")
        return value


def make(call: HostCall, columns: Sequence[Column]) -> tuple[Made, list[Column]]:
    """Return a call with its results.

    Args:
        call: The call.
        columns: All columns so far.

    Raises:
        UntraceableError: It cannot be made for whole columns.
    """
    try:
        result = call.run(columns)
    except (MainstayError, TypeError, ValueError) as error:
        raise UntraceableError(f"{call.function.name} does not take whole columns here: {error}") from error
    leaves = flatten(result)
    return Made(call, skeleton_of(result), len(columns), len(leaves)), leaves
