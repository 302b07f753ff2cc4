"""HTTP/1.1 connections: keep-alive, pipelining in order, chunked and gzip bodies, limits and timeouts."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import httptools

from mainstay.serving.http1.exchange import HttpExchange, response
from mainstay.serving.http1.gzip_body import unpack_gzip
from mainstay.serving.http1.repeats import KnownHead, known_head
from mainstay.serving.options import ServerOptions
from mainstay.serving.rest.answers import Answer, refusal, refusal_with
from mainstay.serving.rest.interface import RestInterface
from mainstay.serving.status import Code, logger

_MOST_HEADERS = 100
_MOST_WAITING = 64
_LINGER_SECONDS = 2.0
# Up to so many connections beyond the limit are told that there is no room; more are dropped without a word.
_MOST_TURNED_AWAY = 1000
# Who sends a large body may take its time, as long as it is no slower than this.
_SLOWEST_BYTES_PER_SECOND = 64 << 10
_QUIET_SECONDS = 0.2
_FRAMING_ALLOWANCE = 64 << 10
_NO_ROOM = "The server holds as many unfinished requests as it has memory for"
# What is larger may become a thousand times as large, which takes too long to be done while others wait.
_MOST_UNPACKED_AT_ONCE = 16 << 10
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Shared(Protocol):
    """What all connections of a listener share."""

    rest: RestInterface
    options: ServerOptions
    loop: asyncio.AbstractEventLoop
    connections: set[Connection]
    buffered: int
    stopping: bool
    head: bytes
    identify: Callable[[Any], str | None] | None


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        shared: What it shares with the others.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._options = shared.options
        self._time = time.monotonic
        self._transport: Any = None
        self._peer = ""
        self._identity = ""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[HttpExchange] = deque()
        self._deaf = False  # nothing more is read: a fault was answered, or the client asked to close
        self._linger_until = 0.0
        self._stalled = False  # the client does not read its answers
        self._paused = False
        self._seen = 0.0
        self._begun = 0.0
        self._in_head = False
        self._in_message = False
        self._num_messages = 0
        self._known: KnownHead | None = None
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._num_headers = 0
        self._head_size = 0
        self._fed = 0
        self._parts: list[bytes] = []
        self._size = 0

    def connection_made(self, transport: Any) -> None:
        """Begin; called by the event loop."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        self._seen = self._time()
        self._shared.connections.add(self)
        if self._shared.identify is not None:
            identity = self._shared.identify(transport)
            if identity is None:  # its certificate is valid, and yet none of those that are let in
                self._deaf = True
                transport.abort()
            else:
                self._identity = identity
        beyond = len(self._shared.connections) - self._options.rest.max_connections
        if beyond > _MOST_TURNED_AWAY:
            self._deaf = True
            transport.abort()
        elif beyond > 0:
            self._refuse(Code.UNAVAILABLE, "The server has as many connections as it takes")

    def connection_lost(self, exc: Exception | None) -> None:
        """End: what the client no longer waits for is not computed either."""
        self._shared.connections.discard(self)
        self._deaf = True
        for exchange in self._waiting:
            self._shared.buffered -= exchange.held
            if exchange.answer is None and exchange.on_gone is not None:
                exchange.on_gone()
        self._waiting.clear()
        self._drop_body()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        """Read what has come; every request that is complete is handed on at once."""
        self._seen = self._time()
        if self._deaf:
            return
        known = self._known
        if known is not None and len(data) == known.size and not self._in_message and data.startswith(known.head):
            self._take_repeat(known, data)
        else:
            self._parse(data)
        if len(self._waiting) > _MOST_WAITING:
            self._throttle()

    def _parse(self, data: bytes) -> None:
        begun = self._headers if self._in_message else None
        messages = self._num_messages
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._close_after_answers()
        except httptools.HttpParserCallbackError:
            logger.exception("a fault while a request was read")
            self._refuse(Code.INTERNAL, "The request could not be read")
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._refuse(Code.INVALID_ARGUMENT, f"Malformed HTTP request: {error}")
        if self._headers is begun and self._in_message:
            self._fed += len(data)
            self._check_framing()
        if begun is None and not self._in_message and not self._deaf and self._num_messages == messages + 1:
            parser = self._parser
            if parser.get_http_version() == "1.1":
                method, target = parser.get_method().decode(), self._url.decode("ascii")
                self._known = known_head(data, method, target, self._headers)

    def _take_repeat(self, known: KnownHead, data: bytes) -> None:
        """Hand a whole request on whose head has been parsed before."""
        size = known.size - len(known.head)
        if self._shared.buffered + size > self._options.rest.max_buffered_bytes:
            self._refuse_for_room()
            return
        exchange = HttpExchange(self, known.method, known.target)
        exchange.body = data[len(known.head) :]
        exchange.held = size
        self._shared.buffered += size
        exchange.headers = known.headers
        exchange.received = self._seen
        exchange.peer = self._peer
        exchange.identity = self._identity
        self._waiting.append(exchange)
        try:
            self._shared.rest.handle(exchange)
        except Exception:
            logger.exception("a fault while a request was read")
            self._refuse(Code.INTERNAL, "The request could not be read")

    def eof_received(self) -> bool:
        """Take the client's end of sending; answers that are owed still go out."""
        self._deaf = True
        if self._waiting:
            self._waiting[-1].keep_alive = False
        return bool(self._waiting)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        self._stalled = True
        self._throttle()

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        self._stalled = False
        self._seen = self._time()
        self._throttle()

    def _throttle(self) -> None:
        """Read only while the client takes its answers and does not run far ahead of them."""
        full = self._stalled or len(self._waiting) > _MOST_WAITING
        if full == self._paused or self._transport.is_closing():
            return
        self._paused = full
        if full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._reset()
        self._in_head = self._in_message = True
        self._begun = self._seen

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """Take a header or a trailer."""
        if self._deaf:
            return
        value = value or b""
        self._num_headers += 1
        self._head_size += len(name) + len(value)
        if self._num_headers > _MOST_HEADERS or self._head_size > self._options.max_head_bytes:
            self._refuse_head()
            return
        key = name.lower()
        if self._in_head:
            self._headers[key] = value

    def on_headers_complete(self) -> None:
        """Check what can be checked before the body comes."""
        self._in_head = False
        self._fed = 0
        if self._deaf:
            return
        headers, most = self._headers, self._options.max_body_bytes
        length = int(headers.get(b"content-length", b"0") or b"0")
        if len(self._url) > self._options.max_head_bytes:
            self._refuse(414, f"The request target is longer than {self._options.max_head_bytes} bytes")
        elif b"host" not in headers and self._parser.get_http_version() == "1.1":
            self._refuse(Code.INVALID_ARGUMENT, "Malformed HTTP request: the Host header is missing")
        elif length > most:
            self._refuse_size()
        elif self._shared.buffered + length > self._options.rest.max_buffered_bytes:
            self._refuse_for_room()
        elif headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b"gzip", b"x-gzip"):
            self._refuse(415, "Unsupported Content-Encoding; send gzip or none")
        elif b"expect" in headers:
            self._answer_expectation(headers[b"expect"])

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self._deaf:
            return
        size = len(data)
        self._size += size
        self._shared.buffered += size
        self._parts.append(data)
        if self._size > self._options.max_body_bytes:
            self._refuse_size()
        elif self._shared.buffered > self._options.rest.max_buffered_bytes:
            self._refuse_for_room()

    def on_message_complete(self) -> None:
        """Hand the request on."""
        self._in_message = False
        self._num_messages += 1
        if self._deaf:
            return
        parser, parts = self._parser, self._parts
        try:
            target = self._url.decode("ascii")
        except UnicodeDecodeError:
            self._refuse(Code.INVALID_ARGUMENT, "Malformed HTTP request: the target is not ASCII")
            return
        exchange = HttpExchange(self, parser.get_method().decode(), target)
        exchange.body = parts[0] if len(parts) == 1 else b"".join(parts)
        exchange.held, self._size, self._parts = self._size, 0, []  # it is held until it is answered
        exchange.headers = self._headers
        exchange.received = self._seen
        exchange.peer = self._peer
        exchange.identity = self._identity
        if not parser.should_keep_alive():
            exchange.keep_alive = False
            self._deaf = True
        exchange.old = parser.get_http_version() == "1.0"
        self._waiting.append(exchange)
        encoding = self._headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            self._unpack(exchange)
        else:
            self._shared.rest.handle(exchange)

    def _unpack(self, exchange: HttpExchange) -> None:
        """Hand a request on once its body is unpacked: on another thread where that may take a while."""
        body, most = exchange.body, self._options.max_body_bytes
        if len(body) <= _MOST_UNPACKED_AT_ONCE:
            self._have_unpacked(exchange, unpack_gzip(body, most))
            return
        unpacking = self._shared.loop.run_in_executor(None, unpack_gzip, body, most)
        unpacking.add_done_callback(partial(self._take_unpacked, exchange))

    def _take_unpacked(self, exchange: HttpExchange, unpacking: asyncio.Future[bytes | Answer]) -> None:
        if unpacking.cancelled() or unpacking.exception() is not None:
            self._have_unpacked(exchange, refusal_with(Code.UNAVAILABLE, "The gzip body cannot be unpacked now"))
        else:
            self._have_unpacked(exchange, unpacking.result())

    def _have_unpacked(self, exchange: HttpExchange, found: bytes | Answer) -> None:
        if self._parser is None:
            return  # the client is gone
        if isinstance(found, Answer):
            exchange.reply(found.status, found.body, found.headers)
            return
        shared, more = self._shared, len(found) - exchange.held
        exchange.body = found
        exchange.held += more
        shared.buffered += more
        if more > 0 and shared.buffered > self._options.rest.max_buffered_bytes:
            answer = refusal_with(Code.UNAVAILABLE, _NO_ROOM)
            exchange.reply(answer.status, answer.body, answer.headers)
        else:
            shared.rest.handle(exchange)

    def _refuse(self, code: Code | int, message: str) -> None:
        """Answer a request that cannot be read on, and read nothing more."""
        self._deaf = True
        self._linger_until = self._time() + _LINGER_SECONDS
        self._in_message = False
        self._drop_body()
        exchange = HttpExchange(self, "", "")
        exchange.keep_alive = False
        self._waiting.append(exchange)
        answer = refusal_with(code, message) if isinstance(code, Code) else refusal(code, message)
        exchange.reply(answer.status, answer.body, answer.headers)

    def _drop_body(self) -> None:
        self._shared.buffered -= self._size
        self._size = 0
        self._parts = []

    def _refuse_for_room(self) -> None:
        self._refuse(Code.UNAVAILABLE, _NO_ROOM)

    def _refuse_head(self) -> None:
        self._refuse(
            431, f"The request's headers exceed {self._options.max_head_bytes} bytes or {_MOST_HEADERS} fields"
        )

    def _refuse_size(self) -> None:
        self._refuse(
            413,
            f"The request's body exceeds {self._options.max_body_bytes} bytes; "
            "send fewer rows at a time, or start the server with a larger max_body_bytes",
        )

    def _check_framing(self) -> None:
        """Bound what a parser swallows without giving it out: an endless header, chunk extension or trailer."""
        if self._in_head:
            if self._fed > self._options.max_head_bytes:
                self._refuse_head()
        elif self._fed > _FRAMING_ALLOWANCE + 8 * max(self._size, self._options.max_head_bytes) and (
            b"transfer-encoding" in self._headers
        ):
            self._refuse(Code.INVALID_ARGUMENT, "Malformed HTTP request: the chunks carry almost nothing")

    def _answer_expectation(self, expected: bytes) -> None:
        if expected.lower() != b"100-continue":
            self._refuse(417, "Unknown expectation; only 100-continue is known")
        elif not self._waiting:
            self._transport.write(_CONTINUE)
        # Behind requests that still wait, the client sends on after a moment of its own, as the protocol lets it.

    def _close_after_answers(self) -> None:
        """Read nothing more, and close once everything that was asked is answered."""
        self._deaf = True
        if self._waiting:
            self._waiting[-1].keep_alive = False
        elif not self._transport.is_closing():
            self._transport.close()

    def flush(self) -> None:
        """Write the answers whose turn it is."""
        waiting = self._waiting
        while waiting and waiting[0].answer is not None:
            exchange = waiting.popleft()
            self._shared.buffered -= exchange.held
            if self._shared.stopping and not waiting and not self._in_message:
                exchange.keep_alive = False
            self._transport.write(response(exchange, self._shared.head))
            self._seen = self._time()
            if not exchange.keep_alive:
                self._finish()
                return
        if self._paused:
            self._throttle()

    def _finish(self) -> None:
        """Close after the last answer. Where the client may still be sending, wait for its end of the connection:
        closing at once would reset it and destroy the answer on its way."""
        self._deaf = True
        if self._linger_until and not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def check_time(self, now: float) -> None:
        """End the connection if it takes too long."""
        options = self._options
        if self._parser is None:
            return  # it has ended meanwhile
        if self._linger_until:
            if now > self._linger_until:
                self.abort()
        elif self._stalled:
            if now - self._seen > options.read_timeout_seconds:
                self.abort()
        elif self._in_message:
            if now - self._begun > options.read_timeout_seconds + self._size / _SLOWEST_BYTES_PER_SECOND:
                self._refuse(408, f"The request did not arrive within {options.read_timeout_seconds:g} seconds")
        elif not self._waiting and now - self._seen > options.idle_timeout_seconds:
            self._transport.close()

    def close_if_quiet(self, now: float) -> None:
        """Close if nothing is owed and nothing has come for a moment."""
        if not self._waiting and not self._in_message and now - self._seen > _QUIET_SECONDS:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection without a further word."""
        self._transport.abort()
