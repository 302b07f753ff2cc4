"""What the gRPC services and the HTTP/2 transport know of each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from mainstay.serving.status import Code


class GrpcExchange(Protocol):
    """One gRPC call on a stream, as the transport hands it to the services.

    Attributes:
        path: The method, such as ``/tensorflow.serving.PredictionService/Predict``.
        headers: The metadata by lower-case name; of a name that comes twice, the values joined by a comma.
            Those of names that end with ``-bin`` are as they were sent, in base64.
        message: The request of a unary or server-streaming method: one whole message, decompressed; bytes, not a view.
        received: When its last byte came, in seconds of the engine's clock.
        deadline: When the client stops waiting, in seconds of the engine's clock; None for never.
        peer: The client's address.
        identity: The name in the client's certificate; empty where it showed none.
        on_cancel: To be set by the services: called once if the client goes away, resets the stream, or its deadline
            passes before the answer. After it nothing may be sent, and what is sent all the same is dropped.
        on_message: To be set by the services in `GrpcInterface.open`, for methods whose client streams: called with
            each message, then with None when the client has sent its last.
    """

    path: str
    headers: Mapping[bytes, bytes]
    message: bytes
    received: float
    deadline: float | None
    peer: str
    identity: str
    on_cancel: Callable[[], None] | None
    on_message: Callable[[bytes | None], None] | None

    def reply(self, *parts: bytes) -> None:
        """Answer a unary call: one message, in parts that are sent one after the other, then status OK."""

    def send(self, message: bytes) -> None:
        """Send one message of a streaming answer."""

    def finish(self, code: Code, message: str = "", trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """End the call with a status: the end of a streaming answer, or the refusal of any call."""


class GrpcInterface(Protocol):
    """What answers gRPC calls; it knows no sockets. Raises nothing."""

    @property
    def streaming(self) -> Collection[str]:
        """The paths whose clients stream; `open` is called for them as soon as their headers are there."""

    def handle(self, exchange: GrpcExchange) -> None:
        """Answer a call whose one message has come, now or later."""

    def open(self, exchange: GrpcExchange) -> None:
        """Begin a call whose client streams."""
