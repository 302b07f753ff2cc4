"""Calls: what is known of one request for a model, whatever protocol brought it, from its head to its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainstay.core import RequestError
from mainstay.serving.status import Code

if TYPE_CHECKING:
    from mainstay.serving.batching.batcher import Ticket
    from mainstay.serving.batching.chunks import Chunk
    from mainstay.serving.batching.outputs import Outputs, Run
    from mainstay.serving.models.snapshot import Servable

NO_HEADERS: Mapping[bytes, bytes] = {}

CRITICALITIES = ("critical_plus", "critical", "sheddable_plus", "sheddable")
"""How much the answer to a call matters, the most urgent first; its place here is the call's priority."""

DEFAULT_PRIORITY = CRITICALITIES.index("critical")

_CRITICALITY_HEADER = b"x-mainstay-criticality"
_PRIORITIES = {name.encode(): priority for priority, name in enumerate(CRITICALITIES)}


def priority_of(headers: Mapping[bytes, bytes]) -> int:
    """Return the priority that the headers or metadata of a request ask for: 0, the most urgent, to 3.

    Args:
        headers: The headers by lower-case name; ``x-mainstay-criticality`` is one of `CRITICALITIES`.

    Raises:
        RequestError: It is none of them.

    Example:
        >>> priority_of({}), priority_of({b"x-mainstay-criticality": b"sheddable"})
        (1, 3)
    """
    value = headers.get(_CRITICALITY_HEADER)
    if value is None:
        return DEFAULT_PRIORITY
    priority = _PRIORITIES.get(value)
    if priority is None:
        priority = _PRIORITIES.get(value.strip().lower())
    if priority is None:
        raise RequestError(
            "unknown criticality",
            where=f"header {_CRITICALITY_HEADER.decode()}",
            expected=f"one of {', '.join(CRITICALITIES)}",
            received=value[:64].decode("utf-8", "backslashreplace"),
        )
    return priority


class Call:
    """One request for a model.

    Args:
        api: The protocol: ``REST``, ``gRPC`` or, for the Open Inference Protocol, ``V2``.
        method: What is asked: ``Predict``, ``Classify``, ``Regress``, ``MultiInference``, ``GetModelMetadata``, …
        model: The model's name.
        version: The version that is asked for, or None.
        label: The version label that is asked for, or None.
        received: When its last byte came, in seconds of the loop's clock.

    Attributes:
        signature: The name of the signature that answers, once known.
        deadline: When nobody waits for the answer any more, in seconds of the loop's clock; None for never.
        priority: Its place in `CRITICALITIES`: 0 for the most urgent; larger numbers wait longer.
        headers: The headers of the request, or its metadata in gRPC, by lower-case name.
        peer: The client's address, for logs.
        identity: Who asks, once authenticated; empty for nobody in particular.
        trace: The trace context, where tracing is on.
        servable: The version that answers, once found.
        keep: Whether `chunk` and `outputs` are to be kept, for a request log or a shadow.
        chunk: The rows of the request, where they are kept.
        outputs: The answer, where it is kept.
        draw: A random number, 0 to below 1, that decides which samples the call is in; 1 while nobody has drawn it.
        rows: How many rows it has.
        run: The execution that answered it.
        submitted: When its rows were queued.
        request_bytes: The size of its body.
        response_bytes: The size of the answer's body.
        code: How it ended; None while it lasts.
        message: What was told where it failed.
        ended: When it was answered.
    """

    __slots__ = (
        "api",
        "chunk",
        "code",
        "deadline",
        "draw",
        "ended",
        "headers",
        "identity",
        "keep",
        "label",
        "message",
        "method",
        "model",
        "outputs",
        "peer",
        "priority",
        "received",
        "request_bytes",
        "response_bytes",
        "rows",
        "run",
        "servable",
        "signature",
        "submitted",
        "tickets",
        "trace",
        "version",
    )

    def __init__(
        self,
        api: str,
        method: str,
        model: str,
        version: int | None = None,
        label: str | None = None,
        *,
        received: float,
    ) -> None:
        self.api = api
        self.method = method
        self.model = model
        self.version = version
        self.label = label
        self.signature = ""
        self.received = received
        self.deadline: float | None = None
        self.priority = DEFAULT_PRIORITY
        self.headers = NO_HEADERS
        self.peer = ""
        self.identity = ""
        self.trace: Any = None
        self.servable: Servable | None = None
        self.keep = False
        self.chunk: Chunk | None = None
        self.outputs: Outputs | None = None
        self.draw = 1.0
        self.rows = 0
        self.run: Run | None = None
        self.submitted = 0.0
        self.tickets: list[Ticket] = []
        self.request_bytes = 0
        self.response_bytes = 0
        self.code: Code | None = None
        self.message = ""
        self.ended = 0.0
