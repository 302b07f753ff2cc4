"""What the server asks of those who listen for one protocol, and how their sockets are opened."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Collection
from typing import Protocol

from mainstay.core import SetupError

_BACKLOG = 1024

_FIXES = {
    errno.EADDRINUSE: "stop the other program, or choose another port (0 takes any free one)",
    errno.EACCES: "choose a port above 1023",
    errno.EADDRNOTAVAIL: "choose an address of this machine, such as 127.0.0.1 or 0.0.0.0",
}


class Listener(Protocol):
    """All connections of one protocol, whatever sockets they came through."""

    @property
    def connections(self) -> Collection[object]:
        """Those that are open."""

    def connect(self) -> asyncio.BaseProtocol:
        """Return the protocol of a new connection."""

    def tick(self) -> None:
        """Do what is due about once a second, such as ending connections that take too long."""

    def stop(self) -> None:
        """Make every connection end after the answers that it owes."""

    def close_quiet(self) -> None:
        """Close the connections that owe nothing any more; called over and over until none is left."""

    def abort(self) -> None:
        """Drop every connection that is left."""


async def listen(
    listener: Listener,
    host: str,
    port: int,
    *,
    loop: asyncio.AbstractEventLoop,
    context: ssl.SSLContext | None = None,
    reuse_port: bool = False,
) -> asyncio.Server:
    """Open a TCP socket for a listener.

    Args:
        listener: What takes the connections.
        host: The address to listen on.
        port: The port; 0 takes any free one.
        loop: The event loop.
        context: How connections are encrypted; None for plain ones.
        reuse_port: Whether other processes listen on it too, each taking its share of the connections.

    Returns:
        The open socket, which accepts already.

    Raises:
        SetupError: The address cannot be listened on.
    """
    try:
        return await loop.create_server(
            listener.connect, host, port, backlog=_BACKLOG, ssl=context, reuse_port=reuse_port or None
        )
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else f"cannot listen: {error.strerror}"
        raise SetupError(
            reason,
            where=f"{host}:{port}",
            fix=_FIXES.get(error.errno or 0, "choose an address of this machine, such as 127.0.0.1"),
        ) from error


def port_of(server: asyncio.Server) -> int:
    """Return the port of an open socket."""
    port: int = server.sockets[0].getsockname()[1]
    return port
