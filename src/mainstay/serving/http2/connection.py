"""HTTP/2 connections that carry gRPC calls: frames in, calls out, and every limit that keeps a client in its bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from mainstay.serving.grpc.exchange import GrpcInterface
from mainstay.serving.http2 import control, frames
from mainstay.serving.http2.answers import GZIPPED, HEAD, http_refusal, status_fields
from mainstay.serving.http2.control import MAX_FRAME
from mainstay.serving.http2.deadlines import Deadlines
from mainstay.serving.http2.faults import ConnectionFaultError
from mainstay.serving.http2.flood_guard import FloodGuard
from mainstay.serving.http2.frames import ErrorCode, Setting
from mainstay.serving.http2.heads import Heads
from mainstay.serving.http2.inbox import STREAM_WINDOW, Inbox
from mainstay.serving.http2.messages import PREFIX, pack
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.http2.outbox import OK, Outbox
from mainstay.serving.http2.request_head import MalformedError, RequestHead
from mainstay.serving.http2.stream import Stream
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import Code, logger

# What clients may send on a connection: filled up again as it comes, for the budgets bound what is kept.
_WINDOW = 16 << 20
_MOST_FORGOTTEN = 1024
# Smaller messages are not worth counting: the number of streams bounds them.
_UNCOUNTED_BYTES = 4096
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 8 << 20
_QUIET_SECONDS = 0.2
_GOODBYE_SECONDS = 1.0
_ALIVE_SECONDS = 20.0
_SMALLEST_RATE = 64 << 10  # bytes a second, beyond the timeout, for large requests and answers
_SMALLEST_GZIPPED = 1024
# Answers of streaming methods that wait for the client's windows: a few bytes can ask for many.
_MOST_UNREAD = 1024
_MOST_UNREAD_BYTES = 4 << 20
_TINY = 16
_COST_OF_HEAD = 10
_ASKED, _LEFT = 1, 2
_DRAIN_PING = b"mainstay"
_ALIVE_PING = b"alive?\0\0"
_HTTP_1 = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"PATC", b"CONN", b"TRAC")
_WORDS = b"This port speaks gRPC, over HTTP/2 without upgrade; REST has a port of its own.\n"
_WRONG_PROTOCOL = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_WORDS), _WORDS)
)


class Shared(Protocol):
    """What all connections of a listener share."""

    grpc: GrpcInterface
    options: ServerOptions
    grpc_options: GrpcOptions
    loop: asyncio.AbstractEventLoop
    time: Callable[[], float]
    identify: Callable[[Any], str | None] | None
    connections: set[Connection]
    deadlines: Deadlines
    held: int
    waiting: deque[tuple[Any, Stream]]
    stopping: bool

    def room(self) -> None:
        """Let streams go on for whose messages there is room now."""


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        shared: What it shares with the others.

    Attributes:
        peer: The client's address.
        identity: The name in the client's certificate; empty where it showed none.
        streams: Its open calls by the numbers of their streams.
        last: The largest number so far.
        block: A header block that has not come whole.
        seen: When something came last, in seconds of the loop's clock.
        most_head: The largest list of header fields.
        outbox: What it sends.
        inbox: What it receives.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._options = shared.options
        self._time = shared.time
        self._grpc = shared.grpc
        self._handle = shared.grpc.handle
        self._deadlines = shared.deadlines
        self._most_streams = shared.grpc_options.max_streams
        self._most_whole = min(shared.grpc_options.max_message_bytes, STREAM_WINDOW - PREFIX.size) + PREFIX.size
        self._compress = shared.grpc_options.compress_answers
        self._transport: Any = None
        self.peer = ""
        self.identity = ""
        self.streams: dict[int, Stream] = {}
        self.last = 0
        self.outbox = Outbox(shared.loop, shared.time, on_sent=self._sent, on_drained=self._drained)
        self.inbox = Inbox(shared, self, self.outbox, refuse=self._refuse, reset=self.reset)
        self.most_head = shared.options.max_head_bytes
        self._heads = Heads(self.most_head)
        self._made = self.seen = self._begun = self._time()
        self._guard = FloodGuard(self._made)
        self._rest = b""  # the beginning of what has not come whole
        self._greeted = False
        self._hailed = False
        self._credit = _WINDOW
        self._received = 0
        self.block: control.Block | None = None
        # The DATA frame that is being received, or a frame that is skipped.
        self._target: Stream | None = None
        self._left = 0
        self._padding = 0
        self._ends = False
        self._forgotten: dict[int, None] = {}  # streams that were ended here while the client may still send
        self._deaf = False
        self._linger_until = 0.0
        self._discarded = 0
        self._paused_since = 0.0
        self._leaving = 0  # the client was asked to open no streams, then told which ones count
        self._left_at = 0.0
        self._asked_at = 0.0  # when the client was asked whether it lives

    def connection_made(self, transport: Any) -> None:
        """Begin; called by the event loop."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        self._shared.connections.add(self)
        self.outbox.connect(transport)
        if self._shared.identify is not None:
            identity = self._shared.identify(transport)
            if identity is None:  # its certificate is valid, and yet none of those that are let in
                self._deaf = True
                transport.abort()
                return
            self.identity = identity
        if self._shared.stopping:
            self.drain()

    def _hello(self) -> None:
        """Begin what the server sends: its settings, and the window of the connection."""
        if self._hailed:
            return
        self._hailed = True
        ours = (
            (Setting.MAX_CONCURRENT_STREAMS, self._most_streams),
            (Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (Setting.MAX_FRAME_SIZE, MAX_FRAME),
            (Setting.MAX_HEADER_LIST_SIZE, self.most_head),
        )
        window = frames.window_update(0, _WINDOW - frames.FIRST_WINDOW)
        self.outbox.put(frames.settings(ours) + window)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: what the client no longer waits for is not computed either."""
        self._shared.connections.discard(self)
        self._deaf = True
        self._cancel_all()

    def _cancel_all(self) -> None:
        for stream in tuple(self.streams.values()):
            self.outbox.forget(stream)
            stream.cancel()
            self._close(stream)

    # Reading

    def data_received(self, data: bytes) -> None:
        """Read what has come; every call that is complete is handed on at once."""
        if self._deaf:
            self._discarded += len(data)
            if self._discarded > _LINGER_BYTES:
                self.abort()
            return
        self.seen = now = self._time()
        outbox = self.outbox
        outbox.hold()
        try:
            if self._greeted:
                self._read(self._rest + data if self._rest else data, now)
            else:
                self._greet(self._rest + data, now)
        except ConnectionFaultError as fault:
            self._fail(fault.error_code, fault.reason)
        except Exception:
            logger.exception("a fault while a gRPC connection was read")
            self._fail(ErrorCode.INTERNAL_ERROR, "the server failed")
        outbox.flush()

    def _greet(self, data: bytes, now: float) -> None:
        """Read what begins a connection: the preface and the client's SETTINGS."""
        size = len(frames.PREFACE)
        if not data.startswith(frames.PREFACE[: len(data)]):
            if data.startswith(_HTTP_1):
                self.outbox.put(_WRONG_PROTOCOL)
                self._end()
                return
            self._hello()
            raise control.fault("the connection does not begin as HTTP/2 does")
        if len(data) < size + 9:
            self._rest = data
            return
        self._hello()  # only now, for a client of HTTP/1.1 could not make sense of it
        word, flags, _ = frames.FRAME_HEAD.unpack_from(data, size)
        if word & 0xFF != frames.SETTINGS or flags & frames.ACK:
            raise control.fault("the first frame is not SETTINGS")
        self._greeted = True
        self._read(data[size:], now)

    def _read(self, data: bytes, now: float) -> None:
        position, size = 0, len(data)
        if self._left or self._padding:
            position = self._take(data, 0)
        streams, known, most_whole = self.streams, self._heads.known, self._most_whole
        unpack, unpack_prefix = frames.FRAME_HEAD.unpack_from, PREFIX.unpack_from
        while size - position >= 9:
            word, flags, number = unpack(data, position)
            kind, length = word & 0xFF, word >> 8
            start = position + 9
            end = start + length
            if self.block is not None and kind != frames.CONTINUATION:
                raise control.fault("a header block is interrupted")
            if kind == frames.DATA:
                stream = streams.get(number)
                if flags == frames.END_STREAM and end <= size and stream is not None and stream.fresh and length >= 5:
                    compressed, message = unpack_prefix(data, start)
                    whole = not compressed and message == length - 5 and length <= most_whole
                    if whole and (stream.fresh < 0 or stream.fresh == length):
                        self._credit -= length
                        if self._credit < _WINDOW // 2:
                            self._replenish()
                        stream.fresh = 0
                        stream.half_closed = True
                        stream.received = now
                        stream.message = data[start + 5 : end]
                        if length <= _UNCOUNTED_BYTES or self.inbox.charge(stream, length):
                            self._handle(stream)
                        position = end
                        continue
                taken = self._begin_data(number & 0x7FFFFFFF, flags, length, data, start)
                if taken < 0:
                    break
                position = taken
                continue
            if end > size:
                if control.may_wait(kind, length, self.most_head):
                    break
                self.noise(1)
                self._target, self._left = None, length
                position = self._take(data, start)
                continue
            if kind == frames.HEADERS and flags == frames.END_HEADERS and number & 1 and number > self.last:
                block = data[start:end]
                head = known.get(block)
                if head is not None:
                    self.open(number, head, ends=False)
                else:
                    self.take_block(number & 0x7FFFFFFF, block, ends=False)
            else:
                control.take(self, control.Frame(kind, flags, number & 0x7FFFFFFF, data[start:end]))
            position = end
        self._rest = data[position:]
        if position:
            self._begun = now

    def _begin_data(self, number: int, flags: int, length: int, data: bytes, start: int) -> int:
        """Read the head of a DATA frame and what has come of its payload; return where the next begins, or -1."""
        padding = 0
        if length > MAX_FRAME:
            raise control.fault("a frame is larger than SETTINGS_MAX_FRAME_SIZE", ErrorCode.FRAME_SIZE_ERROR)
        if flags & frames.PADDED:
            if not length:
                raise control.fault("a padded frame has no padding", ErrorCode.FRAME_SIZE_ERROR)
            if start >= len(data):
                return -1
            padding = data[start]
            start += 1
            if padding >= length:
                raise control.fault("padding is longer than its frame")
        self._credit -= length
        if self._credit < _WINDOW // 2:
            self._replenish()
        payload = length - padding - (1 if flags & frames.PADDED else 0)
        if payload < _TINY and not flags & frames.END_STREAM:
            self.noise(1)
        self._target = self._receiver(number, length)
        self._left, self._padding, self._ends = payload, padding, bool(flags & frames.END_STREAM)
        return self._take(data, start)

    def _receiver(self, number: int, length: int) -> Stream | None:
        """Return the stream that a DATA frame is for; None if what it carries is to be dropped."""
        stream = self.streams.get(number)
        if stream is None:
            if not number or number > self.last or not number & 1:
                raise control.fault("data came on a stream that is not open")
            self.noise(1)
            if number not in self._forgotten:
                self.reset(number, ErrorCode.STREAM_CLOSED)
            return None
        if stream.half_closed:
            self.reset(number, ErrorCode.STREAM_CLOSED)
            return None
        stream.credit -= length
        if stream.credit < 0:
            self.reset(number, ErrorCode.FLOW_CONTROL_ERROR)
            return None
        return stream

    def _take(self, data: bytes, position: int) -> int:
        """Take what has come of the current DATA frame's payload and padding; return the position behind it."""
        stream, size = self._target, len(data)
        if self._left:
            end = min(position + self._left, size)
            self._left -= end - position
            if stream is not None and not stream.closed:
                self.inbox.take(stream, memoryview(data)[position:end], self.seen)
            position = end
        if self._padding and not self._left:
            end = min(position + self._padding, size)
            self._padding -= end - position
            position = end
        if not self._left and not self._padding and stream is not None:
            self._target = None
            if not stream.closed:
                if self._ends:
                    self.end_body(stream)
                else:
                    self.inbox.top_up(stream)
        return position

    def end_body(self, stream: Stream) -> None:
        """Take the end of the client's side of a stream."""
        stream.received = self.seen
        if stream.lingers:
            stream.half_closed = True
            self._close(stream)
        else:
            self.inbox.end(stream)

    def _replenish(self) -> None:
        """Let the client send on."""
        if self._credit < 0:
            raise control.fault("more data came than the connection's window", ErrorCode.FLOW_CONTROL_ERROR)
        size = _WINDOW - self._credit
        self._credit = _WINDOW
        self._received += size
        self.outbox.put(frames.window_update(0, size))

    def noise(self, cost: int) -> None:
        """Count what costs the server more than the client."""
        self._guard.noise(cost, self._moved())

    def _moved(self) -> int:
        return self._received + _WINDOW - self._credit + self.outbox.moved

    # Calls

    def take_block(self, number: int, block: bytes, *, ends: bool) -> None:
        """Read a whole header block: the head of a call, or trailers, or what comes too late."""
        stream = self.streams.get(number)
        if stream is None and number > self.last and number & 1:
            try:
                head = self._heads.read(block)
            except MalformedError as error:
                logger.debug("%s: %s", self.peer, error)
                self.last = number
                self.noise(_COST_OF_HEAD)
                self.reset(number, ErrorCode.PROTOCOL_ERROR)
                return
            head.streaming = head.path in self._grpc.streaming
            self.open(number, head, ends=ends)
        elif stream is None:
            if not number & 1:
                raise control.fault("a client opens streams of odd numbers")
            self._heads.skip(block)
            self.noise(_COST_OF_HEAD)
            if number not in self._forgotten:
                raise control.fault("header fields came on a closed stream", ErrorCode.STREAM_CLOSED)
        else:
            try:
                self._heads.read_trailers(block)
            except MalformedError as error:
                logger.debug("%s: %s", self.peer, error)
                ends = False
            if stream.half_closed:
                self.reset(number, ErrorCode.STREAM_CLOSED)
            elif not ends:
                self.reset(number, ErrorCode.PROTOCOL_ERROR)
            else:
                self.end_body(stream)

    def open(self, number: int, head: RequestHead, *, ends: bool) -> None:
        """Open the stream of a call."""
        self.last = number
        streams = self.streams
        if len(streams) >= self._most_streams or self._leaving == _LEFT:
            self.noise(_COST_OF_HEAD)
            self.reset(number, ErrorCode.REFUSED_STREAM)
            return
        now = self.seen
        stream = streams[number] = Stream(self, number, head, now, STREAM_WINDOW)
        if head.timeout is not None:
            stream.deadline = deadline = now + head.timeout
            self._deadlines.add(stream, deadline)
        if head.refusal is None and not head.streaming and not ends:
            stream.fresh = -1 if head.content_length is None else head.content_length
            return
        stream.half_closed = ends
        if head.refusal is not None:
            status, code, message, more = head.refusal
            fields = status_fields(code, message, more)
            stream.ended = stream.started = True
            self.outbox.finish(stream, http_refusal(status, fields))
            return
        if head.streaming:
            self._grpc.open(stream)
        if ends and not stream.closed:
            self.end_body(stream)

    def answer(self, stream: Stream, parts: tuple[bytes, ...]) -> None:
        """Send the one message of a unary answer, and that all is well."""
        gzip = self._compress and stream.head.takes_gzip and sum(map(len, parts)) >= _SMALLEST_GZIPPED
        if stream.half_closed and not gzip and self.outbox.answer(stream, parts):
            self._guard.answered += 1
            self._close(stream)
            return
        stream.ended = True
        self.outbox.start(stream, GZIPPED if gzip else ())
        parts = (pack(b"".join(parts)),) if gzip else parts
        self.outbox.message(stream, parts, compressed=gzip)
        self.outbox.finish(stream, OK)

    def send(self, stream: Stream, message: bytes) -> None:
        """Send a message of a streaming answer."""
        unread = stream.pending
        if unread and (len(unread) > _MOST_UNREAD or sum(map(len, unread)) > _MOST_UNREAD_BYTES):
            self._refuse(stream, Code.RESOURCE_EXHAUSTED, "The client does not read the answers")
            return
        if not stream.started:
            self.outbox.start(stream)
        self.outbox.message(stream, (message,))

    def end(self, stream: Stream, code: Code, message: str, trailers: tuple[tuple[str, str], ...]) -> None:
        """Send a status behind what was sent."""
        stream.ended = True
        fields = status_fields(code, message, trailers)
        if not stream.started:
            stream.started = True
            fields = HEAD + fields
        self.outbox.finish(stream, fields)

    def expire(self, stream: Stream) -> None:
        """End a stream whose deadline has passed."""
        self._refuse(stream, Code.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _refuse(self, stream: Stream, code: Code, message: str) -> None:
        """End a call that the services may have begun already."""
        if stream.ended:
            return
        stream.cancel()
        if stream.pending:  # a message that is cut short must not look like the last one
            self.reset(stream.number, ErrorCode.CANCEL)
        else:
            self.end(stream, code, message, ())

    def reset(self, number: int, code: ErrorCode) -> None:
        """End a stream at once, and tell the client why."""
        self.outbox.put(frames.reset(number, code))
        self._forget(number)
        self.give_up(number)

    def give_up(self, number: int) -> None:
        """Drop a stream that the client has reset, or made the server reset."""
        stream = self.streams.get(number)
        if stream is None:
            return
        hasty = not stream.ended
        self.outbox.forget(stream)
        stream.cancel()
        self._close(stream)
        if hasty:
            self._guard.reset(stream.opened, self.seen)

    def _forget(self, number: int) -> None:
        """Remember that what still comes for a stream is to be dropped without a word."""
        forgotten = self._forgotten
        forgotten[number] = None
        if len(forgotten) > _MOST_FORGOTTEN:
            del forgotten[next(iter(forgotten))]

    def _sent(self, stream: Stream) -> None:
        """See the end of an answer leave."""
        self._guard.answered += 1
        if not stream.half_closed:
            if (stream.head.content_length or STREAM_WINDOW) < STREAM_WINDOW:
                stream.lingers = True  # the rest is small and on its way, and some clients take a reset for a failure
                return
            self.outbox.put(frames.reset(stream.number, ErrorCode.NO_ERROR))
            self._forget(stream.number)
        self._close(stream)

    def _drained(self, stream: Stream) -> None:
        """See all that a streaming answer has so far leave: its client may say more."""
        if stream.head.streaming:
            self.inbox.refill(stream)

    def _close(self, stream: Stream) -> None:
        stream.closed = stream.ended = True
        self.streams.pop(stream.number, None)
        if stream.deadline is not None:
            self._deadlines.discard(stream, stream.deadline)
        if stream.held:
            self.inbox.release(stream)
        stream.on_cancel = stream.on_message = None

    # Writing

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        self._paused_since = self._time()
        self.outbox.pause()
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        self.outbox.paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self.outbox.flush()

    # Ending

    def _fail(self, code: ErrorCode, reason: str) -> None:
        """Tell the client why the connection cannot go on, and end it."""
        logger.debug("%s: %s: %s", self.peer, code.name, reason)
        self.outbox.put(frames.goaway(self.last, code, reason))
        self._end()

    def _end(self) -> None:
        """Read nothing more, write what there is, and close: where the client may still be sending, only once it has
        stopped, for closing at once would reset the connection and destroy what is on its way."""
        self._deaf = True
        self._rest = b""
        self._cancel_all()
        self.outbox.flush()
        self._linger_until = self._time() + _LINGER_SECONDS
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def eof_received(self) -> bool:
        """End: a client that will not read windows nor send any has gone."""
        return False

    def drain(self) -> None:
        """Ask the client to open no more streams; those that it has opened are answered."""
        if self._deaf or self._leaving:
            return
        self._hello()
        self._leaving, self._left_at = _ASKED, self._time()
        # The first word lets streams pass that are on their way; the answer to the ping says that there are no more.
        self.outbox.put(frames.goaway(frames.LARGEST_WINDOW, ErrorCode.NO_ERROR))
        self.outbox.put(frames.frame(frames.PING, 0, 0, _DRAIN_PING))

    def pinged(self, payload: bytes) -> None:
        """Take the client's answer to a PING."""
        if payload == _DRAIN_PING and self._leaving == _ASKED:
            self._leave()

    def _leave(self) -> None:
        self._leaving, self._left_at = _LEFT, self._time()
        self.outbox.put(frames.goaway(self.last, ErrorCode.NO_ERROR))

    def close_if_quiet(self, now: float) -> None:
        """Go on with draining: close once nothing is owed any more."""
        if self._leaving == _ASKED and now - self._left_at > _GOODBYE_SECONDS:
            self._leave()
        elif self._leaving == _LEFT and not self.streams and now - self._left_at > _QUIET_SECONDS:
            self.outbox.flush()
            self._transport.close()

    def tick(self, now: float) -> None:
        """Do what is due about once a second: end what takes too long."""
        options, limit = self._options, self._options.read_timeout_seconds
        if self._linger_until:
            if now > self._linger_until:
                self.abort()
            return
        self._guard.tick(self._moved())
        block = self.block
        if self.outbox.paused and now - self._paused_since > limit:
            self.abort()
        elif not self._greeted and now - self._made > limit:
            self._transport.close()
        elif (block is not None and now - block.begun > limit) or (self._rest and now - self._begun > limit):
            self._fail(ErrorCode.ENHANCE_YOUR_CALM, f"a frame did not arrive within {limit:g} seconds")
        elif self._leaving:
            self.close_if_quiet(now)
        elif not self.streams and now - self.seen > options.idle_timeout_seconds:
            self.drain()
        else:
            self._check_age(now)
        for stream in tuple(self.streams.values()):
            self._check_time(stream, now, limit)

    def _check_age(self, now: float) -> None:
        options = self._shared.grpc_options
        most = options.max_connection_age_seconds
        if most is not None and now - self._made > most:
            self.drain()
        elif now - self.seen <= options.keepalive_seconds:
            self._asked_at = 0.0
        elif not self._asked_at:
            self._asked_at = now
            self.outbox.put(frames.frame(frames.PING, 0, 0, _ALIVE_PING))
        elif now - self._asked_at > _ALIVE_SECONDS:
            self.abort()

    def _check_time(self, stream: Stream, now: float, limit: float) -> None:
        assembly = stream.assembly
        if stream.deadline is not None and now >= stream.deadline:
            stream.expire()
        elif stream.pending:
            if now - stream.stalled > limit + stream.sent / _SMALLEST_RATE:
                self.reset(stream.number, ErrorCode.CANCEL)
        elif stream.half_closed:
            return
        elif stream.lingers:
            if now - stream.opened > limit:
                self.reset(stream.number, ErrorCode.NO_ERROR)
        elif not stream.head.streaming:
            if now - stream.opened > limit + stream.total / _SMALLEST_RATE:
                self._refuse(stream, Code.DEADLINE_EXCEEDED, f"The request did not arrive within {limit:g} seconds")
        elif (
            assembly is not None
            and not assembly.between
            and now - stream.begun > limit + assembly.held / _SMALLEST_RATE
        ):
            self._refuse(stream, Code.DEADLINE_EXCEEDED, f"A message did not arrive within {limit:g} seconds")

    def abort(self) -> None:
        """Drop the connection without a further word."""
        self._transport.abort()
