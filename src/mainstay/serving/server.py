"""The model server: it listens, loads, answers and stops, losing no request that it has begun to read."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

from mainstay.core import ArgumentError, SetupError
from mainstay.serving.batching.executor import DeviceThread
from mainstay.serving.contract import ServedModel
from mainstay.serving.engine import Engine
from mainstay.serving.http1.listener import HttpListener
from mainstay.serving.listening import Listener, listen, port_of
from mainstay.serving.models.artifacts import ArtifactLoader
from mainstay.serving.models.config import FleetConfig, config_of_models, read_config_file
from mainstay.serving.models.fleet import Fleet
from mainstay.serving.operations.assembly import Operations
from mainstay.serving.operations.certificates import ALPN_HTTP1
from mainstay.serving.operations.start_log import ready_lines, start_lines
from mainstay.serving.options import ServerOptions
from mainstay.serving.rest.interface import RestInterface
from mainstay.serving.status import logger

_TICK_SECONDS = 1.0
_DRAIN_STEP_SECONDS = 0.02
_LAST_WORDS_SECONDS = 5.0


class ModelServer:
    """A server of models over TF Serving's REST interface, as an async context manager.

    It listens before it loads, so that ``/healthz`` answers at once while ``/readyz`` waits for the models.

    Args:
        models: By name, the path of an artifact, of a folder with artifacts in numbered folders, or a loaded model;
            or their configuration. Without any, `VersionOptions.config_file` names them.
        options: How to serve.

    Raises:
        ArgumentError: There is no model, or a name cannot stand in a path.
        StorageError: The configuration file cannot be read.
        FormatError: It is malformed.
    """

    def __init__(
        self,
        models: Mapping[str, str | os.PathLike[str] | ServedModel] | FleetConfig,
        options: ServerOptions | None = None,
    ) -> None:
        self.options = options or ServerOptions()
        config = models if isinstance(models, FleetConfig) else config_of_models(models)
        if not config.models and self.options.versions.config_file is not None:
            config = read_config_file(self.options.versions.config_file)
        elif not config.models:
            raise ArgumentError("there is no model to serve", fix="name at least one, as NAME=PATH")
        self._config = config
        self._fleet: Fleet | None = None
        self._loader: ArtifactLoader | None = None
        self._engine: Engine | None = None
        self._listeners: tuple[Listener, ...] = ()
        self._sockets: list[asyncio.Server] = []
        self._executor: DeviceThread | None = None
        self._operations: Operations | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._rest_port = 0
        self._grpc_port = 0

    @property
    def rest_port(self) -> int:
        """The port of the REST interface, once the server has started."""
        return self._rest_port

    @property
    def grpc_port(self) -> int:
        """The port of the gRPC interface, once the server has started; 0 where there is none."""
        return self._grpc_port

    @property
    def url(self) -> str:
        """The address of the REST interface, such as ``http://127.0.0.1:8501``."""
        host = self.options.host
        scheme = "http" if self.options.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._rest_port}"

    @property
    def reads_artifacts(self) -> bool:
        """Whether a model comes from a folder, and not all of them from memory."""
        return any(model.model is None for model in self._config.models)

    @property
    def fleet(self) -> Fleet:
        """The models and their versions, which can be reconfigured, once the server has started.

        Raises:
            SetupError: It has not.
        """
        if self._fleet is None:
            raise SetupError("the server has not been started")
        return self._fleet

    async def start(self) -> None:
        """Listen, load every model and warm it up; the server is ready when this returns.

        Raises:
            SetupError: The address cannot be listened on, or there is no model at a path.
            ArtifactError: A model is refused.
        """
        loop = asyncio.get_running_loop()
        engine = self._engine = Engine(loop)
        operations = self._operations = Operations(engine, self.options, self._connection_counts())
        batching = self.options.batching
        self._executor = DeviceThread(loop, batching.num_batch_threads, batching.thread_pool_name)
        self._loader = ArtifactLoader(self.options, executor=self._executor, loop=loop)
        self._fleet = Fleet(engine, self._config, self.options.versions, loader=self._loader)
        self._fleet.watchers += (operations.watch,)
        try:
            operations.configure(self._config)
            await self._listen(engine, operations)
            self._tick()
            for line in start_lines({"REST": self.url}, operations.switched_on):
                logger.info("%s", line)
            await self._fleet.start()
        except BaseException:
            await self.stop()
            raise
        for line in ready_lines(engine.snapshot):
            logger.info("%s", line)
        for name in engine.snapshot.servables:
            logger.info("serving POST %s/v1/models/%s:predict", self.url, name)

    def _connection_counts(self) -> dict[str, Callable[[], int]]:
        """Return by protocol what counts the open connections."""
        return {"REST": lambda: _count(self._listeners)}

    async def _listen(self, engine: Engine, operations: Operations) -> None:
        options, loop, tls = self.options, engine.loop, operations.tls
        interface = RestInterface(engine)
        interface.also += operations.pages
        rest = HttpListener(interface, options, loop)
        context = None
        if tls is not None:
            rest.identify = tls.identity
            context = tls.context(ALPN_HTTP1)
        self._listeners = (rest,)
        self._sockets.append(await listen(rest, options.host, options.rest_port, loop=loop, context=context))
        self._rest_port = port_of(self._sockets[-1])

    def _tick(self) -> None:
        for listener in self._listeners:
            listener.tick()
        if self._operations is not None:
            self._operations.tick()
        self._ticker = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    async def stop(self) -> None:
        """Accept nothing more, answer what has come, then close. Stopping twice is fine."""
        engine, listeners = self._engine, self._listeners
        if engine is None or engine.draining:
            return
        time, operations = engine.time, self._operations
        engine.draining = True
        if self.options.shutdown_delay_seconds and engine.snapshot.ready:
            logger.info("no longer ready, and stopping in %g seconds", self.options.shutdown_delay_seconds)
            await asyncio.sleep(self.options.shutdown_delay_seconds)
        if self._loader is not None and self._fleet is not None:
            self._loader.close()
            await self._fleet.stop()
        await asyncio.sleep(0)  # take the connections that the kernel has accepted already
        for opened in self._sockets:
            opened.close()
        for listener in listeners:
            listener.stop()
        logger.info("stopping: %d connections are open", _count(listeners))
        end = time() + self.options.drain_timeout_seconds
        while _count(listeners) and time() < end:
            for listener in listeners:
                listener.close_quiet()
            await asyncio.sleep(_DRAIN_STEP_SECONDS)
        if _count(listeners):
            logger.warning("dropping %d connections that did not finish in time", _count(listeners))
            for listener in listeners:
                listener.abort()
            await asyncio.sleep(0)
        if self._ticker is not None:
            self._ticker.cancel()
        if self._executor is not None and not self._executor.close(max(end - time(), 0.0)):
            logger.warning("abandoning a batch that did not finish in time")
        if operations is not None:
            await asyncio.to_thread(operations.close, _LAST_WORDS_SECONDS)
        logger.info("stopped")

    def reopen(self) -> None:
        """Open log files anew, after a program that rotates logs has moved them, and read certificates again."""
        if self._operations is not None:
            self._operations.reopen()

    async def __aenter__(self) -> ModelServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _count(listeners: tuple[Listener, ...]) -> int:
    return sum(len(listener.connections) for listener in listeners)


def serve(
    models: Mapping[str, str | os.PathLike[str] | ServedModel] | FleetConfig,
    options: ServerOptions | None = None,
    *,
    on_ready: Callable[[ModelServer], None] | None = None,
) -> None:
    """Serve models until SIGTERM or SIGINT, then finish what has come and return; a second signal ends at once.

    SIGHUP opens log files anew and reads certificates and the access file again.

    Signals reach the main thread alone, so call it there; `ModelServer` can be started and stopped anywhere.

    Args:
        models: See `ModelServer`.
        options: How to serve.
        on_ready: Called once with the server when every model is loaded and warmed up.

    Raises:
        SetupError: The address cannot be listened on, or there is no model at a path.
        ArtifactError: A model is refused.
    """
    server = ModelServer(models, options)
    if server.reads_artifacts:
        from mainstay.saved_model import tune_for_serving  # imported late: it brings the compiler along

        tune_for_serving()
    with asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(_serve(server, on_ready))


async def _serve(server: ModelServer, on_ready: Callable[[ModelServer], None] | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()

    def stop() -> None:
        stopping.set()
        for number in signals:  # the second one ends the process at once
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, stop)
    if signals and hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, server.reopen)
    async with server:
        # What is loaded stays: kept out of the garbage collector's sight, it cannot lengthen a pause.
        gc.collect()
        gc.freeze()
        try:
            if on_ready is not None:
                on_ready(server)
            await stopping.wait()
        finally:
            gc.unfreeze()


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # uvloop does not exist for every platform
        return asyncio.new_event_loop
    return uvloop.new_event_loop
