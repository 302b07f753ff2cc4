"""Metrics of loading: how long versions took, what warm-up cost, and how often the configuration changed."""

from __future__ import annotations

import threading

from mainstay.serving.operations.families import Family, Histogram, Metrics
from mainstay.serving.operations.tensorflow_metrics import MICROSECONDS, WARMUP_LATENCY, WARMUP_RECORDS
from mainstay.serving.status import Code

LOAD_SECONDS = Family(
    "mainstay_version_load_seconds",
    "gauge",
    "How long loading a version took, warm-up included.",
    ("model", "version"),
    merge="max",
)
LOADS = Family("mainstay_loads_total", "counter", "Versions that were loaded, by how it ended.", ("model", "status"))
UNLOADS = Family("mainstay_unloads_total", "counter", "Versions that were unloaded.", ("model",))
RELOADS = Family(
    "mainstay_reloads_total",
    "counter",
    "Times that the model configuration was read anew, by how it ended.",
    ("status",),
)
LAST_RELOAD = Family(
    "mainstay_last_reload_successful", "gauge", "Whether the last change of configuration was taken.", merge="min"
)
_MOST_VERSIONS = 1024
_MOST_PATHS = 1024


class LoadMetrics:
    """Counts what happens to versions. Any thread may call it: loading is done away from the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[tuple[str, str], float] = {}
        self._loads: dict[tuple[str, str], int] = {}
        self._unloads: dict[str, int] = {}
        self._reloads: dict[str, int] = {}
        self._last_reload = 1
        self._warm_ups: dict[tuple[str, str], Histogram] = {}
        self._records: dict[str, int] = {}

    def loaded(self, model: str, version: int, seconds: float, code: Code = Code.OK) -> None:
        """Note that loading a version has ended, and how."""
        with self._lock:
            counted = (model, code.name)
            self._loads[counted] = self._loads.get(counted, 0) + 1
            if code is Code.OK:
                self._seconds[model, str(version)] = seconds
                while len(self._seconds) > _MOST_VERSIONS:
                    del self._seconds[next(iter(self._seconds))]

    def unloaded(self, model: str, version: int) -> None:
        """Note that a version is gone."""
        with self._lock:
            self._unloads[model] = self._unloads.get(model, 0) + 1
            self._seconds.pop((model, str(version)), None)

    def warmed_up(self, path: str, seconds: float, code: Code = Code.OK, *, records: int = 0) -> None:
        """Note that the warm-up requests of the version at `path` were replayed."""
        with self._lock:
            if path not in self._records and len(self._records) >= _MOST_PATHS:
                return
            self._records[path] = self._records.get(path, 0) + records
            self._warm_ups.setdefault((path, code.name), Histogram(MICROSECONDS)).observe(seconds * 1e6)

    def reloaded(self, code: Code = Code.OK) -> None:
        """Note that the model configuration was read anew, and how that ended."""
        with self._lock:
            self._reloads[code.name] = self._reloads.get(code.name, 0) + 1
            self._last_reload = int(code is Code.OK)

    def collect(self, metrics: Metrics) -> None:
        """Put Mainstay's own of these metrics into `metrics`."""
        for family in (LOAD_SECONDS, LOADS, UNLOADS, RELOADS):
            metrics.declare(family)
        with self._lock:
            for version, seconds in self._seconds.items():
                metrics.add(LOAD_SECONDS, version, seconds)
            for counted, count in self._loads.items():
                metrics.add(LOADS, counted, count)
            for model, count in self._unloads.items():
                metrics.add(UNLOADS, (model,), count)
            for status, count in self._reloads.items():
                metrics.add(RELOADS, (status,), count)
            metrics.add(LAST_RELOAD, (), self._last_reload)

    def collect_as_tensorflow(self, metrics: Metrics) -> None:
        """Put those into `metrics` that TF Serving has."""
        with self._lock:
            for key, histogram in self._warm_ups.items():
                metrics.add(WARMUP_LATENCY, key, histogram.value)
            for path, count in self._records.items():
                metrics.add(WARMUP_RECORDS, (path,), count)
