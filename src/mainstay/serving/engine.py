"""The engine that every protocol's front end calls: it admits, routes, batches, and tells who watches how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call
from mainstay.serving.models.snapshot import Endpoint, Servable, Snapshot
from mainstay.serving.status import Code, logger


class Gate(Protocol):
    """Something that a call must pass before it is routed, such as authorisation or a rate limit."""

    def check(self, call: Call) -> None:
        """Let the call pass, or raise what refuses it (`mainstay.core` errors)."""


class Observer(Protocol):
    """Something that watches calls, such as metrics or a log. It raises nothing and takes next to no time."""

    def begun(self, call: Call) -> None:
        """See a call that is about to be routed; it may set `call.keep` and `call.trace`."""

    def ended(self, call: Call) -> None:
        """See a call that has been answered, or given up."""


class Router(Protocol):
    """Something that chooses the version of a call that asks for none, such as a split of traffic."""

    def find(self, call: Call, snapshot: Snapshot) -> Servable:
        """Return the version that answers.

        Raises:
            NotFoundError: There is none.
        """


class Engine:
    """What all protocols share.

    All methods are called on the event loop.

    Args:
        loop: The event loop.

    Attributes:
        snapshot: What is served; assigning another one is how a reload is published.
        draining: Whether the server is on its way out and no longer ready.
        gates: What calls must pass, in order.
        observers: What watches calls.
        router: What chooses versions; None always takes the default one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # The loop's clock, but read anew: uvloop's own stands still during a pass and counts whole milliseconds.
        self.time: Callable[[], float] = time.monotonic
        self.snapshot = Snapshot()
        self.draining = False
        self.gates: tuple[Gate, ...] = ()
        self.observers: tuple[Observer, ...] = ()
        self.router: Router | None = None

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.snapshot.ready and not self.draining

    def begin(self, call: Call) -> None:
        """Let a call in; whoever begins one ends it with `finish`, whatever happens.

        Raises:
            MainstayError: A gate refuses it.
        """
        for observer in self.observers:
            observer.begun(call)
        for gate in self.gates:
            gate.check(call)

    def route(self, call: Call) -> Servable:
        """Return the version that answers a call, and keep it loaded until the call is finished.

        Raises:
            NotFoundError: There is no such model or version.
            RequestError: There is no such label.
        """
        router = self.router
        if router is None:
            servable = self.snapshot.find(call.model, call.version, call.label)
        else:
            servable = router.find(call, self.snapshot)
        servable.users += 1
        call.servable = servable
        return servable

    def submit(self, call: Call, endpoint: Endpoint, chunk: Chunk, done: Callable[[Outputs | Exception], None]) -> None:
        """Queue rows of a call.

        Args:
            call: The call; its deadline and priority hold for the rows.
            endpoint: The signature that they are for.
            chunk: The rows.
            done: Called exactly once, on the event loop and never before this returns, unless the call is cancelled.

        Raises:
            UnavailableError: The queue is full.
            DeadlineError: The call's time is over already.
        """
        call.submitted = self.time()
        call.rows += chunk.rows
        call.signature = endpoint.name
        if call.keep:
            call.chunk = chunk
        call.tickets.append(endpoint.batcher.submit(chunk, done, deadline=call.deadline, priority=call.priority))

    def finish(self, call: Call, code: Code, message: str = "", outputs: Outputs | None = None) -> None:
        """End a call; a second time changes nothing.

        Args:
            call: The call; its `response_bytes` are set before.
            code: How it ended.
            message: What the client was told, where it failed.
            outputs: The answer, where there is one.
        """
        if call.code is not None:
            return
        call.code = code
        call.message = message
        call.ended = self.time()
        if outputs is not None:
            call.run = outputs.run
            if call.keep:
                call.outputs = outputs
        try:
            for observer in self.observers:
                observer.ended(call)
        except Exception:  # the version that answered is let go all the same, or it could never be unloaded
            logger.exception("what watches calls failed at the end of one")
        if call.servable is not None:
            call.servable.release()

    def cancel(self, call: Call) -> None:
        """Give a call up whose client is gone: rows that have not run yet never will."""
        if call.code is not None:
            return
        for ticket in call.tickets:
            ticket.cancel()
        self.finish(call, Code.CANCELLED, "the client went away")
