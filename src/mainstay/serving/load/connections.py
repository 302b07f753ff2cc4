"""Connections that send one prepared request over and over, as cheaply as can be, one at a time on each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import hpack
import httptools

from mainstay.serving.http2 import frames
from mainstay.serving.http2.frames import Setting

Answered = Callable[["LoadConnection", str], None]
"""Takes a connection whose request is answered, and what went wrong or an empty string."""

_WINDOW = (1 << 31) - 1
_REFRESH = 1 << 29


class LoadConnection(asyncio.Protocol):
    """A connection.

    Args:
        answered: Called once for each request that was sent.
    """

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._transport: Any = None
        self._waits = False
        self.due = 0.0
        self.open = False

    def connection_made(self, transport: Any) -> None:
        """Begin; called by the event loop."""
        self._transport = transport
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a request that waits has failed."""
        self.open = False
        self._done("the connection was lost")

    def send(self) -> None:
        """Send the request."""
        self._waits = True
        self._transport.write(self._request())

    def close(self) -> None:
        """Close the connection."""
        self._waits = False
        if self._transport is not None:
            self._transport.abort()

    def _request(self) -> bytes:
        raise NotImplementedError

    def _done(self, failure: str) -> None:
        if self._waits:
            self._waits = False
            self._answered(self, failure)


class HttpLoadConnection(LoadConnection):
    """HTTP/1.1 with keep-alive.

    Args:
        answered: Called once for each request that was sent.
        request: The bytes of the whole request.
    """

    def __init__(self, answered: Answered, request: bytes) -> None:
        super().__init__(answered)
        self._bytes = request
        self._parser: Any = httptools.HttpResponseParser(self)

    def _request(self) -> bytes:
        return self._bytes

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._done("the answer is no HTTP")
            self._transport.abort()

    def on_message_complete(self) -> None:
        """Take an answer that is whole."""
        status, parser = self._parser.get_status_code(), self._parser
        if not parser.should_keep_alive():
            self.open = False
        self._done("" if status == 200 else f"status {status}")


class GrpcLoadConnection(LoadConnection):
    """HTTP/2 with one gRPC call at a time.

    Args:
        answered: Called once for each request that was sent.
        block: The header block of the request, which changes no table.
        message: The request's message with its prefix of five bytes.
    """

    def __init__(self, answered: Answered, block: bytes, message: bytes) -> None:
        super().__init__(answered)
        self._block, self._message = block, message
        self._decoder = hpack.Decoder()
        self._known: dict[bytes, str | None] = {}
        self._buffer = b""
        self._stream = -1
        self._window = self._stream_window = frames.FIRST_WINDOW
        self._left = b""
        self._room = 0
        self._taken = 0
        self._status: str | None = None
        self._largest = frames.SMALLEST_MAX_FRAME

    def connection_made(self, transport: Any) -> None:
        """Begin; called by the event loop."""
        super().connection_made(transport)
        wanted = ((Setting.ENABLE_PUSH, 0), (Setting.INITIAL_WINDOW_SIZE, _WINDOW))
        grown = frames.window_update(0, _WINDOW - frames.FIRST_WINDOW)
        transport.write(frames.PREFACE + frames.settings(wanted) + grown)

    def _request(self) -> bytes:
        self._stream += 2
        self._status = None
        self._left, self._room = self._message, self._stream_window
        head = frames.headers(self._stream, self._block, end_stream=False, most=self._largest)
        return head + self._more()

    def _more(self) -> bytes:
        """Return the frames of the message that the windows have room for."""
        pieces = []
        while self._left and (size := min(len(self._left), self._window, self._room, self._largest)) > 0:
            piece, self._left = self._left[:size], self._left[size:]
            pieces.append(frames.frame(frames.DATA, 0 if self._left else frames.END_STREAM, self._stream, piece))
            self._window -= size
            self._room -= size
        return b"".join(pieces)

    def data_received(self, data: bytes) -> None:
        """Read frames."""
        buffer, position = self._buffer + data if self._buffer else data, 0
        while len(buffer) - position >= 9:
            word, flags, stream = frames.FRAME_HEAD.unpack_from(buffer, position)
            end = position + 9 + (word >> 8)
            if end > len(buffer):
                break
            self._take(word & 0xFF, flags, stream, buffer[position + 9 : end])
            position = end
        self._buffer = buffer[position:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == frames.DATA:
            self._taken += len(payload)
            if self._taken > _REFRESH:
                self._transport.write(frames.window_update(0, self._taken))
                self._taken = 0
        elif kind == frames.HEADERS:
            status = self._status_in(payload)
            self._status = status if status is not None else self._status
            if flags & frames.END_STREAM and stream == self._stream:
                self._done("" if self._status == "0" else f"gRPC status {self._status or 'missing'}")
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._apply(payload)
        elif kind == frames.PING and not flags & frames.ACK:
            self._transport.write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.WINDOW_UPDATE:
            size = frames.WORD.unpack(payload)[0] & 0x7FFFFFFF
            self._window += 0 if stream else size
            self._room += size if stream == self._stream else 0
            self._transport.write(self._more())
        elif kind == frames.RST_STREAM and stream == self._stream:
            self._done("the call was reset")
        elif kind == frames.GOAWAY:
            self.open = False

    def _status_in(self, block: bytes) -> str | None:
        """Return the gRPC status in a header block; those that change no table are looked at once."""
        if block in self._known:
            return self._known[block]
        table = self._decoder.header_table
        before = list(table.dynamic_entries)
        fields = dict(self._decoder.decode(block, raw=True))
        status = fields.get(b"grpc-status")
        found = None if status is None else bytes(status).decode("ascii", "replace")
        if before == list(table.dynamic_entries):
            self._known[block] = found
        else:
            self._known.clear()
        return found

    def _apply(self, payload: bytes) -> None:
        for setting, value in frames.read_settings(payload):
            if setting == Setting.INITIAL_WINDOW_SIZE:
                self._room += value - self._stream_window
                self._stream_window = value
            elif setting == Setting.MAX_FRAME_SIZE:
                self._largest = min(value, 1 << 16)
        self._transport.write(frames.frame(frames.SETTINGS, frames.ACK, 0) + self._more())
