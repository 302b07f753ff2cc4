"""The service that tells where models stand, and that changes what is served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from mainstay.core import RequestError, UnsupportedError, message_class
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.pending import PendingCall
from mainstay.serving.grpc.predict import refuse_message
from mainstay.serving.grpc.predict_request import head_of
from mainstay.serving.models.snapshot import VersionStatus
from mainstay.serving.operations.families import Metrics
from mainstay.serving.status import Code, logger, status_of

Reload: TypeAlias = Callable[[Any], Awaitable[None]]
"""Serves what a ``ModelServerConfig`` lists from now on, or raises why it does not."""

Counter: TypeAlias = Callable[[str], int | None]
"""Returns the sum of a metric by its name, or None if there is none of that name."""


_MOST_METRICS = 256  # all metrics are collected for each of them
_MOST_TEXT = 200


class ModelService:
    """Answers calls of TF Serving's ModelService.

    Args:
        engine: What knows the models.
        reload: Changes what is served; None where nothing can.
        counter: Reads metrics.
    """

    def __init__(self, engine: Engine, *, reload: Reload | None = None, counter: Counter | None = None) -> None:
        self._engine = engine
        self._reload = reload
        self._counter = counter
        self._running: set[asyncio.Task[None]] = set()

    def get_model_status(self, exchange: GrpcExchange) -> None:
        """Answer a call of GetModelStatus: each version and its state, the newest first."""
        try:
            request = message_class("tensorflow.serving.GetModelStatusRequest").FromString(exchange.message)
        except DecodeError:
            refuse_message(exchange, "tensorflow.serving.GetModelStatusRequest")
            return
        head = head_of(request.model_spec, request.HasField("model_spec"))
        call = Call("gRPC", "GetModelStatus", head.model, head.version, head.label, received=exchange.received)
        pending = PendingCall(self._engine, exchange, call)
        try:
            pending.begin()
            if not head.is_complete:
                raise RequestError("Missing ModelSpec")
            versions = self._engine.snapshot.versions(head.model, head.version)
            response = message_class("tensorflow.serving.GetModelStatusResponse")()
            for version in sorted(versions, reverse=True):
                _describe(response.model_version_status.add(version=version), versions[version])
            pending.answer([response.SerializeToString()])
        except Exception as error:
            pending.refuse(error)

    def handle_reload_config_request(self, exchange: GrpcExchange) -> None:
        """Answer a call of HandleReloadConfigRequest once the models that it lists are served."""
        try:
            request = message_class("tensorflow.serving.ReloadConfigRequest").FromString(exchange.message)
        except DecodeError:
            refuse_message(exchange, "tensorflow.serving.ReloadConfigRequest")
            return
        call = Call("gRPC", "HandleReloadConfigRequest", "", received=exchange.received)
        pending = PendingCall(self._engine, exchange, call)
        try:
            pending.begin()
            work = self._work(request, pending)
        except Exception as error:
            pending.refuse(error)
            return
        task = self._engine.loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _work(self, request: Any, pending: PendingCall) -> Coroutine[Any, Any, None]:
        """Return what changes the models and then answers; the client going away does not stop it."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise RequestError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        if self._reload is None:
            raise UnsupportedError("this server's models cannot be changed while it runs")
        return self._reconfigure(self._reload, request, pending)

    async def _reconfigure(self, reload: Reload, request: Any, pending: PendingCall) -> None:
        names = dict.fromkeys(request.metric_names[:_MOST_METRICS])
        response = message_class("tensorflow.serving.ReloadConfigResponse")()
        try:
            before = self._counts(names)
            await reload(request.config)
            response.status.error_code = Code.OK.value
            for name, count in self._counts(names).items():
                response.metric.add(name=name, int64_value_increase=count - before.get(name, 0))
        except Exception as error:
            logger.error("ReloadConfig failed: %s", status_of(error)[1])
            pending.refuse(error)
            return
        pending.answer([response.SerializeToString()])

    def _counts(self, names: Any) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name in names:
            count = None if self._counter is None else self._counter(name)
            if count is None:
                logger.warning("metric_names contains a metric that does not exist: %r", name[:_MOST_TEXT])
            else:
                counts[name] = count
        return counts


def counter_of(collect: Callable[[], Metrics]) -> Counter:
    """Return what reads counters under the names that TensorFlow has for them.

    Args:
        collect: Returns all metrics under the names that TF Serving gives them for Prometheus.
    """

    def count(name: str) -> int | None:
        points = collect().families.get(name.replace("/", ":"))
        if points is None or points.family.kind != "counter":
            return None
        return sum(int(value) for value in points.values.values() if not isinstance(value, tuple))

    return count


def _describe(found: Any, status: VersionStatus) -> None:
    found.state = status.state.value
    found.status.error_code = status.code.value
    found.status.error_message = status.message
    found.status.SetInParent()
