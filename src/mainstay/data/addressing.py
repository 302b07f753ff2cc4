"""Addressing: which rows of a source come in which order, as arithmetic on positions; nothing is held in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from mainstay.data.columns import Array
from mainstay.data.permutation import permute
from mainstay.data.streams import Epoch


@dataclass(frozen=True)
class Slice:
    """The rows from `start` to `stop`."""

    start: int
    stop: int


@dataclass(frozen=True)
class Stride:
    """Every `step`-th row from `start` on."""

    start: int
    step: int


@dataclass(frozen=True)
class Shuffle:
    """All rows in an order that the seed and, if wanted, the epoch decide."""

    seed: int
    every_epoch: bool


Step: TypeAlias = Slice | Stride | Shuffle


def key(*parts: Any) -> int:
    """Return 64 bits that depend on every bit of the parts, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class View:
    """An order of some rows of a source.

    Args:
        length: How many rows the source has.
        steps: What was done to the order, each step with the number of rows before it.
    """

    length: int
    steps: tuple[tuple[Step, int], ...] = ()

    def __len__(self) -> int:
        if not self.steps:
            return self.length
        step, before = self.steps[-1]
        if isinstance(step, Slice):
            return max(0, min(step.stop, before) - min(step.start, before))
        return max(0, -(-(before - step.start) // step.step)) if isinstance(step, Stride) else before

    def then(self, step: Step) -> View:
        """Return the view with a further step."""
        return replace(self, steps=(*self.steps, (step, len(self))))

    @property
    def is_shuffled(self) -> bool:
        """Whether a step changes the order."""
        return any(isinstance(step, Shuffle) for step, _ in self.steps)

    def span(self, start: int, stop: int) -> tuple[int, int] | None:
        """Return the rows of the source that lie at some positions, if they lie together; else None."""
        for step, _ in reversed(self.steps):
            if not isinstance(step, Slice):
                return None
            start, stop = start + step.start, stop + step.start
        return start, stop

    def indices(self, start: int, stop: int, epoch: Epoch) -> Array:
        """Return which rows (int64) of the source lie at the positions from `start` to `stop`."""
        return self.rows_at(np.arange(start, stop, dtype=np.int64), epoch)

    def rows_at(self, positions: Array, epoch: Epoch) -> Array:
        """Return which rows (int64) of the source lie at some positions, int64 ``[n]``."""
        rows = positions.copy()
        for step, before in reversed(self.steps):
            if isinstance(step, Slice):
                rows += step.start
            elif isinstance(step, Stride):
                rows *= step.step
                rows += step.start
            else:
                rows = permute(rows, before, key(step.seed, epoch if step.every_epoch else ()))
        return rows
