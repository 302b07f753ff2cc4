"""Turns: who uses a device next. Each user gets the same time on it, however long its batches take.

This is start-time fair queueing: a user's clock runs as long as it uses the device, and the one whose clock is behind
is next. One that had nothing to do starts level with the others, so that it neither waits for them nor holds them up.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

Work = Callable[[], Any]

_clock = attrgetter("clock")


class Share:
    """One user of a device.

    Args:
        take: Called when it is its turn; returns what to run, which raises nothing, or None for nothing any more.
        finish: Called with the result.

    Attributes:
        clock: How long it has used the device, in seconds, start levelled.
        asking: Whether it waits for its turn.
    """

    __slots__ = ("asking", "clock", "finish", "take")

    def __init__(self, take: Callable[[], Work | None], finish: Callable[[Any], None]) -> None:
        self.take = take
        self.finish = finish
        self.clock = 0.0
        self.asking = False


class Turns:
    """The users of a device that wait for it.

    Attributes:
        clock: The clock of the user that was served last.
    """

    def __init__(self) -> None:
        self.clock = 0.0
        self._asking: list[Share] = []

    def __len__(self) -> int:
        return len(self._asking)

    def ask(self, share: Share) -> None:
        """Let a user wait for its turn; asking twice changes nothing."""
        if not share.asking:
            share.asking = True
            share.clock = max(share.clock, self.clock)
            self._asking.append(share)

    def next(self) -> Share | None:
        """Return whose turn it is, who no longer waits then; None where nobody does."""
        if not self._asking:
            return None
        share = min(self._asking, key=_clock)
        self._asking.remove(share)
        share.asking = False
        self.clock = share.clock
        return share

    def charge(self, share: Share, seconds: float) -> None:
        """Note that a user has used the device for a while."""
        share.clock += seconds

    def leave(self, share: Share) -> None:
        """Let a user go that is no more."""
        if share.asking:
            share.asking = False
            self._asking.remove(share)
