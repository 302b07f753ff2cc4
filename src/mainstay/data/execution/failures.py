"""Failures in a worker process: carried to the parent with their type, their notes and their traceback."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from mainstay.core import DataError
from mainstay.data.execution.pickling import by_value, from_bytes


@dataclass(frozen=True)
class Failure:
    """An exception on its way to another process.

    Args:
        pickled: The exception, where it can be pickled.
        kind: The name of its type.
        message: What it says.
        notes: The notes on it.
        trace: Its traceback.
    """

    pickled: bytes | None
    kind: str
    message: str
    notes: tuple[str, ...]
    trace: str


class WorkerTracebackError(Exception):
    """The traceback of an exception in a worker process; the cause of that exception in this one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def __str__(self) -> str:
        return f"\n{self._text}"


def describe_failure(error: BaseException) -> Failure:
    """Return an exception as something that can be sent."""
    trace = "".join(traceback.format_exception(error))
    pickled: bytes | None
    try:
        pickled = by_value(error)
        from_bytes(pickled)
    except Exception:
        pickled = None
    return Failure(pickled, type(error).__qualname__, str(error), tuple(getattr(error, "__notes__", ())), trace)


def failure_to_raise(failure: Failure) -> BaseException:
    """Return the exception of a failure, its traceback as its cause."""
    error: BaseException | None = None
    if failure.pickled is not None:
        try:
            error = from_bytes(failure.pickled)
        except Exception:
            error = None
    if not isinstance(error, BaseException):
        error = DataError(
            "a function raised an exception that cannot travel between processes",
            received=f"{failure.kind}: {failure.message}",
            fix="see its own traceback above; with options.workers = 'threads' it is raised as it is",
        )
    known = getattr(error, "__notes__", ())
    for note in failure.notes:
        if note not in known:
            error.add_note(note)
    error.__cause__ = WorkerTracebackError(failure.trace)
    return error
