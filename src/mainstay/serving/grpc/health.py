"""The service ``grpc.health.v1.Health``: whether a service takes requests, asked once or watched.

A service takes requests as soon as every model that was asked for at the start is loaded, until the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from google.protobuf.message import DecodeError

from mainstay.core import message_class
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.predict import refuse_message
from mainstay.serving.status import Code

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3

_LOOK_SECONDS = 0.25


class HealthService:
    """Answers calls of the health service.

    Args:
        engine: What knows whether the server is ready.
        services: Returns the names of all services; the empty name is the server itself.
    """

    def __init__(self, engine: Engine, services: Callable[[], frozenset[str]]) -> None:
        self._engine = engine
        self._services = services

    def check(self, exchange: GrpcExchange) -> None:
        """Answer whether a service takes requests."""
        name = _service(exchange)
        if name is None:
            return
        status = self.status(name)
        if status == SERVICE_UNKNOWN:
            exchange.finish(Code.NOT_FOUND, f"unknown service {name}")
        else:
            exchange.reply(_response(status))

    def watch(self, exchange: GrpcExchange) -> None:
        """Answer whether a service takes requests, now and whenever that changes, until the server stops."""
        name = _service(exchange)
        if name is not None:
            _Watch(self, exchange, name, self._engine).look()

    def status(self, name: str) -> int:
        """Return the number of a service's ``ServingStatus``."""
        if name and name not in self._services():
            return SERVICE_UNKNOWN
        return SERVING if self._engine.ready else NOT_SERVING


class _Watch:
    """A client that watches a service."""

    def __init__(self, health: HealthService, exchange: GrpcExchange, name: str, engine: Engine) -> None:
        self._health = health
        self._exchange = exchange
        self._name = name
        self._engine = engine
        self._told: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        exchange.on_cancel = self._stop

    def look(self) -> None:
        """Tell the status if it is another one, and look again later."""
        status = self._health.status(self._name)
        if status != self._told:
            self._told = status
            self._exchange.send(_response(status))
        if self._engine.draining:
            self._exchange.finish(Code.UNAVAILABLE, "the server is stopping")
        else:
            self._timer = self._engine.loop.call_later(_LOOK_SECONDS, self.look)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _service(exchange: GrpcExchange) -> str | None:
    """Return the service that a request asks about, or None where it cannot be read, which is answered."""
    try:
        request = message_class("grpc.health.v1.HealthCheckRequest").FromString(exchange.message)
    except DecodeError:
        refuse_message(exchange, "grpc.health.v1.HealthCheckRequest")
        return None
    name: str = request.service
    return name


def _response(status: int) -> bytes:
    encoded: bytes = message_class("grpc.health.v1.HealthCheckResponse")(status=status).SerializeToString()
    return encoded
