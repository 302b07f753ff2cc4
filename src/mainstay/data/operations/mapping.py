"""Functions of the user: map and filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstay.data.functions.rows import RowFilter, RowMap
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import UNKNOWN_CARDINALITY
from mainstay.data.structures import Structure


class Map(Operation):
    """What a function makes of each element.

    Args:
        upstream: The elements.
        function: The function; a tuple is given to it as several arguments.
        calls: How many calls may run at a time; None lets the engine decide.
        deterministic: Whether the order is kept; None means yes.
    """

    name = "map"

    def __init__(
        self, upstream: Operation, function: Callable[..., Any], calls: int | None, deterministic: bool | None
    ) -> None:
        self.inputs = (upstream,)
        self.function, self.calls, self.deterministic = function, calls, deterministic

    @property
    def spec(self) -> Structure:
        """That of what the function gives."""
        raise NotImplementedError

    @property
    def cardinality(self) -> int:
        """That of the elements."""
        return self.inputs[0].cardinality

    def lower(self, planner: Planner) -> Lowered:
        """Return the function behind what comes before it."""
        return planner.pipe(planner.lower(self.inputs[0])).then(RowMap(self.function))


class Filter(Reordering):
    """The elements for which a predicate is true.

    Args:
        upstream: The elements.
        predicate: Says whether an element stays.
    """

    name = "filter"

    def __init__(self, upstream: Operation, predicate: Callable[..., Any]) -> None:
        super().__init__(upstream)
        self.predicate = predicate

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count <= 0 else UNKNOWN_CARDINALITY

    def lower(self, planner: Planner) -> Lowered:
        """Return the predicate behind what comes before it."""
        return planner.pipe(planner.lower(self.inputs[0])).then(RowFilter(self.predicate))
