"""The request log: a sample of requests with their answers, in files that monitoring, training and warm-up read."""

from __future__ import annotations

import math
import os
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from mainstay.core import ArgumentError
from mainstay.serving.calls import Call
from mainstay.serving.models.config import LoggingRule
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.logged_requests import LoggedRequest, size_of
from mainstay.serving.operations.outbox import Outbox
from mainstay.serving.operations.request_files import FORMATS, RequestFiles
from mainstay.serving.operations.tensorflow_metrics import REQUEST_LOG_COUNT
from mainstay.serving.status import Code

_METHODS = frozenset({"Predict", "Classify", "Regress", "ModelInfer"})
_REQUEST_ID = b"x-request-id"
_MOST_TEXT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLogOptions:
    """How the files of the request log grow, and how much may wait for the disk.

    Which models are logged, where, and how many of their requests, is in the models' configuration.

    Args:
        file_bytes: A file of about this size is finished.
        file_seconds: A file of this age is finished.
        queue_requests: How many requests may wait; more are left out and counted.
        queue_bytes: How many bytes they may hold together.

    Raises:
        ArgumentError: A number is out of range.
    """

    file_bytes: int = 64 << 20
    file_seconds: float = 3600.0
    queue_requests: int = 4096
    queue_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for name in ("file_bytes", "file_seconds", "queue_requests", "queue_bytes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ArgumentError("the request log needs positive numbers", where=name, received=value)


def check_rule(model: str, rule: LoggingRule) -> None:
    """Refuse a rule that cannot be followed.

    Raises:
        ArgumentError: The type is unknown, or there is no place for the files.
    """
    if rule.type not in FORMATS:
        known = ", ".join(f'"{name}"' for name in FORMATS)
        raise ArgumentError("there is no such request log", where=model, expected=known, received=rule.type)
    name = os.path.basename(rule.filename_prefix)
    if not name or "\0" in rule.filename_prefix or not 0 <= rule.sampling_rate <= 1:
        raise ArgumentError(
            "the request log needs a place for its files",
            where=model,
            expected="filename_prefix, such as /var/log/mainstay/m",
            received=rule.filename_prefix,
        )


class RequestLog:
    """Keeps a sample of the requests that were answered; an observer of the engine.

    Args:
        options: The files and the queue.
        source: What draws the sample.
    """

    def __init__(self, options: RequestLogOptions, source: random.Random | None = None) -> None:
        self._options = options
        self._rules: dict[str, LoggingRule] = {}
        self._draw = random.random if source is None else source.random
        self._files = RequestFiles(options.file_bytes, options.file_seconds)
        self._queued_bytes = 0  # counted on the event loop
        self._written_bytes = 0  # counted on the thread that writes
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._outbox: Outbox[tuple[LoggingRule, LoggedRequest]] = Outbox(
            self._write, name="request log", limit=options.queue_requests, tick=self._tick
        )

    def configure(self, rules: Mapping[str, LoggingRule]) -> None:
        """Log these models from now on.

        Raises:
            ArgumentError: A rule cannot be followed; nothing has changed then.
        """
        for model, rule in rules.items():
            check_rule(model, rule)
        self._rules = {model: rule for model, rule in rules.items() if rule.sampling_rate > 0}

    @property
    def dropped(self) -> int:
        """How many requests of the sample were left out or lost."""
        with self._lock:
            return sum(count for (_, status), count in self._counts.items() if status != Code.OK.name)

    def begun(self, call: Call) -> None:
        """Keep what a logged call carries."""
        if call.model in self._rules:
            call.keep = True

    def ended(self, call: Call) -> None:
        """Log a call if it is in the sample."""
        rule = self._rules.get(call.model)
        if rule is None or call.code is not Code.OK or self._draw() >= rule.sampling_rate:
            return
        chunk, outputs, servable = call.chunk, call.outputs, call.servable
        if chunk is None or outputs is None or servable is None or call.method not in _METHODS:
            return
        size = size_of(chunk, outputs.arrays.values())
        if self._queued_bytes + size - self._written_bytes > self._options.queue_bytes:
            self._count(call.model, Code.RESOURCE_EXHAUSTED)
            return
        request = LoggedRequest(
            servable.name,
            servable.version,
            call.signature,
            call.method,
            rule.sampling_rate,
            servable.endpoints[call.signature].plans,
            chunk,
            outputs.arrays,
            call.ended,
            call.headers.get(_REQUEST_ID, b"").decode("utf-8", "replace")[:_MOST_TEXT],
            "" if call.trace is None else call.trace.trace,
            size,
        )
        if self._outbox.put((rule, request)):
            self._queued_bytes += size
        else:
            self._count(call.model, Code.RESOURCE_EXHAUSTED)

    def _count(self, model: str, code: Code) -> None:
        with self._lock:
            counted = (model, code.name)
            self._counts[counted] = self._counts.get(counted, 0) + 1

    def _write(self, items: list[tuple[LoggingRule, LoggedRequest]]) -> None:
        for rule, request in items:
            try:
                self._files.write(rule.filename_prefix, rule.type, request)
            except Exception as error:
                self._count(request.model, Code.DATA_LOSS)
                self._outbox.complain(error, self.dropped)
            else:
                self._count(request.model, Code.OK)
            finally:
                self._written_bytes += request.size

    def _tick(self) -> None:
        try:
            self._files.finish_old()
        except Exception as error:
            self._outbox.complain(error, self.dropped)

    def collect_as_tensorflow(self, metrics: Metrics) -> None:
        """Put into `metrics` how many requests were logged, as TF Serving counts them."""
        with self._lock:
            for (model, status), count in self._counts.items():
                metrics.add(REQUEST_LOG_COUNT, (model, status), count)

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until the requests so far are written; their files may still grow."""
        return self._outbox.flush(seconds)

    def close(self, seconds: float) -> None:
        """Write what waits and finish the files, or give up after `seconds`."""
        if self._outbox.close(seconds):
            try:
                self._files.close()
            except Exception as error:
                self._outbox.complain(error, self.dropped)
