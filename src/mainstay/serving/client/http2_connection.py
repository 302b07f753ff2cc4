"""One HTTP/2 connection of a client with one gRPC call at a time: a blocking socket, frames, flow control both ways."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import hpack

from mainstay.core import DeadlineError, ServerError, UnavailableError
from mainstay.serving.client.address import Address, unreachable
from mainstay.serving.http2 import frames
from mainstay.serving.http2.frames import Setting

_WINDOW = 1 << 30
_BLOCK = 1 << 16


@dataclass(slots=True)
class _Stream:
    """A call that is under way."""

    number: int
    window: int
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    ended: bool = False


class Http2Connection:
    """A connection to a server.

    Args:
        address: The server.
        tls: How it is spoken to over TLS.
        timeout_seconds: How long connecting may take.

    Attributes:
        usable: Whether another call may be made on it.

    Raises:
        UnavailableError: The server cannot be reached, or does not speak HTTP/2.
        DeadlineError: It took too long.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None, timeout_seconds: float) -> None:
        self.usable = True
        self._address, self._where = address, address.socket or address.authority
        self._authority = address.authority
        self._scheme = "https" if address.secure else "http"
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._buffer = bytearray()
        self._next = 1
        self._window = frames.FIRST_WINDOW
        self._stream_window = frames.FIRST_WINDOW
        self._largest = frames.SMALLEST_MAX_FRAME
        self._end = time.monotonic() + timeout_seconds
        try:
            self._socket = _connect(address, tls, timeout_seconds)
            wanted = ((Setting.ENABLE_PUSH, 0), (Setting.INITIAL_WINDOW_SIZE, _WINDOW))
            hello = frames.PREFACE + frames.settings(wanted) + frames.window_update(0, _WINDOW - frames.FIRST_WINDOW)
            self._socket.sendall(hello)
        except OSError as error:
            raise self._lost(error) from error

    def call(
        self, path: str, body: bytes, metadata: Iterable[tuple[str, str]], *, timeout_seconds: float
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Make a call and return the fields of its answer, trailers behind them, and its body.

        Raises:
            UnavailableError: The connection was lost.
            ServerError: The server sent what is no HTTP/2.
            DeadlineError: The answer did not come in time; the call is given up, and the connection with it.
        """
        self._end = time.monotonic() + timeout_seconds
        stream = _Stream(self._next, self._stream_window)
        self._next += 2
        try:
            self._send_head(stream, path, metadata)
            self._send_body(stream, body)
            while not stream.ended:
                self._receive(stream)
        except OSError as error:
            self.close()
            raise self._lost(error) from error
        except (hpack.HPACKError, ValueError, IndexError) as error:
            self.close()
            raise ServerError(f"the server sent what is no HTTP/2: {error}", where=self._where) from error
        except BaseException:
            self.close()
            raise
        self.usable = self.usable and self._next < 1 << 31
        return stream.fields, bytes(stream.data)

    def _send_head(self, stream: _Stream, path: str, metadata: Iterable[tuple[str, str]]) -> None:
        head = [
            (":method", "POST"),
            (":scheme", self._scheme),
            (":path", path),
            (":authority", self._authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *metadata,
        ]
        block = self._encoder.encode(head)
        self._socket.sendall(frames.headers(stream.number, block, end_stream=False, most=self._largest))

    def _send_body(self, stream: _Stream, body: bytes) -> None:
        view, position = memoryview(body), 0
        while True:
            left = len(body) - position
            size = min(left, self._window, stream.window, self._largest)
            if size <= 0 < left:
                self._receive(stream)
                if stream.ended:  # refused before it was all there
                    return
                continue
            flags = frames.END_STREAM if size == left else 0
            self._timed()
            self._socket.sendall(
                frames.frame(frames.DATA, flags, stream.number, bytes(view[position : position + size]))
            )
            self._window -= size
            stream.window -= size
            position += size
            if flags:
                return

    def _receive(self, stream: _Stream) -> None:
        """Read one frame and do what it says."""
        head = self._read(9)
        word, flags, number = frames.FRAME_HEAD.unpack(head)
        kind, size, number = word & 0xFF, word >> 8, number & 0x7FFFFFFF
        if size > _BLOCK:
            raise ValueError(f"a frame of {size:,} bytes")
        payload = self._read(size)
        if kind == frames.DATA:
            self._take_data(stream, number, flags, payload)
        elif kind == frames.HEADERS:
            self._take_fields(stream, number, flags, _without_padding(flags, payload, priority=True))
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._apply(stream, payload)
            self._socket.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif kind == frames.PING and not flags & frames.ACK:
            self._socket.sendall(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.WINDOW_UPDATE:
            size = frames.WORD.unpack(payload)[0] & 0x7FFFFFFF
            if number == 0:
                self._window += size
            elif number == stream.number:
                stream.window += size
        elif kind == frames.GOAWAY:
            self.usable = False
            if frames.WORD.unpack_from(payload)[0] & 0x7FFFFFFF < stream.number:
                raise UnavailableError("the server is going away", where=self._where)
        elif kind == frames.RST_STREAM and number == stream.number:
            code = frames.WORD.unpack(payload)[0]
            if not stream.fields or code != frames.ErrorCode.NO_ERROR:
                raise UnavailableError(f"the server reset the call with code {code}", where=self._where)
            stream.ended = True

    def _take_data(self, stream: _Stream, number: int, flags: int, payload: bytes) -> None:
        if payload:
            update = frames.window_update(0, len(payload))
            if number == stream.number and not flags & frames.END_STREAM:
                update += frames.window_update(number, len(payload))
            self._socket.sendall(update)
        if number == stream.number:
            stream.data += _without_padding(flags, payload, priority=False)
            stream.ended = bool(flags & frames.END_STREAM)

    def _take_fields(self, stream: _Stream, number: int, flags: int, block: bytes) -> None:
        while not flags & frames.END_HEADERS:
            word, more, again = frames.FRAME_HEAD.unpack(self._read(9))
            if word & 0xFF != frames.CONTINUATION or again != number:
                raise ValueError("a header block that is not continued")
            block += self._read(word >> 8)
            flags |= more & frames.END_HEADERS
        # Whoever they are for: the table of the decoder depends on them.
        found = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        if number == stream.number:
            stream.fields += found
            stream.ended = bool(flags & frames.END_STREAM)

    def _apply(self, stream: _Stream, payload: bytes) -> None:
        for setting, value in frames.read_settings(payload):
            if setting == Setting.INITIAL_WINDOW_SIZE:
                stream.window += value - self._stream_window
                self._stream_window = value
            elif setting == Setting.MAX_FRAME_SIZE:
                self._largest = min(value, _BLOCK)
            elif setting == Setting.HEADER_TABLE_SIZE:
                self._encoder.header_table_size = min(value, 4096)

    def _read(self, size: int) -> bytes:
        buffer = self._buffer
        while len(buffer) < size:
            self._timed()
            data = self._socket.recv(max(_BLOCK, size - len(buffer)))
            if not data:
                raise ConnectionResetError("the server closed the connection")
            buffer += data
        found = bytes(buffer[:size])
        del buffer[:size]
        return found

    def _timed(self) -> None:
        """Let the next wait on the socket take what time is left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _lost(self, error: OSError) -> UnavailableError:
        if isinstance(error, TimeoutError):
            return DeadlineError("there was no answer in time", where=self._where)
        return unreachable(error, self._address)

    def close(self) -> None:
        """Close the connection."""
        self.usable = False
        self._socket.close()


def _without_padding(flags: int, payload: bytes, *, priority: bool) -> bytes:
    start, end = 0, len(payload)
    if flags & frames.PADDED:
        start, end = 1, end - payload[0]
    if priority and flags & frames.WITH_PRIORITY:
        start += 5
    return payload[start:end]


def _connect(address: Address, tls: ssl.SSLContext | None, timeout_seconds: float) -> socket.socket:
    if address.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_seconds)
        connection.connect(address.socket)
    else:
        connection = socket.create_connection((address.host, address.port), timeout_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return connection
    secure = tls.wrap_socket(connection, server_hostname=address.host)
    if secure.selected_alpn_protocol() not in ("h2", None):
        secure.close()
        raise ConnectionError("the server does not speak HTTP/2 there")
    return secure
