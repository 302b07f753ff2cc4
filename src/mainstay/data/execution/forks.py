"""Forks: a process that was forked has none of the threads, so what was under way cannot go on in it."""

from __future__ import annotations

import os

from mainstay.core import SetupError


def refuse_fork(pid: int) -> None:
    """Refuse to go on in another process than the one with this id.

    Raises:
        SetupError: This is another one.
    """
    if pid != os.getpid():
        raise SetupError(
            "an iterator does not go on in a process that was forked: the threads that fill it stayed behind",
            expected=f"the process {pid}",
            received=f"the process {os.getpid()}",
            fix="make the iterator in the new process: dataset.iter(iterator.state()) goes on at the same element",
        )
