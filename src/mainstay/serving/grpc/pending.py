"""A gRPC call for a model between its request and its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from mainstay.core import RequestError
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call, priority_of
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.status import Code, status_of

Encode: TypeAlias = Callable[[Outputs], Sequence[bytes]]
"""Turns outputs into the parts of a response, or raises what is wrong with them."""


def pushback_of(error: BaseException) -> tuple[tuple[str, str], ...]:
    """Return the trailer that tells when a call may be tried again, where an error knows; clients wait as it says."""
    seconds = getattr(error, "retry_after", None)
    return () if seconds is None else (("grpc-retry-pushback-ms", str(math.ceil(seconds * 1000))),)


class PendingCall:
    """A call that owes an answer: it is made of a request, and settled exactly once.

    Args:
        engine: What runs it.
        exchange: Where the request came from and the answer goes to.
        call: What is known of it; its deadline, metadata and size are filled in.

    Attributes:
        encode: Turns outputs into the response; to be set before rows are submitted.
    """

    __slots__ = ("call", "encode", "engine", "exchange")

    def __init__(self, engine: Engine, exchange: GrpcExchange, call: Call) -> None:
        self.engine = engine
        self.exchange = exchange
        self.call = call
        self.encode: Encode | None = None
        call.headers = exchange.headers
        call.peer = exchange.peer
        call.identity = exchange.identity
        call.deadline = exchange.deadline
        call.request_bytes = len(exchange.message)
        exchange.on_cancel = self.cancel

    def begin(self) -> None:
        """Let the call in.

        Raises:
            MainstayError: Its metadata is wrong, or a gate refuses it.
        """
        call, wrong = self.call, None
        if call.headers:
            try:
                call.priority = priority_of(call.headers)
            except RequestError as error:
                wrong = error
        self.engine.begin(call)
        if wrong is not None:  # told only now, for whoever watches sees every call begin that ends
            raise wrong

    def done(self, result: Outputs | Exception) -> None:
        """Answer with outputs, or with what went wrong."""
        if isinstance(result, Exception):
            self.refuse(result)
            return
        encode = self.encode
        try:
            parts = encode(result) if encode is not None else ()
        except Exception as error:
            self.refuse(error)
            return
        self.answer(parts, result)

    def answer(self, parts: Sequence[bytes], outputs: Outputs | None = None) -> None:
        """Answer with the parts of a response."""
        call = self.call
        if call.code is not None:
            return
        call.response_bytes = sum(map(len, parts))
        try:
            self.exchange.reply(*parts)
        finally:
            self.engine.finish(call, Code.OK, outputs=outputs)

    def refuse(self, error: Exception) -> None:
        """Answer with the status of an error."""
        if self.call.code is not None:
            return
        code, message = status_of(error)
        try:
            self.exchange.finish(code, message, pushback_of(error))
        finally:
            self.engine.finish(self.call, code, message)

    def cancel(self) -> None:
        """Give the call up: the client is gone, or does not wait any longer."""
        call, engine = self.call, self.engine
        if call.deadline is None or engine.time() < call.deadline:
            engine.cancel(call)
            return
        for ticket in call.tickets:
            ticket.cancel()
        engine.finish(call, Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
