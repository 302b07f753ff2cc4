"""The task: what a worker does at one address."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mainstay.data.chunks import Chunk
from mainstay.data.feeds import Feed
from mainstay.data.functions.function import Function


@dataclass(frozen=True)
class Done:
    """What a task gave, and what it took.

    Args:
        chunk: The chunk.
        busy_seconds: How long it took.
        cpu_seconds: How long it used a core.
    """

    chunk: Chunk
    busy_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Task:
    """Load what lies at an address, then call functions on it.

    Args:
        feed: Where the elements come from.
        functions: What is done to them, in order.
    """

    feed: Feed
    functions: tuple[Function, ...]

    @property
    def name(self) -> str:
        """What it does, for reports."""
        return " → ".join([self.feed.name, *(function.name for function in self.functions)])

    @property
    def is_row_bound(self) -> bool:
        """Whether Python is called once per element."""
        return any(function.is_row_bound for function in self.functions)

    def __call__(self, address: Any) -> Chunk:
        """Return the chunk at an address."""
        return apply(self.functions, self.feed.load(address))

    def timed(self, address: Any) -> Done:
        """Return the chunk at an address, and how long that took."""
        start, cpu = time.perf_counter(), time.thread_time()
        chunk = self(address)
        return Done(chunk, time.perf_counter() - start, time.thread_time() - cpu)


def apply(functions: tuple[Function, ...], chunk: Chunk) -> Chunk:
    """Return what functions make of a chunk, one after the other."""
    for function in functions:
        if not chunk.length:
            break
        chunk = function(chunk)
    return chunk
