"""The server's options: one frozen value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay.core import ArgumentError
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.models.options import VersionOptions
from mainstay.serving.operations.options import TelemetryOptions
from mainstay.serving.rest.options import RestOptions

if TYPE_CHECKING:
    from mainstay.saved_model import Trust
    from mainstay.serving.operations.access import AccessOptions
    from mainstay.serving.operations.rates import RateOptions
    from mainstay.serving.operations.tls import TlsOptions
    from mainstay.serving.traffic.config import TrafficConfig

_MIB = 1 << 20
_CHECKED_ELSEWHERE = frozenset(
    (
        "host",
        "rest_port",
        "grpc_port",
        "unix_socket",
        "grpc_unix_socket",
        "unix_socket_mode",
        "rest",
        "grpc",
        "batching",
        "versions",
        "traffic",
        "telemetry",
        "tls",
        "access",
        "rates",
        "trust",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How a `ModelServer` listens, batches and protects itself.

    Args:
        host: The address to listen on; ``127.0.0.1`` keeps the server private to the machine.
        rest_port: The TCP port of the REST interface; 0 takes any free one, None listens to none.
        grpc_port: The TCP port of the gRPC interface; 0 takes any free one, None listens to none.
        unix_socket: The file of a UNIX socket for the REST interface; None for none.
        grpc_unix_socket: The same for the gRPC interface.
        unix_socket_mode: Their permissions: who may connect.
        rest: What the REST interface allows, and how much its connections may take.
        grpc: How the gRPC interface protects itself.
        batching: How requests are batched, and where batches run.
        max_body_bytes: The largest request body, after decompression. TF Serving has no limit; this one is meant to be
            met by nothing but a mistake or an attack. `RestOptions.max_buffered_bytes` bounds all of them together.
        max_head_bytes: The largest request line and headers.
        read_timeout_seconds: How long a client may take to send one request or to read its answer.
        idle_timeout_seconds: How long a connection may stay open between requests.
        drain_timeout_seconds: How long requests in flight may take to finish once the server is told to stop.
        shutdown_delay_seconds: How long the server goes on answering, no longer ready, before it stops to listen: the
            time that load balancers need to notice.
        versions: How versions of models are found, loaded and let go.
        traffic: How requests are split between versions and which of them are shadowed, or the file that says so,
            which is read again when it changes; None for neither.
        telemetry: What is measured and logged.
        tls: How connections are encrypted; None for not at all.
        access: Who may call; None for everybody.
        rates: How often; None for no limit.
        trust: Whose signature every model must have that is read from a folder; None asks for none.

    Raises:
        ArgumentError: An option is out of its range.
    """

    host: str = "127.0.0.1"
    rest_port: int | None = 8501
    grpc_port: int | None = 8500
    unix_socket: Path | None = None
    grpc_unix_socket: Path | None = None
    unix_socket_mode: int = 0o660
    rest: RestOptions = field(default_factory=RestOptions)
    grpc: GrpcOptions = field(default_factory=GrpcOptions)
    batching: BatchingOptions = field(default_factory=BatchingOptions)
    max_body_bytes: int = 256 * _MIB
    max_head_bytes: int = 16 << 10
    read_timeout_seconds: float = 30.0
    idle_timeout_seconds: float = 120.0
    drain_timeout_seconds: float = 30.0
    shutdown_delay_seconds: float = 0.0
    versions: VersionOptions = field(default_factory=VersionOptions)
    traffic: TrafficConfig | Path | None = None
    telemetry: TelemetryOptions = field(default_factory=TelemetryOptions)
    tls: TlsOptions | None = None
    access: AccessOptions | None = None
    rates: RateOptions | None = None
    trust: Trust | None = None

    def __post_init__(self) -> None:
        for port in (self.rest_port, self.grpc_port):
            if port is not None and not 0 <= port <= 65535:
                raise ArgumentError("the port is out of range", expected="0 to 65535", received=port)
        if self.rest_port is None and self.grpc_port is None and not (self.unix_socket or self.grpc_unix_socket):
            raise ArgumentError("the server would listen to nothing", fix="give a port or a UNIX socket")
        if self.rest_port and self.rest_port == self.grpc_port:
            raise ArgumentError("HTTP and gRPC cannot share a port", received=self.rest_port)
        if not 0 <= self.unix_socket_mode <= 0o777:
            raise ArgumentError("these are no permissions", where="unix_socket_mode", received=self.unix_socket_mode)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _CHECKED_ELSEWHERE:
                continue
            low = 0 if item.name == "shutdown_delay_seconds" else 1e-3
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < float("inf"):
                raise ArgumentError(f"{item.name} is out of range", expected=f"{low} or more", received=repr(value))
