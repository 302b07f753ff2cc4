"""The access log: one line of JSON for each request, written by a thread of its own."""

from __future__ import annotations

import functools
import os
import random
import time
from typing import Any, NamedTuple

import orjson

from mainstay.serving.calls import Call
from mainstay.serving.operations.access import HEALTH_METHODS
from mainstay.serving.operations.log_files import LineFile
from mainstay.serving.operations.outbox import Outbox
from mainstay.serving.operations.trace_context import parent_of
from mainstay.serving.status import Code

_MOST_TEXT = 512
_REQUEST_ID = b"x-request-id"
_AGENT = b"user-agent"
_TRACEPARENT = b"traceparent"


class _Entry(NamedTuple):
    """What a line says, as cheap as it can be noted; times in seconds of the loop's clock."""

    protocol: str
    method: str
    model: str
    asked: str | int | None
    version: int | None
    signature: str
    code: Code
    message: str
    peer: str
    identity: str
    request_id: bytes | None
    agent: bytes | None
    trace: Any
    traceparent: bytes | None
    rows: int
    run: Any
    request_bytes: int
    response_bytes: int
    received: float
    submitted: float
    ended: float


class AccessLog:
    """Writes a line for each call that has ended, but for health that was found good; an observer of the engine.

    Args:
        path: The file, or ``stderr``.
        sample: The share of successful calls that get a line, 0 to 1; failed ones always do.
        limit: How many lines may wait for the disk; more are dropped and counted.

    Raises:
        StorageError: The file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, sample: float = 1.0, limit: int = 65536) -> None:
        self._file = LineFile(path)
        self._sample = sample
        self._draw = random.random
        self._outbox: Outbox[tuple[Any, ...]] = Outbox(self._write, name="access log", limit=limit)

    @property
    def dropped(self) -> int:
        """How many lines were lost."""
        return self._outbox.dropped

    def begun(self, call: Call) -> None:
        """See a call begin; its line comes at its end."""

    def ended(self, call: Call) -> None:
        """Note a call."""
        code = call.code
        if code is None:
            return
        if code is Code.OK and (call.method in HEALTH_METHODS or (self._sample < 1.0 and self._draw() >= self._sample)):
            return
        headers, servable = call.headers, call.servable
        # A bare tuple: half the cost of a named one, which it becomes on the other thread.
        self._outbox.put(
            (
                call.api,
                call.method,
                call.model,
                call.label if call.version is None else call.version,
                None if servable is None else servable.version,
                call.signature,
                code,
                call.message,
                call.peer,
                call.identity,
                headers.get(_REQUEST_ID),
                headers.get(_AGENT),
                call.trace,
                headers.get(_TRACEPARENT),
                call.rows,
                call.run,
                call.request_bytes,
                call.response_bytes,
                call.received,
                call.submitted,
                call.ended,
            )
        )

    def reopen(self) -> None:
        """Open the file anew, after a program that rotates logs has moved it."""
        self._file.reopen()

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until the lines of all calls so far are written."""
        return self._outbox.flush(seconds)

    def close(self, seconds: float) -> None:
        """Write what waits, or give up after `seconds`."""
        self._outbox.close(seconds)
        self._file.close()

    def _write(self, entries: list[tuple[Any, ...]]) -> None:
        wall = time.time() - time.monotonic()
        self._file.write(b"".join([line_of(_Entry._make(entry), wall) for entry in entries]))


def line_of(entry: _Entry, wall: float) -> bytes:
    """Return the line of a call.

    Args:
        entry: The call.
        wall: What the loop's clock is behind the time of day, in seconds.
    """
    millis = int((entry.ended + wall) * 1000)
    fields: dict[str, Any] = {
        "time": f"{_second(millis // 1000)}.{millis % 1000:03d}Z",
        "protocol": entry.protocol,
        "method": entry.method,
        "model": _text(entry.model),
    }
    if entry.asked is not None:
        fields["asked"] = entry.asked if isinstance(entry.asked, int) else _text(entry.asked)
    if entry.version is not None:
        fields["version"] = entry.version
    if entry.signature:
        fields["signature"] = entry.signature
    fields["status"] = entry.code._name_
    fields["total_ms"] = _millis(entry.ended - entry.received)
    run = entry.run
    if run is not None:
        fields["queue_ms"] = _millis(run.started - entry.submitted)
        fields["execute_ms"] = _millis(run.ended - run.started)
        fields["rows"] = entry.rows
        fields["batch_rows"] = run.rows
    fields["request_bytes"] = entry.request_bytes
    fields["response_bytes"] = entry.response_bytes
    if entry.message:
        fields["message"] = _text(entry.message)
    fields["peer"] = entry.peer
    if entry.identity:
        fields["identity"] = _text(entry.identity)
    if entry.request_id is not None:
        fields["request_id"] = _text(entry.request_id.decode("utf-8", "replace"))
    if entry.agent is not None:
        fields["user_agent"] = _text(entry.agent.decode("utf-8", "replace"))
    trace = entry.trace
    if trace is None and entry.traceparent is not None:
        trace = parent_of({_TRACEPARENT: entry.traceparent})
    if trace is not None:
        fields["trace_id"], fields["span_id"] = trace.trace, trace.span
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


@functools.lru_cache(maxsize=4)
def _second(moment: int) -> str:
    """Return a second of the calendar; most lines of a batch share it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


def _millis(seconds: float) -> float:
    return int(seconds * 1e6 + 0.5) / 1e3 if seconds > 0.0 else 0.0


def _text(text: str) -> str:
    """Return text that can be written, and not at any length."""
    if len(text) <= _MOST_TEXT and text.isascii():
        return text
    return text[:_MOST_TEXT].encode("utf-8", "replace").decode()
