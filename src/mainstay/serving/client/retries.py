"""Retries: what failed for want of a server is tried again, later and later, within the time that the caller has."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mainstay.core import ArgumentError, DeadlineError, MainstayError, ServerError, UnavailableError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is sent again that a server could not take.

    Only what is known not to have done harm is sent again: predictions change nothing, so a lost connection, a full
    queue (UNAVAILABLE) and a used-up quota (RESOURCE_EXHAUSTED) are. A refusal and a failure of the model are not.

    Args:
        attempts: How often a request is sent at most.
        first_wait_seconds: How long to wait before the second attempt; each further wait is twice as long, and up to a
            quarter shorter or longer by chance, so that clients do not come back together.
        longest_wait_seconds: The longest wait; a server that names a longer one in ``Retry-After`` is obeyed.

    Raises:
        ArgumentError: A number is out of its range.
    """

    attempts: int = 3
    first_wait_seconds: float = 0.05
    longest_wait_seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ArgumentError("a request is sent at least once", expected="1 or more", received=self.attempts)
        if not 0 <= self.first_wait_seconds <= self.longest_wait_seconds:
            raise ArgumentError("the waits are out of range", received=self.first_wait_seconds)


class TryAgainError(Exception):
    """Carries an error of a server that may be gone in a while.

    Args:
        error: What to raise in the end.
        wait_seconds: How long the server asks to wait.
    """

    def __init__(self, error: MainstayError, wait_seconds: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_seconds = wait_seconds


@dataclass
class Attempts:
    """Makes the attempts of a client.

    Args:
        retries: How many, and how far apart.
        clock: Gives the time in seconds.
        sleep: Waits for some seconds.
        chance: Gives numbers from 0 to 1.
    """

    retries: Retries
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)

    def run(self, work: Callable[[float], Result], timeout_seconds: float) -> Result:
        """Return what work returns once it succeeds.

        Args:
            work: Takes the seconds that are left.
            timeout_seconds: How long everything may take.

        Raises:
            DeadlineError: The time is over.
            MainstayError: The last attempt failed, or one failed for good.
        """
        end = self.clock() + timeout_seconds
        wait = self.retries.first_wait_seconds
        for attempt in range(1, self.retries.attempts + 1):
            left = end - self.clock()
            if left <= 0:
                break
            try:
                return work(left)
            except TryAgainError as refused:
                error: MainstayError = refused.error
                asked = refused.wait_seconds
            except (DeadlineError, ServerError):
                raise
            except UnavailableError as lost:
                error, asked = lost, 0.0
            pause = max(min(wait, self.retries.longest_wait_seconds) * (0.75 + 0.5 * self.chance()), asked)
            wait *= 2
            if attempt == self.retries.attempts or self.clock() + pause >= end:
                raise error
            self.sleep(pause)
        raise DeadlineError(f"there was no answer within {timeout_seconds:g} seconds")
