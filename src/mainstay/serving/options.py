"""The server's options: one frozen value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mainstay.core import ArgumentError

if TYPE_CHECKING:
    from mainstay.saved_model import Trust

EXECUTION_MODES = ("auto", "inline", "thread")

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How a `ModelServer` listens, batches and protects itself.

    Args:
        host: The address to listen on; ``127.0.0.1`` keeps the server private to the machine.
        rest_port: The TCP port of the REST interface; 0 takes any free one.
        grpc_port: The TCP port of the gRPC interface; 0 takes any free one, None listens to none.
        max_batch_size: The most rows in one execution; a request of more rows is split.
        batch_timeout_seconds: How long a batch that is not full waits for company. 0, the default, never waits:
            what arrived while the model was busy is the next batch.
        execution: Where models run: ``thread`` is the executor thread, ``inline`` the event loop itself, ``auto``
            picks for each batch size by its cost, measured while the model warms up.
        inline_below_seconds: With ``auto``, executions that take less than this run inline. At the default the two
            ways are equally fast; below it, handing over to a thread costs more than it gains.
        max_body_bytes: The largest request body, after decompression.
        max_head_bytes: The largest request line and headers.
        read_timeout_seconds: How long a client may take to send one request or to read its answer.
        idle_timeout_seconds: How long a connection may stay open between requests.
        drain_timeout_seconds: How long requests in flight may take to finish once the server is told to stop.
        trust: Whose signature every model must have that is read from a folder; None asks for none.

    Raises:
        ArgumentError: An option is out of its range.
    """

    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int | None = 8500
    max_batch_size: int = 128
    batch_timeout_seconds: float = 0.0
    execution: str = "auto"
    inline_below_seconds: float = 0.0005
    max_body_bytes: int = 16 * _MIB
    max_head_bytes: int = 16 << 10
    read_timeout_seconds: float = 30.0
    idle_timeout_seconds: float = 120.0
    drain_timeout_seconds: float = 30.0
    trust: Trust | None = None

    def __post_init__(self) -> None:
        if self.execution not in EXECUTION_MODES:
            raise ArgumentError(
                "unknown way of execution", expected=f"one of {', '.join(EXECUTION_MODES)}", received=self.execution
            )
        for port in (self.rest_port, self.grpc_port):
            if port is not None and not 0 <= port <= 65535:
                raise ArgumentError("the port is out of range", expected="0 to 65535", received=port)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("host", "execution", "rest_port", "grpc_port", "trust"):
                continue
            low = 0 if field.name in ("batch_timeout_seconds", "inline_below_seconds") else 1e-3
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < float("inf"):
                raise ArgumentError(f"{field.name} is out of range", expected=f"{low} or more", received=repr(value))
        if self.max_batch_size < 1 or int(self.max_batch_size) != self.max_batch_size:
            raise ArgumentError("max_batch_size is no whole number of rows", received=self.max_batch_size)
