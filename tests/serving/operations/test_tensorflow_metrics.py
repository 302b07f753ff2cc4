"""Metrics under TF Serving's names."""

import pytest

from mainstay.serving.operations.exposition import render
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.tensorflow_metrics import FAMILIES, MICROSECONDS, TensorflowMetrics
from mainstay.serving.status import Code


@pytest.fixture
def measure(engine, lint):
    observer = TensorflowMetrics(engine)

    def run(*calls):
        for call in calls:
            observer.begun(call)
            observer.ended(call)
        metrics = Metrics()
        observer.collect(metrics)
        text = render(metrics).decode()
        return text, lint(text)

    return run


def test_the_names_and_labels_are_those_of_tf_serving():
    assert {family.name: family.labels for family in FAMILIES} == {
        ":tensorflow:serving:request_count": ("model_name", "status"),
        ":tensorflow:serving:request_latency": ("model_name", "API", "entrypoint"),
        ":tensorflow:serving:runtime_latency": ("model_name", "API", "runtime"),
        ":tensorflow:serving:request_example_counts": ("model",),
        ":tensorflow:serving:request_example_count_total": ("model",),
        ":tensorflow:serving:batching_session:queuing_latency": ("thread_pool_name",),
        ":tensorflow:serving:batching_session:wrapped_run_count": (),
        ":tensorflow:serving:batching_session:padding_size": (),
        ":tensorflow:serving:batching_session:input_batch_size": (),
        ":tensorflow:serving:batching_session:processed_batch_size": (),
        ":tensorflow:serving:request_log_count": ("model_name", "status_code"),
        ":tensorflow:serving:model_warmup_latency": ("model_path", "status"),
        ":tensorflow:serving:model_warmup_records_read": ("model_path",),
    }


def test_latencies_have_33_buckets_from_10_microseconds_by_a_factor_of_1_8(measure, ended):
    assert len(MICROSECONDS) == 33
    text, samples = measure(ended())
    bounds = [dict(labels)["le"] for name, labels in samples if name == ":tensorflow:serving:request_latency_bucket"]
    assert bounds[:7] == ["10", "18", "32.4", "58.32", "104.976", "188.957", "340.122"]
    assert bounds[-2:] == ["1.47476e+09", "+Inf"]
    assert (
        ':tensorflow:serving:request_latency_bucket{model_name="m",API="Predict",entrypoint="REST",le="10"} 0\n' in text
    )


def test_a_prediction_counts_as_in_tf_serving(measure, ended):
    _, samples = measure(ended(api="gRPC"))
    prefix = ":tensorflow:serving:"
    assert samples[prefix + "request_count", (("model_name", "m"), ("status", "OK"))] == 1
    latency = (("API", "Predict"), ("entrypoint", "GRPC"), ("model_name", "m"))
    assert samples[prefix + "request_latency_sum", latency] == pytest.approx(10_000)
    runtime = (("API", "Predict"), ("model_name", "m"), ("runtime", "JAX"))
    assert samples[prefix + "runtime_latency_sum", runtime] == pytest.approx(4_000)
    assert samples[prefix + "batching_session:wrapped_run_count", ()] == 1
    assert samples[prefix + "batching_session:padding_size_sum", ()] == 3
    assert samples[prefix + "batching_session:processed_batch_size_sum", ()] == 8
    assert samples[prefix + "batching_session:input_batch_size_sum", ()] == 3


def test_failures_are_counted_but_not_timed(measure, ended):
    _, samples = measure(ended(code=Code.INVALID_ARGUMENT, run=None))
    assert samples[":tensorflow:serving:request_count", (("model_name", "m"), ("status", "INVALID_ARGUMENT"))] == 1
    assert not any(name.startswith(":tensorflow:serving:request_latency") for name, _ in samples)


def test_examples_are_counted_for_classifications(measure, ended):
    _, samples = measure(ended(method="Classify"), ended())
    assert samples[":tensorflow:serving:request_example_count_total", (("model", "m"),)] == 3


def test_other_methods_protocols_and_unknown_models_make_no_series(measure, ended):
    _, samples = measure(
        ended(method="GetModelStatus", run=None),
        ended(api="V2", method="ModelInfer"),
        ended(None, model="x", code=Code.NOT_FOUND),
        ended(None, model="y", code=Code.NOT_FOUND),
    )
    counts = {labels: value for (name, labels), value in samples.items() if name == ":tensorflow:serving:request_count"}
    assert counts == {(("model_name", ""), ("status", "NOT_FOUND")): 2}
