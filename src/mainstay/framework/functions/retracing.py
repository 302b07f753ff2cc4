"""Warns of a function that is traced again and again, and says which argument makes it so."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Mapping

CALLS = 6
TRACES = 5


class RetracingWarning(UserWarning):
    """A function was traced on most of its last calls: each trace costs a compilation."""


class RetracingWatch:
    """Looks at the last calls of one function.

    A call that needed no trace is looked at only while a retrace is among the last ones, so that a function in its
    steady state pays nothing: `is_alert` is False.

    Args:
        name: The name of the function.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alert = False
        self._recent: deque[bool] = deque(maxlen=CALLS)
        self._last: dict[str, str] | None = None
        self._has_warned = False

    def add_hit(self) -> None:
        """Take note of a call that needed no trace."""
        self._recent.append(False)
        self.is_alert = any(self._recent)

    def add_trace(self, arguments: Mapping[str, str]) -> None:
        """Take note of a call that was traced, with a short description of each of its leaves by path."""
        before, self._last = self._last, dict(arguments)
        if before is None:
            return
        self._recent.append(True)
        self.is_alert = True
        if sum(self._recent) < TRACES or self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"{self.name} was traced on {sum(self._recent)} of its last {len(self._recent) + 1} calls; every"
            f" trace costs a compilation. What changed the last time: {_difference(before, self._last)}.",
            RetracingWarning,
            stacklevel=2,
        )


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return what is different between two calls, and how to avoid it."""
    changes = [
        f"{path} ({before.get(path, 'absent')} → {after.get(path, 'absent')})"
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]
    if not changes:
        return "a setting of Keras or JAX (dtype policy, distribution, x64, precision). Set it once, before training"
    shown = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    if any("[" in change.partition("(")[2] for change in changes):
        advice = "Pad or batch to few shapes (`drop_remainder=True`)"
    else:
        advice = "Pass a number that varies as an array (`constant(0.1)`), or set `reduce_retracing=True`"
    return f"{shown}. {advice}"
