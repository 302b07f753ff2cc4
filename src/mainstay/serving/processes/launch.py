"""Several workers as one server: the parent opens what they share, starts them, and stays until they have stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence

from mainstay.core import SetupError
from mainstay.serving.options import ServerOptions
from mainstay.serving.processes.counts import retire
from mainstay.serving.processes.sockets import open_unix, remove_unix, reserve_port
from mainstay.serving.processes.supervisor import SharedSockets, Supervisor, SupervisorOptions
from mainstay.serving.status import logger


def serve_workers(command: Sequence[str], options: ServerOptions, workers: SupervisorOptions) -> int:
    """Keep workers up until SIGTERM or SIGINT; requests in flight are answered before it returns.

    SIGHUP has all of them read their files again, SIGUSR2 replaces them one after the other.

    Args:
        command: What starts a worker, which takes its place with `take_seat` and passes it to `serve`.
        options: What they listen on.
        workers: How many there are, and how they are kept.

    Returns:
        The exit code: 0, or that of a worker that could not start.

    Raises:
        SetupError: An address cannot be listened on, or processes cannot share ports here.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise SetupError("processes cannot share a port here", where="--workers", fix="serve with one")
    with _shared(options) as sockets:
        supervisor = Supervisor(
            command, workers, sockets, retire=retire, on_ready=lambda: _tell(options, workers, sockets)
        )
        return asyncio.run(supervisor.run())


@contextlib.contextmanager
def _shared(options: ServerOptions) -> Iterator[SharedSockets]:
    """Open what the workers share, and close it at the end."""
    with contextlib.ExitStack() as opened:

        def port(number: int | None) -> socket.socket | None:
            return None if number is None else opened.enter_context(reserve_port(options.host, number))

        def unix(path: os.PathLike[str] | None) -> socket.socket | None:
            if path is None:
                return None
            made = opened.enter_context(open_unix(path, options.unix_socket_mode))
            opened.callback(remove_unix, path, os.stat(path))
            return made

        yield SharedSockets(
            rest=port(options.rest_port),
            grpc=port(options.grpc_port),
            unix=unix(options.unix_socket),
            grpc_unix=unix(options.grpc_unix_socket),
        )


def _tell(options: ServerOptions, workers: SupervisorOptions, sockets: SharedSockets) -> None:
    places = [f"{options.host}:{held.getsockname()[1]}" for held in (sockets.rest, sockets.grpc) if held is not None]
    places += [str(path) for path in (options.unix_socket, options.grpc_unix_socket) if path is not None]
    logger.info("%d workers serve on %s", workers.workers, ", ".join(places))
