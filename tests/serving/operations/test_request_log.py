"""The request log: what is in its files, when they are finished, and that it never makes anybody wait."""

import random
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from mainstay.core import ArgumentError, TensorSpec, message_class
from mainstay.hostops import HostInput
from mainstay.io import read_record_blocks
from mainstay.serving.batching.chunks import Chunk, DensePart
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.grpc.tensor_proto import decode_tensor
from mainstay.serving.models.config import LoggingRule
from mainstay.serving.operations.exposition import render
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.request_log import RequestLog, RequestLogOptions
from mainstay.serving.plans import InputPlan
from mainstay.serving.status import Code


class Endpoint:
    def __init__(self, *plans):
        self.plans = plans


def plan(name, dtype="float32", *inner, optional=False):
    return InputPlan.of(HostInput(TensorSpec([None, *inner], dtype, name), optional))


PLANS = (plan("x", "float32", 2), plan("s", "string"), plan("n", "int64", optional=True))
CHUNK = Chunk(2, [np.array([[1, 2], [3, 4]], np.float32), ["a", "é"], [7, None]], missing=True)
OUTPUTS = {"total": np.array([1.5, 2.5], np.float32), "label": np.array([b"u", b"\xff"], object)}


@pytest.fixture
def logged(engine, ended):
    """Make logged calls: `logged(chunk, arrays, plans)`."""

    def make(chunk=CHUNK, arrays=None, plans=PLANS, **more):
        servable = engine.snapshot.servables["m"][2]
        servable.endpoints = {"serving_default": Endpoint(*plans)}
        call = ended(**more)
        call.rows = chunk.rows
        call.chunk, call.outputs = chunk, Outputs.of(arrays or OUTPUTS)
        return call

    return make


@pytest.fixture
def make(tmp_path):
    made = []

    def run(kind="tfrecord", rate=1.0, *, source=None, **options):
        log = RequestLog(RequestLogOptions(**options), source)
        log.configure({"m": LoggingRule(kind, str(tmp_path / "logs" / "m"), rate)})
        made.append(log)
        return log

    yield run
    for log in made:
        log.close(10.0)


def put(log, *calls):
    for call in calls:
        log.begun(call)
        assert call.keep
        log.ended(call)
    assert log.flush()


def files(tmp_path, suffix="tfrecord"):
    return sorted((tmp_path / "logs").glob(f"m-*.{suffix}"))


def records(path):
    kind = message_class("tensorflow.serving.PredictionLog")
    return [
        kind.FromString(block.data[offset : offset + length].tobytes())
        for block in read_record_blocks(str(path))
        for offset, length in zip(block.offsets, block.lengths, strict=True)
    ]


def test_a_prediction_is_logged_as_a_prediction_log(make, logged, tmp_path):
    log = make()
    put(log, logged())
    log.close(10.0)
    (path,) = files(tmp_path)
    (found,) = records(path)
    for spec in (found.log_metadata.model_spec, found.predict_log.request.model_spec):
        assert (spec.name, spec.version.value, spec.signature_name) == ("m", 2, "serving_default")
    assert found.log_metadata.sampling_config.sampling_rate == 1.0
    assert found.log_metadata.timestamp_secs > 1.6e9
    inputs = {name: decode_tensor(proto, name) for name, proto in found.predict_log.request.inputs.items()}
    assert inputs["x"].tolist() == [[1, 2], [3, 4]]
    assert inputs["s"].tolist() == [b"a", "é".encode()]
    assert inputs["n"].tolist() == [7, 0]
    outputs = {name: decode_tensor(proto, name) for name, proto in found.predict_log.response.outputs.items()}
    assert outputs["total"].tolist() == [1.5, 2.5]
    assert outputs["label"].tolist() == [b"u", b"\xff"]


def test_a_classification_keeps_its_examples_and_classes(make, logged, tmp_path):
    log = make()
    arrays = {
        "classes": np.array([[b"a", b"b"], [b"c", b"d"]], object),
        "scores": np.array([[1, 2], [3, 4]], np.float32),
    }
    put(log, logged(arrays=arrays, method="Classify"))
    log.close(10.0)
    (found,) = records(files(tmp_path)[0])
    examples = found.classify_log.request.input.example_list.examples
    assert list(examples[0].features.feature["x"].float_list.value) == [1, 2]
    assert list(examples[0].features.feature["n"].int64_list.value) == [7]
    assert "n" not in examples[1].features.feature
    assert list(examples[1].features.feature["s"].bytes_list.value) == ["é".encode()]
    classes = found.classify_log.response.result.classifications[1].classes
    assert [(item.label, item.score) for item in classes] == [("c", 3.0), ("d", 4.0)]


def test_a_regression_of_serialized_examples_keeps_them_as_they_were(make, logged, tmp_path):
    example = message_class("tensorflow.Example")()
    example.features.feature["x"].float_list.value.append(2.0)
    chunk = Chunk(1, [np.array([example.SerializeToString()], object)])
    log = make()
    put(log, logged(chunk, {"outputs": np.array([[0.5]], np.float32)}, (plan("examples", "string"),), method="Regress"))
    log.close(10.0)
    (found,) = records(files(tmp_path)[0])
    assert found.regress_log.request.input.example_list.examples[0] == example
    assert [item.value for item in found.regress_log.response.result.regressions] == [0.5]


def test_parquet_has_a_row_for_each_row(make, logged, tmp_path):
    log = make("parquet")
    headers = {b"x-request-id": b"r1"}
    put(log, logged(headers=headers), logged())
    log.close(10.0)
    (path,) = files(tmp_path, "parquet")
    table = pq.read_table(path)
    assert table.num_rows == 4
    assert table.column("request_id").to_pylist() == ["r1", "r1", "", ""]
    assert table.column("row").to_pylist() == [0, 1, 0, 1]
    assert table.column("inputs").to_pylist()[:2] == [
        {"x": [1.0, 2.0], "s": b"a", "n": 7},
        {"x": [3.0, 4.0], "s": "é".encode(), "n": None},
    ]
    assert table.column("outputs").to_pylist()[:2] == [{"total": 1.5, "label": b"u"}, {"total": 2.5, "label": b"\xff"}]
    assert table.schema.metadata[b"mainstay.version"] == b"2"


def test_deep_missing_and_narrow_values_go_into_parquet(make, logged, tmp_path):
    plans = (
        plan("d", "float32", 2, 3),
        plan("m", "float32", 2, optional=True),
        plan("h", "float16"),
        plan("z", "int32", 0),
    )
    deep = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    part = DensePart(np.zeros((2, 2), np.float32), np.array([True, False]))
    chunk = Chunk(2, [deep, part, np.array([1.5, 2.5], np.float16), np.zeros((2, 0), np.int32)], missing=True)
    log = make("parquet")
    put(log, logged(chunk, None, plans))
    log.close(10.0)
    (path,) = files(tmp_path, "parquet")
    first, second = pq.read_table(path).column("inputs").to_pylist()
    assert first == {"d": [[0, 1, 2], [3, 4, 5]], "m": None, "h": 1.5, "z": []}
    assert second["m"] == [0.0, 0.0]


def test_whole_tensors_are_one_row_of_parquet(make, logged, tmp_path):
    chunk = Chunk(3, [np.array([[1, 2, 3]], np.float32)], whole=True)
    log = make("parquet")
    put(log, logged(chunk, {"y": np.float32([[4, 5]])}, (plan("x", "float32", 2),)))
    log.close(10.0)
    table = pq.read_table(files(tmp_path, "parquet")[0])
    assert table.column("inputs").to_pylist() == [{"x": [[1.0, 2.0, 3.0]]}]
    assert table.column("outputs").to_pylist() == [{"y": [[4.0, 5.0]]}]


def test_rows_of_another_schema_begin_another_file(make, logged, tmp_path):
    log = make("parquet")
    put(log, logged(), logged(arrays={"other": np.arange(2)}), logged(arrays={"other": np.arange(2)}))
    log.close(10.0)
    assert [pq.read_table(path).num_rows for path in files(tmp_path, "parquet")] == [2, 4]


def test_a_file_is_finished_at_its_size_and_unseen_before(make, logged, tmp_path):
    log = make(file_bytes=500)
    put(log, logged())
    assert not files(tmp_path)
    put(log, *[logged() for _ in range(9)])
    done = files(tmp_path)
    assert done
    assert all(len(records(path)) >= 2 for path in done)
    log.close(10.0)
    assert sum(len(records(path)) for path in files(tmp_path)) == 10
    assert not [path for path in (tmp_path / "logs").iterdir() if path.suffix not in (".tfrecord",)]


def test_a_file_is_finished_at_its_age(make, logged, tmp_path):
    log = make(file_seconds=100.0)
    put(log, logged())
    log._files._clock = lambda: 1e12
    assert log.flush()
    assert len(records(files(tmp_path)[0])) == 1


def test_a_sample_is_drawn_at_the_rate_of_the_configuration(make, logged, tmp_path):
    log = make(rate=0.25, source=random.Random(5))
    put(log, *[logged() for _ in range(200)])
    log.close(10.0)
    assert 30 < len(records(files(tmp_path)[0])) < 70


def test_failures_other_models_and_calls_without_rows_are_left_out(make, logged, ended, tmp_path):
    log = make()
    bare = ended()
    log.begun(bare)
    for call in (logged(code=Code.INTERNAL), bare, logged(method="MultiInference")):
        log.ended(call)
    other = ended(None, model="x")
    log.begun(other)
    assert not other.keep
    log.ended(other)
    log.close(10.0)
    assert not (tmp_path / "logs").exists()


def test_too_much_at_once_is_left_out_and_counted(make, logged, lint):
    log = make(queue_bytes=1)
    for _ in range(5):
        log.ended(logged())
    assert log.dropped == 5
    metrics = Metrics()
    log.collect_as_tensorflow(metrics)
    labels = (("model_name", "m"), ("status_code", "RESOURCE_EXHAUSTED"))
    assert lint(render(metrics))[":tensorflow:serving:request_log_count", labels] == 5


def test_a_writer_that_hangs_makes_nobody_wait(make, logged):
    log = make(queue_requests=4)
    begun, go = threading.Event(), threading.Event()

    def hang(*arguments):
        begun.set()
        go.wait(20)

    log._files.write = hang
    for _ in range(4):
        log.ended(logged())
    assert begun.wait(20)
    for _ in range(50):
        log.ended(logged())
    assert log.dropped == 46
    go.set()
    assert log.flush()
    assert log._queued_bytes == log._written_bytes


def test_a_disk_that_refuses_costs_entries_and_nothing_else(make, logged, tmp_path, caplog):
    (tmp_path / "logs").write_text("in the way")
    log = make()
    put(log, logged(), logged())
    assert log.dropped == 2
    assert "the request log loses entries" in caplog.text
    (tmp_path / "logs").unlink()
    put(log, logged())
    log.close(10.0)
    assert len(records(files(tmp_path)[0])) == 1


def test_a_request_that_cannot_be_written_does_not_stop_the_others(make, logged, tmp_path):
    log = make("parquet")
    put(log, logged(), logged(Chunk(2, [object()])), logged())
    log.close(10.0)
    assert log.dropped == 1
    assert sum(pq.read_table(path).num_rows for path in files(tmp_path, "parquet")) == 4


@pytest.mark.parametrize(
    "rule",
    [
        LoggingRule("kafka", "/tmp/x", 1.0),
        LoggingRule("tfrecord", "", 1.0),
        LoggingRule("tfrecord", "/tmp/", 1.0),
        LoggingRule("tfrecord", "/tmp/a\0b", 1.0),
        LoggingRule("tfrecord", "/tmp/x", 1.5),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_and_changes_nothing(make, rule):
    log = make()
    with pytest.raises(ArgumentError):
        log.configure({"n": rule})
    assert set(log._rules) == {"m"}


def test_a_rate_of_nothing_logs_nothing(make, ended):
    log = make(rate=0.0)
    call = ended()
    log.begun(call)
    assert not call.keep


@pytest.mark.parametrize(
    "options", [{"file_bytes": 0}, {"file_seconds": float("inf")}, {"queue_requests": -1}, {"queue_bytes": True}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ArgumentError):
        RequestLogOptions(**options)
