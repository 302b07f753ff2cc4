"""Spans of a call in the JSON encoding of OTLP, the protocol of OpenTelemetry's collectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mainstay.serving.status import Code

_SERVER, _INTERNAL = 2, 1
_ERROR = 2
_FAULTS = frozenset(
    {Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS}
)


class Span(NamedTuple):
    """A traced call that has ended; times are in seconds of the loop's clock, 0 for what never happened."""

    trace: str
    span: str
    parent: str
    state: str
    api: str
    method: str
    model: str
    version: int | None
    signature: str
    peer: str
    code: Code
    message: str
    rows: int
    batch_rows: int
    padded_rows: int
    received: float
    submitted: float
    started: float
    finished: float
    ended: float


def spans_of(span: Span, wall: float, new_id: Callable[[], str]) -> list[dict[str, Any]]:
    """Return the spans of a call.

    Args:
        span: The call.
        wall: What the loop's clock is behind the time of day, in seconds.
        new_id: Gives the ids of the inner spans.
    """

    def times(start: float, end: float) -> dict[str, str]:
        # Numbers of 64 bits are text in this encoding.
        nanos = int((start + wall) * 1e9)
        return {"startTimeUnixNano": str(nanos), "endTimeUnixNano": str(nanos + max(int((end - start) * 1e9), 0))}

    whole: dict[str, Any] = {
        "traceId": span.trace,
        "spanId": span.span,
        "name": f"{span.method} {span.model}" if span.model else span.method,
        "kind": _SERVER,
        **times(span.received, span.ended),
        "attributes": _attributes(span),
    }
    if span.parent:
        whole["parentSpanId"] = span.parent
    if span.state:
        whole["traceState"] = span.state
    if span.code in _FAULTS:  # what a client got wrong is no fault of the server
        whole["status"] = {"code": _ERROR, "message": span.message}
    found = [whole]
    for name, start, end in (
        ("queue", span.submitted, span.started),
        ("execute", span.started, span.finished),
    ):
        if start and end:
            inner = {"traceId": span.trace, "spanId": new_id(), "parentSpanId": span.span, "kind": _INTERNAL}
            found.append({**inner, "name": name, **times(start, end)})
    return found


def _attributes(span: Span) -> list[dict[str, Any]]:
    values: dict[str, str | int] = {
        "mainstay.model": span.model,
        "mainstay.signature": span.signature,
        "mainstay.status": span.code.name,
        "mainstay.rows": span.rows,
        "mainstay.batch.rows": span.batch_rows,
        "mainstay.batch.padded_rows": span.padded_rows,
        "client.address": span.peer,
    }
    if span.version is not None:
        values["mainstay.version"] = span.version
    if span.api == "gRPC":
        values |= {"rpc.system": "grpc", "rpc.method": span.method, "rpc.grpc.status_code": span.code.value}
    else:
        values["http.response.status_code"] = span.code.http
    return attributes({name: value for name, value in values.items() if value != ""})


def attributes(values: dict[str, str | int]) -> list[dict[str, Any]]:
    """Return attributes in the encoding of OTLP."""
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in values.items()
    ]


def request_body(spans: Sequence[dict[str, Any]], resource: dict[str, str | int], version: str) -> dict[str, Any]:
    """Return the document that is posted to a collector.

    Args:
        spans: The spans.
        resource: What is known of this process, such as ``service.name``.
        version: The version of Mainstay.
    """
    scope = {"scope": {"name": "mainstay.serving", "version": version}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": attributes(resource)}, "scopeSpans": [scope]}]}
