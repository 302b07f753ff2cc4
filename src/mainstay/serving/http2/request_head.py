"""The head of a gRPC call: its header fields checked as RFC 9113 asks, and as gRPC understands them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mainstay.serving.http2.header_decoder import Field
from mainstay.serving.status import Code

_NAME = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_VALUE = re.compile(rb"(?:[^\0\r\n\t ](?:[^\0\r\n]*[^\0\r\n\t ])?)?").fullmatch
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])").fullmatch
_CONTENT_TYPE = re.compile(rb"application/grpc(?:[+;].*)?", re.IGNORECASE).fullmatch
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_OF_CONNECTIONS = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))

ENCODINGS = frozenset((b"identity", b"gzip", b"deflate"))
ACCEPTED = "identity, deflate, gzip"
"""The encodings of messages that the server reads."""

Refusal = tuple[int, Code, str, tuple[tuple[str, str], ...]]
"""How a call is refused at once: HTTP status, gRPC status, message, and further headers."""


class RequestHead:
    """What the header fields of a call say. Calls with equal fields share one, so nobody changes it.

    Attributes:
        path: The method that is called.
        headers: All fields but the pseudo ones, by name; of a name that comes twice, the values joined by commas.
        timeout: How long the client waits, in seconds; None for ever.
        encoding: How messages are compressed whose flag says so; None for not at all.
        takes_gzip: Whether answers may be gzipped.
        content_length: The size of the body, where the client tells it.
        refusal: Why the call is refused before its message is read; None if it is not.
        streaming: Whether the client of its method streams; set by the connection.
    """

    __slots__ = ("content_length", "encoding", "headers", "path", "refusal", "streaming", "takes_gzip", "timeout")

    def __init__(self, path: str, headers: dict[bytes, bytes]) -> None:
        self.path = path
        self.headers = headers
        self.timeout: float | None = None
        self.encoding: bytes | None = None
        self.takes_gzip = b"gzip" in [each.strip() for each in headers.get(b"grpc-accept-encoding", b"").split(b",")]
        self.content_length: int | None = None
        self.refusal: Refusal | None = None
        self.streaming = False


class MalformedError(ValueError):
    """The fields break the rules of HTTP/2, so that nothing can be answered."""


def read_head(fields: Sequence[Field]) -> RequestHead:
    """Return what the fields of a request say.

    Raises:
        MalformedError: They are no HTTP/2 request.
    """
    pseudo: dict[bytes, bytes] = {}
    headers: dict[bytes, bytes] = {}
    for name, value in fields:
        if not _VALUE(value) or not _NAME(name):
            raise MalformedError(f"field {name[:100]!r} has characters that it must not have")
        if name[0] != 58:  # the colon of pseudo fields
            headers[name] = b"%b,%b" % (headers[name], value) if name in headers else value
        elif headers or name in pseudo or name not in _PSEUDO:
            raise MalformedError(f"pseudo field {name[:100]!r} is unknown, repeated or behind other fields")
        else:
            pseudo[name] = value
    _check_plain(headers)
    path = pseudo.get(b":path", b"")
    if pseudo.get(b":method") != b"CONNECT" and not (path and b":scheme" in pseudo and b":method" in pseudo):
        raise MalformedError("the request lacks its method, scheme or path")
    head = RequestHead(path.decode("latin-1"), headers)
    length = headers.get(b"content-length")
    if length is not None:
        if not _LENGTH(length):
            raise MalformedError("the content length is no number")
        head.content_length = int(length)
    _read_grpc(head, pseudo)
    return head


def read_trailers(fields: Sequence[Field]) -> None:
    """Check the fields that end a request; gRPC gives them no meaning.

    Raises:
        MalformedError: They are no trailers.
    """
    for name, value in fields:
        if not _VALUE(value) or not _NAME(name) or name[0] == 58:
            raise MalformedError(f"field {name[:100]!r} cannot be a trailer")
    _check_plain(dict(fields))


def _check_plain(headers: dict[bytes, bytes]) -> None:
    if not _OF_CONNECTIONS.isdisjoint(headers):
        raise MalformedError("fields about the connection have no place in HTTP/2")
    if headers.get(b"te", b"trailers").lower() != b"trailers":
        raise MalformedError("te may only say trailers")


def _read_grpc(head: RequestHead, pseudo: dict[bytes, bytes]) -> None:
    """Read what gRPC asks for. Refusals are worded as grpc-core's server has them, where it has any."""
    headers = head.headers
    timeout, encoding = headers.get(b"grpc-timeout"), headers.get(b"grpc-encoding")
    if not _CONTENT_TYPE(headers.get(b"content-type", b"")):
        head.refusal = (415, Code.INTERNAL, "The content type is no gRPC; send application/grpc", ())
    elif pseudo[b":method"] != b"POST":
        head.refusal = _plain(Code.UNKNOWN, "Bad method header")
    elif b"te" not in headers:
        head.refusal = _plain(Code.UNKNOWN, "Missing :te header")
    elif encoding is not None and encoding not in ENCODINGS:
        message = f"Compression algorithm '{encoding[:40].decode('latin-1')}' is not supported."
        head.refusal = (200, Code.UNIMPLEMENTED, message, (("grpc-accept-encoding", ACCEPTED),))
    elif timeout is not None:
        match = _TIMEOUT(timeout)
        if match is None:
            shown = timeout[:40].decode("latin-1")
            head.refusal = _plain(Code.INTERNAL, f"malformed grpc-timeout: {shown}; send a number and one of HMSmun")
        else:
            head.timeout = int(match[1]) * _UNITS[match[2]]
    if encoding != b"identity":
        head.encoding = encoding


def _plain(code: Code, message: str) -> Refusal:
    return 200, code, message, ()
