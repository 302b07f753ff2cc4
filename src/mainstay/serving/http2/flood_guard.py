"""Budgets for what costs the server more than the client: control frames, empty frames, calls reset in a hurry.

Each bound grows with the useful work of the connection, so that no honest client meets it, however busy.
"""

from __future__ import annotations

from mainstay.serving.http2.faults import ConnectionFaultError
from mainstay.serving.http2.frames import ErrorCode

# Frames that carry no data: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown types, per second.
_NOISE_PER_SECOND = 5000
_NOISE_PER_CALL = 16
_BYTES_PER_NOISE = 512

# Calls that the client resets within a moment, or makes the server reset (CVE-2023-44487, CVE-2025-8671).
_HASTY_SECONDS = 0.5
_MOST_RESETS = 500.0
_RESETS_PER_SECOND = 100.0
_RESETS_PER_ANSWER = 0.5


class FloodGuard:
    """The budgets of one connection.

    Args:
        now: The time, in seconds of the loop's clock.

    Attributes:
        answered: How many calls were answered; the connection counts them up.
    """

    __slots__ = ("_answered", "_bytes", "_calls", "_noise", "_resets", "_time", "answered")

    def __init__(self, now: float) -> None:
        self.answered = 0
        self._noise = 0
        self._calls = 0
        self._bytes = 0
        self._answered = 0
        self._resets = _MOST_RESETS
        self._time = now

    def noise(self, cost: int, moved: int) -> None:
        """Count frames that carry nothing.

        Args:
            cost: How many, or how many they are worth.
            moved: How many bytes of data it has moved so far, both ways.

        Raises:
            ConnectionFaultError: There were too many lately.
        """
        self._noise += cost
        if self._noise > _NOISE_PER_SECOND:
            useful = _NOISE_PER_CALL * (self.answered - self._calls) + (moved - self._bytes) // _BYTES_PER_NOISE
            if self._noise > _NOISE_PER_SECOND + useful:
                raise _calm("too many frames that carry no data")

    def reset(self, opened: float, now: float) -> None:
        """Count a call that the client reset, or made the server reset, before it was answered.

        Raises:
            ConnectionFaultError: There were too many that had only just begun.
        """
        if now - opened > _HASTY_SECONDS:
            return
        gained = _RESETS_PER_SECOND * (now - self._time) + _RESETS_PER_ANSWER * (self.answered - self._answered)
        self._resets = min(self._resets + gained, _MOST_RESETS) - 1.0
        self._time, self._answered = now, self.answered
        if self._resets < 0.0:
            raise _calm("too many calls are reset as soon as they are made")

    def tick(self, moved: int) -> None:
        """Forgive the noise of the last second; called once a second."""
        self._noise, self._calls, self._bytes = 0, self.answered, moved


def _calm(reason: str) -> ConnectionFaultError:
    return ConnectionFaultError(ErrorCode.ENHANCE_YOUR_CALM, reason)
