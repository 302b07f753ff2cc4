"""The load generator: it sends what is due when it is due, and measures from then, not from when a socket was free."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from mainstay.core import UnavailableError
from mainstay.serving.client.address import UNREACHABLE, Address, unreachable
from mainstay.serving.load.connections import Answered, LoadConnection
from mainstay.serving.load.results import StepResult, gather
from mainstay.serving.load.schedule import LoadStep

_PATIENCE_SECONDS = 10.0
_RECONNECT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """What is put under load.

    Args:
        address: The server.
        connect: Makes a connection that sends the request.
        tls: How the server is spoken to over TLS.
    """

    address: Address
    connect: Callable[[Answered], LoadConnection]
    tls: ssl.SSLContext | None = None


async def put_load(target: LoadTarget, step: LoadStep) -> StepResult:
    """Put one step of load on a server, and return what came of it.

    Args:
        target: The server and the request.
        step: How many requests, and when.

    Raises:
        UnavailableError: The server cannot be reached.
    """
    run = _Run(target, step, asyncio.get_running_loop())
    try:
        return await run.go()
    finally:
        run.close()


class _Run:
    """A step that is under way."""

    def __init__(self, target: LoadTarget, step: LoadStep, loop: asyncio.AbstractEventLoop) -> None:
        self._target, self._step, self._loop = target, step, loop
        self._free: list[LoadConnection] = []
        self._all: list[LoadConnection] = []
        self._late: deque[float] = deque()
        self._latencies: list[float] = []
        self._failures: Counter[str] = Counter()
        self._pending = 0
        self._begun = self._end = 0.0
        self._all_sent = False
        self._over = asyncio.Event()
        self._replacing: set[asyncio.Task[None]] = set()

    async def go(self) -> StepResult:
        """Connect, send until the time is over, and wait for the answers that are owed."""
        for _ in range(self._step.connections):
            await self._connect()
        self._begun = time.perf_counter()
        self._end = self._begun + self._step.seconds
        if self._step.rate is None:
            for connection in self._free[:]:
                self._send(time.perf_counter(), connection)
            await asyncio.sleep(self._step.seconds)
        else:
            await self._follow_schedule()
        self._all_sent = True
        if self._pending:
            try:
                await asyncio.wait_for(self._over.wait(), _PATIENCE_SECONDS)
            except TimeoutError:
                self._failures[f"no answer within {_PATIENCE_SECONDS:g} s of the end"] += self._pending
        seconds = max(time.perf_counter(), self._end) - self._begun if self._step.rate else self._step.seconds
        return gather(self._step.rate, seconds, self._latencies, self._failures)

    async def _follow_schedule(self) -> None:
        for offset in self._step.times():
            due = self._begun + offset
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self._pending += 1
            connection = self._free.pop() if self._free else None
            if connection is not None and connection.open:
                self._send(due, connection)
                continue
            self._late.append(due)
            if connection is not None:  # the server closed it while nothing was asked
                self._start_replacing(connection)

    async def _connect(self) -> None:
        address, tls = self._target.address, self._target.tls
        try:
            if address.socket:
                _, made = await self._loop.create_unix_connection(self._new, address.socket)
            else:
                host = address.host if tls else None
                transport, made = await self._loop.create_connection(
                    self._new, address.host, address.port, ssl=tls, server_hostname=host
                )
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise unreachable(error, address) from error
        self._all.append(made)
        self._free.append(made)

    def _new(self) -> LoadConnection:
        return self._target.connect(self._answered)

    def _send(self, due: float, connection: LoadConnection) -> None:
        # A timer may go off a moment early; nothing is answered before it is sent.
        connection.due = min(due, time.perf_counter())
        if self._step.rate is None:
            self._pending += 1
        connection.send()

    def _answered(self, connection: LoadConnection, failure: str) -> None:
        now = time.perf_counter()
        self._pending -= 1
        if failure:
            self._failures[failure] += 1
        elif self._step.rate is not None or now <= self._end:
            self._latencies.append(now - connection.due)
        if not connection.open:
            self._start_replacing(connection)
        elif self._late:
            self._send(self._late.popleft(), connection)
        elif self._step.rate is not None:
            self._free.append(connection)
        elif now < self._end:
            self._send(now, connection)
        self._look_for_the_end()

    def _start_replacing(self, connection: LoadConnection) -> None:
        task = self._loop.create_task(self._replace(connection))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self, connection: LoadConnection) -> None:
        """Open a connection in place of one that is closed; while nothing listens, what is due fails."""
        connection.close()
        self._all.remove(connection)
        while True:
            try:
                await self._connect()
                break
            except UnavailableError:
                self._fail_what_is_due()
            if self._all_sent and not self._late:
                return
            await asyncio.sleep(_RECONNECT_SECONDS)
        fresh = self._free.pop()
        if self._late:
            self._send(self._late.popleft(), fresh)
        elif self._step.rate is None and time.perf_counter() < self._end:
            self._send(time.perf_counter(), fresh)
        else:
            self._free.append(fresh)

    def _fail_what_is_due(self) -> None:
        if self._step.rate is None:
            # This client's next request has failed.
            self._failures[UNREACHABLE] += 1
        elif not any(connection.open for connection in self._all):
            self._failures[UNREACHABLE] += len(self._late)
            self._pending -= len(self._late)
            self._late.clear()
            self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if not self._pending and self._all_sent:
            self._over.set()

    def close(self) -> None:
        """Close every connection."""
        for task in self._replacing:
            task.cancel()
        for connection in self._all:
            connection.close()
