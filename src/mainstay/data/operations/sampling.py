"""Sampling: the first elements of a plan, read to find out what functions do, always the same ones.

They are taken before any shuffle, and never from what can be read only once.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from mainstay.data.chunks import Chunk
from mainstay.data.execution.engine import Engine
from mainstay.data.feeds import BlockFeed, NodeFeed, RowFeed, StreamFeed
from mainstay.data.operations.batching import Batch
from mainstay.data.operations.ordering import Reordering
from mainstay.data.operations.reading import Read
from mainstay.data.options import WithOptions
from mainstay.data.plan import Operation, Pipe, Planner, operations_of
from mainstay.data.sources.source import Source, Stream
from mainstay.data.structures import Structure


@dataclass(frozen=True, eq=False)
class FirstElements:
    """The elements that come to a chain of functions, as far as they can be had before it runs.

    Args:
        operation: What gives them.
    """

    operation: Operation

    def sample(self, count: int) -> Chunk | None:
        """Return about as many of the first ones as are asked for; see `first_elements`."""
        return first_elements(self.operation, count)

    def begin(self) -> Chunk | None:
        """Return some of the first ones even if a generator has to be called for that once more; None without any."""
        found = first_elements(self.operation, 1)
        return found if found is not None else _begun(self.operation)

    @property
    def spec(self) -> Structure:
        """Their specs."""
        return self.operation.spec


def keeps_elements(operation: Operation) -> bool:
    """Return whether an operation leaves the elements as they are, and at most some of them out."""
    return isinstance(operation, (Reordering, WithOptions))


def first_elements(operation: Operation, count: int) -> Chunk | None:
    """Return about as many of the first elements as are asked for, or of those that come to stand first otherwise.

    Args:
        operation: What gives the elements.
        count: How many are wanted.

    Returns:
        The elements, fewer or none where there are not so many; None where they can be read only once.
    """
    while keeps_elements(operation) and not getattr(operation, "is_choosy", False):
        operation = operation.inputs[0]
    if isinstance(operation, Batch):
        return _batches(operation)
    engine = Engine()
    try:
        planner = Planner(engine)
        lowered = planner.lower(operation)
        if not isinstance(lowered, Pipe):
            lowered = planner.pipe(lowered)
        chunk = _read(lowered, operation, count)
        for function in lowered.functions:
            if chunk is not None and chunk.length:
                chunk = function(chunk)
        return chunk
    finally:
        engine.close()


def _batches(operation: Batch) -> Chunk | None:
    """Return the first batch: reading more, of images for instance, would take too long."""
    below = first_elements(operation.inputs[0], operation.size)
    if below is None or not below.length:
        return below
    size = min(operation.size, below.length)
    return below.cut(0, below.length - below.length % size).group(size)


def _read(pipe: Pipe, operation: Operation, count: int) -> Chunk | None:
    feed = pipe.feed
    if isinstance(feed, RowFeed):
        return feed.source.span(0, min(len(feed.source), count))
    if isinstance(feed, BlockFeed):
        block = feed.source.load_block(0) if feed.source.num_blocks else None
        return block and block.cut(0, min(block.length, count))
    if isinstance(feed, StreamFeed):
        return _of_stream(feed.source, count)
    if not isinstance(feed, NodeFeed) or not all(map(_reads_again, operations_of(operation))):
        return None
    return _first_of((chunk for chunk, _ in feed.node.run(None, (0,))), count)


def _of_stream(source: Stream, count: int) -> Chunk | None:
    rows = source.rows(count)
    if rows is not None:
        return rows.span(0, min(len(rows), count))
    if not source.reads_again:
        return None
    return _first_of((source.load(address) for address, _ in source.run(None, (0,), count)), count)


def _begun(operation: Operation) -> Chunk | None:
    """Return the first elements of a plan that can be read only once, by beginning it."""
    if isinstance(operation, Read) and isinstance(operation.source, Stream):
        return operation.source.begin()
    engine = Engine()
    try:
        node = Planner(engine).node(operation, batch_rows=1)
        return _first_of((chunk for chunk, _ in node.run(None, (0,))), 1)
    finally:
        engine.close()


def _first_of(chunks: Generator[Chunk, None, None], count: int) -> Chunk | None:
    with closing(chunks):
        found = next((chunk for chunk in chunks if chunk.length), None)
        return found and found.cut(0, min(found.length, count))


def _reads_again(operation: Operation) -> bool:
    source: Source | None = operation.source if isinstance(operation, Read) else None
    return not isinstance(source, Stream) or source.reads_again or source.rows(1) is not None
