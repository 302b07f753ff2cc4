"""Errors of a `preprocessing_fn`: each names the operation, the user's file and line, and what to write instead."""

from __future__ import annotations

import linecache
import os
import sys

from mainstay.core import TransformError

_HERE = os.path.dirname(os.path.abspath(__file__))


def user_location() -> str | None:
    """Return ``file:line`` of the innermost caller outside this room; None where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if os.path.dirname(path) != _HERE:
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None


def source_line(location: str | None) -> str | None:
    """Return the line of source at ``file:line``, without its indentation; None where it cannot be read."""
    path, _, line = (location or "").rpartition(":")
    return linecache.getline(path, int(line)).strip() or None if path else None


def misuse(
    summary: str, *, expected: object = None, received: object = None, fix: object = None, where: str | None = None
) -> TransformError:
    """Return the error of a wrong line in a `preprocessing_fn`.

    Args:
        summary: What is wrong.
        expected: What would have been right.
        received: What was there; the line of source unless given.
        fix: What to write instead.
        where: ``file:line``; the user's innermost frame unless given.
    """
    location = where or user_location()
    return TransformError(
        summary,
        where=location,
        expected=expected,
        received=source_line(location) if received is None else received,
        fix=fix,
    )
