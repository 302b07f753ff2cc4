"""Predict requests in every format, over a real server."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import TensorSpec, message_class
from mainstay.serving.bodies.formats import ARROW, NPY, NPZ, PROTOBUF, answer_format, body_format

PATH = "/v1/models/m:predict"


@pytest.fixture
def server(start, fakes):
    """A server of a picture model, and of one with several inputs and outputs."""

    def mean(columns):
        return {"mean": columns[0].values.mean(axis=(1, 2), dtype=np.float32)}

    def both(columns):
        x, n = columns[0].values, columns[1]
        absent = np.zeros(len(x), bool) if n.missing is None else n.missing
        return {"sum": x.sum(axis=1) + np.where(absent, 0, n.values), "absent": absent}

    several = [fakes.input("x", "float32", 2), fakes.input("n", "int64", optional=True)]
    outputs = [TensorSpec([None], "float32", "sum"), TensorSpec([None], "bool", "absent")]
    text = fakes.Signature(
        [fakes.input("s", "string")],
        [TensorSpec([None], "string", "s")],
        lambda columns: {"s": columns[0].values.astype(object)},
    )
    return start(
        {
            "m": fakes.Model(
                serving_default=fakes.Signature(
                    [fakes.input("x", "float32", 2, 3)], [TensorSpec([None], "float32", "mean")], mean
                ),
                text=text,
            ),
            "several": fakes.Model(serving_default=fakes.Signature(several, outputs, both)),
        }
    )


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def stream(**columns):
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def predict_request(signature="", **arrays):
    request = message_class("tensorflow.serving.PredictRequest")()
    request.model_spec.signature_name = signature
    for name, array in arrays.items():
        proto = request.inputs[name]
        proto.dtype = {"float32": 1, "int64": 9, "float64": 2}[array.dtype.name]
        for size in array.shape:
            proto.tensor_shape.dim.add(size=size)
        proto.tensor_content = array.tobytes()
    return request


def post(server, body, kind, *, path=PATH, accept=None):
    headers = {"content-type": kind} | ({"accept": accept} if accept else {})
    status, answer, answered = server.request("POST", path, body, headers)
    return status, answer, answered["content-type"]


X = np.arange(12, dtype=np.float32).reshape(2, 2, 3)


@pytest.mark.parametrize("array", [X, np.asfortranarray(X), X.astype(">f4"), X.astype(np.int16), X.astype(np.float64)])
def test_an_array_is_answered_with_an_array(server, array):
    status, answer, kind = post(server, npy(array), NPY)
    assert (status, kind) == (200, NPY)
    assert np.load(io.BytesIO(answer)).tolist() == [2.5, 8.5]


def test_several_inputs_come_as_an_archive(server):
    body = npz(x=np.ones((2, 2), np.float32), n=np.array([1, 2]))
    status, answer, kind = post(server, body, NPY, path="/v1/models/several:predict")
    assert (status, kind) == (200, NPZ)
    with np.load(io.BytesIO(answer)) as found:
        assert found["sum"].tolist() == [3, 4]
        assert found["absent"].tolist() == [False, False]


def test_an_input_that_may_be_absent_is(server):
    status, answer, _ = post(
        server, npy(np.ones((1, 2), np.float32)), NPY, path="/v1/models/several:predict", accept="application/json"
    )
    assert (status, json.loads(answer)) == (200, {"outputs": {"sum": [2.0], "absent": [True]}})


def test_a_stream_is_answered_with_a_stream(server):
    body = stream(x=pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)), n=pa.array([1, None]))
    status, answer, kind = post(server, body, ARROW, path="/v1/models/several:predict")
    assert (status, kind) == (200, ARROW)
    assert pa.ipc.open_stream(answer).read_all().to_pydict() == {"sum": [4.0, 7.0], "absent": [False, True]}


def test_a_message_is_answered_with_a_message(server):
    status, answer, kind = post(server, predict_request(x=X).SerializeToString(), PROTOBUF)
    assert (status, kind) == (200, PROTOBUF)
    response = message_class("tensorflow.serving.PredictResponse").FromString(answer)
    assert list(response.outputs["mean"].float_val) == [2.5, 8.5]
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 1)
    assert response.model_spec.signature_name == "serving_default"


def test_the_answer_has_the_format_that_is_accepted(server):
    body = json.dumps({"instances": X.tolist()})
    assert json.loads(post(server, body, "application/json")[1]) == {"predictions": [2.5, 8.5]}
    assert np.load(io.BytesIO(post(server, body, "application/json", accept=NPY)[1])).tolist() == [2.5, 8.5]
    assert json.loads(post(server, npy(X), NPY, accept="application/json")[1]) == {"outputs": [2.5, 8.5]}
    answer = post(server, npy(X), NPY, accept=f"{ARROW};q=0.5, {NPZ};q=0.1, text/html")[1]
    assert pa.ipc.open_stream(answer).read_all().to_pydict() == {"mean": [2.5, 8.5]}
    message = post(server, npy(X), NPY, accept=PROTOBUF)[1]
    assert message_class("tensorflow.serving.PredictResponse").FromString(message).outputs["mean"].dtype == 1


def test_a_signature_is_named_in_the_query_or_in_the_message(server):
    body = npy(np.array(["a", "é"]))
    status, answer, _ = post(server, body, NPY, path=f"{PATH}?signature_name=text")
    assert (status, np.load(io.BytesIO(answer)).tolist()) == (200, ["a", "é"])
    status, answer, _ = post(server, predict_request("other", x=X).SerializeToString(), PROTOBUF)
    assert (status, b"not found in signature def" in answer) == (400, True)


def test_outputs_of_a_message_are_filtered(server):
    request = predict_request(x=np.ones((1, 2), np.float32))
    request.output_filter.append("absent")
    body, path = request.SerializeToString(), "/v1/models/several:predict"
    answer = post(server, body, PROTOBUF, path=path)[1]
    assert list(message_class("tensorflow.serving.PredictResponse").FromString(answer).outputs) == ["absent"]
    assert json.loads(post(server, body, PROTOBUF, path=path, accept="application/json")[1]) == {"outputs": [True]}
    request.output_filter.append("none")
    assert post(server, request.SerializeToString(), PROTOBUF, path=path)[0] == 400


def wrong_model():
    request = predict_request(x=X)
    request.model_spec.name = "other"
    return request.SerializeToString()


@pytest.mark.parametrize(
    ("body", "kind", "what"),
    [
        (b"", NPY, "no .npy file"),
        (npy(X[:, :1]), NPY, "wrong shape"),
        (npy(X[:0]), NPY, "no rows"),
        (npy(X.astype(bool)), NPY, "wrong dtype"),
        (npz(y=X), NPY, "Signature input alias: x"),
        (npz(x=X, y=X), NPY, "input size does not match signature"),
        (b"PK\x05\x06", NPY, "damaged"),
        (b"noise", ARROW, "damaged"),
        (stream(x=pa.array([[[1.0] * 3] * 2, None])), ARROW, "missing inside"),
        (stream(x=pa.array([[[1.0] * 3] * 2, None], pa.list_(pa.list_(pa.float32(), 3), 2))), ARROW, "has nulls"),
        (b"\xff\xff", PROTOBUF, "no tensorflow.serving.PredictRequest"),
        (predict_request(x=X.astype(np.float64)).SerializeToString(), PROTOBUF, "to be float but double is provided"),
        (predict_request().SerializeToString(), PROTOBUF, "input size does not match signature"),
        (wrong_model(), PROTOBUF, "for another model than the path"),
    ],
)
def test_what_is_wrong_is_refused_in_json(server, body, kind, what):
    status, answer, answered = post(server, body, kind)
    assert (status, answered) == (400, "application/json")
    assert what in json.loads(answer)["error"]
    assert post(server, npy(X), NPY)[0] == 200


def test_one_array_for_several_inputs_is_refused(start, fakes):
    server = start({"m": fakes.Model(serving_default=fakes.Signature([fakes.input("a"), fakes.input("b")]))})
    status, answer, _ = post(server, npy(np.zeros(1)), NPY)
    assert status == 400
    assert "send a .npz file" in json.loads(answer)["error"]


def test_large_json_is_read_on_another_thread_with_the_same_answers(server):
    rows = np.random.default_rng(0).random((9000, 2, 3)).astype(np.float32)
    body = json.dumps({"instances": rows.tolist()})
    assert len(body) > 256 << 10
    status, answer, _ = post(server, body, "application/json")
    assert status == 200
    assert np.allclose(json.loads(answer)["predictions"], rows.mean(axis=(1, 2)))
    status, answer, _ = post(server, body[:-2] + ",[[1,2]]]}", "application/json")
    assert (status, b"$.instances[9000]" in answer) == (400, True)


def test_a_client_that_leaves_while_its_body_is_read_harms_nobody(server, fakes):
    body = json.dumps({"instances": np.zeros((30_000, 2, 3)).tolist()}).encode()
    for _ in range(3):
        with server.connect() as client:
            client.sendall(fakes.post(body))
    assert post(server, npy(X), NPY)[0] == 200


@pytest.mark.parametrize(
    ("accept", "default", "answered"),
    [
        (b"", NPY, NPY),
        (b"*/*", NPY, NPY),
        (b"application/*;q=0.5", ARROW, ARROW),
        (b"application/json", NPY, "application/json"),
        (b"application/json;q=0, */*", NPY, NPY),
        (b"text/html", NPY, NPY),
        (b"application/x-npz;q=0.2, application/x-protobuf;q=0.9;v=1", NPY, PROTOBUF),
        (b"application/x-npz;q=x", NPY, NPY),
        (b";;,,=", "application/json", "application/json"),
    ],
)
def test_of_what_is_accepted_the_best_that_is_known_is_sent(accept, default, answered):
    assert answer_format(accept, default) == answered


def test_only_the_formats_that_are_known_are_no_json():
    assert body_format(b"application/X-NPY; x=y") == NPY
    assert body_format(b"application/protobuf") == PROTOBUF
    for other in (b"", b"application/json", b"application/x-www-form-urlencoded", b"\xff"):
        assert body_format(other) is None


def test_inputs_that_a_signature_does_not_have_are_refused_unread(server, monkeypatch):
    monkeypatch.setattr("mainstay.serving.bodies.protobuf.decode_tensor", lambda *_: 1 / 0)
    request = message_class("tensorflow.serving.PredictRequest")()
    for name in ("x", "unknown"):
        request.inputs[name].dtype = 1
        request.inputs[name].tensor_shape.dim.add().size = 1 << 23
    status, body, _ = server.request("POST", PATH, request.SerializeToString(), {"content-type": PROTOBUF})
    assert (status, "input size does not match" in str(body)) == (400, True)
