"""A listener with a clock of its own, a transport that keeps what is written, and a client that reads it."""

import hpack
import pytest

from mainstay.serving.http2 import frames
from mainstay.serving.http2.listener import GrpcListener
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import Code

ECHO = "/test.Echo/Echo"
STREAM = "/test.Echo/Stream"
CALL = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", ECHO),
    (":authority", "test"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


class Loop:
    """A loop whose time stands still until a test moves it, and that runs what is due when it is told to."""

    def __init__(self):
        self.now = 1000.0
        self.due = []
        self.timers = []

    def time(self):
        return self.now

    def call_soon(self, function, *arguments):
        self.due.append((function, arguments))

    def call_later(self, delay, function, *arguments):
        timer = Timer(self.now + delay, function, arguments)
        self.timers.append(timer)
        return timer

    def run_in_executor(self, executor, function, *arguments):
        result = function(*arguments)
        return Done(result, self)

    def run(self, seconds=0.0):
        """Run what is due, now and in the next seconds."""
        end = self.now + seconds
        while True:
            while self.due:
                function, arguments = self.due.pop(0)
                function(*arguments)
            self.timers = [timer for timer in self.timers if not timer.cancelled]
            ready = [timer for timer in self.timers if timer.at <= end]
            if not ready:
                break
            first = min(ready, key=lambda timer: timer.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.function(*first.arguments)
        self.now = end


class Timer:
    def __init__(self, at, function, arguments):
        self.at, self.function, self.arguments, self.cancelled = at, function, arguments, False

    def cancel(self):
        self.cancelled = True


class Done:
    def __init__(self, value, loop):
        self.value, self.loop = value, loop

    def result(self):
        return self.value

    def add_done_callback(self, function):
        self.loop.call_soon(function, self)


class Grpc:
    """Services that answer each message with itself, at once or when the test says so."""

    streaming = frozenset({STREAM})

    def __init__(self):
        self.calls, self.cancelled, self.opened, self.messages = [], [], [], []
        self.answers = True

    def handle(self, call):
        self.calls.append(call)
        call.on_cancel = lambda: self.cancelled.append(call.number)
        if self.answers:
            call.reply(call.message)

    def open(self, call):
        self.opened.append(call)
        call.on_cancel = lambda: self.cancelled.append(call.number)

        def on_message(message):
            self.messages.append(message)
            if message is None:
                call.finish(Code.OK)
            else:
                call.send(message)

        call.on_message = on_message


class Wire:
    """A transport."""

    def __init__(self):
        self.written, self.closed, self.eof, self.reading = b"", False, False, True
        self.connection = None
        self.stalls_at = None

    def get_extra_info(self, name):
        return ("192.0.2.1", 5) if name == "peername" else None

    def write(self, data):
        assert not self.eof
        self.written += data
        if self.stalls_at is not None and len(self.written) > self.stalls_at:
            self.stalls_at = None
            self.connection.pause_writing()

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.eof = True

    def is_closing(self):
        return self.closed

    def close(self):
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(None)

    abort = close

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Peer:
    """A client: it makes frames, and reads those of the server with a decoder of another maker."""

    def __init__(self, *, greet=True, grpc=None, **options):
        self.loop = Loop()
        self.grpc = grpc or Grpc()
        of_port = {name: options.pop(name) for name in tuple(options) if name in GrpcOptions.__slots__}
        self.listener = GrpcListener(self.grpc, ServerOptions(grpc=GrpcOptions(**of_port), **options), self.loop)
        self.listener.time = self.listener.deadlines._time = self.loop.time
        self.connection = self.listener.connect()
        self.wire = self.connection.wire = Wire()
        self.wire.connection = self.connection
        self.connection.connection_made(self.wire)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.seen = 0
        if greet:
            self.send(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))

    def send(self, data, step=None):
        """Let the server receive bytes, in pieces of `step`."""
        for start in range(0, len(data), step or max(len(data), 1)):
            if not self.wire.closed:
                self.connection.data_received(data[start : start + (step or len(data))])
        self.loop.run()

    def head(self, number, fields=CALL, *, flags=frames.END_HEADERS):
        return frames.frame(frames.HEADERS, flags, number, self.encoder.encode(fields))

    def data(self, number, data, *, end=True):
        return frames.frame(frames.DATA, frames.END_STREAM if end else 0, number, data)

    def call(self, number, message=b"hello", *more):
        """Return the bytes of a whole call."""
        return self.head(number, CALL + more) + self.data(number, prefixed(message))

    def read(self):
        """Return the frames that the server has sent since the last time: (kind, flags, stream, payload)."""
        found = []
        while self.seen + 9 <= len(self.wire.written):
            word, flags, number = frames.FRAME_HEAD.unpack_from(self.wire.written, self.seen)
            end = self.seen + 9 + (word >> 8)
            assert end <= len(self.wire.written)
            found.append((word & 255, flags, number, self.wire.written[self.seen + 9 : end]))
            self.seen = end
        return found

    def answers(self):
        """Return by stream what the server has answered: fields of the head, data, trailers or the code of a reset."""
        found = {}
        for kind, flags, number, payload in self.read():
            if not number:
                continue
            answer = found.setdefault(number, {"head": None, "data": b"", "end": None, "reset": None})
            if kind == frames.HEADERS:
                fields = dict(self.decoder.decode(payload))
                answer["end" if flags & frames.END_STREAM else "head"] = fields
            elif kind == frames.DATA:
                answer["data"] += payload
            elif kind == frames.RST_STREAM:
                answer["reset"] = frames.ErrorCode(frames.WORD.unpack(payload)[0])
        return found

    def status(self, number):
        """Return status and message that end a stream."""
        end = self.answers()[number]["end"]
        return int(end["grpc-status"]), end.get("grpc-message")

    def goaway(self):
        """Return the code and the reason of the GOAWAY that the server has sent, or None."""
        for kind, _, _, payload in self.read():
            if kind == frames.GOAWAY:
                return frames.ErrorCode(frames.WORD.unpack_from(payload, 4)[0]), payload[8:].decode()
        return None


def prefixed(message, flag=0):
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


@pytest.fixture
def peer():
    """A connected client: `peer(**options)`."""
    return Peer


@pytest.fixture(scope="session")
def kit():
    """The building blocks of tests, as one namespace."""

    class Kit:
        pass

    Kit.prefixed, Kit.Grpc, Kit.Peer, Kit.Loop = staticmethod(prefixed), Grpc, Peer, Loop
    Kit.CALL, Kit.ECHO, Kit.STREAM = CALL, ECHO, STREAM
    return Kit
