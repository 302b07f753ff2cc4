"""The exporter of spans: a thread that posts them to a collector, in batches, and never holds a request up."""

from __future__ import annotations

import http.client
import os
import random
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from mainstay.core import UnavailableError
from mainstay.serving.calls import Call
from mainstay.serving.operations.outbox import Outbox
from mainstay.serving.operations.release import release
from mainstay.serving.operations.spans import Span, request_body, spans_of
from mainstay.serving.operations.trace_options import TraceOptions

if TYPE_CHECKING:
    from mainstay.serving.operations.tracing import Trace

_MOST_SPANS = 512
_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5
_MOST_ANSWER = 64 << 10
_LATER = frozenset({408, 429, 502, 503, 504})
_MOST_TEXT = 1024


class SpanExporter:
    """Sends spans to a collector over OTLP/HTTP in JSON.

    Args:
        options: Where to.
    """

    def __init__(self, options: TraceOptions) -> None:
        parts = urlsplit(options.endpoint)
        self._options = options
        self._host = parts.hostname or ""
        self._port = parts.port
        self._secure = parts.scheme == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"content-type": "application/json", "user-agent": "mainstay", **options.headers}
        self._resource: dict[str, str | int] = {
            **options.attributes,
            "service.name": options.service,
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            "telemetry.sdk.name": "mainstay",
            "telemetry.sdk.language": "python",
        }
        self._connection: http.client.HTTPConnection | None = None
        self._closing = threading.Event()
        self._sent = 0
        self._outbox: Outbox[Span] = Outbox(
            self._write, name="export of traces", limit=options.queue, interval_seconds=1.0
        )

    @property
    def sent(self) -> int:
        """How many calls' spans a collector has taken."""
        return self._sent

    @property
    def dropped(self) -> int:
        """How many calls' spans were lost."""
        return self._outbox.dropped

    def put(self, call: Call, trace: Trace) -> None:
        """Queue the spans of a call that has ended."""
        run, servable, parent = call.run, call.servable, trace.parent
        self._outbox.put(
            Span(
                trace.trace,
                trace.span,
                parent.span if parent is not None else "",
                parent.state if parent is not None else "",
                call.api,
                call.method,
                call.model[:_MOST_TEXT],
                None if servable is None else servable.version,
                call.signature,
                call.peer,
                call.code,  # type: ignore[arg-type]  # it has ended
                call.message[:_MOST_TEXT],
                call.rows,
                0 if run is None else run.rows,
                0 if run is None else run.padded_rows,
                call.received,
                call.submitted,
                0.0 if run is None else run.started,
                0.0 if run is None else run.ended,
                call.ended,
            )
        )

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until what was put in before has been sent or given up."""
        return self._outbox.flush(seconds)

    def close(self, seconds: float) -> None:
        """Send what waits, or give up after `seconds`; nothing is tried twice any more."""
        self._closing.set()
        self._outbox.close(seconds)
        if self._connection is not None:
            self._connection.close()

    def _write(self, calls: list[Span]) -> None:
        failure: UnavailableError | None = None
        wall = time.time() - time.monotonic()
        for start in range(0, len(calls), _MOST_SPANS):
            part = calls[start : start + _MOST_SPANS]
            spans = [span for call in part for span in spans_of(call, wall, _span_id)]
            body = orjson.dumps(request_body(spans, self._resource, release()), default=str)
            try:
                if failure is not None:
                    raise failure  # the collector is away: what follows is not worth another wait
                self._send(body)
                self._sent += len(part)
            except UnavailableError as error:
                failure = error
                self._outbox.dropped += len(part)
        if failure is not None:
            self._outbox.complain(failure, self._outbox.dropped)

    def _send(self, body: bytes) -> None:
        """Post a body, again after a pause where that may help."""
        pause = _FIRST_PAUSE_SECONDS
        for tries_left in reversed(range(_TRIES)):
            try:
                status = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                status, reason = 0, f"{type(error).__name__}: {error}"
            else:
                if 200 <= status < 300:
                    return
                reason = f"it answered {status}"
            if not tries_left or (status and status not in _LATER) or self._closing.wait(pause):
                raise UnavailableError(
                    "the collector does not take spans", where=self._options.endpoint, received=reason
                )
            pause *= 2

    def _post(self, body: bytes) -> int:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
        connection.request("POST", self._target, body, self._headers)
        answer = connection.getresponse()
        answer.read(_MOST_ANSWER)
        if not answer.isclosed():  # there is more than any collector has to say
            self._hang_up()
        return answer.status

    def _connect(self) -> http.client.HTTPConnection:
        timeout = self._options.timeout_seconds
        if self._secure:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _span_id() -> str:
    return f"{random.getrandbits(64) or 1:016x}"
