"""Metering: how long whoever takes chunks waits for them, and how many there were; counted per chunk."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mainstay.data.chunks import Chunk
from mainstay.data.streams import Epoch, Node, State, close_iterator


@dataclass
class Meter:
    """What was taken from a stream.

    Args:
        wait_seconds: For how long the taker stood still until the next chunk was there.
        own_seconds: The part of it that the stage itself worked on the taker's thread, without the stages before it.
        chunks: How many chunks there were.
        elements: How many elements.
        num_bytes: How many bytes they take.
    """

    wait_seconds: float = 0.0
    own_seconds: float = 0.0
    chunks: int = 0
    elements: int = 0
    num_bytes: int = 0


_inside = threading.local()


@dataclass(frozen=True)
class Metered(Node):
    """The chunks of a stage, counted as they are taken."""

    upstream: Node
    meter: Meter

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the chunks."""
        chunks = self.upstream.run(state, epoch)
        try:
            while True:
                item = self._timed(chunks)
                if item is None:
                    return
                meter = self.meter
                meter.chunks += 1
                meter.elements += item[0].length
                meter.num_bytes += item[0].nbytes
                yield item
                del item
        finally:
            close_iterator(chunks)

    def _timed(self, chunks: Iterator[tuple[Chunk, State]]) -> tuple[Chunk, State] | None:
        outer, _inside.seconds = getattr(_inside, "seconds", 0.0), 0.0
        start = time.perf_counter()
        try:
            return next(chunks, None)
        finally:
            spent = time.perf_counter() - start
            self.meter.wait_seconds += spent
            self.meter.own_seconds += spent - _inside.seconds
            _inside.seconds = outer + spent
