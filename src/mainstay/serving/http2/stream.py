"""One gRPC call on its stream, as the services see it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from mainstay.serving.http2.messages import Assembly
from mainstay.serving.http2.request_head import RequestHead
from mainstay.serving.status import Code


class Carrier(Protocol):
    """A connection, as far as its streams know it."""

    peer: str
    identity: str

    def answer(self, stream: Stream, parts: tuple[bytes, ...]) -> None:
        """Send the one message of a unary answer, and that all is well."""

    def send(self, stream: Stream, message: bytes) -> None:
        """Send a message of a streaming answer."""

    def end(self, stream: Stream, code: Code, message: str, trailers: tuple[tuple[str, str], ...]) -> None:
        """Send a status behind what was sent."""

    def expire(self, stream: Stream) -> None:
        """End a stream whose deadline has passed."""


class Stream:
    """One gRPC call; see `grpc.exchange.GrpcExchange` for what the services use.

    Metadata whose names end with ``-bin`` are as they were sent: base64.

    Args:
        carrier: The connection.
        number: The stream's number.
        head: What its header fields say.
        now: The time, in seconds of the loop's clock.
        credit: How many bytes the client may send.

    Attributes:
        fresh: The size of the one frame that may hold all of the call's body, which is the usual case; -1 for any
            size, 0 where it is none any more.
        ended: Whether nothing more may be said to the client.
        closed: Whether the connection has forgotten it.
        half_closed: Whether the client has ended its side.
        lingers: Whether it is answered, and only waits for the client to end its side.
        started: Whether the answer's head was sent.
        pending: The parts of the answer that wait for the client's windows.
        trailers: The fields that follow them.
        queued: Whether it waits in the connection's queue of those that may send.
        window: What the client's window for it differs by from what all streams begin with.
        compressed: Whether the message that has come is.
        complete: Whether the one message of a unary call has come.
        assembly: What puts its messages together, where they do not come in one frame.
        total: How many bytes of its body have come, where that is counted.
        begun: When the message began that is being received, where the client streams.
        held: How much memory it is charged with.
        granted: Whether the client was allowed to send all of a large message.
        waiting: Whether it waits for that.
        stalled: Since when its answer waits for the client.
        sent: How many bytes of that answer have been sent.
    """

    # Defaults live in the class, so that the usual call, which needs few of them, is made quickly.
    message: bytes = b""
    received = 0.0
    deadline: float | None = None
    on_cancel: Callable[[], None] | None = None
    on_message: Callable[[bytes | None], None] | None = None
    fresh = 0
    ended = False
    closed = False
    half_closed = False
    lingers = False
    started = False
    pending: deque[memoryview] | None = None
    trailers: tuple[tuple[bytes, bytes], ...] | None = None
    queued = False
    window = 0
    assembly: Assembly | None = None
    compressed = False
    complete = False
    total = 0
    begun = 0.0
    held = 0
    granted = False
    waiting = False
    stalled = 0.0
    sent = 0

    def __init__(self, carrier: Carrier, number: int, head: RequestHead, now: float, credit: int) -> None:
        self._carrier = carrier
        self.number = number
        self.head = head
        self.path = head.path
        self.headers: Mapping[bytes, bytes] = head.headers
        self.peer = carrier.peer
        self.identity = carrier.identity
        self.opened = now
        self.credit = credit

    def reply(self, *parts: bytes) -> None:
        """Answer a unary call: one message, in parts that are sent one after the other, then status OK."""
        if not self.ended:
            self._carrier.answer(self, parts)

    def send(self, message: bytes) -> None:
        """Send one message of a streaming answer."""
        if not self.ended:
            self._carrier.send(self, message)

    def finish(self, code: Code, message: str = "", trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """End the call with a status: the end of a streaming answer, or the refusal of any call."""
        if not self.ended:
            self._carrier.end(self, code, message, trailers)

    def expire(self) -> None:
        """End the call, for its deadline has passed."""
        if not self.ended:
            self._carrier.expire(self)

    def cancel(self) -> None:
        """Tell the services that nobody waits any more, unless the call is over."""
        if not self.ended:
            self.ended = True
            if self.on_cancel is not None:
                self.on_cancel()
