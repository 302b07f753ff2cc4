"""The task: what a worker does at one address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mainstay.data.chunks import Chunk
from mainstay.data.feeds import Feed
from mainstay.data.functions.function import Function


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
        chunk = self.feed.load(address)
        for function in self.functions:
            if not chunk.length:
                break
            chunk = function(chunk)
        return chunk
