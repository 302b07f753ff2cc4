"""TF Serving's own metrics, under its names, labels and buckets, for the dashboards that exist already.

Source: `tensorflow_serving/servables/tensorflow/util.cc`, `batching/batching_session.cc`, `core/request_logger.cc`,
`servables/tensorflow/saved_model_warmup_util.cc` and `util/prometheus_exporter.cc` of tensorflow/serving.
"""

from __future__ import annotations

from bisect import bisect_left

from mainstay.serving.batching.outputs import Run
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.operations.families import Family, Histogram, Metrics
from mainstay.serving.status import Code

PATH = "/monitoring/prometheus/metrics"
ENTRYPOINTS = {"REST": "REST", "gRPC": "GRPC"}
RUNTIME = "JAX"


def _exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    bounds, bound = [], scale
    for _ in range(count):
        bounds.append(bound)
        bound *= growth
    return tuple(bounds)


MICROSECONDS = _exponential(10, 1.8, 33)
_QUEUING = _exponential(100, 1.2, 52)
_EXAMPLES = _exponential(1, 2, 15)
_BATCHES = _exponential(1, 2, 13)
_PREFIX = ":tensorflow:serving:"

REQUEST_COUNT = Family(_PREFIX + "request_count", "counter", "The total number of requests.", ("model_name", "status"))
REQUEST_LATENCY = Family(
    _PREFIX + "request_latency",
    "histogram",
    "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
    ("model_name", "API", "entrypoint"),
    bounds=MICROSECONDS,
)
RUNTIME_LATENCY = Family(
    _PREFIX + "runtime_latency",
    "histogram",
    "Distribution of wall time (in microseconds) for Tensorflow runtime.",
    ("model_name", "API", "runtime"),
    bounds=MICROSECONDS,
)
EXAMPLE_COUNTS = Family(
    _PREFIX + "request_example_counts",
    "histogram",
    "The number of tensorflow.Examples per request.",
    ("model",),
    bounds=_EXAMPLES,
)
EXAMPLE_TOTAL = Family(
    _PREFIX + "request_example_count_total", "counter", "The total number of tensorflow.Examples.", ("model",)
)
QUEUING_LATENCY = Family(
    _PREFIX + "batching_session:queuing_latency",
    "histogram",
    "Distribution of wall time spent (in microseconds) in queuing",
    ("thread_pool_name",),
    bounds=_QUEUING,
)
RUN_COUNT = Family(
    _PREFIX + "batching_session:wrapped_run_count", "counter", "Total count of run calls on the wrapped session"
)
PADDING_SIZE = Family(
    _PREFIX + "batching_session:padding_size",
    "histogram",
    "Tracks the padding size distribution on batches.",
    bounds=_BATCHES,
)
INPUT_BATCH = Family(
    _PREFIX + "batching_session:input_batch_size",
    "histogram",
    "Tracks the batch size distribution on the inputs.",
    bounds=_BATCHES,
)
PROCESSED_BATCH = Family(
    _PREFIX + "batching_session:processed_batch_size",
    "histogram",
    "Tracks the batch size distribution on processing.",
    bounds=_BATCHES,
)
REQUEST_LOG_COUNT = Family(
    _PREFIX + "request_log_count",
    "counter",
    "The total number of requests logged from the model server sliced down by model_name and status code.",
    ("model_name", "status_code"),
)
WARMUP_LATENCY = Family(
    _PREFIX + "model_warmup_latency",
    "histogram",
    "Distribution of wall time (in microseconds) for warming up the model.",
    ("model_path", "status"),
    bounds=MICROSECONDS,
)
WARMUP_RECORDS = Family(
    _PREFIX + "model_warmup_records_read",
    "counter",
    "The total number of warm-up records that were read.",
    ("model_path",),
)

FAMILIES = (
    *(REQUEST_COUNT, REQUEST_LATENCY, RUNTIME_LATENCY, EXAMPLE_COUNTS, EXAMPLE_TOTAL, QUEUING_LATENCY, RUN_COUNT),
    *(PADDING_SIZE, INPUT_BATCH, PROCESSED_BATCH, REQUEST_LOG_COUNT, WARMUP_LATENCY, WARMUP_RECORDS),
)

_OK = Code.OK
_COUNTED = frozenset({"Predict", "Classify", "Regress", "MultiInference"})
_OF_EXAMPLES = frozenset({"Classify", "Regress", "MultiInference"})


class _Series:
    """What is measured of one API of a model over one entrypoint."""

    __slots__ = ("codes", "examples", "latency", "ok", "runtime")

    def __init__(self) -> None:
        self.ok = 0
        self.codes = [0] * len(Code)
        self.latency = Histogram(MICROSECONDS)
        self.runtime = Histogram(MICROSECONDS)
        self.examples = Histogram(_EXAMPLES)


class TensorflowMetrics:
    """Counts calls as TF Serving does; an observer of the engine.

    Args:
        engine: What the calls are made of; its snapshot tells which models there are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._queuing = Histogram(_QUEUING)
        self._padding = Histogram(_BATCHES)
        self._inputs = Histogram(_BATCHES)
        self._processed = Histogram(_BATCHES)

    def begun(self, call: Call) -> None:
        """See a call begin; nothing is counted before its end."""

    def ended(self, call: Call) -> None:
        """Count a call."""
        method = call.method
        if method not in _COUNTED or call.api not in ENTRYPOINTS:
            return
        model = call.model if call.servable is not None or self._knows(call.model) else ""
        series = self._series.get((model, method, call.api))
        if series is None:
            series = self._series[model, method, call.api] = _Series()
        run = call.run
        if call.code is not _OK:
            if call.code is not None:
                series.codes[call.code.value] += 1
            return
        series.ok += 1
        if run is None:
            return
        micros = (call.ended - call.received) * 1e6
        histogram = series.latency
        histogram.counts[bisect_left(MICROSECONDS, micros)] += 1
        histogram.sum += micros
        micros = (run.ended - run.started) * 1e6
        histogram = series.runtime
        histogram.counts[bisect_left(MICROSECONDS, micros)] += 1
        histogram.sum += micros
        micros = (run.started - call.submitted) * 1e6
        histogram = self._queuing
        histogram.counts[bisect_left(_QUEUING, micros)] += 1
        histogram.sum += micros
        self._inputs.observe(call.rows)
        if method in _OF_EXAMPLES:
            series.examples.observe(call.rows)
        if "counted as TF Serving" not in run.known:
            self._count_run(run)

    def _count_run(self, run: Run) -> None:
        run.known["counted as TF Serving"] = True
        for part in run.parts or (run,):
            if part is run or "counted as TF Serving" not in part.known:
                part.known["counted as TF Serving"] = True
                self._processed.observe(part.padded_rows)
                self._padding.observe(part.padded_rows - part.rows)

    def _knows(self, model: str) -> bool:
        snapshot = self._engine.snapshot
        return model in snapshot.servables or model in snapshot.statuses

    def collect(self, metrics: Metrics) -> None:
        """Put what was counted into `metrics`."""
        for family in FAMILIES:
            metrics.declare(family)
        for (model, method, api), series in self._series.items():
            for code in Code:
                count = series.ok if code is _OK else series.codes[code.value]
                if count:
                    metrics.add(REQUEST_COUNT, (model, code.name), count)
            if series.ok:
                metrics.add(REQUEST_LATENCY, (model, method, ENTRYPOINTS[api]), series.latency.value)
                metrics.add(RUNTIME_LATENCY, (model, method, RUNTIME), series.runtime.value)
            if series.examples.sum:
                metrics.add(EXAMPLE_COUNTS, (model,), series.examples.value)
                metrics.add(EXAMPLE_TOTAL, (model,), series.examples.sum)
        metrics.add(QUEUING_LATENCY, ("batch_threads",), self._queuing.value)
        metrics.add(RUN_COUNT, (), sum(self._processed.counts))
        metrics.add(PADDING_SIZE, (), self._padding.value)
        metrics.add(INPUT_BATCH, (), self._inputs.value)
        metrics.add(PROCESSED_BATCH, (), self._processed.value)
