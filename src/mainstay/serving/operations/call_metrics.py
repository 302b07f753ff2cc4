"""Metrics of calls: how many, how long they waited and ran, how large, per model, version, signature and status."""

from __future__ import annotations

from bisect import bisect_left

from mainstay.serving.batching.outputs import Run
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.operations.families import Family, Histogram, Labels, Metrics
from mainstay.serving.status import Code

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
ROWS = tuple(float(2**power) for power in range(13))
MOST_SERIES = 2048
"""How many series of calls are kept; past it those of versions that are gone make room."""

_VERSION = ("model", "version", "signature")
_CALL = (*_VERSION, "method", "protocol")
REQUESTS = Family(
    "mainstay_requests_total", "counter", "Requests that were answered, by how they ended.", (*_CALL, "status")
)
TOTAL = Family(
    "mainstay_request_seconds", "histogram", "From a request's last byte to its answer.", _CALL, bounds=SECONDS
)
QUEUE = Family(
    "mainstay_queue_seconds", "histogram", "How long rows waited for their execution.", _VERSION, bounds=SECONDS
)
EXECUTE = Family(
    "mainstay_execute_seconds",
    "histogram",
    "How long the execution of a request's rows took.",
    _VERSION,
    bounds=SECONDS,
)
REQUEST_ROWS = Family("mainstay_request_rows_total", "counter", "Rows of requests that were answered.", _VERSION)
REQUEST_BYTES = Family("mainstay_request_bytes_total", "counter", "Bytes of requests' bodies.", _CALL)
RESPONSE_BYTES = Family("mainstay_response_bytes_total", "counter", "Bytes of answers' bodies.", _CALL)
BATCH_ROWS = Family("mainstay_batch_rows", "histogram", "Rows of an execution, without padding.", _VERSION, bounds=ROWS)
PADDED_ROWS = Family("mainstay_padded_rows_total", "counter", "Rows that were added to fill a batch up.", _VERSION)
IN_FLIGHT = Family("mainstay_requests_in_flight", "gauge", "Requests that have been read and not yet answered.")

FAMILIES = (
    *(REQUESTS, TOTAL, QUEUE, EXECUTE, REQUEST_ROWS, REQUEST_BYTES, RESPONSE_BYTES),
    *(BATCH_ROWS, PADDED_ROWS, IN_FLIGHT),
)

_OK = Code.OK
_NUM_CODES = len(Code)


class _VersionSeries:
    """What is measured of one signature of a version."""

    __slots__ = ("batches", "execute", "padded", "queue", "rows")

    def __init__(self) -> None:
        self.queue = Histogram(SECONDS)
        self.execute = Histogram(SECONDS)
        self.batches = Histogram(ROWS)
        self.padded = 0
        self.rows = 0


class _CallSeries:
    """What is measured of one method of a signature over one protocol."""

    __slots__ = ("codes", "ok", "received", "sent", "total", "version")

    def __init__(self, version: _VersionSeries) -> None:
        self.version = version
        self.ok = 0
        self.codes = [0] * _NUM_CODES
        self.total = Histogram(SECONDS)
        self.received = 0
        self.sent = 0


def _count_run(version: _VersionSeries, run: Run) -> None:
    run.known["counted"] = True
    for part in run.parts or (run,):
        if part is run or "counted" not in part.known:
            part.known["counted"] = True
            version.batches.observe(part.rows)
            version.padded += part.padded_rows - part.rows


class CallMetrics:
    """Counts calls; an observer of the engine.

    A client cannot make series: names are those of versions that were found, of signatures that were submitted to
    and of methods that exist. What never reached a version is counted under the model, if there is one of that name,
    and else under no name at all.

    Args:
        engine: What the calls are made of; its snapshot tells which models there are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._versions: dict[Labels, _VersionSeries] = {}
        self._calls: dict[tuple[str, int | None, str, str, str], _CallSeries] = {}
        self._in_flight = 0

    def begun(self, call: Call) -> None:
        """See a call begin."""
        self._in_flight += 1

    def ended(self, call: Call) -> None:
        """Count a call."""
        self._in_flight -= 1
        servable = call.servable
        key = (
            (call.model, None, "", call.method, call.api)
            if servable is None
            else (servable.name, servable.version, call.signature, call.method, call.api)
        )
        series = self._calls.get(key) or self._new_series(key)
        if call.code is _OK:
            series.ok += 1
        elif call.code is not None:
            series.codes[call.code.value] += 1
        seconds = call.ended - call.received
        total = series.total
        total.counts[bisect_left(SECONDS, seconds)] += 1
        total.sum += seconds
        series.received += call.request_bytes
        series.sent += call.response_bytes
        run = call.run
        if run is None:
            return
        version = series.version
        version.rows += call.rows
        waited = run.started - call.submitted
        queue = version.queue
        queue.counts[bisect_left(SECONDS, waited)] += 1
        queue.sum += waited
        took = run.ended - run.started
        execute = version.execute
        execute.counts[bisect_left(SECONDS, took)] += 1
        execute.sum += took
        if "counted" not in run.known:  # an execution answers many calls and is counted with the first of them
            _count_run(version, run)

    def _new_series(self, key: tuple[str, int | None, str, str, str]) -> _CallSeries:
        model, number, signature, method, api = key
        if number is None:
            snapshot = self._engine.snapshot
            if model not in snapshot.servables and model not in snapshot.statuses:
                key = ("", None, "", method, api)
                known = self._calls.get(key)
                if known is not None:
                    return known
        if len(self._calls) >= MOST_SERIES:
            self._forget_gone()
        labels = (key[0], "" if number is None else str(number), signature)
        version = self._versions.get(labels)
        if version is None:
            version = self._versions[labels] = _VersionSeries()
        series = self._calls[key] = _CallSeries(version)
        return series

    def _forget_gone(self) -> None:
        """Make room: forget the oldest half of the series whose version is not served any more."""
        servables = self._engine.snapshot.servables
        gone = [key for key in self._calls if key[1] is not None and key[1] not in servables.get(key[0], {})]
        for key in gone[: max(len(gone) // 2, 1)]:
            del self._calls[key]
        kept = {id(series.version) for series in self._calls.values()}
        self._versions = {labels: series for labels, series in self._versions.items() if id(series) in kept}

    def collect(self, metrics: Metrics) -> None:
        """Put what was counted into `metrics`."""
        for family in FAMILIES:
            metrics.declare(family)
        for (model, number, signature, method, api), series in self._calls.items():
            labels = (model, "" if number is None else str(number), signature, method, api)
            for code in Code:
                count = series.ok if code is _OK else series.codes[code.value]
                if count:
                    metrics.add(REQUESTS, (*labels, code.name), count)
            metrics.add(TOTAL, labels, series.total.value)
            metrics.add(REQUEST_BYTES, labels, series.received)
            metrics.add(RESPONSE_BYTES, labels, series.sent)
        for of, version in self._versions.items():
            if not of[1] or not of[2]:
                continue  # never reached a version or a signature, so nothing of it waited or ran
            metrics.add(QUEUE, of, version.queue.value)
            metrics.add(EXECUTE, of, version.execute.value)
            metrics.add(REQUEST_ROWS, of, version.rows)
            metrics.add(BATCH_ROWS, of, version.batches.value)
            metrics.add(PADDED_ROWS, of, version.padded)
        metrics.add(IN_FLIGHT, (), self._in_flight)
