"""What a server listens on: its own ports and UNIX sockets, or those that a worker shares with others."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from mainstay.serving.listening import Listener, listen, port_of
from mainstay.serving.processes.seat import WorkerSeat
from mainstay.serving.processes.sockets import open_unix, remove_unix


class Openings:
    """The open sockets of a server.

    Args:
        host: The address of its TCP ports.
        mode: The permissions of its UNIX sockets.
        seat: The worker's place, where it is one.
    """

    def __init__(self, host: str, mode: int, seat: WorkerSeat | None = None) -> None:
        self._host = host
        self._mode = mode
        self._seat = seat
        self._servers: list[asyncio.Server] = []
        self._files: list[tuple[Path, os.stat_result]] = []

    async def open_port(self, listener: Listener, port: int, *, context: ssl.SSLContext | None = None) -> int:
        """Listen on a TCP port, which workers share.

        Returns:
            The port, where `port` is 0 the one that was found.

        Raises:
            SetupError: It is in use, or cannot be had.
        """
        loop, shared = asyncio.get_running_loop(), self._seat is not None
        server = await listen(listener, self._host, port, loop=loop, context=context, reuse_port=shared)
        self._servers.append(server)
        return port_of(server)

    async def open_unix(self, listener: Listener, path: Path, descriptor: int | None = None) -> None:
        """Listen on a UNIX socket.

        Args:
            listener: What takes the connections.
            path: Its file.
            descriptor: The open socket, where the parent of a worker has opened it.

        Raises:
            SetupError: Another server listens there, or the file cannot be made.
        """
        if descriptor is None:
            opened = open_unix(path, self._mode)
            self._files.append((path, os.stat(path)))
        else:
            opened = socket.socket(fileno=descriptor)
            opened.setblocking(False)
        loop: Any = asyncio.get_running_loop()
        # Since Python 3.13 asyncio would remove the file at the end, which is for whoever made it to do.
        keys = {"cleanup_socket": False} if sys.version_info >= (3, 13) and _is_of_asyncio(loop) else {}
        self._servers.append(await loop.create_unix_server(listener.connect, sock=opened, **keys))

    def close(self) -> None:
        """Accept nothing more."""
        for server in self._servers:
            server.close()
        for path, opened in self._files:
            remove_unix(path, opened)
        self._servers, self._files = [], []


def _is_of_asyncio(loop: object) -> bool:
    return type(loop).__module__.startswith("asyncio")
