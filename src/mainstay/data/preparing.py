"""A feed whose first chunk is looked at before any is worked on, for functions that have to see what arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainstay.data.chunks import Chunk
from mainstay.data.feeds import Feed
from mainstay.data.functions.function import Function
from mainstay.data.streams import Epoch, State, close_iterator


class PreparingFeed(Feed):
    """Another feed that shows functions the first chunk, on the thread that hands out the addresses.

    So it is always the same chunk, however many threads work.

    Args:
        feed: The feed.
        functions: What is done to the elements, in order.
    """

    def __init__(self, feed: Feed, functions: Sequence[Function]) -> None:
        self.feed, self.functions = feed, tuple(functions)
        self.name = feed.name

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Any, State]]:
        """Yield the addresses of the feed."""
        addresses = self.feed.run(state, epoch)
        try:
            for address, after in addresses:
                if not all(function.is_ready for function in self.functions):
                    self._prepare(address)
                yield address, after
        finally:
            close_iterator(addresses)

    def _prepare(self, address: Any) -> None:
        chunk = self.feed.load(address)
        for function in self.functions:
            if not chunk.length:
                return
            function.prepare(chunk)
            if all(later.is_ready for later in self.functions):
                return
            chunk = function(chunk)

    def load(self, address: Any) -> Chunk:
        """Return the elements at an address."""
        return self.feed.load(address)
