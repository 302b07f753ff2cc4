"""ignore_errors: elements whose functions fail are left out, one by one, however many are computed at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.chunks import Chunk, join
from mainstay.data.feeds import Feed, RowFeed
from mainstay.data.functions.function import Function
from mainstay.data.operations.ordering import Reordering
from mainstay.data.operations.sampling import FirstElements
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.specs import UNKNOWN_CARDINALITY, spec_of_chunk
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure

_log = logging.getLogger("mainstay.data")


class IgnoreErrors(Reordering):
    """The elements that the functions right before it do not fail for, and that their source can read.

    Args:
        upstream: The elements.
        log_warning: Whether each failure is logged.
    """

    name = "ignore_errors"
    is_choosy = True

    def __init__(self, upstream: Operation, log_warning: bool) -> None:
        super().__init__(upstream)
        self.log_warning = log_warning
        self._failures = Failures()

    @property
    def spec(self) -> Structure:
        """That of the elements; where a function fails for the first of them, that of the first ones that are left."""
        try:
            return super().spec
        except Exception:
            chunk = FirstElements(self).begin()
            if chunk is None or not chunk.length:
                raise
            return spec_of_chunk(chunk)

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing or no end."""
        count = self.inputs[0].cardinality
        return count if count <= 0 else UNKNOWN_CARDINALITY

    def lower(self, planner: Planner) -> Lowered:
        """Return the feed with its functions, made tolerant.

        Raises:
            ArgumentError: What comes before it works on several elements together.
        """
        lowered = planner.lower(self.inputs[0])
        if not isinstance(lowered, Pipe):
            raise ArgumentError(
                f"ignore_errors does not stand behind {self.inputs[0].name}, which needs several elements at a time",
                expected="ignore_errors right behind map, filter, or a source",
                fix="put it before this operation, or put a map or filter in between",
            )
        feed = TolerantFeed(planner.sized(lowered).feed, lowered.functions, self.log_warning, self._failures)
        return Pipe(feed, (), lowered.calls, lowered.in_order)


@dataclass(eq=False)
class Failures:
    """How many elements were left out."""

    count: int = 0
    lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, count: int) -> None:
        """Count some more."""
        with self.lock:
            self.count += count

    def __reduce__(self) -> tuple[Any, ...]:
        return Failures, (self.count,)


@dataclass(frozen=True)
class TolerantFeed(Feed):
    """A feed, and functions of what it gives; elements that fail are left out.

    Args:
        feed: Where the elements come from.
        functions: What is done to them.
        log_warning: Whether each failure is logged.
        failures: Counts them.
    """

    feed: Feed
    functions: tuple[Function, ...]
    log_warning: bool
    failures: Failures

    @property
    def name(self) -> str:  # type: ignore[override]
        """What it reads and does."""
        return " → ".join([self.feed.name, *(function.name for function in self.functions), "ignore_errors"])

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield the addresses of the feed."""
        return self.feed.run(state, epoch)

    def load(self, address: Any) -> Chunk:
        """Return the elements at an address that do not fail."""
        chunks = []
        for chunk in self._loaded(address):
            chunks.extend(self._tried(chunk, 0))
        return join(chunks) if chunks else Chunk(0, (np.empty(0),), 0)

    def _loaded(self, address: Any) -> list[Chunk]:
        """Return what lies at an address, row by row if it cannot be had at once."""
        try:
            return [self.feed.load(address)]
        except Exception as error:
            if not isinstance(self.feed, RowFeed) or address[1] - address[0] <= 1:
                self._failed(error, 1)
                return []
        start, stop, epoch = address
        middle = (start + stop) // 2
        return [*self._loaded((start, middle, epoch)), *self._loaded((middle, stop, epoch))]

    def _tried(self, chunk: Chunk, number: int) -> list[Chunk]:
        """Return what the functions from `number` on make of a chunk, in halves where one of them fails."""
        for place in range(number, len(self.functions)):
            if not chunk.length:
                return []
            try:
                chunk = self.functions[place](chunk)
            except Exception as error:
                if chunk.length == 1:
                    self._failed(error, 1)
                    return []
                middle = chunk.length // 2
                halves = (chunk.cut(0, middle), chunk.cut(middle, chunk.length))
                return [part for half in halves for part in self._tried(half, place)]
        return [chunk] if chunk.length else []

    def _failed(self, error: Exception, count: int) -> None:
        self.failures.add(count)
        if self.log_warning:
            _log.warning("an element is left out: %s: %s", type(error).__name__, error)
