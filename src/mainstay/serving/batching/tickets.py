"""Tickets: requests that wait for a batch, whole or in pieces, and how each of them ends exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from mainstay.core import ArtifactError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs

if TYPE_CHECKING:
    from mainstay.serving.batching.waiting import Lane, WaitingRoom

Done: TypeAlias = Callable[[Outputs | Exception], None]


class Ticket(Protocol):
    """A request in a batcher, for whoever sent it."""

    def cancel(self) -> None:
        """Give the request up: its rows that have not run yet never will, and nobody is told."""


class Piece:
    """Rows of a request that run in one execution: all of them, unless the request is split.

    Args:
        chunk: The rows.
        done: Called once, with the outputs of the rows or with what went wrong.
        since: When the request came.
        order: What it is served by, the smallest first.
        priority: 0 for the most urgent, to 3.
        deadline: When nobody waits for the answer any more; None for never.

    Attributes:
        room: Where it waits; None once it runs, or is closed.
        lane: Its queue there.
    """

    __slots__ = ("chunk", "deadline", "done", "lane", "order", "priority", "room", "since")

    def __init__(
        self, chunk: Chunk, done: Done, since: float, order: float, priority: int, deadline: float | None
    ) -> None:
        self.chunk = chunk
        self.done: Done | None = done
        self.since = since
        self.order = order
        self.priority = priority
        self.deadline = deadline
        self.room: WaitingRoom | None = None
        self.lane: Lane | None = None

    def cancel(self) -> None:
        """Give the rows up: if they have not run yet they never will, and nobody is told."""
        if self.done is not None:
            self.done = None
            if self.room is not None:
                self.room.drop(self)

    def settle(self, result: Outputs | Exception) -> None:
        """Answer, unless that has been done or nobody wants to know."""
        done = self.done
        if done is not None:
            self.done = None
            done(result)


class SplitTicket:
    """A request of several pieces: answered when all have run, or as soon as one has failed.

    Args:
        done: Called once, with the outputs of all rows in order or with what went wrong.
        count: How many pieces it has.
    """

    __slots__ = ("_done", "_missing", "_results", "pieces")

    def __init__(self, done: Done, count: int) -> None:
        self.pieces: Sequence[Piece] = ()
        self._done: Done | None = done
        self._results: list[Outputs | None] = [None] * count
        self._missing = count

    def cancel(self) -> None:
        """Give the request up."""
        self._done = None
        for piece in self.pieces:
            piece.cancel()

    def settle(self, index: int, result: Outputs | Exception) -> None:
        """Take the result of one piece."""
        done = self._done
        if done is None:
            return
        if isinstance(result, Exception):
            self.cancel()
            done(result)
            return
        self._results[index] = result
        self._missing -= 1
        if not self._missing:
            self._done = None
            done(self._joined())

    def _joined(self) -> Outputs | Exception:
        """Return the outputs of all rows, or why the pieces do not go together, such as lengths that differ."""
        try:
            return Outputs.join([piece for piece in self._results if piece is not None])
        except Exception as error:
            return ArtifactError(
                "the parts of a request that was split have outputs of different shapes",
                received=str(error),
                fix="send fewer rows at a time",
            )
