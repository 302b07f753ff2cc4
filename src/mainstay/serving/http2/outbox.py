"""What a connection sends: within the client's windows, answers taking turns, one write for a pass of the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from mainstay.serving.http2.frames import (
    DATA,
    FIRST_WINDOW,
    FRAME_HEAD,
    LARGEST_WINDOW,
    SMALLEST_MAX_FRAME,
    headers,
)
from mainstay.serving.http2.header_encoder import HeaderEncoder
from mainstay.serving.http2.messages import PREFIX
from mainstay.serving.http2.stream import Stream

# As much is handed to the transport at once; a client that does not read is noticed behind it.
_WRITE_BYTES = 256 << 10
# Beyond this, handing over the pieces is cheaper than joining them.
_JOIN_BYTES = 64 << 10
_LARGEST_FRAME = 64 << 10

Fields = tuple[tuple[bytes, bytes], ...]

OK: Fields = ((b"grpc-status", b"0"),)
"""The trailers of a call that ended well."""


class Outbox:
    """The sending half of a connection.

    Args:
        loop: The event loop.
        time: The clock, in seconds.
        on_sent: Called with a stream when the last of its answer has been handed to the transport.
        on_drained: Called with a stream when all that it was given to send so far has been handed over.

    Attributes:
        encoder: What writes header blocks.
        window: How many bytes of data the client takes on the connection.
        initial: How many it takes on each stream, besides the stream's own difference.
        max_frame: The largest frame payload that is sent.
        paused: Whether the transport takes nothing, for the client does not read.
        moved: How many bytes of data the client has let pass so far.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        time: Callable[[], float],
        *,
        on_sent: Callable[[Stream], None],
        on_drained: Callable[[Stream], None],
    ) -> None:
        self._loop = loop
        self._time = time
        self._on_sent = on_sent
        self._on_drained = on_drained
        self._transport: Any = None
        self._out: list[bytes | memoryview] = []
        self._queue: deque[Stream] = deque()
        self._scheduled = False
        self.encoder = HeaderEncoder()
        self.window = FIRST_WINDOW
        self.initial = FIRST_WINDOW
        self.max_frame = SMALLEST_MAX_FRAME
        self.paused = False
        self.moved = 0

    def connect(self, transport: Any) -> None:
        """Take the transport that everything is written to."""
        self._transport = transport

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be written, apart from what waits for windows."""
        return not self._out

    def hold(self) -> None:
        """Write nothing until `flush` is called: more is about to come."""
        self._scheduled = True

    def put(self, data: bytes) -> None:
        """Send a frame that no window counts."""
        self._out.append(data)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self.flush)

    def answer(self, stream: Stream, parts: tuple[bytes, ...]) -> bool:
        """Send a whole answer at once, if the client's windows let it and the client has ended its side.

        Returns:
            Whether it was sent.
        """
        size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        length = size + 5
        if (
            length > self.window
            or length > self.max_frame
            or length > self.initial + stream.window
            or stream.started
            or self._queue
            or not self.encoder.settled
        ):
            return False
        self.window -= length
        self.moved += length
        number = stream.number
        out = self._out
        out.append(self.encoder.answer(number, size))
        out.extend(parts)
        out.append(self.encoder.trailers(number))
        if not self._scheduled:
            self._schedule()
        return True

    def start(self, stream: Stream, more: Fields = ()) -> None:
        """Send the head of an answer."""
        stream.started = True
        block = self.encoder.head() + b"".join(self.encoder.fields((field,)) for field in more)
        self.put(headers(stream.number, block, end_stream=False, most=self.max_frame))

    def message(self, stream: Stream, parts: tuple[bytes, ...], *, compressed: bool = False) -> None:
        """Send a message in turn with the other streams."""
        pending = stream.pending
        if pending is None:
            pending = stream.pending = deque()
        if not pending:
            stream.stalled, stream.sent = self._time(), 0
        pending.append(memoryview(PREFIX.pack(compressed, sum(map(len, parts)))))
        pending.extend(memoryview(part) for part in parts if part)
        self.resume(stream)

    def finish(self, stream: Stream, trailers: Fields) -> None:
        """Send the trailers of a stream behind all that it has to send."""
        stream.trailers = trailers
        if stream.pending:
            self.resume(stream)
        else:
            self._end(stream)

    def resume(self, stream: Stream) -> None:
        """Let a stream send that has something to send, if its window is open."""
        if stream.pending and not stream.queued and self.initial + stream.window > 0:
            stream.queued = True
            self._queue.append(stream)
            if not self._scheduled:
                self._schedule()

    def forget(self, stream: Stream) -> None:
        """Send nothing more of a stream."""
        stream.pending = None
        stream.trailers = None
        if stream.queued:
            stream.queued = False
            self._queue.remove(stream)

    def widen(self, size: int) -> bool:
        """Take the client's WINDOW_UPDATE of the connection; return whether the window stays in its bounds."""
        self.window += size
        if self._queue and not self._scheduled:
            self._schedule()
        return self.window <= LARGEST_WINDOW

    def widen_stream(self, stream: Stream, size: int) -> bool:
        """Take the client's WINDOW_UPDATE of a stream; return whether the window stays in its bounds."""
        stream.window += size
        self.resume(stream)
        return self.initial + stream.window <= LARGEST_WINDOW

    def pause(self) -> None:
        """Hand nothing more to the transport until `flush` is called with `paused` unset."""
        self.paused = True

    def flush(self) -> None:
        """Write what there is to write, as far as the client takes it."""
        self._scheduled = True
        if self._queue:
            self._pump()
        if self._out and not self.paused:
            self._write()
        self._scheduled = False

    def _write(self) -> None:
        out, self._out = self._out, []
        if not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _pump(self) -> None:
        """Send data, a frame of each stream at a time, until windows, the transport or the data end."""
        queue, written = self._queue, 0
        while queue and self.window > 0 and not self.paused:
            stream = queue.popleft()
            stream.queued = False
            room = min(self.window, self.initial + stream.window, self.max_frame, _LARGEST_FRAME)
            if room <= 0:
                continue
            sent = self._frame(stream, room)
            self.window -= sent
            stream.window -= sent
            stream.sent += sent
            self.moved += sent
            written += sent
            if stream.pending:
                stream.queued = True
                queue.append(stream)
            elif stream.trailers is not None:
                self._end(stream)
            else:
                self._on_drained(stream)
            if written >= _WRITE_BYTES:
                self._write_pieces()
                written = 0
        if written > _JOIN_BYTES and not self.paused:
            self._write_pieces()

    def _frame(self, stream: Stream, room: int) -> int:
        """Send one DATA frame of up to `room` bytes of a stream's data; return its size."""
        pending = stream.pending or deque()
        out, place, size = self._out, len(self._out), 0
        out.append(b"")
        while pending and size < room:
            piece = pending[0]
            if len(piece) <= room - size:
                pending.popleft()
            else:
                pending[0] = piece[room - size :]
                piece = piece[: room - size]
            out.append(piece)
            size += len(piece)
        out[place] = FRAME_HEAD.pack(size << 8 | DATA, 0, stream.number)
        return size

    def _write_pieces(self) -> None:
        out, self._out = self._out, []
        if not self._transport.is_closing():
            self._transport.writelines(out)

    def _end(self, stream: Stream) -> None:
        trailers = stream.trailers or ()
        block = self.encoder.ok() if trailers == OK else self.encoder.fields(trailers)
        stream.trailers = None
        self.put(headers(stream.number, block, end_stream=True, most=self.max_frame))
        self._on_sent(stream)
