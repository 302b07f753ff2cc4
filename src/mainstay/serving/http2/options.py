"""The options of the gRPC port: one frozen value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mainstay.core import ArgumentError

_MIB = 1 << 20
_LARGEST_MESSAGE = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """How the gRPC port protects itself.

    Args:
        max_message_bytes: The largest request message, as received and after decompression; TF Serving's default.
        max_streams: How many calls one connection may have open; clients keep further ones back.
        max_buffered_bytes: The most memory for the requests of one connection; also a bound on each message.
        max_total_buffered_bytes: The same for all connections together. Messages wait for their turn to be sent.
        compress_answers: Whether answers are gzipped for clients that take it. It saves bandwidth and costs time.
        keepalive_seconds: How long a connection with calls may be silent before the client is asked whether it lives.
        max_connection_age_seconds: How old a connection may grow before the client is told, losing nothing, to open
            another one, which a load balancer may send elsewhere; None for any age.
        tensor_content: Whether Predict answers numbers in ``tensor_content`` instead of the field of their dtype, as
            with TF Serving's ``--enable_serialization_as_tensor_content``.
        health: Whether the standard health service answers.
        reflection: Whether clients may ask which services and messages there are.

    Raises:
        ArgumentError: An option is out of its range.
    """

    max_message_bytes: int = _LARGEST_MESSAGE
    max_streams: int = 512
    max_buffered_bytes: int = 256 * _MIB
    max_total_buffered_bytes: int = 1024 * _MIB
    compress_answers: bool = False
    keepalive_seconds: float = 600.0
    max_connection_age_seconds: float | None = None
    tensor_content: bool = False
    health: bool = True
    reflection: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _SWITCHES or (value is None and field.name == "max_connection_age_seconds"):
                continue
            whole = not field.name.endswith("seconds")
            low, most = (1, _LARGEST_MESSAGE if field.name in _BOUNDED else 1 << 62) if whole else (1e-3, 1e9)
            kind = int if whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= most:
                raise ArgumentError(
                    f"{field.name} is out of range",
                    expected=f"a {'whole number' if whole else 'number'} of {low} to {most}",
                    received=repr(value),
                )


_BOUNDED = ("max_message_bytes", "max_streams")
_SWITCHES = ("compress_answers", "tensor_content", "health", "reflection")
