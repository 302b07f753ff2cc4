"""Row functions: functions of one element, called once for each in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.data.chunks import Chunk
from mainstay.data.functions.function import Function, RowFailure
from mainstay.data.functions.steps import Step, call, in_python
from mainstay.data.functions.values import as_element
from mainstay.data.structures import Structure, flatten, leaf_names


class RowMap(Function):
    """A Python function of one element.

    Args:
        step: The function.
        reason: Why it is called for each element, for reports.
    """

    is_row_bound = True

    def __init__(self, step: Step, reason: str = "") -> None:
        self.step, self.reason = step, reason
        self.name = step.name
        self._dtypes: tuple[str, ...] | None = None

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return the chunk of the results."""
        results = []
        function = self.step.function
        with RowFailure(self.name, chunk) as at, in_python(chunk.columns):
            for at.index, element in enumerate(chunk.rows()):
                results.append(as_element(call(function, element)))
        try:
            made = Chunk.of_rows(results)
        except DataError as error:
            raise self._located(error, chunk, results) from error
        self._check(made, chunk, results)
        return Chunk(made.skeleton, made.columns, made.length, chunk.origin)

    def expect(self, made: Chunk) -> None:
        """Remember the dtypes of the results, which those of later chunks must have."""
        self._dtypes = tuple(_dtype(column) for column in made.columns)

    def _check(self, made: Chunk, chunk: Chunk, results: Sequence[Structure]) -> None:
        dtypes = tuple(_dtype(column) for column in made.columns)
        if self._dtypes is None or dtypes == self._dtypes:
            return
        if len(dtypes) != len(self._dtypes):
            return
        number = next(i for i, pair in enumerate(zip(dtypes, self._dtypes, strict=True)) if pair[0] != pair[1])
        raise DataError(
            "the dtype changes between elements",
            where=f"{self.name}, {leaf_names(results[0])[number]}, at {chunk.address(0)}",
            expected=f"{self._dtypes[number]}, as in the first elements",
            received=dtypes[number],
            fix="return the same dtype for every element, for instance with a cast",
        )

    def _located(self, error: DataError, chunk: Chunk, results: Sequence[Structure]) -> DataError:
        """Return an error about results that do not fit together, with the address of the first that does not."""
        names = leaf_names(results[0])
        first = [_dtype(leaf) for leaf in flatten(results[0])]
        for index, result in enumerate(results):
            leaves = [_dtype(leaf) for leaf in flatten(result)]
            if leaf_names(result) != names:
                return DataError(
                    error.summary,
                    where=f"{self.name}, at {chunk.address(index)}",
                    expected=f"{error.expected}",
                    received=error.received,
                    fix="return the same structure for every element",
                )
            for name, wanted, dtype in zip(names, first, leaves, strict=True):
                if dtype != wanted:
                    return DataError(
                        "the dtype changes between elements",
                        where=f"{self.name}, {name}, at {chunk.address(index)}",
                        expected=f"{wanted}, as at {chunk.address(0)}",
                        received=dtype,
                        fix="return the same dtype for every element, for instance with a cast",
                    )
        return error

    def __getstate__(self) -> dict[str, Any]:
        return {"step": self.step, "reason": self.reason, "name": self.name, "_dtypes": self._dtypes}


class RowFilter(Function):
    """A Python predicate of one element.

    Args:
        step: The predicate.
        reason: Why it is called for each element, for reports.
    """

    one_to_one = False
    is_row_bound = True

    def __init__(self, step: Step, reason: str = "") -> None:
        self.step, self.reason = step, reason
        self.name = step.name

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return the elements that stay."""
        mask = np.zeros(chunk.length, bool)
        function = self.step.function
        with RowFailure(self.name, chunk) as at, in_python(chunk.columns):
            for at.index, element in enumerate(chunk.rows()):
                mask[at.index] = as_answer(call(function, element))
        return chunk.filter(mask)


def as_answer(result: Any) -> bool:
    """Return whether a predicate says yes.

    Raises:
        DataError: It gave no single number or boolean.
    """
    if isinstance(result, (bool, np.bool_)):
        return bool(result)
    if np.shape(result) != () or isinstance(result, (str, bytes)) or result is None:
        raise DataError(
            "the answer of a filter is no single number or boolean",
            expected="True or False",
            received=f"{type(result).__name__}: {result!r:.80}",
        )
    return bool(result)


def row_function(step: Step, reason: str = "") -> Function:
    """Return a step as a function that calls it for each element."""
    return RowFilter(step, reason) if step.is_filter else RowMap(step, reason)


def _dtype(value: Any) -> str:
    """Return the dtype of a column or of a leaf of an element, and what kind of value it is."""
    if isinstance(value, (np.ndarray, np.generic)):
        return "string" if value.dtype == object else value.dtype.name
    rows = getattr(value, "rows", None)
    if rows is not None and len(rows):
        return _dtype(rows[0])
    dtype = getattr(value, "dtype", None)
    return "string" if dtype is None else f"lists of {dtype}"
