"""Requests over HTTP/1.1: connections that are kept, one request at a time on each."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from mainstay.core import DeadlineError
from mainstay.serving.client.address import Address, unreachable

_MOST_KEPT = 16


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer.

    Args:
        status: Its HTTP status.
        body: Its body.
        content_type: What the body is.
        wait_seconds: What ``Retry-After`` asks for.
    """

    status: int
    body: bytes
    content_type: str
    wait_seconds: float


class RestTransport:
    """Sends requests to one server; threads may share it.

    Args:
        address: The server.
        tls: How it is spoken to over TLS.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._tls = tls
        self._kept: deque[http.client.HTTPConnection] = deque()

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> HttpAnswer:
        """Send a request and return its answer.

        Raises:
            UnavailableError: The server cannot be reached, or the connection was lost.
            DeadlineError: The answer did not come in time.
        """
        try:
            connection, is_fresh = self._kept.pop(), False
        except IndexError:
            connection, is_fresh = self._new(), True
        try:
            answer = self._send(connection, method, path, body=body, headers=headers, timeout_seconds=timeout_seconds)
        except (ConnectionError, http.client.RemoteDisconnected) as error:
            connection.close()
            if not is_fresh:  # the server may close a connection that has been idle at any moment
                self.close()
                return self.send(method, path, body, headers, timeout_seconds=timeout_seconds)
            raise unreachable(error, self._address) from error
        except TimeoutError as error:
            connection.close()
            raise DeadlineError(
                f"there was no answer within {timeout_seconds:.3g} seconds", where=self._address.authority
            ) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise unreachable(error, self._address) from error
        return answer

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> HttpAnswer:
        connection.timeout = timeout_seconds
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        connection.request(method, self._address.prefix + path, body, dict(headers))
        response = connection.getresponse()
        content = response.read()
        if response.will_close:
            connection.close()
        elif len(self._kept) < _MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()
        return HttpAnswer(
            response.status,
            content,
            response.getheader("content-type", ""),
            _seconds(response.getheader("retry-after")),
        )

    def _new(self) -> http.client.HTTPConnection:
        address = self._address
        if address.socket:
            return _UnixConnection(address.socket)
        if address.secure:
            return http.client.HTTPSConnection(address.host, address.port, context=self._tls)
        return http.client.HTTPConnection(address.host, address.port)

    def close(self) -> None:
        """Close every connection that is not in use."""
        while self._kept:
            self._kept.pop().close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _seconds(text: str | None) -> float:
    try:
        return min(max(float(text or 0), 0.0), 3600.0)
    except ValueError:  # a date, which nobody needs for such short times
        return 0.0
