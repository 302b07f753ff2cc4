"""Deadlines of many calls on one timer: they share slots of time, so that a call costs two set operations."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

_SLOTS_PER_SECOND = 100
# What waits longer is left to the connection, which looks at its calls once a second: that bounds how many slots
# there are.
_LONGEST_SECONDS = 60.0
# What is left of a wait may round to nothing, and a clock that does not move would ring for ever.
_SHORTEST_SECONDS = 5e-5


class Expiring(Protocol):
    """Something with a deadline."""

    deadline: float | None

    def expire(self) -> None:
        """End it, for its deadline has passed."""


class Deadlines:
    """Ends what is late, up to 10 ms after its deadline and never before; deadlines beyond a minute are not watched.

    Args:
        loop: The event loop.
        time: The clock that the deadlines are on, in seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, time: Callable[[], float]) -> None:
        self._loop = loop
        self._time = time
        self._slots: dict[int, set[Expiring]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def add(self, call: Expiring, deadline: float) -> None:
        """Watch a call, which keeps its deadline until it is discarded."""
        if deadline - self._time() > _LONGEST_SECONDS:
            return
        number = int(deadline * _SLOTS_PER_SECOND) + 1
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = set()
            heapq.heappush(self._order, number)
            if self._timer is None or number < self._armed:
                self._arm(number)
        slot.add(call)

    def discard(self, call: Expiring, deadline: float) -> None:
        """Watch a call no longer."""
        slot = self._slots.get(int(deadline * _SLOTS_PER_SECOND) + 1)
        if slot is not None:
            slot.discard(call)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, number: int) -> None:
        self.close()
        self._armed = number
        self._timer = self._loop.call_later(
            max(number / _SLOTS_PER_SECOND - self._time(), _SHORTEST_SECONDS), self._ring
        )

    def _ring(self) -> None:
        self._timer = None
        now = self._time() * _SLOTS_PER_SECOND
        order = self._order
        while order and (order[0] <= now or not self._slots[order[0]]):
            for call in self._slots.pop(heapq.heappop(order)):
                call.expire()
        if order and self._timer is None:
            self._arm(order[0])
