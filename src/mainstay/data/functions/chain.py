"""The chain: consecutive user's functions, grouped into what JAX runs for many elements and what Python runs for one.

Which is which is decided once, on the first elements of the source, and depends on nothing else: not on how much data
there is, not on how fast anything was. So a dataset gives the same bits in every run, wherever it begins, and the
same as a model that its functions were exported with.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from mainstay.data.chunks import Chunk
from mainstay.data.functions.function import Function
from mainstay.data.functions.opaque import UntraceableError
from mainstay.data.functions.rows import RowFilter, RowMap, row_function
from mainstay.data.functions.spec import spec_of_results
from mainstay.data.functions.steps import Step
from mainstay.data.functions.traced import TracedSteps
from mainstay.data.functions.verification import traced
from mainstay.data.structures import Structure

SAMPLE_ROWS = 4
"""How many elements the functions are tried on."""

_SEARCHED = (SAMPLE_ROWS, 64, 1024)


class Beginning(Protocol):
    """The elements that come to a chain, as far as they can be had before it runs."""

    def sample(self, count: int) -> Chunk | None:
        """Return about as many of the first ones as are asked for; None where they cannot be read twice."""

    def begin(self) -> Chunk | None:
        """Return some of the first ones, whatever that takes; None without any."""

    @property
    def spec(self) -> Structure:
        """Their specs."""


class Chain(Function):
    """Consecutive steps of the user, decided on when they are first needed.

    Args:
        steps: The steps, at least one.
        beginning: Gives the first elements that come in. Where it cannot, the first chunk that arrives decides.
    """

    adds_none = True

    def __init__(self, steps: Sequence[Step], beginning: Beginning | None) -> None:
        self.steps = tuple(steps)
        self.name = " → ".join(step.name for step in steps)
        self.one_to_one = not any(step.is_filter for step in steps)
        self._beginning = beginning
        self._lock = threading.RLock()
        self._functions: tuple[Function, ...] | None = None
        self._undecided = False

    def then(self, step: Step) -> Chain:
        """Return the chain with a further step."""
        return Chain((*self.steps, step), self._beginning)

    @property
    def is_ready(self) -> bool:
        """Whether it is decided how the steps run; if it can be decided now, it is."""
        with self._lock:
            if self._functions is None and not self._undecided:
                # What fails here will fail again in its place, when the elements are asked for.
                with contextlib.suppress(Exception):
                    sample = self.sample()
                    self._functions = None if sample is None else decide(self.steps, sample)
                self._undecided = self._functions is None
            return self._functions is not None

    @property
    def is_row_bound(self) -> bool:  # type: ignore[override]
        """Whether Python is called for each element."""
        return self.is_ready and any(function.is_row_bound for function in self._functions or ())

    @property
    def functions(self) -> tuple[Function, ...]:
        """How the steps run, in order; empty while that is not decided."""
        return self._functions or () if self.is_ready else ()

    def sample(self) -> Chunk | None:
        """Return some of the first elements that come in, at least one; None where there are none to be had."""
        beginning = self._beginning
        for count in () if beginning is None else _SEARCHED:
            sample = beginning.sample(count) if beginning is not None else None
            if sample is None or sample.length:
                return sample and sample.cut(0, min(sample.length, SAMPLE_ROWS))
        return None

    @cached_property
    def spec(self) -> Structure:
        """The specs of what it gives, found on the first elements; a generator is called once more for one."""
        beginning = self._beginning
        if beginning is None:
            raise TypeError("a chain without a beginning has no spec")
        maps = tuple(step for step in self.steps if not step.is_filter)
        sample = self.sample() or beginning.begin()
        chain = self if maps == self.steps else Chain(maps, None)
        if not maps:
            return beginning.spec
        specs = spec_of_results(chain, sample, beginning.spec)
        last = (chain.functions or (None,))[-1]
        return last.with_open_axes(specs) if isinstance(last, TracedSteps) else specs

    def prepare(self, chunk: Chunk) -> None:
        """Decide how the steps run by the first elements that arrive, if that is not decided yet."""
        if not self.is_ready and chunk.length:
            with self._lock:
                if self._functions is None:
                    self._functions = decide(self.steps, chunk.plain().cut(0, min(chunk.length, SAMPLE_ROWS)))

    def __call__(self, chunk: Chunk) -> Chunk:
        """Return what becomes of a chunk."""
        self.prepare(chunk)
        for function in self._functions or ():
            if not chunk.length:
                break
            chunk = function(chunk if isinstance(function, TracedSteps) else chunk.plain())
        return chunk.plain()

    def report(self) -> list[str]:
        """Return a line for each group of steps: how it runs, and why."""
        return [
            f"{function.name}: called for each element, because {function.reason or 'its turn never came'}"
            if isinstance(function, (RowMap, RowFilter))
            else f"{function.name}: traced, run for many elements at once"
            for function in self.functions
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {"steps": self.steps, "functions": self.functions}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["steps"], None)  # type: ignore[misc]
        self._functions = state["functions"] or None


def decide(steps: Sequence[Step], sample: Chunk) -> tuple[Function, ...]:
    """Return steps as functions of chunks: as few as possible, each traced if it can be.

    Args:
        steps: The steps.
        sample: Some of the first elements, at least one.
    """
    functions: list[Function] = []
    left = tuple(steps)
    while left:
        function, used = _first(left, sample)
        functions.append(function)
        left = left[used:]
        if left:
            try:
                sample = function(sample)
            except Exception as error:
                reason = f"{function.name} fails before it: {type(error).__name__}"
                return (*functions, *(row_function(step, reason) for step in left))
            if not sample.length:
                reason = f"{function.name} lets none of the first elements through"
                return (*functions, *(row_function(step, reason) for step in left))
    return tuple(functions)


def _first(steps: Sequence[Step], sample: Chunk) -> tuple[Function, int]:
    """Return the longest beginning of steps that can be traced, or the first as a row function, and its length."""
    failure = UntraceableError()
    ends = [index for index, step in enumerate(steps, 1) if step.is_filter]
    for length in range(ends[0] if ends else len(steps), 0, -1):
        try:
            return traced(steps[:length], sample), length
        except UntraceableError as error:
            failure = error
    function = row_function(steps[0], str(failure))
    if isinstance(function, RowMap) and failure.first is not None:
        function.expect(failure.first)
    return function, 1
