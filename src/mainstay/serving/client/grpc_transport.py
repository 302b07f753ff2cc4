"""Unary gRPC calls over connections that are kept, one call at a time on each."""

from __future__ import annotations

import ssl
import zlib
from collections import deque
from collections.abc import Iterable
from urllib.parse import unquote

from mainstay.core import ServerError, UnavailableError
from mainstay.serving.client.address import Address
from mainstay.serving.client.http2_connection import Http2Connection
from mainstay.serving.client.retries import TryAgainError
from mainstay.serving.status import Code, error_of

_MOST_KEPT = 16
_HTTP_CODES = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""What gRPC takes an HTTP status for where there is no status of its own, as behind a proxy."""


class GrpcTransport:
    """Makes calls to one server; threads may share it.

    Args:
        address: The server.
        tls: How it is spoken to over TLS.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._tls = tls
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self._kept: deque[Http2Connection] = deque()

    def call(self, path: str, message: bytes, metadata: Iterable[tuple[str, str]], *, timeout_seconds: float) -> bytes:
        """Send one message and return the one that answers it.

        Raises:
            MainstayError: The server refused it, each status with a class of its own.
            UnavailableError: The server cannot be reached, or the connection was lost.
            DeadlineError: The answer did not come in time.
            TryAgainError: It may be sent again.
        """
        metadata = [("grpc-timeout", f"{max(int(timeout_seconds * 1000), 1)}m"), *metadata]
        body = b"\0" + len(message).to_bytes(4, "big") + message
        connection, is_fresh = self._connection(timeout_seconds)
        try:
            fields, data = connection.call(path, body, metadata, timeout_seconds=timeout_seconds)
        except UnavailableError as error:
            if is_fresh or type(error) is not UnavailableError:
                raise
            self.close()  # the server may have closed a connection that was idle
            connection, _ = self._connection(timeout_seconds)
            fields, data = connection.call(path, body, metadata, timeout_seconds=timeout_seconds)
        if connection.usable and len(self._kept) < _MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()
        return self._answer(dict(fields), data)

    def _connection(self, timeout_seconds: float) -> tuple[Http2Connection, bool]:
        try:
            return self._kept.pop(), False
        except IndexError:
            return Http2Connection(self._address, self._tls, timeout_seconds), True

    def _answer(self, fields: dict[bytes, bytes], data: bytes) -> bytes:
        code, where = _code(fields), self._address.socket or self._address.authority
        if code is not Code.OK:
            message = unquote(fields.get(b"grpc-message", b"").decode("ascii", "replace"))
            error = error_of(code, message or code.name, where)
            if code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED):
                raise TryAgainError(error, _wait(fields))
            raise error
        if len(data) < 5 or int.from_bytes(data[1:5], "big") != len(data) - 5:
            raise ServerError("the answer is not one message", where=where, received=f"{len(data):,} bytes")
        if not data[0]:
            return data[5:]
        if fields.get(b"grpc-encoding") not in (b"gzip", b"deflate"):
            raise ServerError("the answer is compressed in an unknown way", where=where)
        return zlib.decompress(data[5:], 32 + zlib.MAX_WBITS)

    def close(self) -> None:
        """Close every connection that is not in use."""
        while self._kept:
            self._kept.pop().close()


def _code(fields: dict[bytes, bytes]) -> Code:
    text = fields.get(b"grpc-status")
    if text is not None and text.isdigit() and int(text) <= Code.UNAUTHENTICATED.value:
        return Code(int(text))
    status = fields.get(b":status", b"")
    return Code(_HTTP_CODES.get(int(status), 2) if status.isdigit() else 2)


def _wait(fields: dict[bytes, bytes]) -> float:
    """Return how long the server asks to wait: ``grpc-retry-pushback-ms``, or ``retry-after`` in seconds."""
    for name, unit in ((b"grpc-retry-pushback-ms", 1e-3), (b"retry-after", 1.0)):
        text = fields.get(name, b"")
        if text.isdigit():
            return min(int(text) * unit, 3600.0)
    return 0.0
