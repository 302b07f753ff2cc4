"""Functions of one element, called once per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mainstay.data.chunks import Chunk
from mainstay.data.functions.function import Function, RowFailure
from mainstay.data.structures import Structure


def name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called in reports."""
    name = getattr(function, "__qualname__", type(function).__name__)
    return name.rsplit("<locals>.", 1)[-1]


def call(function: Callable[..., Any], element: Structure) -> Any:
    """Call a function as `tf.data` does: a tuple becomes several arguments."""
    return function(*element) if type(element) is tuple else function(element)


class RowMap(Function):
    """A Python function of one element.

    Args:
        function: The function.
    """

    is_row_bound = True

    def __init__(self, function: Callable[..., Structure]) -> None:
        self.function = function
        self.name = f"map {name_of(function)}"

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return the chunk of the results."""
        results = []
        with RowFailure(self.name, chunk) as at:
            for at.index, element in enumerate(chunk.rows()):
                results.append(as_element(call(self.function, element)))
        made = Chunk.of_rows(results) if results else chunk
        return Chunk(made.skeleton, made.columns, made.length, chunk.origin)


class RowFilter(Function):
    """A Python predicate of one element.

    Args:
        predicate: Says whether an element stays.
    """

    one_to_one = False
    adds_none = True
    is_row_bound = True

    def __init__(self, predicate: Callable[..., Any]) -> None:
        self.predicate = predicate
        self.name = f"filter {name_of(predicate)}"

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return the elements that stay."""
        mask = np.zeros(chunk.length, bool)
        with RowFailure(self.name, chunk) as at:
            for at.index, element in enumerate(chunk.rows()):
                mask[at.index] = bool(call(self.predicate, element))
        return chunk.filter(mask)


def as_element(result: Any) -> Structure:
    """Return what a user's function gave as an element: a list becomes an array inside of a tuple."""
    return result
