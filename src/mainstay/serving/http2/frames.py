"""HTTP/2 frames (RFC 9113): types, flags, settings and error codes, and the bytes of those that the server sends."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

SMALLEST_MAX_FRAME = 1 << 14
LARGEST_MAX_FRAME = (1 << 24) - 1
LARGEST_WINDOW = (1 << 31) - 1
FIRST_WINDOW = 65535
"""The windows that both sides begin with, before any SETTINGS."""

FRAME_HEAD = struct.Struct(">IBI")
"""Length and type in one word, flags, stream; the first bit of the stream is reserved."""
WORD = struct.Struct(">I")
_SETTING = struct.Struct(">HI")


class Setting(enum.IntEnum):
    """The settings that the server knows."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(enum.IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    return FRAME_HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: Iterable[tuple[Setting, int]]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return the settings of a SETTINGS frame's payload, whose length is a multiple of six, in order."""
    return list(_SETTING.iter_unpack(payload))


def reset(stream: int, code: ErrorCode) -> bytes:
    """Return a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, WORD.pack(code))


def goaway(last: int, code: ErrorCode, reason: str = "") -> bytes:
    """Return a GOAWAY frame: streams above `last` were not looked at."""
    return frame(GOAWAY, 0, 0, WORD.pack(last) + WORD.pack(code) + reason.encode())


def window_update(stream: int, size: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, WORD.pack(size))


def headers(stream: int, block: bytes, *, end_stream: bool, most: int) -> bytes:
    """Return the frames of a header block: HEADERS and, where it is longer than `most`, CONTINUATIONs.

    Args:
        stream: The stream.
        block: The encoded fields.
        end_stream: Whether nothing follows on the stream.
        most: The largest payload of a frame that the peer takes.
    """
    last = END_STREAM if end_stream else 0
    if len(block) <= most:
        return frame(HEADERS, last | END_HEADERS, stream, block)
    pieces = [block[start : start + most] for start in range(0, len(block), most)]
    frames = [frame(HEADERS, last, stream, pieces[0])]
    frames.extend(frame(CONTINUATION, 0, stream, piece) for piece in pieces[1:-1])
    frames.append(frame(CONTINUATION, END_HEADERS, stream, pieces[-1]))
    return b"".join(frames)
