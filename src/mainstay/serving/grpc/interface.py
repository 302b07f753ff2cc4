"""What answers gRPC calls: a table from paths to methods, filled by the services."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.pending import pushback_of
from mainstay.serving.status import Code, status_of

Method = Callable[[GrpcExchange], None]
"""Answers a call, now or later. What it raises before it has answered ends the call with that error's status."""


class GrpcServices:
    """The gRPC services of a server; see `grpc.exchange.GrpcInterface`.

    Args:
        engine: What the services call.

    Attributes:
        engine: The same.
        methods: By path, what answers calls of one request, such as ``/grpc.health.v1.Health/Check``.
        streams: By path, what opens calls whose client streams.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.methods: dict[str, Method] = {}
        self.streams: dict[str, Method] = {}

    @property
    def streaming(self) -> Collection[str]:
        """The paths of `streams`, as they are now."""
        return self.streams.keys()

    def add_stream(self, path: str, method: Method) -> None:
        """Register a method whose client streams; it sets the exchange's `on_message`."""
        self.streams[path] = method

    def admit(self, path: str, name: str) -> None:
        """Have the engine's gates hold for a method that makes no call of the engine itself.

        Args:
            path: The method's path, in one of the tables.
            name: What it is called, for rights and metrics.
        """
        table = self.streams if path in self.streams else self.methods
        method = table[path]

        def admitted(exchange: GrpcExchange) -> None:
            call = Call("gRPC", name, "", received=exchange.received)
            call.headers = exchange.headers
            call.peer = exchange.peer
            call.identity = exchange.identity
            try:
                self.engine.begin(call)
            except Exception as error:
                code, message = status_of(error)
                self.engine.finish(call, code, message)
                exchange.finish(code, message, pushback_of(error))
                return
            self.engine.finish(call, Code.OK)
            method(exchange)

        table[path] = admitted

    def handle(self, exchange: GrpcExchange) -> None:
        """Answer a call whose one message has come, now or later."""
        try:
            self.methods.get(exchange.path, _refuse)(exchange)
        except Exception as error:
            _fail(exchange, error)

    def open(self, exchange: GrpcExchange) -> None:
        """Begin a call whose client streams."""
        try:
            self.streams.get(exchange.path, _refuse)(exchange)
        except Exception as error:
            _fail(exchange, error)


def _refuse(exchange: GrpcExchange) -> None:
    exchange.finish(Code.UNIMPLEMENTED, "Method not found!")


def _fail(exchange: GrpcExchange, error: Exception) -> None:
    code, message = status_of(error)
    exchange.finish(code, message)
