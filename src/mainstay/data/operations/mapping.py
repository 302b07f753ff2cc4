"""Functions of the user: map and filter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mainstay.data.execution.engine import Engine
from mainstay.data.functions.chain import Chain
from mainstay.data.functions.steps import Step
from mainstay.data.operations.ordering import Reordering
from mainstay.data.operations.sampling import FirstElements
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.specs import UNKNOWN_CARDINALITY
from mainstay.data.structures import Structure


class Map(Operation):
    """What a function makes of each element.

    Args:
        upstream: The elements.
        function: The function; a tuple is given to it as several arguments.
        calls: How many calls may run at a time; None or -1 lets the engine decide.
        deterministic: Whether the order is kept; None means yes.
    """

    name = "map"

    def __init__(
        self, upstream: Operation, function: Callable[..., Any], calls: int | None, deterministic: bool | None
    ) -> None:
        self.inputs = (upstream,)
        self.function = function
        self.calls = None if calls is None or calls < 0 else calls
        self.deterministic = deterministic
        self._chains = Chains(upstream, Step(function))

    def decide_as(self, other: Operation) -> None:
        """Run the function as another operation of the same function and the same elements runs it."""
        if isinstance(other, Map):
            self._chains = other._chains

    @property
    def spec(self) -> Structure:
        """That of what the function gives for the first elements; a generator is called once more to see one."""
        engine = Engine()
        try:
            return _last_chain(self.lower(Planner(engine))).spec
        finally:
            engine.close()

    @property
    def cardinality(self) -> int:
        """That of the elements."""
        return self.inputs[0].cardinality

    @property
    def chain_of_one(self) -> Chain:
        """The function as a chain of its own."""
        return self._chains.first

    def lower(self, planner: Planner) -> Lowered:
        """Return the function behind what comes before it."""
        pipe = planner.pipe(planner.lower(self.inputs[0], keeps_texts=True))
        return self._chains.behind(pipe, self.calls, in_order=planner.in_order(self.deterministic))


class Filter(Reordering):
    """The elements for which a predicate is true.

    Args:
        upstream: The elements.
        predicate: Says whether an element stays.
    """

    name = "filter"
    is_choosy = True

    def __init__(self, upstream: Operation, predicate: Callable[..., Any]) -> None:
        super().__init__(upstream)
        self.predicate = predicate
        self._chains = Chains(upstream, Step(predicate, is_filter=True))

    def decide_as(self, other: Operation) -> None:
        """Run the function as another operation of the same function and the same elements runs it."""
        if isinstance(other, Filter):
            self._chains = other._chains

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count <= 0 else UNKNOWN_CARDINALITY

    def lower(self, planner: Planner) -> Lowered:
        """Return the predicate behind what comes before it."""
        pipe = planner.pipe(planner.lower(self.inputs[0], keeps_texts=True))
        return self._chains.behind(pipe, None, in_order=True)


def _last_chain(lowered: Lowered) -> Chain:
    last = lowered.functions[-1] if isinstance(lowered, Pipe) else None
    if not isinstance(last, Chain):
        raise TypeError(type(last))
    return last


class Chains:
    """A step behind whatever comes before it, in one chain with the steps there.

    Steps of one chain run in one task: the smaller number of calls holds for all, and the order is kept if one of
    them asks for it. A chain is kept, so that it is decided once how its functions run, whoever reads them.

    Args:
        upstream: What comes before the step.
        step: The step.
    """

    def __init__(self, upstream: Operation, step: Step) -> None:
        self.first = Chain((step,), FirstElements(upstream))
        self._step = step
        self._lock = threading.Lock()
        self._behind: tuple[Chain, Chain] | None = None

    def behind(self, pipe: Pipe, calls: int | None, *, in_order: bool) -> Pipe:
        """Return a pipe with the step.

        Args:
            pipe: What comes before it.
            calls: How many calls may run at a time; None lets the engine decide.
            in_order: Whether the order is kept.
        """
        last = pipe.functions[-1] if pipe.functions else None
        if not isinstance(last, Chain):
            return pipe.then(self.first, calls=calls, in_order=in_order)
        with self._lock:
            if self._behind is None or self._behind[0] is not last:
                self._behind = last, last.then(self._step)
            chain = self._behind[1]
        least = min((number for number in (pipe.calls, calls) if number is not None), default=None)
        return Pipe(pipe.feed, (*pipe.functions[:-1], chain), least, pipe.in_order or in_order)
