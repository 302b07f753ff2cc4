"""When requests are due, whatever became of those before them: what makes slow answers show."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mainstay.core import ArgumentError

ARRIVALS = ("random", "even")


@dataclass(frozen=True, slots=True)
class LoadStep:
    """One step of load.

    Args:
        rate: Requests per second; None for as many as `connections` of them at a time give.
        seconds: How long.
        connections: The most requests at a time; what is due beyond it waits, and its waiting counts.
        arrivals: ``random``, as independent clients come (a Poisson process), or ``even``.
        seed: Chooses the random times.

    Raises:
        ArgumentError: A number is out of its range.
    """

    rate: float | None
    seconds: float = 10.0
    connections: int = 64
    arrivals: str = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= 1e6:
            raise ArgumentError(
                "the rate is out of range", expected="more than 0 requests per second", received=self.rate
            )
        if not 0 < self.seconds < float("inf"):
            raise ArgumentError("the time is out of range", expected="more than 0 seconds", received=self.seconds)
        if not 1 <= self.connections <= 10_000:
            raise ArgumentError("the connections are out of range", expected="1 to 10000", received=self.connections)
        if self.arrivals not in ARRIVALS:
            raise ArgumentError("unknown arrivals", expected=" or ".join(ARRIVALS), received=self.arrivals)

    def times(self) -> Iterator[float]:
        """Yield when each request is due, in seconds from the beginning; nothing without a rate."""
        if self.rate is None:
            return
        chance, now = random.Random(self.seed), 0.0
        while True:
            now += 1 / self.rate if self.arrivals == "even" else chance.expovariate(self.rate)
            if now >= self.seconds:
                return
            yield now
