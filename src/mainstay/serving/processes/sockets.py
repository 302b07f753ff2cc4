"""Sockets that several processes share: reserved TCP ports, and UNIX sockets with their files."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

from mainstay.core import SetupError

BACKLOG = 1024
DEFAULT_MODE = 0o660
_LONGEST_PATH = 107  # of sockaddr_un on Linux; 103 on macOS, whose own error then says so


def reserve_port(host: str, port: int) -> socket.socket:
    """Hold a TCP port for the workers that will listen on it with ``SO_REUSEPORT``, without listening on it.

    Args:
        host: The address.
        port: The port; 0 takes any free one, the same for all workers.

    Raises:
        SetupError: The port is in use, or the address is not here.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SetupError(f"cannot listen: {error.strerror}", where=f"{host}:{port}") from error
    try:
        if port:
            # Another server that shares its port with its own workers would share it with these as well.
            with _bind(family, kind, protocol, address, option=socket.SO_REUSEADDR):
                pass
        return _bind(family, kind, protocol, address, option=socket.SO_REUSEPORT)
    except OSError as error:
        raise SetupError(
            "the port is in use" if error.errno == errno.EADDRINUSE else f"cannot listen: {error.strerror}",
            where=f"{host}:{port}",
            fix="stop the other program, or choose another port (0 takes any free one)",
        ) from error


def _bind(family: int, kind: int, protocol: int, address: tuple[Any, ...], *, option: int) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def open_unix(path: str | os.PathLike[str], mode: int = DEFAULT_MODE) -> socket.socket:
    """Listen on a UNIX socket; a file that a dead server left behind is replaced.

    Args:
        path: Where its file goes.
        mode: Who may connect, as the permissions of the file.

    Raises:
        SetupError: Another server listens there, the path is taken by another file, or it cannot be written.
    """
    path = Path(path)
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise SetupError("the path of a UNIX socket is too long", where=path, expected=f"{_LONGEST_PATH} bytes")
    _remove_stale(path)
    opened = socket.socket(socket.AF_UNIX)
    # The file is made with its permissions: between bind and a later chmod, anybody could connect.
    before = os.umask(0o777 & ~mode)
    try:
        opened.bind(os.fspath(path))
    except OSError as error:
        opened.close()
        raise SetupError(f"cannot listen: {error.strerror}", where=path, fix="choose another path") from error
    finally:
        os.umask(before)
    opened.listen(BACKLOG)
    opened.setblocking(False)
    return opened


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SetupError(f"cannot listen: {error.strerror}", where=path) from error
    if not stat.S_ISSOCK(found.st_mode):
        raise SetupError("the path of a UNIX socket is taken", where=path, received="a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except OSError as error:
            raise SetupError(f"cannot listen: {error.strerror}", where=path) from error
    raise SetupError("a server listens there already", where=path, fix="stop it, or choose another path")


def remove_unix(path: str | os.PathLike[str], opened: os.stat_result | None) -> None:
    """Remove the file of a UNIX socket, unless another server has put its own there.

    Args:
        path: The file.
        opened: What `os.stat` said of it when it was opened.
    """
    with contextlib.suppress(OSError):
        found = os.stat(path)
        if opened is None or (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino):
            os.unlink(path)
