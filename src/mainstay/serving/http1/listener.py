"""All connections of a listening socket: their shared state, their clock, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

from mainstay.serving.http1.connection import Connection
from mainstay.serving.options import ServerOptions
from mainstay.serving.rest.interface import RestInterface

_CHECKED_AT_ONCE = 256


class HttpListener:
    """The connections of a listening socket.

    Args:
        rest: What answers the requests.
        options: The limits and timeouts.
        loop: The event loop.

    Attributes:
        buffered: How many bytes of unfinished requests the connections hold together.
        identify: Tells from the transport of a new connection who is at its other end; None where that is nobody
            who is let in.
    """

    def __init__(self, rest: RestInterface, options: ServerOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.rest = rest
        self.options = options
        self.loop = loop
        self.connections: set[Connection] = set()
        self.buffered = 0
        self.stopping = False
        self.identify: Callable[[Any], str | None] | None = None
        self.head = b""
        self.tick()

    def connect(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self)

    def tick(self) -> None:
        """Do what is due about once a second: date the answers, end connections that take too long."""
        # The one place that reads the calendar: HTTP wants the time of day in every answer.
        date = formatdate(usegmt=True).encode()
        self.head = b"HTTP/1.1 200 OK\r\ndate: " + date + b"\r\ncontent-type: application/json\r\ncontent-length: "
        connections = tuple(self.connections)
        self._check_time(connections[:_CHECKED_AT_ONCE])
        # Those of thousands of connections are looked at bit by bit until the next tick, to keep no request waiting.
        steps = len(connections) // _CHECKED_AT_ONCE + 1
        for step in range(1, steps):
            part = connections[step * _CHECKED_AT_ONCE : (step + 1) * _CHECKED_AT_ONCE]
            self.loop.call_later(step / steps, self._check_time, part)

    def _check_time(self, connections: Sequence[Connection]) -> None:
        now = time.monotonic()
        for connection in connections:
            connection.check_time(now)

    def stop(self) -> None:
        """Make every connection close after the answers that it owes."""
        self.stopping = True

    def close_quiet(self) -> None:
        """Close the connections that owe nothing and have been quiet for a moment."""
        now = time.monotonic()
        for connection in tuple(self.connections):
            connection.close_if_quiet(now)

    def abort(self) -> None:
        """Drop every connection that is left."""
        for connection in tuple(self.connections):
            connection.abort()
