import asyncio

import numpy as np
import pytest

from mainstay.core import DataError, PreconditionError, RequestError, TensorSpec, UnsupportedError, message_class
from mainstay.io import write_records
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.batching.turns import Share
from mainstay.serving.models.endpoints import make_endpoints
from mainstay.serving.models.snapshot import Servable
from mainstay.serving.models.warm_up import FILE, warm_up

PredictionLog = message_class("tensorflow.serving.PredictionLog")


class Nowhere:
    threads = 1
    idle = True

    def join(self, take, finish):
        return Share(take, finish)


@pytest.fixture
def version(fakes):
    """A version with two signatures, and what ran."""
    predict = fakes.Signature([fakes.input("x", "float32", 2)], body=lambda columns: {"total": columns[0].values[:, 0]})
    regress = fakes.Signature([fakes.input("x", "float32")], (TensorSpec([None], "float32", "outputs"),))
    regress.method = "regress"
    model = fakes.Model(serving_default=predict, price=regress)
    loop = asyncio.new_event_loop()
    options = BatchingOptions(execution="thread")
    yield Servable("m", 1, make_endpoints(model, options, executor=Nowhere(), loop=loop)), predict, regress
    loop.close()


def write(folder, *logs):
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_records(path, [log if isinstance(log, bytes) else log.SerializeToString() for log in logs])
    return path


def predict_log(values=((1, 2), (3, 4), (5, 6)), name="x", signature="", dtype=1):
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "another"
    request.model_spec.signature_name = signature
    array = np.asarray(values, np.float32)
    tensor = request.inputs[name]
    tensor.dtype = dtype
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = array.tobytes()
    return log


def add_example(given, value=1.0, name="x"):
    given.example_list.examples.add().features.feature[name].float_list.value.append(value)


def regress_log(**example):
    log = PredictionLog()
    log.regress_log.request.model_spec.signature_name = "price"
    add_example(log.regress_log.request.input, **example)
    return log


def test_a_version_without_a_file_is_fine(version, tmp_path):
    assert warm_up(tmp_path, version[0]) == 0


def test_predict_requests_are_run_as_they_are(version, tmp_path):
    servable, predict, _ = version
    write(tmp_path, predict_log(), predict_log([[1, 1]], signature="serving_default"))
    assert warm_up(tmp_path, servable, iterations=2) == 2
    assert predict.batches == [3, 3, 1, 1]


def test_predict_requests_can_be_run_in_every_batch_size(version, tmp_path):
    servable, predict, _ = version
    write(tmp_path, predict_log())
    warm_up(tmp_path, servable, sizes={"serving_default": [1, 4], "price": [8]})
    assert predict.batches == [3, 1, 4]


def test_requests_of_fixed_shapes_are_left_out_where_they_were_compiled(version, tmp_path, fakes):
    servable, predict, _ = version
    write(tmp_path, predict_log())
    assert warm_up(tmp_path, servable, open_shapes_only=True) == 1
    assert predict.batches == []


def test_examples_are_run_by_the_signatures_that_they_name(version, tmp_path):
    servable, _, regress = version
    both = PredictionLog()
    request = both.multi_inference_log.request
    task = request.tasks.add()
    task.model_spec.signature_name, task.method_name = "price", "tensorflow/serving/regress"
    add_example(request.input)
    add_example(request.input, 2.0)
    write(tmp_path, regress_log(), both)
    assert warm_up(tmp_path, servable) == 2
    assert regress.batches == [1, 2]


def test_a_record_without_a_request_is_passed_over(version, tmp_path):
    write(tmp_path, PredictionLog())
    assert warm_up(tmp_path, version[0]) == 1


@pytest.mark.parametrize("kind", ["session_run_log", "predict_streamed_log"])
def test_kinds_that_tf_serving_does_not_run_are_refused(version, tmp_path, kind):
    log = PredictionLog()
    getattr(log, kind).SetInParent()
    write(tmp_path, log)
    with pytest.raises(UnsupportedError, match="Unsupported log_type for warmup"):
        warm_up(tmp_path, version[0])


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (predict_log(name="y"), RequestError),
        (predict_log(dtype=3), RequestError),
        (predict_log([1.0, 2.0]), RequestError),
        (predict_log(signature="none"), PreconditionError),
        (regress_log(name="y"), RequestError),
    ],
)
def test_a_request_that_is_refused_fails_the_version(version, tmp_path, log, error):
    write(tmp_path, log)
    with pytest.raises(error):
        warm_up(tmp_path, version[0])


def test_a_method_that_is_none_is_refused(version, tmp_path):
    log = PredictionLog()
    task = log.multi_inference_log.request.tasks.add()
    task.method_name = "tensorflow/serving/predict"
    add_example(log.multi_inference_log.request.input)
    write(tmp_path, log)
    with pytest.raises(UnsupportedError, match="Unsupported signature method_name"):
        warm_up(tmp_path, version[0])


def test_a_file_of_too_many_records_is_refused(version, tmp_path):
    write(tmp_path, *[PredictionLog()] * 1000)
    assert warm_up(tmp_path, version[0]) == 1000
    write(tmp_path, *[PredictionLog()] * 1001)
    with pytest.raises(DataError, match=r"Number of warmup records exceeds the maximum \(1000\)"):
        warm_up(tmp_path, version[0])


def test_a_damaged_file_is_refused(version, tmp_path):
    path = write(tmp_path, predict_log())
    content = path.read_bytes()
    for damaged in (content[:-3], content[:20] + b"\0" + content[21:], b"no records at all"):
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            warm_up(tmp_path, version[0])
    write(tmp_path, b"\xff\xff")
    with pytest.raises(DataError, match="Failed to parse warmup record 1"):
        warm_up(tmp_path, version[0])
