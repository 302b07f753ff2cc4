"""Delivery: the chunks of a stage in the order of their addresses, or in whatever order they are done."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from mainstay.data.chunks import Chunk
from mainstay.data.execution.ahead import Pulling
from mainstay.data.execution.budget import Budget
from mainstay.data.execution.forks import refuse_fork
from mainstay.data.execution.jobs import Job, Jobs
from mainstay.data.execution.remainders import Piece, Remainders, parted, pending_pieces, pieces, remainder_of
from mainstay.data.feeds import BlockFeed, Feed, RowFeed
from mainstay.data.streams import Epoch, State, close_iterator


class Intake:
    """The addresses of a run, turned into jobs as far ahead as is wanted.

    Args:
        feed: Where the addresses come from.
        state: Where to begin.
        epoch: Which pass over the data.
        budget: What addresses that wait are counted in.
    """

    def __init__(self, feed: Feed, state: State, epoch: Epoch, budget: Budget) -> None:
        self.start, self.pending = parted(state)
        self._replay = pending_pieces(feed, self.pending, epoch) if self.pending else None
        is_quick = isinstance(feed, (RowFeed, BlockFeed))
        self._pulling: Pulling[Piece] = Pulling(pieces(feed, self.start, epoch), budget, is_quick=is_quick)
        self.is_ended = False

    def next_pending(self) -> Job | None:
        """Return the job of the next piece that was under way when the state was taken."""
        if self._replay is None:
            return None
        piece = next(self._replay, None)
        if piece is None:
            self._replay = None
        return None if piece is None else Job(piece.address, piece.before, piece.after)

    def next_new(self, *, block: bool) -> Job | None:
        """Return the job of the next address; None at the end, and where it would have to be waited for."""
        piece = self._pulling.take(block=block)
        self.is_ended = self._pulling.is_ended
        if piece is None:
            return None
        self.start = piece.after
        return Job(piece.address, piece.before, piece.after)

    def close(self) -> None:
        """Close the feed."""
        if self._replay is not None:
            close_iterator(self._replay)
        self._pulling.close()


def as_ordered(jobs: Jobs, intake: Intake) -> Iterator[tuple[Chunk, State]]:
    """Yield what each job gives, in the order of the addresses, with the state after it."""
    waiting: deque[Job] = deque()
    unplayed, start, pid = intake.pending, intake.start, os.getpid()

    def fill(*, block: bool) -> None:
        while not intake.is_ended and jobs.admits_another():
            job = intake.next_pending() or intake.next_new(block=block and not waiting)
            if job is None:
                return
            jobs.add(job, is_next=block and not waiting)
            waiting.append(job)

    try:
        while True:
            refuse_fork(pid)
            fill(block=True)
            if not waiting:
                return
            job = waiting.popleft()
            after = job.after
            chunk = jobs.finish(job)
            if unplayed:
                unplayed = unplayed[1:]
                after = remainder_of(start, unplayed)
            del job
            # What comes next is begun before the chunk is handed over, and done while it is used.
            fill(block=False)
            yield chunk, after
            del chunk
    finally:
        _close(pid, jobs, intake)


def as_done(jobs: Jobs, intake: Intake, written: Callable[[], Iterable[State]]) -> Iterator[tuple[Chunk, State]]:
    """Yield what the jobs give, as soon as each is done, with a remainder after it.

    What a state lists as pending comes first, in the order of the list.

    Args:
        jobs: The jobs.
        intake: Where they come from.
        written: Gives the states that iterators over the dataset would write down now.
    """
    under_way: dict[int, Job] = {}
    remainders = Remainders()
    unplayed, num_replayed, pid = intake.pending, len(intake.pending), os.getpid()
    keeps_order = True

    def fill(*, block: bool) -> None:
        nonlocal unplayed
        while not intake.is_ended and jobs.admits_another():
            job = intake.next_pending()
            if job is not None:
                unplayed = unplayed[1:]
            else:
                job = intake.next_new(block=block and not under_way)
            if job is None:
                return
            jobs.add(job, is_next=keeps_order and block and not under_way)
            under_way[id(job)] = job

    try:
        while True:
            refuse_fork(pid)
            keeps_order = num_replayed > 0 or not remainders.is_settled(written())
            fill(block=True)
            if not under_way:
                return
            if keeps_order:
                job = next(iter(under_way.values()))
                chunk = jobs.finish(job)
                num_replayed -= 1
            else:
                job = jobs.finish_any()
                chunk = jobs.deliver(job)
            del under_way[id(job)]
            fill(block=False)
            pending = [[other.before, other.after] for other in under_way.values()]
            state = remainders.delivered([job.before, job.after], pending + unplayed, intake.start)
            del job
            yield chunk, state
            del chunk, state
    finally:
        _close(pid, jobs, intake)


def _close(pid: int, jobs: Jobs, intake: Intake) -> None:
    if pid == os.getpid():
        jobs.close()
        intake.close()
