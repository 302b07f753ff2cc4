"""Metrics of loading."""

from mainstay.serving.operations import load_metrics
from mainstay.serving.operations.exposition import render
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.load_metrics import LoadMetrics
from mainstay.serving.status import Code


def samples(loads, lint):
    metrics = Metrics()
    loads.collect(metrics)
    loads.collect_as_tensorflow(metrics)
    return lint(render(metrics))


def test_loads_unloads_and_reloads_are_counted(lint):
    loads = LoadMetrics()
    loads.loaded("m", 1, 2.5)
    loads.loaded("m", 2, 3.5)
    loads.loaded("m", 3, 0.5, Code.INTERNAL)
    loads.unloaded("m", 1)
    loads.reloaded()
    loads.reloaded(Code.INVALID_ARGUMENT)
    found = samples(loads, lint)
    assert found["mainstay_loads_total", (("model", "m"), ("status", "OK"))] == 2
    assert found["mainstay_loads_total", (("model", "m"), ("status", "INTERNAL"))] == 1
    assert found["mainstay_unloads_total", (("model", "m"),)] == 1
    assert found["mainstay_version_load_seconds", (("model", "m"), ("version", "2"))] == 3.5
    assert ("mainstay_version_load_seconds", (("model", "m"), ("version", "1"))) not in found
    assert found["mainstay_reloads_total", (("status", "INVALID_ARGUMENT"),)] == 1
    assert found["mainstay_last_reload_successful", ()] == 0


def test_warm_ups_are_timed_by_path(lint):
    loads = LoadMetrics()
    loads.warmed_up("/models/m/1", 0.001, records=7)
    found = samples(loads, lint)
    path = ("model_path", "/models/m/1")
    assert found[":tensorflow:serving:model_warmup_latency_sum", (path, ("status", "OK"))] == 1000
    assert found[":tensorflow:serving:model_warmup_records_read", (path,)] == 7


def test_years_of_versions_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(load_metrics, "_MOST_VERSIONS", 10)
    monkeypatch.setattr(load_metrics, "_MOST_PATHS", 10)
    loads = LoadMetrics()
    for version in range(100):
        loads.loaded("m", version, 1.0)
        loads.warmed_up(f"/m/{version}", 1.0)
    assert list(loads._seconds) == [("m", str(version)) for version in range(90, 100)]
    assert len(loads._records) == 10
