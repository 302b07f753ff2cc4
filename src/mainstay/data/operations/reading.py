"""The operation at the bottom of a plan: reading a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.data.addressing import View
from mainstay.data.feeds import BlockFeed, Feed, RowFeed, StreamFeed
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.sources.source import Blocks, RandomAccess, Source, Stream
from mainstay.data.structures import Structure

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Read(Operation):
    """The elements of a source.

    Args:
        source: The source.
    """

    name = "read"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.is_light = isinstance(source, RandomAccess) and source.is_light

    @property
    def spec(self) -> Structure:
        """The source's."""
        return self.source.spec

    @property
    def cardinality(self) -> int:
        """The source's."""
        return self.source.cardinality

    def parameters(self) -> Any:
        """What tells the source from others."""
        return self.source.fingerprint()

    def lower(self, planner: Planner) -> Lowered:
        """Return its addresses."""
        return Pipe(_feed(self.source, keeps_texts=planner.keeps_texts))


def of_source(source: Source, label: str | None = None) -> Dataset:
    """Return the dataset of a source's elements, called `label` in reports."""
    from mainstay.data.dataset import Dataset

    return Dataset(Read(source).labelled(label))


def _feed(source: Source, *, keeps_texts: bool) -> Feed:
    if isinstance(source, RandomAccess):
        return RowFeed(source, View(len(source)), rows=0)
    if isinstance(source, Blocks):
        return BlockFeed(source)
    if isinstance(source, Stream):
        return StreamFeed(source, rows=0, keeps_texts=keeps_texts)
    raise TypeError(type(source))
