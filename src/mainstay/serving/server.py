"""The model server: it listens, loads, answers and stops, losing no request that it has begun to read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

from mainstay.core import ArgumentError, MainstayError, SetupError
from mainstay.serving.batching.executor import DeviceThread
from mainstay.serving.contract import ServedModel
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.interface import GrpcServices
from mainstay.serving.grpc.model_service import counter_of
from mainstay.serving.grpc.services import grpc_services
from mainstay.serving.http1.listener import HttpListener
from mainstay.serving.http2.listener import GrpcListener
from mainstay.serving.inference_v2.grpc_methods import register
from mainstay.serving.inference_v2.paths import InferencePaths
from mainstay.serving.listening import Listener
from mainstay.serving.models.artifacts import ArtifactLoader
from mainstay.serving.models.config import FleetConfig, config_of_models, read_config_file
from mainstay.serving.models.fleet import Fleet
from mainstay.serving.operations.assembly import Operations
from mainstay.serving.operations.certificates import ALPN_HTTP1, ALPN_HTTP2
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.start_log import ready_lines, start_lines
from mainstay.serving.options import ServerOptions
from mainstay.serving.processes.control import Control, WorkerControl
from mainstay.serving.processes.counts import METRICS, TENSORFLOW_METRICS, gather_metrics
from mainstay.serving.processes.openings import Openings
from mainstay.serving.processes.reloading import Reloading
from mainstay.serving.processes.seat import WorkerSeat
from mainstay.serving.rest.interface import RestInterface
from mainstay.serving.status import code_of, logger
from mainstay.serving.traffic.assembly import TRAFFIC, Traffic
from mainstay.serving.traffic.router import TrafficRouter

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
        seat: The place of this process among several on the same ports. A worker listens once it has loaded, since
            it is sent requests from then on.

    Attributes:
        control: Asks all processes of the server what they count, and has them reload.
        on_orphaned: Called when the parent of a worker is gone.

    Raises:
        ArgumentError: There is no model, or a name cannot stand in a path.
        StorageError: The configuration file cannot be read.
        FormatError: It is malformed.
    """

    def __init__(
        self,
        models: Mapping[str, str | os.PathLike[str] | ServedModel] | FleetConfig,
        options: ServerOptions | None = None,
        *,
        seat: WorkerSeat | None = None,
    ) -> None:
        options = options or ServerOptions()
        self.seat = seat
        self.options = options if seat is None else replace(options, rest_port=seat.rest_port, grpc_port=seat.grpc_port)
        self.control = Control() if seat is None else WorkerControl(seat, lambda: self.on_orphaned())
        self.on_orphaned: Callable[[], None] = lambda: None
        self._traffic: Traffic | None = None
        self._openings = Openings(options.host, options.unix_socket_mode, seat)
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
        self._by_protocol: dict[str, Listener] = {}
        self._executor: DeviceThread | None = None
        self._operations: Operations | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._rest_port = 0
        self._grpc_port = 0

    @property
    def rest_port(self) -> int:
        """The port of the REST interface, once the server has started; 0 where there is none."""
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

    @property
    def traffic(self) -> TrafficRouter:
        """What splits and shadows requests, whose rules can be changed, once the server has started.

        Raises:
            SetupError: It has not, or `ServerOptions.traffic` is None.
        """
        if self._traffic is None:
            raise SetupError(
                "the server has no rules of traffic", fix="give ServerOptions.traffic, if only an empty one"
            )
        return self._traffic.router

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
        self._fleet.checks += (operations.configure,)
        self._fleet.watchers += (operations.watch,)
        try:
            operations.configure(self._config)
            if self.options.traffic is not None:
                self._traffic = Traffic(engine, self.options.traffic)
            self._take_control(operations, self._fleet)
            if isinstance(self.control, WorkerControl):
                await self.control.connect()
                await self._fleet.start()
                await self._open(engine, operations)
                await self.control.ready()
            else:
                await self._open(engine, operations)
                await self._fleet.start()
        except BaseException:
            await self.stop()
            raise
        for line in ready_lines(engine.snapshot):
            logger.info("%s", line)
        for name in engine.snapshot.servables:
            logger.info("serving POST %s/v1/models/%s:predict", self.url, name)

    async def _open(self, engine: Engine, operations: Operations) -> None:
        """Listen, and do from now on what is due about once a second."""
        await self._listen(engine, operations)
        self._tick()
        addresses = {"REST": self.url}
        if self._grpc_port:
            addresses["gRPC"] = f"{self.options.host}:{self._grpc_port}"
        for line in start_lines(addresses, operations.switched_on):
            logger.info("%s", line)

    def _take_control(self, operations: Operations, fleet: Fleet) -> None:
        """Answer for this process when all processes are asked."""
        control, traffic = self.control, self._traffic

        def collect() -> Metrics:
            metrics = operations.collect()
            if traffic is not None:
                traffic.measure(metrics)
            return metrics

        operations.gather = lambda done: done(collect())
        control.collectors[METRICS] = lambda: collect().to_bytes()
        control.collectors[TENSORFLOW_METRICS] = lambda: operations.collect_as_tensorflow().to_bytes()
        parts: tuple[Callable[[], None], ...] = (operations.reopen,)
        if traffic is not None:
            control.collectors[TRAFFIC] = traffic.collect
            parts += (traffic.reload,)
        if self.seat is not None:
            loop = asyncio.get_running_loop()
            operations.gather = gather_metrics(control, METRICS, loop)
            operations.gather_as_tensorflow = gather_metrics(control, TENSORFLOW_METRICS, loop)
        config_file = self.options.versions.config_file
        reloading = Reloading(fleet, config_file, parts)

        async def reload(config: bytes) -> bytes:
            try:
                changed = await reloading(config)
            except MainstayError as error:
                operations.loads.reloaded(code_of(error))
                raise
            operations.loads.reloaded()
            return changed

        control.reloader = reload

    async def reload(self, config: bytes = b"") -> None:
        """Have all processes of the server take a configuration, or read their files again where there is none.

        Args:
            config: A ``tensorflow.serving.ModelServerConfig``.

        Raises:
            MainstayError: It is refused, or one of the files is wrong.
        """
        await self.control.reload(config)

    def _connection_counts(self) -> dict[str, Callable[[], int]]:
        """Return by protocol what counts the open connections."""
        return {name: partial(self._count, name) for name in ("REST", "gRPC")}

    def _count(self, protocol: str) -> int:
        listener = self._by_protocol.get(protocol)
        return 0 if listener is None else len(listener.connections)

    async def _listen(self, engine: Engine, operations: Operations) -> None:
        options, loop, tls = self.options, engine.loop, operations.tls
        interface = RestInterface(engine, options.rest)
        interface.max_body_bytes = options.max_body_bytes
        interface.also += (InferencePaths(engine, timeout_seconds=options.rest.request_timeout_seconds),)
        interface.also += operations.pages
        if self._traffic is not None:
            interface.also += (self._traffic.page(self.control.gather),)
        rest = HttpListener(interface, options, loop)
        grpc = GrpcListener(self._grpc_services(engine, operations), options, loop)
        context = grpc_context = None
        if tls is not None:
            rest.identify = grpc.identify = tls.identity
            context, grpc_context = tls.context(ALPN_HTTP1), tls.context(ALPN_HTTP2)
        self._listeners = (rest, grpc)
        self._by_protocol = {"REST": rest, "gRPC": grpc}
        if options.rest_port is not None:
            self._rest_port = await self._openings.open_port(rest, options.rest_port, context=context)
        if options.grpc_port is not None:
            self._grpc_port = await self._openings.open_port(grpc, options.grpc_port, context=grpc_context)
        seat = self.seat
        if options.unix_socket is not None:
            await self._openings.open_unix(rest, options.unix_socket, None if seat is None else seat.unix_socket)
        if options.grpc_unix_socket is not None:
            descriptor = None if seat is None else seat.grpc_unix_socket
            await self._openings.open_unix(grpc, options.grpc_unix_socket, descriptor)

    def _grpc_services(self, engine: Engine, operations: Operations) -> GrpcServices:
        async def reload(config: Any) -> None:
            await self.control.reload(config.SerializeToString())

        options = self.options.grpc
        services = grpc_services(
            engine,
            content=options.tensor_content,
            check_method_names=self.options.rest.check_method_names,
            reload=reload,
            counter=counter_of(operations.collect_as_tensorflow),
        )
        register(services)
        for prefix, wanted in (("/grpc.health.", options.health), ("/grpc.reflection.", options.reflection)):
            for table in (services.methods, services.streams):
                for path in [path for path in table if path.startswith(prefix) and not wanted]:
                    del table[path]
        return services

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)
        for part in (*self._listeners, self._operations, self._traffic):
            try:
                if part is not None:
                    part.tick()
            except Exception:  # what fails now and then must not end the timeouts of all connections
                logger.exception("what is due about once a second failed")

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
        self._openings.close()
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
        if isinstance(self.control, WorkerControl):
            await self.control.leave()
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
