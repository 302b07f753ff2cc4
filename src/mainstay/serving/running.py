"""A server for as long as its process lives: signals stop it, reload it and end it, and systemd is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Mapping

from mainstay.core import MainstayError
from mainstay.serving.contract import ServedModel
from mainstay.serving.models.config import FleetConfig
from mainstay.serving.options import ServerOptions
from mainstay.serving.processes.seat import WorkerSeat
from mainstay.serving.processes.systemd import notify
from mainstay.serving.server import ModelServer
from mainstay.serving.status import logger, message_of


def serve(
    models: Mapping[str, str | os.PathLike[str] | ServedModel] | FleetConfig,
    options: ServerOptions | None = None,
    *,
    on_ready: Callable[[ModelServer], None] | None = None,
    seat: WorkerSeat | None = None,
) -> None:
    """Serve models until SIGTERM or SIGINT, then finish what has come and return; a second signal ends at once.

    SIGHUP has the configuration files, certificates and tokens read again, and opens log files anew. Signals reach
    the main thread alone, so call it there; `ModelServer` can be started and stopped anywhere.

    Args:
        models: See `ModelServer`.
        options: How to serve.
        on_ready: Called once with the server when every model is loaded and warmed up.
        seat: The place of this process among several.

    Raises:
        SetupError: The address cannot be listened on, or there is no model at a path.
        ArtifactError: A model is refused.
    """
    server = ModelServer(models, options, seat=seat)
    if server.reads_artifacts:
        from mainstay.saved_model import tune_for_serving  # imported late: it brings the compiler along

        tune_for_serving()
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(_Serving(server).run(on_ready))


class _Serving:
    """One server and the signals of its process."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._stopping = asyncio.Event()
        self._is_worker = server.seat is not None
        on_main_thread = threading.current_thread() is threading.main_thread()
        self._signals = (signal.SIGTERM, signal.SIGINT) if on_main_thread else ()
        self._reloads: set[asyncio.Task[None]] = set()

    def _stop(self) -> None:
        self._stopping.set()
        loop = asyncio.get_running_loop()
        for number in self._signals:  # the second one ends the process at once
            loop.remove_signal_handler(number)

    def _reload(self) -> None:
        task = asyncio.ensure_future(self._reload_files())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_files(self) -> None:
        notify("RELOADING=1")
        try:
            await self._server.reload()
        except MainstayError as error:
            logger.error("not everything was read again: %s", message_of(error))
        notify("READY=1")

    async def run(self, on_ready: Callable[[ModelServer], None] | None) -> None:
        """Start the server, keep it up until it is told to stop, and stop it."""
        loop, server = asyncio.get_running_loop(), self._server
        # The signal that the kernel sends when the parent is gone is the same news, and not somebody's second one.
        server.on_orphaned = self._stopping.set
        for number in self._signals:
            loop.add_signal_handler(number, self._stop)
        if self._signals and hasattr(signal, "SIGHUP"):
            # The parent of workers has them all reload, whichever way it was asked.
            loop.add_signal_handler(signal.SIGHUP, (lambda: None) if self._is_worker else self._reload)
        if not await self._started():
            return
        # What is loaded stays: kept out of the garbage collector's sight, it cannot lengthen a pause.
        gc.collect()
        gc.freeze()
        try:
            if on_ready is not None:
                on_ready(server)
            if not self._is_worker:
                notify("READY=1")
            await self._stopping.wait()
        finally:
            gc.unfreeze()
            if not self._is_worker:
                notify("STOPPING=1")
            await server.stop()

    async def _started(self) -> bool:
        """Start the server; False where it is told to stop before it has started."""
        starting = asyncio.ensure_future(self._server.start())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if starting.done():
            await starting  # raises what went wrong
            return True
        logger.info("told to stop while starting")
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return False


def event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes event loops: the fastest kind that there is."""
    try:
        import uvloop
    except ImportError:  # uvloop does not exist for every platform
        return asyncio.new_event_loop
    return uvloop.new_event_loop
