"""HTTP/2 frames other than DATA, as a connection takes them: each checked as RFC 9113 asks, each counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mainstay.serving.http2 import frames
from mainstay.serving.http2.faults import ConnectionFaultError
from mainstay.serving.http2.frames import ErrorCode, Setting

if TYPE_CHECKING:
    from mainstay.serving.http2.connection import Connection

MAX_FRAME = 1 << 20
"""The largest frame that the server takes: large messages come in fewer pieces than in the protocol's first 16 KiB."""

# A list of fields can be larger than its block, but hardly smaller: beyond this it is not worth reading.
_BLOCK_PER_LIST = 4
_MOST_CONTINUATIONS = 32
_LARGEST_CONTROL = 1 << 14
_SIZES = {frames.PRIORITY: 5, frames.RST_STREAM: 4, frames.PING: 8, frames.WINDOW_UPDATE: 4}


class Frame(NamedTuple):
    """A frame that has come whole.

    Attributes:
        kind: Its type.
        flags: Its flags.
        number: Its stream.
        payload: Its payload.
    """

    kind: int
    flags: int
    number: int
    payload: bytes


def fault(reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> ConnectionFaultError:
    """Return the error of a client that breaks the protocol."""
    return ConnectionFaultError(code, reason)


class Block:
    """A header block that has not come whole.

    Args:
        number: Its stream.
        ends: Whether the stream ends with it.
        data: What has come.
        begun: When it began.
    """

    __slots__ = ("begun", "count", "data", "ends", "number")

    def __init__(self, number: int, data: bytes, *, ends: bool, begun: float) -> None:
        self.number = number
        self.ends = ends
        self.data = data
        self.begun = begun
        self.count = 0


def may_wait(kind: int, length: int, most_head: int) -> bool:
    """Return whether to wait for the rest of a frame, as opposed to skipping it.

    Raises:
        ConnectionFaultError: The frame is too large.
    """
    _check_size(kind, length, most_head)
    return kind <= frames.CONTINUATION and length <= max(_LARGEST_CONTROL, _BLOCK_PER_LIST * most_head)


def _check_size(kind: int, length: int, most_head: int) -> None:
    if length > MAX_FRAME:
        raise fault("a frame is larger than SETTINGS_MAX_FRAME_SIZE", ErrorCode.FRAME_SIZE_ERROR)
    if length != _SIZES.get(kind, length):
        raise fault("a frame has a size that its type cannot have", ErrorCode.FRAME_SIZE_ERROR)
    if kind in (frames.HEADERS, frames.CONTINUATION) and length > _BLOCK_PER_LIST * most_head + 256 + 6:
        raise fault("a header block is too large", ErrorCode.ENHANCE_YOUR_CALM)
    if kind == frames.SETTINGS and length > _LARGEST_CONTROL:
        raise fault("there are too many settings", ErrorCode.ENHANCE_YOUR_CALM)


def take(connection: Connection, frame: Frame) -> None:
    """Take a frame.

    Args:
        connection: Whose client sent it.
        frame: The frame.

    Raises:
        ConnectionFaultError: It breaks the protocol, or a limit.
    """
    _check_size(frame.kind, len(frame.payload), connection.most_head)
    if frame.kind == frames.PUSH_PROMISE:
        raise fault("a client cannot push")
    reader = _READERS.get(frame.kind)
    if reader is None:
        connection.noise(1)  # of a type that may mean something one day, to be ignored
    else:
        reader(connection, frame)


def _headers(connection: Connection, frame: Frame) -> None:
    if not frame.number & 1:
        raise fault("a client opens streams of odd numbers")
    start, end = 0, len(frame.payload)
    if frame.flags & frames.PADDED:
        if not frame.payload:
            raise fault("a padded frame has no padding", ErrorCode.FRAME_SIZE_ERROR)
        start, end = 1, end - frame.payload[0]
    if frame.flags & frames.WITH_PRIORITY:
        start += 5
    if start > end:
        raise fault("padding or priority is longer than its frame")
    ends = bool(frame.flags & frames.END_STREAM)
    if frame.flags & frames.END_HEADERS:
        _block(connection, frame.number, frame.payload[start:end], ends=ends)
    else:
        connection.block = Block(frame.number, frame.payload[start:end], ends=ends, begun=connection.seen)


def _continuation(connection: Connection, frame: Frame) -> None:
    block = connection.block
    if block is None or block.number != frame.number:
        raise fault("a header block goes on that has not begun")
    block.count += 1
    if block.count > _MOST_CONTINUATIONS:
        raise fault("a header block has too many pieces", ErrorCode.ENHANCE_YOUR_CALM)
    connection.noise(1)
    block.data += frame.payload
    if len(block.data) > _BLOCK_PER_LIST * connection.most_head:
        raise fault("a header block is too large", ErrorCode.ENHANCE_YOUR_CALM)
    if frame.flags & frames.END_HEADERS:
        connection.block = None
        _block(connection, frame.number, block.data, ends=block.ends)


def _block(connection: Connection, number: int, data: bytes, *, ends: bool) -> None:
    if len(data) > _BLOCK_PER_LIST * connection.most_head:
        raise fault("a header block is too large", ErrorCode.ENHANCE_YOUR_CALM)
    connection.take_block(number, data, ends=ends)


def _priority(connection: Connection, frame: Frame) -> None:
    if not frame.number:
        raise fault("priority is of a stream")
    connection.noise(1)


def _rst_stream(connection: Connection, frame: Frame) -> None:
    if not frame.number or frame.number > connection.last:
        raise fault("a stream is reset that was never opened")
    connection.noise(1)
    connection.give_up(frame.number)


def _settings(connection: Connection, frame: Frame) -> None:
    if frame.number:
        raise fault("settings are of the connection")
    if len(frame.payload) % 6 or (frame.flags & frames.ACK and frame.payload):
        raise fault("settings have a size that they cannot have", ErrorCode.FRAME_SIZE_ERROR)
    values = frames.read_settings(frame.payload)
    connection.noise(1 + len(values))
    if frame.flags & frames.ACK:
        return
    outbox = connection.outbox
    for key, value in values:
        if key == Setting.HEADER_TABLE_SIZE:
            outbox.encoder.resize(value)
        elif key == Setting.ENABLE_PUSH and value > 1:
            raise fault("SETTINGS_ENABLE_PUSH is 0 or 1")
        elif key == Setting.MAX_FRAME_SIZE:
            if not frames.SMALLEST_MAX_FRAME <= value <= frames.LARGEST_MAX_FRAME:
                raise fault("SETTINGS_MAX_FRAME_SIZE is out of its range")
            outbox.max_frame = value
        elif key == Setting.INITIAL_WINDOW_SIZE:
            _set_window(connection, value)
    outbox.put(frames.frame(frames.SETTINGS, frames.ACK, 0))


def _set_window(connection: Connection, value: int) -> None:
    if value > frames.LARGEST_WINDOW:
        raise fault("SETTINGS_INITIAL_WINDOW_SIZE is out of its range", ErrorCode.FLOW_CONTROL_ERROR)
    outbox = connection.outbox
    wider = value > outbox.initial
    outbox.initial = value
    if wider:
        for stream in connection.streams.values():
            if value + stream.window > frames.LARGEST_WINDOW:
                raise fault("the window of a stream is too large", ErrorCode.FLOW_CONTROL_ERROR)
            outbox.resume(stream)


def _ping(connection: Connection, frame: Frame) -> None:
    if frame.number:
        raise fault("a ping is of the connection")
    connection.noise(1)
    if frame.flags & frames.ACK:
        connection.pinged(frame.payload)
    else:
        connection.outbox.put(frames.frame(frames.PING, frames.ACK, 0, frame.payload))


def _goaway(connection: Connection, frame: Frame) -> None:
    if frame.number:
        raise fault("going away is of the connection")
    if len(frame.payload) < 8:
        raise fault("a frame has a size that its type cannot have", ErrorCode.FRAME_SIZE_ERROR)
    connection.noise(1)  # the client opens no more streams, and closes when it has its answers


def _window_update(connection: Connection, frame: Frame) -> None:
    connection.noise(1)
    size = frames.WORD.unpack(frame.payload)[0] & frames.LARGEST_WINDOW
    if not frame.number:
        if not size:
            raise fault("a window is widened by nothing")
        if not connection.outbox.widen(size):
            raise fault("the window of the connection is too large", ErrorCode.FLOW_CONTROL_ERROR)
        return
    stream = connection.streams.get(frame.number)
    if stream is None:
        if frame.number > connection.last or not frame.number & 1:
            raise fault("the window of a stream is widened that was never opened")
    elif not size:
        connection.reset(frame.number, ErrorCode.PROTOCOL_ERROR)
    elif not connection.outbox.widen_stream(stream, size):
        connection.reset(frame.number, ErrorCode.FLOW_CONTROL_ERROR)


_READERS: dict[int, Callable[[Connection, Frame], None]] = {
    frames.HEADERS: _headers,
    frames.PRIORITY: _priority,
    frames.RST_STREAM: _rst_stream,
    frames.SETTINGS: _settings,
    frames.PING: _ping,
    frames.GOAWAY: _goaway,
    frames.WINDOW_UPDATE: _window_update,
    frames.CONTINUATION: _continuation,
}
