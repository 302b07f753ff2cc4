"""Fuzz the gRPC port: conversations of frames, mutated, cut anywhere, with a clock that jumps and a client that stalls.

    python tools/fuzz_http2.py --seconds 20        # fails on any finding
    python tools/fuzz_http2.py --seconds 300 --seed 7

Whatever comes, a connection may answer, refuse or end itself. A finding is anything else: an exception, a fault that
the connection had to catch, a call that is neither answered nor cancelled, memory that is not given back, or an input
that takes too long. Findings are kept in `.fuzz/`.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hpack
from message_mutation import mutate_bytes

from mainstay.serving.http2 import frames
from mainstay.serving.http2.connection import Connection
from mainstay.serving.http2.listener import GrpcListener
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import Code

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = ROOT / ".fuzz"

_SLOWEST_SECONDS = 5.0
_SIZES = (0, 1, 5, 5, 10, 100, 100, 100, 500, 500, 5000, 5000, 5000, 20_000, 70_000, 300_000)
_NUMBERS = (0, 1, 3, 3, 5, 7, 9, 11, 2, 0x7FFFFFFF)
_FIELDS = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/test/Echo"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
)
_MORE = (
    (b"grpc-timeout", b"100m"),
    (b"grpc-encoding", b"gzip"),
    (b"grpc-accept-encoding", b"gzip"),
    (b"content-length", b"10"),
    (b"x", b"y" * 5000),
    (b"connection", b"close"),
    (b":path", b"/test/Stream"),
)


class Loop:
    """A loop whose time is told, and that runs what is due."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self.timers: list[Timer] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Keep what is due."""
        self.due.append((function, arguments))

    def call_later(self, delay: float, function: Callable[..., object]) -> Timer:
        """Keep what is due later."""
        self.timers.append(Timer(self.now + delay, function))
        return self.timers[-1]

    def run_in_executor(self, _: object, function: Callable[..., object], *arguments: object) -> Result:
        """Run it at once."""
        return Result(self, function(*arguments))

    def run(self) -> None:
        """Run what is due."""
        while self.due:
            function, arguments = self.due.pop(0)
            function(*arguments)
        for timer in [each for each in self.timers if each.at <= self.now]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.function()


class Timer:
    """Something due at a time."""

    def __init__(self, at: float, function: Callable[..., object]) -> None:
        self.at, self.function, self.cancelled = at, function, False

    def cancel(self) -> None:
        """Let it pass."""
        self.cancelled = True


class Result:
    """What an executor has done."""

    def __init__(self, loop: Loop, value: object) -> None:
        self._loop, self._value = loop, value

    def result(self) -> object:
        """Return what was done."""
        return self._value

    def add_done_callback(self, function: Callable[[Result], object]) -> None:
        """Tell so, later."""
        self._loop.call_soon(function, self)


class Services:
    """Answers at once, later, wrongly or never, as chance has it; it counts what is owed."""

    streaming = frozenset({"/test/Stream"})

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.open_calls: dict[int, Any] = {}

    def handle(self, call: Any) -> None:
        """Take a unary call."""
        if not isinstance(call.message, bytes):
            raise TypeError("a message is no bytes")
        self._begin(call)
        if self._chance.random() < 0.7:
            self.settle(call)

    def open(self, call: Any) -> None:
        """Take a call whose client streams."""
        self._begin(call)
        call.on_message = lambda message: self._take(call, message)

    def _begin(self, call: Any) -> None:
        self.open_calls[call.number] = call
        call.on_cancel = lambda: self.open_calls.pop(call.number)

    def _take(self, call: Any, message: bytes | None) -> None:
        if message is None or self._chance.random() < 0.1:
            self.settle(call)
        else:
            call.send(message * self._chance.choice((0, 1, 40)))

    def settle(self, call: Any) -> None:
        """End a call, some way or other."""
        self.open_calls.pop(call.number, None)
        if self._chance.random() < 0.7 and call.path not in self.streaming:
            call.reply(call.message, b"more" * self._chance.choice((0, 1, 9000)))
        else:
            call.finish(self._chance.choice(list(Code)), self._chance.choice(("", "why ä", "x" * 9000)))


class Wire:
    """A transport whose client stalls now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.connection: Any = None
        self.closed = self.paused = False
        self.data = b""

    def get_extra_info(self, _: str) -> None:
        """Know nothing."""
        return

    def write(self, data: bytes) -> None:
        """Take bytes, and stall now and then."""
        if self.closed:
            raise RuntimeError("written to a closed transport")
        self.data += data
        if not self.paused and self._chance.random() < 0.02:
            self.paused = True
            self.connection.pause_writing()

    def writelines(self, pieces: list[bytes]) -> None:
        """Take bytes."""
        self.write(b"".join(pieces))

    def can_write_eof(self) -> bool:
        """Say that one side can be closed."""
        return True

    def write_eof(self) -> None:
        """Close one side."""

    def is_closing(self) -> bool:
        """Return whether it is closed."""
        return self.closed

    def close(self) -> None:
        """End the connection."""
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(None)

    abort = close

    def pause_reading(self) -> None:
        """Go on all the same."""

    resume_reading = pause_reading


def _conversation(chance: random.Random) -> Iterator[bytes]:
    """Make the frames of a client that mostly keeps to the protocol."""
    encoder = hpack.Encoder()
    number = -1
    yield frames.PREFACE
    yield frames.settings([(frames.Setting.INITIAL_WINDOW_SIZE, chance.choice((0, 100, 65535, 1 << 20)))])
    for _ in range(chance.randrange(1, 25)):
        what = chance.random()
        some = max(chance.choice((*_NUMBERS, number, number)), 0)
        if what < 0.45:
            number += 2
            fields = [*_FIELDS, *chance.sample(_MORE, chance.choice((0, 0, 0, 1, 2)))]
            block = encoder.encode(fields, huffman=chance.random() < 0.5)
            cut = chance.randrange(len(block) + 1) if chance.random() < 0.1 else len(block)
            whole = cut == len(block)
            yield frames.frame(frames.HEADERS, frames.END_HEADERS if whole else 0, number, block[:cut])
            if not whole:
                yield frames.frame(frames.CONTINUATION, frames.END_HEADERS, number, block[cut:])
        if what < 0.7:
            message = chance.randbytes(
                chance.choice(
                    (0, 1, 5, 5, 10, 100, 100, 500, 5000, 5000, 20_000, 70_000 if chance.random() < 0.5 else 300_000)
                )
            )
            body = bytes([chance.random() < 0.1]) + len(message).to_bytes(4, "big") + message
            pieces = chance.choice((1, 1, 1, 2, 5))
            size = len(body) // pieces + 1
            for start in range(0, len(body), size):
                last = start + size >= len(body)
                padding = chance.choice((0, 0, 0, 9))
                flags = (frames.END_STREAM if last else 0) | (frames.PADDED if padding else 0)
                piece = body[start : start + size]
                payload = bytes([padding]) + piece + bytes(padding) if padding else piece
                yield frames.frame(frames.DATA, flags, number if number > 0 else 1, payload)
        elif what < 0.76:
            yield frames.window_update(some, chance.choice((1, 1000, 1 << 20, (1 << 31) - 1)))
        elif what < 0.8:
            yield frames.reset(some, frames.ErrorCode.CANCEL)
        elif what < 0.84:
            yield frames.frame(frames.PING, chance.choice((0, 1)), 0, chance.choice((bytes(8), b"mainstay")))
        elif what < 0.9:
            setting = chance.choice(list(frames.Setting))
            yield frames.settings([(setting, chance.choice((0, 1, 100, 16384, 1 << 20, (1 << 31) - 1)))])
        elif what < 0.93:
            yield frames.frame(frames.HEADERS, 5, some, encoder.encode([(b"x-trailer", b"1")]))
        else:
            yield frames.frame(
                chance.randrange(256), chance.randrange(256), some, chance.randbytes(chance.randrange(60))
            )


def _mutated(parts: list[bytes], chance: random.Random) -> bytes:
    """Return a conversation with something in it changed, or as it is."""
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        place = chance.randrange(len(parts))
        what = chance.random()
        if what < 0.4:
            parts[place] = mutate_bytes(parts[place], chance)
        elif what < 0.6:
            del parts[place]
        elif what < 0.8:
            parts.insert(chance.randrange(len(parts) + 1), parts[place])
        else:
            other = chance.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        if not parts:
            return b""
    return b"".join(parts)


def _try(data: bytes, chance: random.Random) -> None:
    """Let a connection receive an input; raise if it breaks a law."""
    loop, services = Loop(), Services(chance)
    options = GrpcOptions(
        max_streams=chance.choice((2, 100)),
        max_buffered_bytes=chance.choice((1000, 400_000, 1 << 28)),
        max_message_bytes=chance.choice((50, 1 << 20)),
        compress_answers=chance.random() < 0.2,
    )
    listener = GrpcListener(services, ServerOptions(grpc=options), loop)  # type: ignore[arg-type]
    listener.time = loop.time
    listener.deadlines._time = loop.time
    connection = listener.connect()
    wire = Wire(chance)
    wire.connection = connection
    connection.connection_made(wire)
    position = 0
    while position < len(data) and not wire.closed:
        size = chance.choice((1, 9, 100, 4000, 70_000, 1 << 20))
        connection.data_received(data[position : position + size])
        position += size
        loop.run()
        _pass_time(chance, loop, listener, connection, wire)
        for call in list(services.open_calls.values()):
            if chance.random() < 0.3:
                services.settle(call)
    loop.run()
    if chance.random() < 0.5:
        listener.stop()
        for _ in range(4):
            loop.now += 1.0
            loop.run()
            listener.close_quiet()
    wire.close()
    _check(services, listener, connection)


def _pass_time(chance: random.Random, loop: Loop, listener: GrpcListener, connection: Connection, wire: Wire) -> None:
    if wire.paused and chance.random() < 0.5 and not wire.closed:
        wire.paused = False
        connection.resume_writing()
    if chance.random() < 0.05:
        loop.now += chance.choice((0.01, 1.0, 31.0, 700.0))
        listener.tick()
        loop.run()


def _check(services: Services, listener: GrpcListener, connection: Connection) -> None:
    if services.open_calls:
        raise AssertionError(f"calls were neither answered nor cancelled: {sorted(services.open_calls)}")
    if connection.streams or connection.inbox.held or listener.held or listener.connections:
        raise AssertionError("a connection that is gone still holds something")
    if len(listener.deadlines):
        raise AssertionError("calls that are over still have deadlines")


class Caught(logging.Handler):
    """Keeps the exceptions that a connection had to catch."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an exception."""
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])


def _run(seconds: float, seed: int) -> int:
    """Try inputs for a while; return how many findings there were."""
    caught = Caught()
    logger = logging.getLogger("mainstay.serving")
    logger.addHandler(caught)
    logger.propagate = False
    findings: dict[str, int] = {}
    ends, number, size = time.monotonic() + seconds, 0, 0
    while time.monotonic() < ends:
        chance = random.Random(f"{seed}/{number}")
        data = _mutated(list(_conversation(chance)), chance)
        size += len(data)
        began = time.thread_time()
        try:
            _try(data, chance)
            if caught.errors:
                raise caught.errors.pop()
            if time.thread_time() - began > _SLOWEST_SECONDS:
                raise AssertionError(f"an input of {len(data)} bytes took {time.thread_time() - began:.1f} seconds")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a finding is whatever comes out
            _keep(error, data, f"{seed}-{number}", findings)
        caught.errors.clear()
        number += 1
    sys.stdout.write(f"{number:,} conversations of {size:,} bytes; {len(findings)} findings\n")
    return len(findings)


def _keep(error: BaseException, data: bytes, name: str, findings: dict[str, int]) -> None:
    """Keep the input of a finding, one for each place in the code."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    key = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    findings[key] = findings.get(key, 0) + 1
    if findings[key] == 1:
        FINDINGS.mkdir(exist_ok=True)
        (FINDINGS / f"http2-{name}").write_bytes(data)
        text = "".join(traceback.format_exception(error))[-3000:]
        sys.stdout.write(f"\n{key} (http2-{name})\n{text}\n")


def main() -> int:
    """Fuzz; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long (30)")
    parser.add_argument("--seed", type=int, default=1, help="where the mutations start (1)")
    options = parser.parse_args()
    shutil.rmtree(FINDINGS, ignore_errors=True)
    return 1 if _run(options.seconds, options.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
