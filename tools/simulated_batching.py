"""A world to try batchers in: an event loop with a clock that moves when told to, a device, and a model of rows."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from mainstay.serving.batching.batcher import Batcher, BatchPolicy, Ticket
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.costs import Costs
from mainstay.serving.batching.outputs import Outputs, Run
from mainstay.serving.batching.turns import Share, Turns, Work


class Loop:
    """An event loop that turns when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.soon: deque[asyncio.Handle] = deque()
        self.later: list[tuple[float, int, asyncio.Handle]] = []
        self.failures: list[dict[str, Any]] = []
        self._number = count()

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_soon(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Handle:
        """Call something in the next turn."""
        handle = asyncio.Handle(call, arguments, self)  # type: ignore[arg-type]
        self.soon.append(handle)
        return handle

    def call_later(self, delay: float, call: Callable[..., Any], *arguments: Any) -> asyncio.Handle:
        """Call something in a while."""
        return self.call_at(self.now + delay, call, *arguments)

    def call_at(self, when: float, call: Callable[..., Any], *arguments: Any) -> asyncio.Handle:
        """Call something at a time."""
        handle = asyncio.Handle(call, arguments, self)  # type: ignore[arg-type]
        heapq.heappush(self.later, (when, next(self._number), handle))
        return handle

    def get_debug(self) -> bool:
        """Say that nothing is traced."""
        return False

    def turn(self) -> None:
        """Run what is due, and nothing of what that adds."""
        while self.later and self.later[0][0] <= self.now:
            self.soon.append(heapq.heappop(self.later)[2])
        for _ in range(len(self.soon)):
            handle = self.soon.popleft()
            if not handle.cancelled():
                handle._run()

    def wait(self, seconds: float) -> None:
        """Let time pass, turning as long as anything is due."""
        end = self.now + seconds
        while True:
            while self.soon or (self.later and self.later[0][0] <= self.now):
                self.turn()
            if self.now >= end:
                return
            self.now = min(end, self.later[0][0]) if self.later else end

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what went wrong."""
        self.failures.append(context)


class Device:
    """An executor whose work is done when it is told to, and takes as long as it is told."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.turns = Turns()
        self.running: deque[tuple[Share, Work]] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nobody waits."""
        return not self.running and not self.turns

    def join(self, take: Callable[[], Work | None], finish: Callable[[Any], None]) -> Share:
        """Become a user."""
        return Share(take, finish)

    def ask(self, share: Share) -> None:
        """Ask for a turn."""
        self.turns.ask(share)
        self._give_turns()

    def leave(self, share: Share) -> None:
        """Use it no longer."""
        self.turns.leave(share)

    def _give_turns(self) -> None:
        while len(self.running) < self.threads and (share := self.turns.next()) is not None:
            work = share.take()
            if work is not None:
                self.running.append((share, work))

    def step(self, seconds: float = 0.001) -> None:
        """Finish the work that began first."""
        if self.running:
            share, work = self.running[0]
            result = work()
            self.running.popleft()
            self.turns.charge(share, seconds)
            share.finish(result)
            self._give_turns()


class World:
    """A batcher whose model gives each row back and fails on rows below zero.

    Args:
        inline: Up to how many rows a batch is cheap.
        device: What runs the others; shared by worlds that share it.
        loop: The event loop; shared by worlds that share it.
        costs: What batches cost; None for what `inline` says.
        policy: The fields of the batcher's policy.
    """

    def __init__(
        self,
        *,
        inline: int = 0,
        device: Device | None = None,
        loop: Loop | None = None,
        costs: Costs | None = None,
        **policy: Any,
    ) -> None:
        self.loop = loop or Loop()
        self.device = device or Device()
        self.batches: list[list[int]] = []
        self.answers: dict[int, list[Outputs | Exception]] = {}
        self.tickets: list[Ticket] = []
        self.seconds = 0.0
        if costs is None:
            costs = Costs((), execution="auto" if inline else "thread", inline_below_seconds=1.0)
            for rows in range(1, inline + 1):
                costs.start(rows, 0.0)
        self.batcher = Batcher(
            self.execute,
            BatchPolicy(**{"max_rows": 4} | policy),
            costs=costs,
            loop=self.loop,  # type: ignore[arg-type]
            executor=self.device,
        )

    def execute(self, chunks: Sequence[Chunk]) -> Outputs:
        """Run a batch."""
        rows = [value for chunk in chunks for value in chunk.parts[0]]
        self.batches.append(rows)
        if any(row < 0 for row in rows):
            raise ValueError("a row is below zero")
        run = Run(len(rows), self.loop.now, self.loop.now + self.seconds, len(rows))
        return Outputs.of({"y": np.array(rows)}, run)

    def send(self, rows: Sequence[int], *, shape: tuple[tuple[int, ...], ...] = (), **how: Any) -> int:
        """Submit rows; what is answered is kept under the returned number."""
        number = len(self.answers)
        self.answers[number] = []
        done = how.pop("done", self.answers[number].append)
        chunk = Chunk(len(rows), [list(rows)], shape=shape, whole=how.pop("whole", False))
        try:
            self.tickets.append(self.batcher.submit(chunk, done, **how))
        except Exception:
            del self.answers[number]
            raise
        return number

    def finish(self) -> None:
        """Run until nothing is left."""
        while not self.batcher.idle or self.loop.soon:
            self.loop.wait(self.batcher.policy.timeout_seconds)
            self.device.step()

    def rows_of(self, number: int) -> list[int]:
        """Return the rows that were answered."""
        (answer,) = self.answers[number]
        if isinstance(answer, Exception):
            raise answer
        found: list[int] = answer.arrays["y"].tolist()
        return found
