"""What a connection receives: bodies put together into messages, within budgets of memory, handed to the services."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from mainstay.serving.grpc.exchange import GrpcInterface
from mainstay.serving.http2.frames import LARGEST_WINDOW, ErrorCode, window_update
from mainstay.serving.http2.messages import Assembly, MessageError, too_large, unpack, unpacked_size
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.http2.outbox import Outbox
from mainstay.serving.http2.stream import Stream
from mainstay.serving.status import Code

STREAM_WINDOW = 256 << 10
"""What a client may send of a message before it is granted the rest."""

# Larger messages are decompressed on a thread, so that the loop goes on.
_UNPACK_INLINE_BYTES = 256 << 10
# Messages of streaming methods, which must stay in order, are decompressed on the loop and so must be small.
_MOST_STREAMED_BYTES = 4 << 20


class Budgets(Protocol):
    """What all connections of a listener share of memory."""

    grpc: GrpcInterface
    grpc_options: GrpcOptions
    loop: asyncio.AbstractEventLoop
    held: int
    waiting: deque[tuple[Any, Stream]]

    def room(self) -> None:
        """Let streams go on for whose messages there is room now."""


class Inbox:
    """The receiving half of a connection.

    Args:
        shared: What it shares with other connections.
        owner: The connection, which waits in the listener's queue for its streams.
        outbox: What sends the windows.
        refuse: Ends a stream with a status.
        reset: Ends a stream for a fault of the protocol.

    Attributes:
        held: How many bytes are kept for the connection.
    """

    def __init__(
        self,
        shared: Budgets,
        owner: object,
        outbox: Outbox,
        *,
        refuse: Callable[[Stream, Code, str], None],
        reset: Callable[[int, ErrorCode], None],
    ) -> None:
        options = shared.grpc_options
        self._shared = shared
        self._owner = owner
        self._outbox = outbox
        self._refuse = refuse
        self._reset = reset
        self._most = min(options.max_message_bytes, options.max_buffered_bytes)
        self._most_held = options.max_buffered_bytes
        self._most_total = options.max_total_buffered_bytes
        self.held = 0

    def take(self, stream: Stream, piece: memoryview, now: float) -> None:
        """Take a piece of a stream's body."""
        stream.fresh = 0
        if stream.lingers:
            return
        stream.total += len(piece)
        length = stream.head.content_length
        if length is not None and stream.total > length:
            self._reset(stream.number, ErrorCode.PROTOCOL_ERROR)
            return
        assembly = stream.assembly
        if assembly is None:
            assembly = stream.assembly = Assembly(self._most)
        try:
            while piece and not stream.ended:
                if assembly.between:
                    stream.begun = now
                message, piece = assembly.feed(piece)
                if message is None:
                    break
                self._arrive(stream, message, compressed=assembly.compressed)
        except MessageError as error:
            self._refuse(stream, error.code, error.message)
        if stream.closed or stream.ended:
            return
        if not stream.granted and self.charge(stream, assembly.held + len(stream.message)):
            self._ask(stream)

    def _arrive(self, stream: Stream, message: bytes, *, compressed: bool) -> None:
        if not stream.head.streaming:
            if stream.complete:
                raise MessageError(Code.UNIMPLEMENTED, "A unary call has exactly one request message; more came")
            stream.message, stream.complete, stream.compressed = message, True, compressed
            return
        if compressed:
            most = min(self._most, _MOST_STREAMED_BYTES)
            size = unpacked_size(message, stream.head.encoding)
            if size > most and stream.head.encoding == b"gzip":
                raise too_large(size, most)
            message = unpack(message, stream.head.encoding or b"", min(size, most))
        stream.granted = False
        if stream.on_message is not None:
            stream.on_message(message)
        if not stream.ended:
            self.refill(stream)

    def end(self, stream: Stream) -> None:
        """Take the end of a stream's body."""
        stream.fresh = 0
        stream.half_closed = True
        length = stream.head.content_length
        if length is not None and stream.total != length:
            self._reset(stream.number, ErrorCode.PROTOCOL_ERROR)
        elif stream.ended:
            return
        elif stream.assembly is not None and not stream.assembly.between:
            self._refuse(stream, Code.INTERNAL, "The request ended inside a message")
        elif stream.head.streaming:
            if stream.on_message is not None:
                stream.on_message(None)
        elif not stream.complete:
            self._refuse(stream, Code.UNIMPLEMENTED, "A unary call has exactly one request message; none came")
        elif stream.compressed:
            self._unpack(stream, stream.message)
        else:
            self._shared.grpc.handle(stream)

    def _unpack(self, stream: Stream, message: bytes) -> None:
        encoding = stream.head.encoding or b""
        try:
            size = unpacked_size(message, encoding)
            if encoding == b"deflate":
                size = min(size, self._most, max(self._most_held - self.held, 0))
            if size > self._most:
                raise too_large(size, self._most)
        except MessageError as error:
            self._refuse(stream, error.code, error.message)
            return
        if not self.charge(stream, stream.held + size):
            return
        if size + len(message) <= _UNPACK_INLINE_BYTES:
            try:
                self._unpacked(stream, unpack(message, encoding, size))
            except MessageError as error:
                self._refuse(stream, error.code, error.message)
            return
        future = self._shared.loop.run_in_executor(None, _attempt, message, encoding, size)
        future.add_done_callback(lambda done: self._unpacked(stream, done.result()))

    def _unpacked(self, stream: Stream, message: bytes | MessageError) -> None:
        if stream.ended:
            return
        if isinstance(message, MessageError):
            self._refuse(stream, message.code, message.message)
            return
        stream.message = message
        if self.charge(stream, len(message)):
            self._shared.grpc.handle(stream)

    def charge(self, stream: Stream, size: int) -> bool:
        """Let a stream hold so much memory; return False where there is no room, and it is refused."""
        more = size - stream.held
        stream.held = size
        self.held += more
        self._shared.held += more
        if more > 0 and (self.held > self._most_held or self._shared.held > self._most_total):
            message = f"The requests of the connection hold more than {self._most_held} bytes; send fewer at a time"
            if self.held <= self._most_held:
                message = "The server's memory for requests is full; try again later"
            self._refuse(stream, Code.RESOURCE_EXHAUSTED, message)
            return False
        return True

    def release(self, stream: Stream) -> None:
        """Let go of the memory of a stream that is over."""
        self.held -= stream.held
        self._shared.held -= stream.held
        stream.held = 0
        if self._shared.waiting:
            self._shared.room()

    def _ask(self, stream: Stream) -> None:
        """Let the client send the rest of a message that is larger than its window, if there is room for it."""
        assembly = stream.assembly
        if assembly is None or stream.waiting or assembly.length - assembly.held <= stream.credit:
            return
        if self._fits(stream, assembly.length):
            self.grant(stream)
        else:
            stream.waiting = True
            self._shared.waiting.append((self._owner, stream))

    def _fits(self, stream: Stream, length: int) -> bool:
        more = length - stream.held
        return self.held + more <= self._most_held and self._shared.held + more <= self._most_total

    def grant(self, stream: Stream) -> bool:
        """Let the client send the rest of a stream's message, or return False where there is no room for it yet."""
        assembly = stream.assembly
        if stream.closed or stream.ended or assembly is None or assembly.length < 0:
            return True
        if not self._fits(stream, assembly.length):
            return False
        stream.waiting = False
        stream.granted = True
        self.charge(stream, assembly.length)
        self.top_up(stream)
        return True

    def top_up(self, stream: Stream) -> None:
        """Keep the window of a granted message open, of which padding takes its part."""
        assembly = stream.assembly
        if stream.granted and assembly is not None:
            missing = assembly.length - assembly.held - stream.credit
            if missing > 0:
                self._open(stream, min(missing, LARGEST_WINDOW - max(stream.credit, 0)))

    def refill(self, stream: Stream) -> None:
        """Open the window of a streaming method again, unless the client has not taken the answers so far."""
        if stream.credit < STREAM_WINDOW // 2 and not stream.pending and not stream.half_closed:
            self._open(stream, STREAM_WINDOW - stream.credit)

    def _open(self, stream: Stream, size: int) -> None:
        stream.credit += size
        self._outbox.put(window_update(stream.number, size))


def _attempt(message: bytes, encoding: bytes, most: int) -> bytes | MessageError:
    try:
        return unpack(message, encoding, most)
    except MessageError as error:
        return error
