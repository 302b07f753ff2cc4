"""Summary writers: where summaries go, as `tf.summary` users know them."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from mainstay.core import ArgumentError
from mainstay.summary.event_file import EventFile
from mainstay.summary.state import check_step, current_state
from mainstay.summary.tracing import wait_for_compiled_summaries


class SummaryWriter:
    """Writes summaries into an event file; made by `create_file_writer`.

    Threads may share a writer. What is not closed is written when the writer is dropped and when Python ends.
    """

    def __init__(self, file: EventFile | None, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        if file is not None:
            weakref.finalize(self, file.abandon).atexit = False

    @contextlib.contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Send the summaries of this thread here, inside a `with` block.

        Args:
            step: The step of summaries in the block that name none; without it, the one before the block stays.

        Yields:
            The writer.
        """
        check_step(step)
        state = current_state()
        before = state.writer, state.step
        self.set_as_default(step)
        try:
            yield self
        finally:
            wait_for_compiled_summaries()
            state.writer, state.step = before

    def set_as_default(self, step: Any = None) -> None:
        """Send the summaries of this thread here from now on.

        Args:
            step: The step of summaries that name none; without it, the present one stays.
        """
        check_step(step)
        wait_for_compiled_summaries()
        state = current_state()
        state.writer = self
        if step is not None:
            state.step = step

    def init(self) -> None:
        """Do nothing: the file is there from the start; TensorFlow's programs may call it."""

    def flush(self) -> None:
        """Write what waits in memory.

        Raises:
            StorageError: The file system refused, now or before.
        """
        wait_for_compiled_summaries()
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Write what waits in memory and close the file; summaries after that are errors.

        Raises:
            StorageError: The file system refused, now or before.
        """
        wait_for_compiled_summaries()
        if self._file is not None:
            self._file.close()

    def now(self) -> float:
        """Return the time of a summary that is recorded now, in seconds since 1970."""
        return self._clock()

    def add(self, event: bytes) -> None:
        """Queue a serialized event."""
        if self._file is not None:
            self._file.add(event)


def create_file_writer(
    logdir: str | os.PathLike[str],
    max_queue: int | None = None,
    *,
    flush_millis: int | None = None,
    filename_suffix: str | None = None,
    clock: Callable[[], float] = time.time,
) -> SummaryWriter:
    """Make an event file in a folder that TensorBoard watches, and return its writer.

    Args:
        logdir: The folder of the run; missing folders are made.
        max_queue: How many summaries may wait in memory; 10 without it.
        flush_millis: How long a summary may wait in memory, in milliseconds; two minutes without it.
        filename_suffix: The end of the file's name; `.v2` without it.
        clock: Gives the time of each summary, in seconds since 1970.

    Returns:
        The writer.

    Raises:
        ArgumentError: An argument is wrong.
        StorageError: The file cannot be made.

    >>> from mainstay import summary
    >>> writer = summary.create_file_writer("logs/example")
    >>> with writer.as_default():
    ...     for step in range(100):
    ...         _ = summary.scalar("loss", 1 / (1 + step), step=step)
    >>> writer.close()
    """
    if not isinstance(logdir, str | os.PathLike) or not os.fspath(logdir):
        raise ArgumentError("the folder of a summary writer is wrong", where="logdir", received=repr(logdir))
    if "://" in os.fspath(logdir):
        raise ArgumentError(
            "summaries are written to local folders only",
            where="logdir",
            received=logdir,
            fix="write to a local or mounted folder, and copy it",
        )
    for name, value, least in (("max_queue", max_queue, 0), ("flush_millis", flush_millis, 1)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ArgumentError(
                "a limit of a summary writer is wrong",
                where=name,
                expected=f"a whole number from {least} on",
                received=repr(value),
            )
    suffix = ".v2" if filename_suffix is None else filename_suffix
    if "/" in suffix or "\0" in suffix:
        raise ArgumentError("the suffix of a file cannot hold a slash", where="filename_suffix", received=repr(suffix))
    file = EventFile(
        logdir,
        max_queue=10 if max_queue is None else max_queue,
        flush_seconds=120.0 if flush_millis is None else flush_millis / 1000,
        suffix=suffix,
        clock=clock,
    )
    return SummaryWriter(file, clock)


def create_noop_writer() -> SummaryWriter:
    """Return a writer that keeps nothing, for code that wants one."""
    return SummaryWriter(None)


def flush(writer: SummaryWriter | None = None) -> None:
    """Write what waits in memory.

    Args:
        writer: The writer; without it, the default writer of this thread, if any.

    Raises:
        StorageError: The file system refused, now or before.
    """
    chosen = current_state().writer if writer is None else writer
    if chosen is not None:
        chosen.flush()
