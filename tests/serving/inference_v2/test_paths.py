"""The Open Inference Protocol over REST, against a real server."""

import json
import struct
import threading

import numpy as np
import pytest

from mainstay.core import TensorSpec
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.inference_v2.json_request import read_request

INFER = "/v2/models/m/infer"


@pytest.fixture
def server(start, fakes):
    """A server of a model with several dtypes, and of one that waits until it is told to go on."""
    gate = threading.Event()
    gate.set()

    def answer(columns):
        x, s = columns[0].values, columns[1].values
        texts = [value if isinstance(value, bytes) else value.encode() for value in s.tolist()]
        return {"y": x * 2, "t": np.array(texts, object), "h": x[:, 0].astype("bfloat16")}

    outputs = [
        TensorSpec([None, 3], "float32", "y"),
        TensorSpec([None], "string", "t"),
        TensorSpec([None], "bfloat16", "h"),
    ]
    halves = fakes.Signature(
        [fakes.input("x", "float16", None), fakes.input("b", "bool")],
        [TensorSpec([None], "bool", "b")],
        lambda columns: {"b": columns[1].values},
    )

    def wait(columns):
        gate.wait(20)
        return {"total": np.zeros(len(columns[0]), np.float32)}

    running = start(
        {
            "m": fakes.Model(
                serving_default=fakes.Signature(
                    [fakes.input("x", "float32", 3), fakes.input("s", "string")], outputs, answer
                ),
                halves=halves,
            ),
            "slow": fakes.Model(serving_default=fakes.Signature([fakes.input("x", "float32", 2)], body=wait)),
        },
        batching=BatchingOptions(execution="thread"),
    )
    gate.clear()
    yield running
    gate.set()


def tensor(name, datatype, shape, data=None, **parameters):
    found = {"name": name, "datatype": datatype, "shape": shape}
    if data is not None:
        found["data"] = data
    return found | ({"parameters": parameters} if parameters else {})


INPUTS = [tensor("x", "FP32", [2, 3], [1, 2, 3, 4, 5, 6]), tensor("s", "BYTES", [2], ["a", "b"])]


def ask(server, document, path=INFER, tail=b"", **headers):
    """Return status, JSON and what follows it of an answer."""
    body = json.dumps(document).encode()
    if tail:
        headers["Inference-Header-Content-Length"] = str(len(body))
    status, answer, given = server.request("POST", path, body + tail, headers)
    size = int(given.get("inference-header-content-length", len(answer)))
    return status, json.loads(answer[:size]), answer[size:]


def get(server, path):
    status, body, _ = server.request("GET", path)
    return status, json.loads(body)


def test_the_server_and_its_models_describe_themselves(server):
    status, found = get(server, "/v2")
    assert (status, found["name"], found["extensions"]) == (200, "mainstay", ["binary_tensor_data", "classification"])
    assert get(server, "/v2/health/live") == (200, {"live": True})
    assert get(server, "/v2/health/ready") == (200, {"ready": True})
    assert get(server, "/v2/models/m/ready") == (200, {"name": "m", "ready": True})
    status, found = get(server, "/v2/models/m/versions/1")
    assert (status, found) == (
        200,
        {
            "name": "m",
            "versions": ["1"],
            "platform": "mainstay_saved_model",
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
                {"name": "s", "datatype": "BYTES", "shape": [-1]},
            ],
            "outputs": [
                {"name": "y", "datatype": "FP32", "shape": [-1, 3]},
                {"name": "t", "datatype": "BYTES", "shape": [-1]},
                {"name": "h", "datatype": "BF16", "shape": [-1]},
            ],
        },
    )


def test_tensors_in_json_are_answered_in_json(server):
    status, found, tail = ask(server, {"id": "7", "inputs": INPUTS})
    assert (status, tail) == (200, b"")
    assert found == {
        "model_name": "m",
        "model_version": "1",
        "id": "7",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]},
            {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
            {"name": "h", "datatype": "BF16", "shape": [2], "data": [1.0, 4.0]},
        ],
    }


def test_nested_data_is_what_flat_data_is(server):
    nested = [tensor("x", "FP32", [2, 3], [[1, 2, 3], [4, 5, 6]]), INPUTS[1]]
    assert ask(server, {"inputs": nested})[1] == ask(server, {"inputs": INPUTS})[1]


def test_raw_bytes_are_taken_and_given(server):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    strings = b"".join(struct.pack("<I", len(text)) + text for text in (b"\xff", b""))
    document = {
        "inputs": [
            tensor("x", "FP32", [2, 3], binary_data_size=24),
            tensor("s", "BYTES", [2], binary_data_size=len(strings)),
        ],
        "outputs": [
            {"name": "t", "parameters": {"binary_data": True}},
            {"name": "h", "parameters": {"binary_data": True}},
            {"name": "y"},
        ],
    }
    status, found, tail = ask(server, document, tail=x.tobytes() + strings)
    assert status == 200
    assert [item["name"] for item in found["outputs"]] == ["t", "h", "y"]
    assert found["outputs"][0]["parameters"] == {"binary_data_size": len(strings)}
    assert found["outputs"][2]["data"] == (x * 2).ravel().tolist()
    assert tail == strings + x[:, 0].astype("bfloat16").tobytes()


def test_everything_is_given_as_raw_bytes_where_the_request_says_so(server):
    document = {"inputs": INPUTS, "parameters": {"binary_data_output": True}, "outputs": [{"name": "y"}]}
    _, found, tail = ask(server, document)
    assert found["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}}
    ]
    assert np.frombuffer(tail, np.float32).tolist() == [2, 4, 6, 8, 10, 12]


def test_a_body_without_json_is_the_only_input(server, start, fakes):
    one = start(
        {
            "m": fakes.Model(
                serving_default=fakes.Signature(
                    [fakes.input("x", "float32", 2)],
                    [TensorSpec([None, 2], "float32", "y")],
                    lambda columns: {"y": columns[0].values},
                )
            )
        }
    )
    body, headers = np.arange(4, dtype=np.float32).tobytes(), {"Inference-Header-Content-Length": "0"}
    status, answer, _ = one.request("POST", INFER, body, headers)
    assert (status, json.loads(answer)["outputs"][0]["data"]) == (200, [0, 1, 2, 3])
    assert one.request("POST", INFER, body[:-1], headers)[0] == 400
    assert server.request("POST", INFER, body, headers)[0] == 400


def test_a_signature_is_chosen_by_a_parameter(server):
    inputs = [tensor("x", "FP16", [1, 2], binary_data_size=4), tensor("b", "BOOL", [1], [True])]
    document = {"inputs": inputs, "parameters": {"signature_name": "halves"}}
    status, found, _ = ask(server, document, tail=np.ones(2, np.float16).tobytes())
    assert (status, found["outputs"]) == (200, [{"name": "b", "datatype": "BOOL", "shape": [1], "data": [True]}])


def test_classes_are_written_as_triton_writes_them(server):
    document = {"inputs": INPUTS, "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
    assert ask(server, document)[1]["outputs"] == [
        {
            "name": "y",
            "datatype": "BYTES",
            "shape": [2, 2],
            "data": ["6.000000:2", "4.000000:1", "12.000000:2", "10.000000:1"],
        }
    ]


def test_numbers_that_are_none_are_taken_and_written_as_words(server):
    body = (
        b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[NaN,Infinity,1]},'
        + json.dumps(tensor("s", "BYTES", [1], ["a"])).encode()
        + b"]}"
    )
    status, answer, _ = server.request("POST", INFER, body)
    assert (status, b'"data":[NaN,Infinity,2.0]' in answer) == (200, True)


def with_input(index, **changes):
    inputs = [dict(item) for item in INPUTS]
    inputs[index] |= changes
    return {"inputs": inputs}


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({}, "Unable to find 'inputs'"),
        ({"inputs": []}, "Unable to find 'inputs'"),
        ([], "is no object"),
        ({"inputs": [5]}, "is no object"),
        ({"inputs": INPUTS[:1]}, "expected 2 inputs but got 1 inputs for model 'm'"),
        ({"inputs": [*INPUTS, tensor("z", "FP32", [1], [1])]}, "unexpected inference input 'z' for model 'm'"),
        ({"inputs": [INPUTS[0], INPUTS[0]]}, "comes twice"),
        (with_input(0, datatype="FP64"), "data-type is 'FP64', but model 'm' expects 'FP32'"),
        (with_input(0, datatype="FLOAT"), "datatype of input 'x' is unknown"),
        (with_input(0, datatype=["FP32"]), "datatype of input 'x' is unknown"),
        (with_input(0, shape=[2, 4]), "unexpected number of elements 6"),
        (with_input(0, shape=[6, 1]), "wrong shape"),
        (with_input(0, shape=[-2, -3]), "the shape of input 'x' is none"),
        (with_input(0, shape=[2.0, 3]), "the shape of input 'x' is none"),
        (with_input(0, shape="23"), "the shape of input 'x' is none"),
        (with_input(0, data=[1, 2, 3, 4, 5, "6"]), "not of expected type"),
        (with_input(0, data=[[1, 2], [3]]), "$.inputs[0].data"),
        (with_input(0, name=5), "has no name"),
        (with_input(0, parameters=5), "is no object"),
        (with_input(0, parameters={"binary_data_size": 24}), "is cut off"),
        (with_input(0, parameters={"shared_memory_region": "r"}), "shared memory is not served"),
        (with_input(1, data=["a"]), "unexpected number of elements 1"),
        (with_input(1, data=[1, 2]), "not of expected type"),
        ({"inputs": INPUTS, "outputs": [{"name": "z"}]}, "unexpected inference output 'z' for model 'm'"),
        ({"inputs": INPUTS, "outputs": [{}]}, "not as the protocol says"),
        ({"inputs": INPUTS, "outputs": 5}, "is no list"),
        ({"inputs": INPUTS, "id": 5}, "the id is no string"),
        ({"inputs": INPUTS, "parameters": {"signature_name": "z"}}, "not found in signature def"),
        ({"inputs": INPUTS, "parameters": {"signature_name": 5}}, "is no string"),
        ({"inputs": INPUTS, "parameters": {"timeout": -1}}, "out of range"),
        ({"inputs": INPUTS, "parameters": {"priority": "high"}}, "out of range"),
        ({"inputs": INPUTS, "outputs": [{"name": "t", "parameters": {"classification": 1}}]}, "has no classes"),
    ],
)
def test_what_is_wrong_is_refused(server, document, what):
    status, found, _ = ask(server, document)
    assert status == 400
    assert what in found["error"]


def test_sequences_are_refused(server):
    status, found, _ = ask(server, {"inputs": INPUTS, "parameters": {"sequence_id": 3}})
    assert (status, "sequences" in found["error"]) == (501, True)


@pytest.mark.parametrize(
    ("size", "tail"), [(b"x", b""), (b"999999", b""), (b"-1", b""), (None, b"more"), (b"9" * 30, b"")]
)
def test_sizes_that_are_wrong_are_refused(server, size, tail):
    body = json.dumps({"inputs": INPUTS}).encode()
    size = str(len(body)).encode() if size is None else size
    status, answer, _ = server.request("POST", INFER, body + tail, {"Inference-Header-Content-Length": size.decode()})
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.parametrize(
    "strings", [b"\x05\0\0\0ab", b"\x01\0\0", b"\x01\0\0\0a", b"\x01\0\0\0a" * 3, b"\xff\xff\xff\xffa"]
)
def test_raw_strings_that_do_not_fit_are_refused(server, strings):
    document = {"inputs": [INPUTS[0], tensor("s", "BYTES", [2], binary_data_size=len(strings))]}
    status, found, _ = ask(server, document, tail=strings)
    assert (status, "string" in found["error"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path", "status", "what"),
    [
        ("GET", "/v2/models/none", 404, "Request for unknown model: 'none' is not found"),
        ("GET", "/v2/models/none/ready", 404, "Request for unknown model: 'none' is not found"),
        ("POST", "/v2/models/m/versions/9/infer", 404, "Request for unknown model: 'm' version 9 is not found"),
        ("POST", "/v2/models/m/versions/x/infer", 400, "failed to get model version"),
        ("GET", "/v2/models/m/infer", 405, "Method not allowed"),
        ("POST", "/v2/health/live", 405, "Method not allowed"),
        ("GET", "/v2/other", 404, "Not found: /v2/other"),
        ("GET", "/v2/models/m/versions/1/other", 404, "Not found"),
        ("POST", "/v2/models/m/infer", 400, "JSON Parse error"),
    ],
)
def test_what_cannot_be_answered_says_why(server, method, path, status, what):
    body = b"{" if method == "POST" else None
    found, answer, _ = server.request(method, path, body)
    assert (found, what in json.loads(answer)["error"]) == (status, True)


def test_a_request_may_say_how_long_it_waits(server):
    document = {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])], "parameters": {"timeout": 20_000}}
    status, found, _ = ask(server, document, "/v2/models/slow/infer")
    assert (status, found) == (504, {"error": "Deadline Exceeded"})


def test_a_name_with_signs_is_quoted_in_the_path(start, fakes):
    server = start({"a b%": fakes.Model(serving_default=fakes.Signature([fakes.input("x")]))})
    assert get(server, "/v2/models/a%20b%25/ready")[0] == 200


def test_long_texts_are_read_beside_the_loop_and_answered_or_refused_alike(server, monkeypatch):
    threads = []

    def read(body, size):
        threads.append(threading.current_thread())
        return read_request(body, size)

    monkeypatch.setattr("mainstay.serving.inference_v2.paths.read_request", read)
    rows = 30_000
    inputs = [tensor("x", "FP32", [rows, 3], [1.5] * 3 * rows), tensor("s", "BYTES", [rows], ["a"] * rows)]
    status, answer, _ = ask(server, {"inputs": inputs})
    assert (status, answer["outputs"][0]["shape"]) == (200, [rows, 3])
    inputs[0]["shape"] = [rows, 2]
    assert ask(server, {"inputs": inputs})[0] == 400
    assert ask(server, {"inputs": INPUTS})[0] == 200
    assert [thread is server.thread for thread in threads] == [False, False, True]
    assert server.server._engine.snapshot.latest["m"].users == 0
