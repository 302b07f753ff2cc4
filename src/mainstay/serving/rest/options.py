"""What the REST interface and its connections allow."""

from __future__ import annotations

from dataclasses import dataclass

from mainstay.core import ArgumentError

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RestOptions:
    """How requests over HTTP/1.1 are answered, and what they may take.

    Args:
        request_timeout_seconds: How long a request may wait for its answer before it is told that its time is over;
            0 for ever. A request may ask for less with the header ``x-mainstay-timeout-ms``.
        enable_cors: Whether pages of other origins may ask, as TF Serving allows with
            ``--rest_api_enable_cors_support``.
        check_method_names: Whether classify and regress take only signatures whose ``method_name`` is theirs, as with
            TF Serving's ``--enable_signature_method_name_check``.
        max_connections: The most connections at a time; whoever comes then is turned away with 503.
        max_buffered_bytes: The most bytes of request bodies that all connections together may hold until they are
            answered; a request that would take more is turned away with 503.

    Raises:
        ArgumentError: An option is out of its range.
    """

    request_timeout_seconds: float = 30.0
    enable_cors: bool = False
    check_method_names: bool = False
    max_connections: int = 50_000
    max_buffered_bytes: int = 1024 * _MIB

    def __post_init__(self) -> None:
        for name, low in (("request_timeout_seconds", 0), ("max_connections", 1), ("max_buffered_bytes", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < float("inf"):
                raise ArgumentError(f"{name} is out of range", expected=f"{low} or more", received=repr(value))
