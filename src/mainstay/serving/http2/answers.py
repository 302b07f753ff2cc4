"""What gRPC answers look like in header fields: statuses, their messages, and refusals."""

from __future__ import annotations

from mainstay.serving.http2.header_encoder import CONTENT_TYPE
from mainstay.serving.http2.outbox import OK, Fields
from mainstay.serving.status import Code

# Clients take 8 KiB of metadata; a longer message would turn into an error about itself.
_MOST_MESSAGE_BYTES = 6 << 10

# gRPC escapes what is not printable ASCII, and the percent sign.
_ESCAPES = tuple(bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in range(256))

HEAD: Fields = ((b":status", b"200"), (b"content-type", CONTENT_TYPE))
"""What begins an answer."""

GZIPPED: Fields = ((b"grpc-encoding", b"gzip"),)
"""What its head says besides, where messages are compressed."""


def status_fields(code: Code, message: str, trailers: tuple[tuple[str, str], ...]) -> Fields:
    """Return the fields that end an answer.

    Args:
        code: The status.
        message: What is told besides; cut where clients would not take it.
        trailers: Further fields, their names in lower case.
    """
    if code is Code.OK and not message and not trailers:
        return OK
    more = tuple((name.encode("ascii"), value.encode()) for name, value in trailers)
    status = (b"grpc-status", b"%d" % code.value)
    return (status, (b"grpc-message", escape(message)), *more) if message else (status, *more)


def http_refusal(status: int, fields: Fields) -> Fields:
    """Return the fields of an answer to something that is no gRPC call."""
    return ((b":status", b"%d" % status), (b"content-type", CONTENT_TYPE), *fields)


def escape(message: str) -> bytes:
    """Return a status message as ``grpc-message`` has it; what is too long ends with dots."""
    data = message.encode("utf-8", "replace")
    escaped = b"".join([_ESCAPES[byte] for byte in data])
    if len(escaped) <= _MOST_MESSAGE_BYTES:
        inner = escaped.strip(b" ")  # fields may not begin or end with spaces
        before, after = len(escaped) - len(escaped.lstrip(b" ")), len(escaped) - len(escaped.rstrip(b" "))
        return b"%20" * before + inner + b"%20" * after if inner else b"%20" * len(escaped)
    pieces, size = [], 0
    for character in message:
        piece = b"".join([_ESCAPES[byte] for byte in character.encode("utf-8", "replace")])
        size += len(piece)
        if size > _MOST_MESSAGE_BYTES - 3:
            break
        pieces.append(piece)
    return b"".join(pieces) + b"..."
