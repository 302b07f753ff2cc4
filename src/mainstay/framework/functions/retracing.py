"""Warns of a function that is traced again and again, and says which argument makes it so."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Mapping
from types import FrameType

from mainstay.framework.functions.failures import is_hidden

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
        self._last: tuple[Mapping[str, str], str] | None = None
        self._has_warned = False

    def add_hit(self) -> None:
        """Take note of a call that needed no trace."""
        self._recent.append(False)
        self.is_alert = any(self._recent)

    def add_trace(self, arguments: Mapping[str, str], structure: str) -> None:
        """Take note of a call that was traced.

        Args:
            arguments: A short description of each of its leaves, by path.
            structure: A description of the structure that they are in.
        """
        before, self._last = self._last, (arguments, structure)
        if before is None:
            return
        self._recent.append(True)
        self.is_alert = True
        if sum(self._recent) < TRACES or self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"{self.name} was traced again on {sum(self._recent)} of its last {len(self._recent)} calls; every trace"
            f" costs a compilation. What changed the last time: {_difference(before, self._last)}.",
            RetracingWarning,
            stacklevel=_level_of_the_user(),
        )


def _level_of_the_user() -> int:
    """Return the `stacklevel` at which the caller's warning is about the line of the user."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and is_hidden(frame.f_code.co_filename):
        frame = frame.f_back
        level += 1
    return level


def _difference(before: tuple[Mapping[str, str], str], after: tuple[Mapping[str, str], str]) -> str:
    """Return what is different between two calls, and how to avoid it."""
    old, new = before[0], after[0]
    changes = [
        f"{path} ({old.get(path, 'absent')} → {new.get(path, 'absent')})"
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    ]
    if not changes and before[1] != after[1]:
        return "the structure of the arguments. Use one structure, with the same types of containers"
    if not changes:
        return "a setting of Keras or JAX (dtype policy, distribution, x64, precision). Set it once, before training"
    shown = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    if any("[" in change.partition(" (")[2] for change in changes):
        return f"{shown}. Pad or batch to few shapes (`drop_remainder=True`)"
    return f"{shown}. Pass a number that varies as an array (`constant(0.1)`), or set `reduce_retracing=True`"
