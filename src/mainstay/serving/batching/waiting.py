"""The waiting room of a batcher: a queue for each shape of rows, the most urgent and then the oldest first.

A request is served by its order: when it came, plus a fixed time for each step that it is less critical. So a more
urgent one overtakes those that came up to that time earlier, and none waits behind others for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from heapq import merge
from operator import attrgetter
from typing import TypeAlias

from mainstay.serving.batching.tickets import Piece

PRIORITIES = 4

_MOST_CLOSED = 64

Key: TypeAlias = Hashable

_order = attrgetter("order")


class Lane:
    """Pieces that may share a batch, in the order in which they are served.

    Args:
        key: What they have in common.

    Attributes:
        pieces: The pieces, some of which may be closed already.
        rows: The rows of those that are not.
    """

    __slots__ = ("key", "pieces", "rows")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.pieces: deque[Piece] = deque()
        self.rows = 0


class WaitingRoom:
    """Pieces that wait.

    Attributes:
        rows: Their rows.
        by_priority: Their rows by priority.
    """

    __slots__ = ("_closed", "_lanes", "by_priority", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.by_priority = [0] * PRIORITIES
        self._lanes: dict[Key, Lane] = {}
        self._closed = 0

    def __iter__(self) -> Iterator[Piece]:
        """Return the pieces that wait, in no particular order."""
        return (piece for lane in self._lanes.values() for piece in lane.pieces if piece.room is self)

    @property
    def lanes(self) -> Sequence[Lane]:
        """The queues in which something waits."""
        return [lane for lane in self._lanes.values() if lane.rows]

    def add(self, piece: Piece, key: Key) -> Lane:
        """Let a piece in that may share a batch with others of the same key, and return its queue."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
        pieces = lane.pieces
        if pieces and pieces[-1].order > piece.order:
            pieces.insert(bisect_right(pieces, piece.order, key=_order), piece)
        else:
            pieces.append(piece)
        piece.room = self
        piece.lane = lane
        rows = piece.chunk.rows
        lane.rows += rows
        self.rows += rows
        self.by_priority[piece.priority] += rows
        return lane

    def drop(self, piece: Piece) -> None:
        """Let a piece go that waits; its place in the queue is cleared when it is reached, or in time."""
        self._leave(piece)
        self._closed += 1
        if self._closed > _MOST_CLOSED and self._closed > sum(len(lane.pieces) for lane in self._lanes.values()) // 2:
            self._tidy()

    def first(self) -> Lane | None:
        """Return the queue that is served next, whose first piece waits."""
        if len(self._lanes) == 1:
            (lane,) = self._lanes.values()
            if self._clear_head(lane):
                return lane
            return None
        found: Lane | None = None
        for lane in list(self._lanes.values()):
            if self._clear_head(lane) and (found is None or lane.pieces[0].order < found.pieces[0].order):
                found = lane
        return found

    def take(
        self, lane: Lane, most: int, *, now: float, full: int = 0, alone: bool = False
    ) -> tuple[list[Piece], list[Piece]]:
        """Take the longest run of pieces from the front of a queue that makes one batch.

        Args:
            lane: The queue.
            most: The most rows.
            now: The time.
            full: How many rows make a batch that is better full than larger; 0 for none.
            alone: Whether one piece makes a batch of its own.

        Returns:
            The pieces of the batch, and those whose time is over and that must not run.
        """
        pieces, by_priority = lane.pieces, self.by_priority
        taken: list[Piece] = []
        late: list[Piece] = []
        rows = 0
        while pieces:
            piece = pieces[0]
            deadline = piece.deadline
            if piece.room is None:
                self._closed -= 1
            elif deadline is not None and deadline <= now:
                self._leave(piece)
                late.append(piece)
            else:
                size = piece.chunk.rows
                if taken and (alone or rows == full or rows + size > most):
                    break
                taken.append(piece)
                rows += size
                piece.room = None
                by_priority[piece.priority] -= size
            pieces.popleft()
        lane.rows -= rows
        self.rows -= rows
        if not pieces:
            self._lanes.pop(lane.key, None)
        return taken, late

    def late(self, now: float) -> list[Piece]:
        """Let those go whose time is over, and return them."""
        found = [piece for piece in self if piece.deadline is not None and piece.deadline <= now]
        for piece in found:
            self.drop(piece)
        return found

    def earliest_deadline(self) -> float | None:
        """Return when the time of the next piece is over; None for never."""
        return min((piece.deadline for piece in self if piece.deadline is not None), default=None)

    def make_room(self, rows: int, priority: int) -> list[Piece] | None:
        """Let pieces go that are less critical than `priority`, the least critical and then the latest first.

        Args:
            rows: How many rows must go at the least.
            priority: What they must give way to.

        Returns:
            Those that went; None, with nothing changed, where there are not enough of them.
        """
        if sum(self.by_priority[priority + 1 :]) < rows:
            return None
        gone: list[Piece] = []
        for level in range(PRIORITIES - 1, priority, -1):
            if not self.by_priority[level] or rows <= 0:
                continue
            # From the back, where the less critical ones are: seldom are many looked at.
            queues = [reversed(lane.pieces) for lane in self._lanes.values()]
            for piece in queues[0] if len(queues) == 1 else merge(*queues, key=_order, reverse=True):
                if rows <= 0:
                    return gone
                if piece.room is not None and piece.priority == level:
                    rows -= piece.chunk.rows
                    gone.append(piece)
                    self.drop(piece)
        return gone

    def _leave(self, piece: Piece) -> None:
        rows = piece.chunk.rows
        lane = piece.lane
        if lane is not None:
            lane.rows -= rows
        piece.room = None
        self.rows -= rows
        self.by_priority[piece.priority] -= rows

    def _clear_head(self, lane: Lane) -> bool:
        """Clear the front of a queue of what is closed; return whether anything waits there."""
        pieces = lane.pieces
        while pieces:
            if pieces[0].room is not None:
                return True
            pieces.popleft()
            self._closed -= 1
        del self._lanes[lane.key]
        return False

    def _tidy(self) -> None:
        for lane in list(self._lanes.values()):
            lane.pieces = deque(piece for piece in lane.pieces if piece.room is not None)
            if not lane.pieces:
                del self._lanes[lane.key]
        self._closed = 0
