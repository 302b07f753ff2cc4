"""Giving up a file that is being written beside its place, so that nothing of it stays."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any


class _AbandonedError(Exception):
    """Ends an unfinished file, so that nothing of it stays."""


def abandon(context: AbstractContextManager[Any]) -> None:
    """Leave the context of an atomic file as an error would: its path is untouched, what was written goes away.

    Args:
        context: An entered context, such as that of `mainstay.core.atomic_file`.
    """
    with contextlib.suppress(_AbandonedError):
        context.__exit__(_AbandonedError, _AbandonedError(), None)
