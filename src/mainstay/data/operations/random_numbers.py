"""Datasets of pseudo-random numbers."""

from __future__ import annotations

from typing import Any

from mainstay.core import TensorSpec
from mainstay.data.addressing import View
from mainstay.data.feeds import RowFeed, StreamFeed
from mainstay.data.plan import Lowered, Operation, Pipe, Planner
from mainstay.data.sources.numbers import RandomSource, RandomStream
from mainstay.data.specs import INFINITE_CARDINALITY
from mainstay.data.structures import Structure


class Random(Operation):
    """Pseudo-random numbers of 32 bits, without an end.

    Args:
        seed: Chooses them.
        every_epoch: Whether every pass has its own.
    """

    name = "random"
    is_light = True

    def __init__(self, seed: int, every_epoch: bool) -> None:
        self.seed, self.every_epoch = seed, every_epoch

    @property
    def spec(self) -> Structure:
        """One int64."""
        return TensorSpec((), "int64")

    @property
    def cardinality(self) -> int:
        """There is no end."""
        return INFINITE_CARDINALITY

    def parameters(self) -> Any:
        """Whether every pass has its own."""
        return self.every_epoch

    def lower(self, planner: Planner) -> Lowered:
        """Return the numbers by their addresses, or as a stream that knows its pass."""
        seed = planner.seed(self)
        if self.every_epoch:
            return Pipe(StreamFeed(RandomStream(seed), rows=0))
        source = RandomSource(seed)
        return Pipe(RowFeed(source, View(len(source)), rows=0))
