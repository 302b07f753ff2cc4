"""Metrics of calls."""

import pytest

from mainstay.serving.batching.outputs import Run
from mainstay.serving.models.snapshot import Servable, Snapshot
from mainstay.serving.operations import call_metrics
from mainstay.serving.operations.call_metrics import CallMetrics
from mainstay.serving.operations.exposition import render
from mainstay.serving.operations.families import Metrics
from mainstay.serving.status import Code

M2 = (("model", "m"), ("signature", "serving_default"), ("version", "2"))


@pytest.fixture
def measure(engine, lint):
    """Let calls end and return the samples."""
    observer = CallMetrics(engine)

    def run(*calls):
        for call in calls:
            observer.begun(call)
            observer.ended(call)
        metrics = Metrics()
        observer.collect(metrics)
        lint(render(metrics, openmetrics=True), openmetrics=True)
        return lint(render(metrics))

    run.observer = observer
    return run


def of(**labels):
    return tuple(sorted(labels.items()))


def test_a_call_is_counted_with_its_times_sizes_and_status(measure, ended):
    samples = measure(ended())
    call = of(model="m", version="2", signature="serving_default", method="Predict", protocol="REST")
    assert samples["mainstay_requests_total", (*call[:4], ("status", "OK"), *call[4:])] == 1
    assert samples["mainstay_request_seconds_sum", call] == pytest.approx(0.010)
    assert samples["mainstay_queue_seconds_sum", M2] == pytest.approx(0.001)
    assert samples["mainstay_execute_seconds_sum", M2] == pytest.approx(0.004)
    assert samples["mainstay_request_rows_total", M2] == 3
    assert samples["mainstay_request_bytes_total", call] == 100
    assert samples["mainstay_response_bytes_total", call] == 50
    assert samples["mainstay_batch_rows_sum", M2] == 5
    assert samples["mainstay_padded_rows_total", M2] == 3
    assert samples["mainstay_requests_in_flight", ()] == 0


def test_statuses_methods_protocols_and_versions_are_told_apart(measure, ended):
    samples = measure(
        ended(), ended(), ended(1), ended(api="gRPC"), ended(method="Classify"), ended(code=Code.UNAVAILABLE, run=None)
    )
    counts = {labels: value for (name, labels), value in samples.items() if name == "mainstay_requests_total"}
    assert sorted(counts.values()) == [1, 1, 1, 1, 2]
    assert sum(value for labels, value in counts.items() if ("status", "UNAVAILABLE") in labels) == 1


def test_an_execution_is_counted_once_however_many_calls_it_answers(measure, ended):
    run = Run(6, 1000.002, 1000.006, 8)
    samples = measure(ended(run=run), ended(run=run))
    assert samples["mainstay_batch_rows_count", M2] == 1
    assert samples["mainstay_padded_rows_total", M2] == 2
    assert samples["mainstay_execute_seconds_count", M2] == 2


def test_the_executions_of_a_request_that_was_split_are_counted_each_and_once(measure, ended):
    first, second = Run(4, 1000.002, 1000.004, 4), Run(4, 1000.004, 1000.006, 8)
    both = Run(8, 1000.002, 1000.006, 12, parts=(first, second))
    samples = measure(ended(run=both), ended(run=second))
    assert samples["mainstay_batch_rows_count", M2] == 2
    assert samples["mainstay_batch_rows_sum", M2] == 8
    assert samples["mainstay_padded_rows_total", M2] == 4
    assert samples["mainstay_execute_seconds_count", M2] == 2


def test_names_that_clients_make_up_make_no_series(measure, ended):
    samples = measure(*(ended(None, model=f"no{number}", code=Code.NOT_FOUND) for number in range(100)))
    counted = {labels: value for (name, labels), value in samples.items() if name == "mainstay_requests_total"}
    assert list(counted.values()) == [100]
    assert dict(next(iter(counted)))["model"] == ""


def test_a_model_that_answers_nothing_yet_is_counted_under_its_name(measure, ended):
    samples = measure(ended(None, code=Code.NOT_FOUND))
    assert any(dict(labels).get("model") == "m" for name, labels in samples if name == "mainstay_requests_total")


def test_a_call_that_lasts_is_in_flight(engine, ended):
    observer = CallMetrics(engine)
    observer.begun(ended())
    metrics = Metrics()
    observer.collect(metrics)
    assert metrics.families["mainstay_requests_in_flight"].values == {(): 1}


def test_series_of_versions_that_are_gone_make_room_for_new_ones(measure, engine, ended, monkeypatch):
    monkeypatch.setattr(call_metrics, "MOST_SERIES", 8)
    for number in range(3, 103):
        engine.snapshot = Snapshot({"m": {number: Servable("m", number, {})}})
        measure.observer.begun(ended(number))
        measure.observer.ended(ended(number))
    samples = measure()
    versions = {dict(labels)["version"] for name, labels in samples if name == "mainstay_requests_total"}
    assert "102" in versions
    assert len(versions) <= 8
    assert len(measure.observer._versions) <= 8
