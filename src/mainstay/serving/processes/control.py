"""The control plane: what one process is asked and all of them have to answer, be they one or many."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from mainstay.core import MainstayError, UnavailableError
from mainstay.serving.processes.seat import WorkerSeat
from mainstay.serving.processes.wire import Wire
from mainstay.serving.status import logger

Reload: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Takes another configuration, or with nothing reads the files again; returns what is told to who asked."""

COLLECT, RELOAD, READY, GATHER, FAREWELL = "collect", "reload", "ready", "gather", "farewell"
GATHER_SECONDS = 2.0


class Control:
    """The control plane of a server without workers: it is everybody.

    All methods are called on the event loop.

    Attributes:
        collectors: By name, what gives this process's part of something that adds up, such as metrics.
        reloader: Takes another configuration in this process.
    """

    def __init__(self) -> None:
        self.collectors: dict[str, Callable[[], bytes]] = {}
        self.reloader: Reload | None = None

    async def gather(self, name: str) -> list[bytes]:
        """Return the parts of all processes, as far as they can be had now."""
        return [self.collectors[name]()]

    async def reload(self, config: bytes = b"") -> bytes:
        """Have all processes take a configuration, or read their files again where there is none.

        Returns:
            What the configuration changed.

        Raises:
            MainstayError: It is refused; with workers, by one of them at least.
        """
        return await self._reload_here(config)

    async def _reload_here(self, config: bytes) -> bytes:
        if self.reloader is None:
            raise UnavailableError("the server is not ready for another configuration yet")
        return await self.reloader(config)


class WorkerControl(Control):
    """The control plane as a worker sees it: the parent asks all workers, this one among them.

    Args:
        seat: The worker's place.
        stop: Called when the parent is gone.
    """

    def __init__(self, seat: WorkerSeat, stop: Callable[[], None]) -> None:
        super().__init__()
        self._seat = seat
        self._stop = stop
        self._wire = Wire(self._serve, self._closed)
        self._closing = False

    async def connect(self) -> None:
        """Take up the wire to the parent."""
        await asyncio.get_running_loop().create_connection(lambda: self._wire, sock=self._seat.take_control())

    async def ready(self) -> None:
        """Tell the parent that this worker answers, and take the configuration that the others got meanwhile."""
        config = await self._wire.request(READY)
        if config:
            try:
                await self._reload_here(config)
            except Exception as error:
                logger.error("worker %d does not take the configuration of the others: %s", self._seat.number, error)

    async def gather(self, name: str) -> list[bytes]:
        """Return the parts of all workers; without the parent, this one's alone."""
        try:
            reply = await self._wire.request(GATHER, name.encode(), seconds=2 * GATHER_SECONDS)
        except UnavailableError:
            return [self.collectors[name]()]
        return unpack(reply)

    async def reload(self, config: bytes = b"") -> bytes:
        """Have all workers take a configuration."""
        return await self._wire.request(RELOAD, config)

    async def _serve(self, operation: str, payload: bytes) -> bytes:
        if operation == COLLECT:
            collector = self.collectors.get(payload.decode())
            return b"" if collector is None else collector()
        if operation == RELOAD:
            return await self._reload_here(payload)
        raise UnavailableError(f"unknown operation {operation!r}")

    def _closed(self) -> None:
        if not self._closing:
            logger.warning("worker %d stops: its parent is gone", self._seat.number)
            self._stop()

    async def leave(self) -> None:
        """Leave what this worker has counted to its parent, and hang up."""
        self._closing = True
        named = [part for name, collect in self.collectors.items() for part in (name.encode(), collect())]
        with contextlib.suppress(MainstayError):  # the parent is gone as well
            await self._wire.request(FAREWELL, pack(named), seconds=GATHER_SECONDS)
        self._wire.close()

    def close(self) -> None:
        """Hang up."""
        self._closing = True
        self._wire.close()


def pack(parts: list[bytes]) -> bytes:
    """Return several pieces of data as one.

    >>> unpack(pack([b"one", b"", b"two"]))
    [b'one', b'', b'two']
    """
    head = json.dumps([len(part) for part in parts]).encode()
    return head + b"\n" + b"".join(parts)


def unpack(data: bytes) -> list[bytes]:
    """Return the pieces that `pack` put together."""
    head, _, rest = data.partition(b"\n")
    parts, start = [], 0
    for size in json.loads(head):
        parts.append(rest[start : start + size])
        start += size
    return parts
