"""The batcher: requests that arrive while a model is busy become its next batch. There is no timer unless asked for.

Its laws: a batch never holds more than the maximum, rows of a request keep their order, every request is answered
exactly once and with its own rows, a request that fails does not fail its neighbours, none waits for ever or runs when
its time is over, and where there are too many the least critical are refused.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from mainstay.core import DeadlineError, RequestError, ServerError, UnavailableError
from mainstay.serving.batching.chunks import MOST_ROWS, Chunk
from mainstay.serving.batching.costs import Costs
from mainstay.serving.batching.executor import Executor
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.batching.tickets import Done, Piece, SplitTicket, Ticket
from mainstay.serving.batching.waiting import PRIORITIES, Lane, WaitingRoom
from mainstay.serving.status import logger

__all__ = ["BatchPolicy", "Batcher", "Done", "Execute", "Ticket"]

Execute: TypeAlias = Callable[[Sequence[Chunk]], Outputs]
"""Runs the rows of several chunks as one batch; `[rows]` outputs in the same order."""

Results: TypeAlias = list[Outputs | Exception]

_NEVER = float("inf")

_WHOLE = "whole"

_RETRY_SECONDS = 1.0
"""How long to stay away from a full queue, at the least; else half of the time that the queue takes."""

_DEADLINE_GRAIN = 0.002
"""The least time between two looks for requests whose time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """How a batcher forms batches.

    Args:
        max_rows: The most rows in one execution.
        max_request_rows: The most rows in one request; None for any number, which is split.
        timeout_seconds: How long a batch that is not full waits for company; 0 never waits.
        max_enqueued_batches: How many full batches may wait.
        aging_seconds: How much later a request is served for each step that it is less critical.
        alone: Whether every request runs alone.
        mixed_shapes: Whether rows of different shapes share a batch.
        exclusive: Whether the device runs one batch at a time, so that nothing runs on the event loop, which would wait
            there, while the device's thread uses it.
    """

    max_rows: int
    max_request_rows: int | None = None
    timeout_seconds: float = 0.0
    max_enqueued_batches: int = 100
    aging_seconds: float = 1.0
    alone: bool = False
    mixed_shapes: bool = False
    exclusive: bool = False


class Batcher:
    """Forms the batches of one signature and hands out their results.

    All methods are called on the event loop.

    Args:
        execute: Runs a batch.
        policy: How batches are formed.
        costs: What they cost, which decides where they run.
        loop: The event loop.
        executor: Where executions run that are too long for the event loop.
    """

    def __init__(
        self,
        execute: Execute,
        policy: BatchPolicy,
        *,
        costs: Costs,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
    ) -> None:
        self.policy = policy
        self.costs = costs
        self._execute = execute
        self._loop = loop
        self._time = loop.time
        self._executor = executor
        self._threads = executor.threads
        self._share = executor.join(self._begin, self._finish)
        self._room = WaitingRoom()
        self._most_rows = policy.max_rows
        self._most_waiting = policy.max_rows * policy.max_enqueued_batches
        self._ages = [step * policy.aging_seconds for step in range(PRIORITIES)]
        self._mixed = policy.mixed_shapes
        self._running: list[list[Piece]] = []
        self._closed = False
        self._handle: asyncio.Handle | None = None
        # Whether the next batch is arranged for, so that a request that comes has nothing to do but to wait.
        self._arranged = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_time = _NEVER

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._room.rows and not self._running

    @property
    def waiting_rows(self) -> int:
        """How many rows wait."""
        return self._room.rows

    @property
    def running_batches(self) -> int:
        """How many batches run on the device's threads."""
        return len(self._running)

    def submit(self, chunk: Chunk, done: Done, *, deadline: float | None = None, priority: int = 0) -> Ticket:
        """Queue a request.

        Args:
            chunk: Its rows; more than fit into one batch are split.
            done: Called exactly once on the event loop, never before this method has returned, unless the ticket is
                cancelled.
            deadline: When nobody waits for the answer any more, in seconds of the loop's clock; None for never.
            priority: 0 for the most urgent, to 3.

        Raises:
            RequestError: It has more rows than one request may have.
            UnavailableError: The queue is full.
            DeadlineError: Its time is over already.
        """
        if self._closed:
            raise _gone()
        if chunk.rows > MOST_ROWS and not chunk.whole:
            raise RequestError(f"The request has {chunk.rows:,} rows; one request may have {MOST_ROWS:,}")
        now = self._time()
        if deadline is not None:
            if deadline <= now:
                raise _too_late()
            if deadline < self._alarm_time:
                self._set_alarm(deadline)
        rows, room = chunk.rows, self._room
        if rows + room.rows > self._most_waiting and room.rows:
            self._make_room(rows, priority)
        if priority >= PRIORITIES:
            priority = PRIORITIES - 1
        order = now + self._ages[priority]
        if rows <= self._most_rows or chunk.whole:
            piece = Piece(chunk, done, now, order, priority, deadline)
            room.add(piece, _WHOLE if chunk.whole else () if self._mixed else chunk.shape)
            if not self._arranged:
                self._arrange()
            return piece
        return self._split(chunk, done, lambda part, settle: Piece(part, settle, now, order, priority, deadline))

    def run_apart(self, chunks: Sequence[Chunk]) -> Outputs:
        """Run rows at once on the calling thread, past the queue; for a version that nobody can ask yet."""
        return self._execute(chunks)

    def close(self) -> None:
        """Let go of the device and of the event loop; what waits is refused. For a model that is unloaded."""
        self._executor.leave(self._share)
        self._unset_alarm()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._closed = True
        waiting = list(self._room)
        for piece in waiting:
            self._room.drop(piece)
        self._refuse(waiting, _gone())

    def _split(self, chunk: Chunk, done: Done, make: Callable[[Chunk, Done], Piece]) -> Ticket:
        most, limit = self._most_rows, self.policy.max_request_rows
        if limit is not None and chunk.rows > limit:
            raise RequestError(f"Task size {chunk.rows} is larger than maximum input batch size {limit}")
        starts = range(0, chunk.rows, most)
        ticket = SplitTicket(done, len(starts))
        ticket.pieces = [
            make(chunk.slice(start, min(start + most, chunk.rows)), partial(ticket.settle, index))
            for index, start in enumerate(starts)
        ]
        for piece in ticket.pieces:
            self._room.add(piece, () if self._mixed else chunk.shape)
        if not self._arranged:
            self._arrange()
        return ticket

    def _arrange(self) -> None:
        """Arrange for the next batch to be formed: at the end of this pass of the loop, when it is full or overdue."""
        if not self.policy.timeout_seconds:
            self._arranged = True
            self._handle = self._loop.call_soon(self._next)
            return
        left = self._time_left()
        if self._handle is not None:
            if left > 0:
                return
            self._handle.cancel()
        self._arranged = left <= 0
        self._handle = self._loop.call_later(left, self._next) if left > 0 else self._loop.call_soon(self._next)

    def _time_left(self) -> float:
        """Return for how long what waits can wait for company."""
        wait, lanes = self.policy.timeout_seconds, self._room.lanes
        if not wait or any(lane.rows >= self._most_rows for lane in lanes):
            return 0.0
        return min((lane.pieces[0].since for lane in lanes), default=0.0) + wait - self._time()

    def _next(self) -> None:
        """Form a batch and run it, or ask for a turn on the device."""
        self._handle = None
        self._arranged = True  # also while results are handed out, when the next requests may come
        lane = self._room.first()
        if lane is not None:
            if len(self._running) >= self._threads:
                return  # what runs makes room when it is finished
            if not self._is_inline(lane):
                self._executor.ask(self._share)
                return
            pieces = self._take(lane)
            if pieces:
                self._settle(pieces, self._run(pieces))
        self._arranged = False
        if self._room.rows:
            self._arrange()

    def _is_inline(self, lane: Lane) -> bool:
        if self.policy.exclusive and not self._executor.idle:
            return False
        chunk = lane.pieces[0].chunk
        rows = chunk.rows if self.policy.alone or chunk.whole else min(lane.rows, self._most_rows)
        return self.costs.is_inline(self._kind(chunk), rows)

    def _kind(self, chunk: Chunk) -> Hashable:
        """Return what a chunk's cost depends on, besides its rows; None where that is not known beforehand."""
        if chunk.whole:
            return tuple(np.shape(part) for part in chunk.parts)
        return None if self._mixed and chunk.shape else chunk.shape

    def _take(self, lane: Lane) -> list[Piece]:
        most = self._most_rows
        if self.policy.alone or lane.key is _WHOLE:
            pieces, late = self._room.take(lane, most, now=self._time(), alone=True)
        else:
            full = self.costs.full_rows(lane.key, min(lane.rows, most))
            pieces, late = self._room.take(lane, most, now=self._time(), full=full)
        if late:
            self._refuse(late, _too_late())
        return pieces

    def _begin(self) -> Callable[[], tuple[list[Piece], Results]] | None:
        """Return a batch to run on a thread of the device, whose turn it is."""
        self._arranged = False
        while (lane := self._room.first()) is not None:
            pieces = self._take(lane)
            if pieces:
                self._running.append(pieces)
                if len(self._running) >= self._threads:
                    self._arranged = True
                elif self._room.rows:
                    self._arrange()
                return lambda: (pieces, self._run(pieces))
        return None

    def _finish(self, result: tuple[list[Piece], Results]) -> None:
        pieces, results = result
        self._running.remove(pieces)
        self._settle(pieces, results)
        if self._share.asking or self._handle is not None:
            return
        self._arranged = False
        lane = self._room.first()
        if lane is None:
            return
        if self._time_left() > 0 or self._is_inline(lane):
            self._arrange()
        else:  # at once, so that others who wait do not get ahead of it
            self._arranged = True
            self._executor.ask(self._share)

    def _run(self, pieces: Sequence[Piece]) -> Results:
        """Execute a batch; where it fails, its halves, and so on, to fail only the requests at fault."""
        try:
            outputs = self._execute([piece.chunk for piece in pieces])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit as well, which would end the device's thread without a word
            if len(pieces) == 1:
                return [error if isinstance(error, Exception) else ServerError(f"the model raised {error!r}")]
            half = len(pieces) // 2
            return self._run(pieces[:half]) + self._run(pieces[half:])
        if len(pieces) == 1:
            return [outputs]
        results: Results = []
        start = 0
        for piece in pieces:
            stop = start + piece.chunk.rows
            results.append(outputs.slice(start, stop))
            start = stop
        return results

    def _settle(self, pieces: Sequence[Piece], results: Results) -> None:
        first = results[0]
        if not isinstance(first, Exception):
            run = first.run
            self.costs.note(self._kind(pieces[0].chunk), run.rows, run.ended - run.started)
        for piece, result in zip(pieces, results, strict=True):
            done = piece.done
            if done is not None:
                piece.done = None
                try:
                    done(result)
                except Exception as error:  # what goes wrong with one answer is no reason to keep back the others
                    context = {"message": "a request cannot be answered", "exception": error}
                    self._loop.call_exception_handler(context)

    def _make_room(self, rows: int, priority: int) -> None:
        """Refuse waiting requests that are less critical than a new one, or raise."""
        room = self._room
        gone = room.make_room(room.rows + rows - self._most_waiting, priority)
        if gone is None:
            raise self._full()
        self._refuse(gone, self._full())

    def _full(self) -> UnavailableError:
        batches = -(-self._room.rows // self._most_rows)
        error = UnavailableError(
            f"The batch scheduling queue to which this task was submitted is full; currently {batches} batches "
            f"enqueued and max_enqueued_batches is {self.policy.max_enqueued_batches}"
        )
        seconds = self.costs.seconds((), self._most_rows)
        error.retry_after = _RETRY_SECONDS if seconds is None else max(batches * seconds / 2, _RETRY_SECONDS)
        return error

    def _refuse(self, pieces: Sequence[Piece], error: Exception) -> None:
        """Tell requests of an error, in a pass of the loop of its own: what is told may send the next request."""
        if pieces:
            self._loop.call_soon(_settle_all, pieces, error)

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_time = deadline
        # An unloaded model is not kept in memory by the deadline of a request that was answered long ago.
        self._alarm = self._loop.call_at(deadline, _ring, weakref.ref(self))

    def _unset_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_time = None, _NEVER

    def refuse_late(self) -> None:
        """Answer the requests whose time is over; called by the alarm."""
        self._alarm, self._alarm_time = None, _NEVER
        now = self._time()
        late = self._room.late(now)
        next_time = self._room.earliest_deadline()
        for batch in self._running:
            for piece in batch:
                deadline = piece.deadline
                if piece.done is None or deadline is None:
                    continue
                if deadline <= now:
                    late.append(piece)
                elif next_time is None or deadline < next_time:
                    next_time = deadline
        if next_time is not None:
            self._set_alarm(max(next_time, now + _DEADLINE_GRAIN))
        _settle_all(late, _too_late())


def _settle_all(pieces: Sequence[Piece], error: Exception) -> None:
    for piece in pieces:
        try:
            piece.settle(error)
        except Exception:  # what goes wrong with one answer is no reason to keep back the others
            logger.exception("a request cannot be answered")


def _ring(batcher: weakref.ref[Batcher]) -> None:
    found = batcher()
    if found is not None:
        found.refuse_late()


def _gone() -> UnavailableError:
    return UnavailableError("the model is no longer served")


def _too_late() -> DeadlineError:
    return DeadlineError("Run() timeout exceeded while waiting in batching queue")
