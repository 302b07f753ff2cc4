"""One HTTP request, its answer, and the answer's bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from mainstay.serving.rest.answers import JSON

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Flushes(Protocol):
    """A connection, as far as an exchange knows it."""

    def flush(self) -> None:
        """Write the answers whose turn it is."""


class HttpExchange:
    """One request on a connection and, once there is one, its answer.

    Attributes:
        headers: Its headers by lower-case name; the last one counts where a name comes twice.
        received: When its last byte came, in seconds of the loop's clock.
        peer: The client's address.
        identity: The name in the client's certificate; empty where it showed none.
        on_gone: To be set by who answers: called if the client goes away before the answer.
        extra_headers: To be set where every answer has them, a refusal as well.
        held: How many bytes of memory it is charged with until it is answered.
    """

    __slots__ = (
        "_connection",
        "answer",
        "body",
        "extra_headers",
        "headers",
        "held",
        "identity",
        "keep_alive",
        "method",
        "old",
        "on_gone",
        "peer",
        "received",
        "target",
    )

    def __init__(self, connection: Flushes, method: str, target: str) -> None:
        self._connection = connection
        self.method = method
        self.target = target
        self.body = b""
        self.held = 0
        self.keep_alive = True
        self.old = False
        self.headers: Mapping[bytes, bytes] = {}
        self.received = 0.0
        self.peer = ""
        self.identity = ""
        self.on_gone: Callable[[], None] | None = None
        self.extra_headers: tuple[tuple[str, str], ...] = ()
        self.answer: tuple[int, bytes, tuple[tuple[str, str], ...], str] | None = None

    def reply(
        self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = (), content_type: str = JSON
    ) -> None:
        """Answer the request; the bytes leave when every earlier request of the connection is answered."""
        self.answer = (status, body, headers + self.extra_headers, content_type)
        self._connection.flush()


def response(exchange: HttpExchange, head: bytes) -> bytes:
    """Return the bytes of an exchange's answer.

    Args:
        exchange: An exchange that has been answered.
        head: Status line and headers of an answer 200, up to and including ``content-length: ``.
    """
    status, body, more, content_type = exchange.answer or (500, b"", (), JSON)
    plain = status == 200 and content_type == JSON and not more
    if plain and exchange.keep_alive and not exchange.old and exchange.method != "HEAD":
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)
    headers = head.partition(b"\r\n")[2]
    if content_type != JSON:
        headers = headers.replace(JSON.encode(), content_type.encode(), 1)
    lines = [b"HTTP/1.1 %d %b\r\n%b%d\r\n" % (status, _REASONS.get(status, b""), headers, len(body))]
    lines.extend(f"{name}: {value}\r\n".encode("latin-1") for name, value in more)
    if not exchange.keep_alive:
        lines.append(b"connection: close\r\n")
    elif exchange.old:
        lines.append(b"connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if exchange.method != "HEAD":
        lines.append(body)
    return b"".join(lines)
