"""One HTTP request, its answer, and the answer's bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from mainstay.serving.batching.batcher import Ticket

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Flushes(Protocol):
    """A connection, as far as an exchange knows it."""

    def flush(self) -> None:
        """Write the answers whose turn it is."""


class HttpExchange:
    """One request on a connection and, once there is one, its answer."""

    __slots__ = ("_connection", "answer", "body", "keep_alive", "method", "old", "target", "ticket")

    def __init__(self, connection: Flushes, method: str, target: str) -> None:
        self._connection = connection
        self.method = method
        self.target = target
        self.body = b""
        self.keep_alive = True
        self.old = False
        self.ticket: Ticket | None = None
        self.answer: tuple[int, bytes, str] | None = None

    def reply(self, status: int, body: bytes, allow: str = "") -> None:
        """Answer the request; the bytes leave when every earlier request of the connection is answered."""
        self.answer = (status, body, allow)
        self._connection.flush()


def response(exchange: HttpExchange, head: bytes) -> bytes:
    """Return the bytes of an exchange's answer.

    Args:
        exchange: An exchange that has been answered.
        head: Status line and headers of an answer 200, up to and including ``content-length: ``.
    """
    status, body, allow = exchange.answer or (500, b"", "")
    if status == 200 and exchange.keep_alive and not exchange.old and exchange.method != "HEAD":
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)
    headers = head.partition(b"\r\n")[2]
    lines = [b"HTTP/1.1 %d %b\r\n%b%d\r\n" % (status, _REASONS.get(status, b""), headers, len(body))]
    if allow:
        lines.append(b"allow: %b\r\n" % allow.encode())
    if not exchange.keep_alive:
        lines.append(b"connection: close\r\n")
    elif exchange.old:
        lines.append(b"connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if exchange.method != "HEAD":
        lines.append(body)
    return b"".join(lines)
