"""Progress that fits where it is shown: a bar on a terminal, a log line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

logger = logging.getLogger("mainstay")

_LOG_EVERY_SECONDS = 10.0
_silent: contextvars.ContextVar[bool] = contextvars.ContextVar("mainstay_silent", default=False)


_stop = threading.Event()


def request_stop() -> None:
    """Make the next `Progress.advance` raise KeyboardInterrupt.

    A signal handler's own KeyboardInterrupt is lost where it happens to be raised inside a callback of a native
    library, which drops it; this one is not.
    """
    _stop.set()


@dataclass
class Progress:
    """A count that moves towards a total; made by `track`.

    Attributes:
        description: What is being done.
        total: How many units there are, or None where nobody knows.
        done: How many are done.
        note: A short text shown behind the count, such as a loss.
    """

    description: str
    total: float | None
    show: Callable[[Progress], None]
    done: float = 0.0
    note: str = ""
    started: float = field(default_factory=time.monotonic)

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Add `amount` units and, where given, replace the note.

        Raises:
            KeyboardInterrupt: Somebody asked to stop, see `request_stop`.
        """
        if _stop.is_set():
            _stop.clear()
            raise KeyboardInterrupt
        self.done += amount
        if note is not None:
            self.note = note
        self.show(self)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Show no progress within the block, however deep below `track` is called."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


@contextlib.contextmanager
def track(description: str, *, total: float | None = None, unit: str = "") -> Iterator[Progress]:
    """Show the progress of the block.

    On a terminal this is a bar that disappears at the end; elsewhere a log line of the logger ``mainstay``
    every ten seconds; within `quiet`, nothing.

    Args:
        description: What is being done, such as "Training".
        total: How many units there are, if known.
        unit: The unit's name in the plural, such as "rows".

    Yields:
        The `Progress` to advance.
    """
    if _silent.get():
        yield Progress(description, total, lambda progress: None)
    elif sys.stderr.isatty():
        with _bar(description, total, unit) as progress:
            yield progress
    else:
        yield Progress(description, total, _log_lines(unit))


@contextlib.contextmanager
def _bar(description: str, total: float | None, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} " + unit + " {task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, note="")
        yield Progress(description, total, lambda p: bar.update(task, completed=p.done, note=p.note))


def _log_lines(unit: str) -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LOG_EVERY_SECONDS:
            last = now
            of = "" if progress.total is None else f" of {progress.total:,.0f}"
            logger.info("%s: %s%s %s %s", progress.description, f"{progress.done:,.0f}", of, unit, progress.note)

    return show
