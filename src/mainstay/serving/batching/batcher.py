"""The batcher: requests that arrive while a model is busy become its next batch. There is no timer unless asked for.

Its laws: a batch never holds more than the maximum, rows of a request keep their order, every request is answered
exactly once and with its own rows, and a request that fails does not fail its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.executor import Executor
from mainstay.serving.batching.outputs import Outputs

Execute: TypeAlias = Callable[[Sequence[Chunk]], Outputs]
"""Runs the rows of several chunks as one batch; `[rows]` outputs in the same order."""

Done: TypeAlias = Callable[[Outputs | Exception], None]


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How a batcher forms and places batches.

    Args:
        max_rows: The most rows in one execution.
        timeout_seconds: How long a batch that is not full waits for company; 0 never waits.
        max_inline_rows: Batches of up to this many rows run on the event loop itself, larger ones on the executor.
            A short execution is over before another thread would have taken it.
    """

    max_rows: int
    timeout_seconds: float = 0.0
    max_inline_rows: int = 0


class Ticket:
    """A request in a batcher.

    Args:
        done: Called exactly once, with the outputs of its rows or with what went wrong.
        pieces: How many executions its rows are spread over.
    """

    __slots__ = ("_done", "_missing", "_results")

    def __init__(self, done: Done, pieces: int) -> None:
        self._done: Done | None = done
        self._results: list[Outputs | None] = [None] * pieces
        self._missing = pieces

    @property
    def open(self) -> bool:
        """Whether it still waits for an answer."""
        return self._done is not None

    def cancel(self) -> None:
        """Give the request up: its rows that have not run yet never will, and nobody is told."""
        self._done = None

    def settle(self, index: int, result: Outputs | Exception) -> None:
        """Take the result of one piece; the last one, or the first error, answers the request."""
        done = self._done
        if done is None:
            return
        if isinstance(result, Exception):
            self._done = None
            done(result)
            return
        self._results[index] = result
        self._missing -= 1
        if not self._missing:
            self._done = None
            pieces = [piece for piece in self._results if piece is not None]
            done(pieces[0] if len(pieces) == 1 else Outputs.join(pieces))


class _Piece:
    """The rows of a request that run in one execution."""

    __slots__ = ("chunk", "index", "ticket")

    def __init__(self, chunk: Chunk, index: int, ticket: Ticket) -> None:
        self.chunk = chunk
        self.index = index
        self.ticket = ticket


class Batcher:
    """Forms the batches of one signature and hands out their results.

    All methods are called on the event loop.

    Args:
        execute: Runs a batch.
        policy: How batches are formed and where they run.
        loop: The event loop.
        executor: Where executions run that are too long for the event loop.
    """

    def __init__(
        self, execute: Execute, policy: BatchPolicy, *, loop: asyncio.AbstractEventLoop, executor: Executor
    ) -> None:
        self._execute = execute
        self._policy = policy
        self._loop = loop
        self._executor = executor
        self._queue: deque[_Piece] = deque()
        self._rows = 0
        self._busy = False
        self._timer: asyncio.Handle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._queue and not self._busy

    @property
    def queued_rows(self) -> int:
        """How many rows wait for their execution."""
        return self._rows

    def submit(self, chunk: Chunk, done: Done, *, deadline: float | None = None, priority: int = 0) -> Ticket:
        """Queue a request.

        Args:
            chunk: Its rows; more than fit into one batch are split.
            done: Called exactly once on the event loop, never before this method has returned.
        """
        most = self._policy.max_rows
        if chunk.rows <= most:
            ticket = Ticket(done, 1)
            self._queue.append(_Piece(chunk, 0, ticket))
        else:
            starts = range(0, chunk.rows, most)
            ticket = Ticket(done, len(starts))
            for index, start in enumerate(starts):
                piece = chunk.slice(start, min(start + most, chunk.rows))
                self._queue.append(_Piece(piece, index, ticket))
        self._rows += chunk.rows
        if not self._busy:
            self._schedule()
        return ticket

    def _schedule(self) -> None:
        """Arrange for the next batch to be formed, once: at the end of this pass of the loop, or when it is full."""
        wait = self._policy.timeout_seconds
        if self._timer is not None:
            if not wait or self._rows < self._policy.max_rows:
                return
            self._timer.cancel()
        full = self._rows >= self._policy.max_rows
        self._timer = self._loop.call_later(wait, self._next) if wait and not full else self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._timer = None
        if self._busy:
            return
        pieces, rows = self._take()
        if not pieces:
            return
        if rows <= self._policy.max_inline_rows:
            self._finish(pieces, self._run(pieces, rows))
        else:
            self._busy = True
            self._executor.submit(lambda: self._run(pieces, rows), lambda results: self._finish(pieces, results))

    def _take(self) -> tuple[list[_Piece], int]:
        """Take the longest run of waiting pieces, in order, that makes one batch."""
        queue, most = self._queue, self._policy.max_rows
        pieces: list[_Piece] = []
        rows = 0
        while queue:
            piece = queue[0]
            size = piece.chunk.rows
            if piece.ticket.open:
                if rows + size > most or (pieces and piece.chunk.shape != pieces[0].chunk.shape):
                    break
                pieces.append(piece)
                rows += size
            queue.popleft()
            self._rows -= size
        return pieces, rows

    def _run(self, pieces: list[_Piece], rows: int) -> list[Outputs | Exception]:
        """Execute a batch; where it fails, execute each request of it alone, to fail only those at fault."""
        try:
            outputs = self._execute([piece.chunk for piece in pieces])
        except Exception as error:
            return [error] if len(pieces) == 1 else [self._run_alone(piece) for piece in pieces]
        results: list[Outputs | Exception] = []
        start = 0
        for piece in pieces:
            stop = start + piece.chunk.rows
            results.append(outputs if stop - start == rows else outputs.slice(start, stop))
            start = stop
        return results

    def _run_alone(self, piece: _Piece) -> Outputs | Exception:
        try:
            return self._execute([piece.chunk])
        except Exception as error:
            return error

    def _finish(self, pieces: list[_Piece], results: list[Outputs | Exception]) -> None:
        self._busy = False
        for piece, result in zip(pieces, results, strict=True):
            piece.ticket.settle(piece.index, result)
        if self._queue:
            self._schedule()
