"""All connections of the gRPC port: their shared state, their clock, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from mainstay.serving.grpc.exchange import GrpcInterface
from mainstay.serving.http2.connection import Connection
from mainstay.serving.http2.deadlines import Deadlines
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.http2.stream import Stream
from mainstay.serving.options import ServerOptions

_AT_ONCE = 500


class GrpcListener:
    """The connections of listening sockets that speak gRPC over HTTP/2: TCP, TLS with ALPN ``h2``, or UNIX.

    Args:
        grpc: What answers the calls.
        options: The server's limits and timeouts, the port's own among them.
        loop: The event loop.

    Attributes:
        time: The clock of everything here, in seconds.
        identify: Tells from the transport of a new connection who is at its other end; None where that is nobody
            who is let in.
        held: How many bytes of requests are kept for all connections.
        waiting: Streams that wait until there is room for their messages.
        stopping: Whether the server is on its way out.
    """

    def __init__(self, grpc: GrpcInterface, options: ServerOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.grpc = grpc
        self.options = options
        self.grpc_options: GrpcOptions = options.grpc
        self.loop = loop
        self.connections: set[Connection] = set()
        self.time: Callable[[], float] = time.monotonic
        self.deadlines = Deadlines(loop, self.time)
        self.identify: Callable[[Any], str | None] | None = None
        self.held = 0
        self.waiting: deque[tuple[Connection, Stream]] = deque()
        self.stopping = False

    def connect(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self)

    def tick(self) -> None:
        """Do what is due about once a second: end what takes too long, ask silent clients whether they live."""
        waiting = tuple(self.connections)
        self._tick_some(waiting, 0)

    def _tick_some(self, connections: tuple[Connection, ...], start: int) -> None:
        now = self.time()
        for connection in connections[start : start + _AT_ONCE]:
            connection.tick(now)
        if start + _AT_ONCE < len(connections):
            self.loop.call_soon(self._tick_some, connections, start + _AT_ONCE)

    def room(self) -> None:
        """Let streams go on for whose messages there is room now."""
        for _ in range(len(self.waiting)):
            connection, stream = self.waiting.popleft()
            if not connection.inbox.grant(stream):
                self.waiting.append((connection, stream))

    def stop(self) -> None:
        """Tell every client that the server takes no new calls; those that it has begun are answered."""
        self.stopping = True
        for connection in tuple(self.connections):
            connection.drain()

    def close_quiet(self) -> None:
        """Close the connections whose calls are all answered."""
        now = self.time()
        for connection in tuple(self.connections):
            connection.close_if_quiet(now)

    def abort(self) -> None:
        """Drop every connection that is left."""
        for connection in tuple(self.connections):
            connection.abort()
        self.deadlines.close()
