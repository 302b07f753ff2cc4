import json
import threading

import numpy as np
import pytest

from mainstay.core import RequestError, TensorSpec
from mainstay.serving import BatchingOptions


@pytest.fixture
def taxi(start, fakes):
    """A server of one model with several signatures."""
    inputs = [fakes.input("fare"), fakes.input("company", "string", optional=True), fakes.input("seats", "int64")]

    def describe(columns):
        rows = len(columns[0])
        return {
            "score": columns[0].values.astype(np.float32).reshape(rows, 1),
            "name_bytes": np.array([b"\xff"] * rows, object),
        }

    def fail(columns):
        raise ZeroDivisionError("the model is broken")

    return start(
        {
            "m": fakes.Model(
                serving_default=fakes.Signature(inputs),
                describe=fakes.Signature(
                    inputs,
                    [TensorSpec([None, 1], "float32", "score"), TensorSpec([None], "string", "name_bytes")],
                    describe,
                ),
                broken=fakes.Signature([fakes.input("x")], body=fail),
                unequal=fakes.Signature([fakes.input("x")], body=lambda columns: {"total": np.zeros(3)}),
            ),
            "single": fakes.Model(only=fakes.Signature([fakes.input("x", "float32", 2)])),
        },
        batching=BatchingOptions(max_batch_size=16),
    )


ROW = {"fare": 1.5, "company": "A", "seats": 2}


def test_rows_are_answered_with_predictions(taxi):
    assert taxi.predict({"instances": [ROW, ROW | {"fare": 10}]}) == (200, {"predictions": [3.5, 12.0]})


def test_columns_are_answered_with_outputs(taxi):
    columns = {"fare": [1.5, 10], "company": ["A", None], "seats": [2, 2]}
    assert taxi.predict({"inputs": columns}) == (200, {"outputs": [3.5, 12.0]})


def test_a_signature_is_called_by_its_name(taxi):
    row = {"score": [1.5], "name_bytes": {"b64": "/w=="}}
    assert taxi.predict({"signature_name": "describe", "instances": [ROW]}) == (200, {"predictions": [row]})
    columns = {name: [value] for name, value in ROW.items()}
    assert taxi.predict({"signature_name": "describe", "inputs": columns}) == (
        200,
        {"outputs": {"score": [[1.5]], "name_bytes": [{"b64": "/w=="}]}},
    )


def test_the_only_signature_is_the_default_one(taxi, fakes):
    status, answer = taxi.predict({"instances": [[1, 2]]}, "/v1/models/single:predict")
    assert (status, answer) == (200, {"predictions": [[1.0, 2.0]]})


def test_a_version_is_called_by_its_number(taxi):
    assert taxi.predict({"instances": [ROW]}, "/v1/models/m/versions/1:predict")[0] == 200
    assert taxi.predict({"instances": [ROW]}, "/V1/MODELS/m/VERSIONS/01:Predict?x=1")[0] == 200


def test_the_wide_numbers_of_json_are_read_and_written(taxi):
    status, body, _ = taxi.request(
        "POST",
        "/v1/models/m:predict",
        '{"instances": [{"fare": NaN, "seats": 1}, {"fare": -Infinity, "seats": 1}]} tail',
    )
    assert (status, body) == (200, b'{"predictions":[NaN,-Infinity]}')


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/x:predict", 404, "Servable not found for request: Latest(x)"),
        ("POST", "/v1/models/m/versions/3:predict", 404, "Servable not found for request: Specific(m, 3)"),
        ("POST", "/v1/models/m/labels/stable:predict", 400, "Unrecognized servable version label: stable"),
        ("GET", "/v1/models/x", 404, "Could not find any versions of model x"),
        ("GET", "/v1/models/m/versions/3", 404, "Could not find version 3 of model m"),
        ("GET", "/v1/models/x/metadata", 404, "Servable not found for request: Latest(x)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/m:predict", 400, "Malformed request: GET /v1/models/m:predict"),
        ("POST", "/v1/models/m", 400, "Malformed request: POST /v1/models/m"),
        ("POST", "/v1/models/m:predict/", 400, "Malformed request: POST /v1/models/m:predict/"),
        ("GET", "/v1/other", 400, "Malformed request: GET /v1/other"),
        ("GET", "/", 404, "Not found: /"),
        ("GET", "/v3/models/m", 404, "Not found: /v3/models/m"),
        ("PUT", "/v1/models/m:predict", 400, "Malformed request: PUT /v1/models/m:predict"),
        ("DELETE", "/v1/models/m", 400, "Malformed request: DELETE /v1/models/m"),
        ("OPTIONS", "/v1/x", 400, "Malformed request: OPTIONS /v1/x"),
        ("POST", "/healthz", 405, "Method not allowed: POST /healthz"),
        ("PATCH", "/elsewhere", 404, "Not found: /elsewhere"),
        (
            "POST",
            "/v1/models/m/versions/18446744073709551615:regress",
            400,
            "Failed to convert version: 18446744073709551615 to numeric.",
        ),
        ("GET", "/v1/models/m/version/50:predict", 400, "Malformed request: GET /v1/models/m/version/50:predict"),
    ],
)
def test_what_cannot_be_routed_is_refused_in_the_words_of_the_protocol(taxi, method, path, status, message):
    answered, body, headers = taxi.request(method, path, b"{}" if method == "POST" else None)
    assert (answered, json.loads(body)) == (status, {"error": message})
    assert headers["content-type"] == "application/json"
    if status == 405:
        assert headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b'{"instances": [', "at offset: 15"),
        (b"[1, 2]", "JSON Value: [1,2] Is not object"),
        (b"null", "JSON Value: null Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"signature_name": 1, "instances": [ROW]}, "'signature_name' key must be a string value."),
        ({"signature_name": "x", "instances": [ROW]}, 'Serving signature name: "x" not found in signature def'),
        ({"instances": [ROW, ROW | {"seats": 2.5}]}, "$.instances[1].seats: expected int64, received 2.5"),
        ({"instances": [ROW | {"seats": 2**63}]}, "which is out of range"),
        ({"instances": [ROW | {"Fare": 1.0}]}, "did you mean 'fare'?"),
        (b'{"instances": [{"fare": "\xff"}]}', "is not of expected type: double"),
        (b'{"instances": [{"fare": "\x01"}]}', "Invalid encoding in string. at offset: 25"),
        ({"instances": {"fare": 1.0}}, "Excepting 'instances' to be an list/array"),
        ({"instances": None}, "Excepting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        (b'{"instances": ' + b"[" * 50_000, "JSON Parse error: "),
    ],
)
def test_a_wrong_request_is_answered_400_with_the_place(taxi, document, message):
    status, answer = taxi.predict(document)
    assert status == 400
    assert set(answer) == {"error"}
    assert message in answer["error"]


def test_a_fault_of_the_model_is_an_internal_error_that_the_log_explains(taxi, caplog):
    status, answer = taxi.predict({"signature_name": "broken", "instances": [1.0]})
    assert (status, answer) == (500, {"error": "ZeroDivisionError: the model is broken"})
    assert "Traceback" in caplog.text
    status, answer = taxi.predict({"signature_name": "unequal", "instances": [1.0]})
    assert status == 500
    assert "Tensor name: total has inconsistent batch size" in answer["error"]
    assert taxi.predict({"instances": [ROW]})[0] == 200


def test_a_refusal_of_the_model_names_the_place_in_the_request(start, fakes):
    def refuse(columns):
        (rows,) = np.nonzero(columns[0].values > 100)
        if len(rows):
            raise RequestError("an integer is out of range", where=f"$.id[{rows[0]}]", expected="at most 100")
        return {"total": columns[0].values.astype(np.float32)}

    signature = fakes.Signature([fakes.input("id", "int64")], body=refuse)
    server = start({"m": fakes.Model(serving_default=signature)}, batching=BatchingOptions(max_batch_size=4))
    ids = [1] * 9 + [101]
    for document, place in (
        ({"instances": ids}, "$.instances[9]"),
        ({"instances": [{"id": i} for i in ids]}, "$.instances[9].id"),
        ({"inputs": {"id": ids}}, "$.inputs.id[9]"),
        ({"inputs": ids}, "$.inputs[9]"),
    ):
        status, answer = server.predict(document)
        assert (status, answer["error"]) == (400, f"an integer is out of range; {place}: expected at most 100")


def test_one_wrong_request_of_a_batch_does_not_fail_the_others(start, fakes):
    """Faults that only the model can see come out for the request at fault alone."""
    entered, leave = threading.Event(), threading.Event()
    leave.set()

    def refuse_negative(columns):
        entered.set()
        leave.wait(20)
        if (columns[0].values < 0).any():
            raise ValueError("below zero")
        return {"total": columns[0].values.astype(np.float32)}

    signature = fakes.Signature([fakes.input("x")], body=refuse_negative)
    server = start({"m": fakes.Model(serving_default=signature)}, batching=BatchingOptions(execution="thread"))
    leave.clear()
    entered.clear()
    clients = [server.connect() for _ in range(4)]
    clients[0].sendall(fakes.post({"instances": [0.0]}, close=True))
    assert entered.wait(20)
    signature.batches.clear()
    for client, value in zip(clients[1:], (1.0, -1.0, 2.0), strict=True):
        client.sendall(fakes.post({"instances": [value]}, close=True))
    batcher = server.server._engine.snapshot.servables["m"][1].endpoints["serving_default"].batcher
    while batcher.waiting_rows < 3:
        pass
    leave.set()
    answers = [fakes.read_all(client) for client in clients]
    for client in clients:
        client.close()
    assert [answer[9:12] for answer in answers] == [b"200", b"200", b"500", b"200"]
    assert answers[3].endswith(b'{"predictions":[2.0]}')
    assert signature.batches[0] == 3
    assert signature.batches[-1] == 1


def test_the_status_lists_the_versions(taxi):
    expected = {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    for path in ("/v1/models/m", "/v1/models/m/versions/1", "/v1/models/m/labels/any", "/v1/Models/m"):
        status, body, _ = taxi.request("GET", path)
        assert (status, json.loads(body)) == (200, expected)


def test_the_metadata_describes_every_signature(taxi):
    status, body, _ = taxi.request("GET", "/v1/models/m/metadata")
    document = json.loads(body)
    assert status == 200
    assert document["model_spec"] == {"name": "m", "signature_name": "", "version": "1"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert list(signatures) == ["broken", "describe", "serving_default", "unequal"]
    describe = signatures["describe"]
    assert describe["method_name"] == "tensorflow/serving/predict"
    assert {name: info["dtype"] for name, info in describe["inputs"].items()} == {
        "fare": "DT_DOUBLE",
        "company": "DT_STRING",
        "seats": "DT_INT64",
    }
    assert describe["outputs"]["score"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}], "unknown_rank": False},
        "name": "StatefulPartitionedCall:0",
    }


def test_health_and_readiness_are_told(taxi):
    assert taxi.request("GET", "/healthz")[:2] == (200, b'{"status":"alive"}')
    assert taxi.request("GET", "/readyz")[:2] == (200, b'{"status":"ready"}')
    status, body, headers = taxi.request("HEAD", "/readyz")
    assert (status, body, headers["content-length"]) == (200, b"", "18")


def test_the_absolute_form_of_a_target_is_understood(taxi):
    answer = taxi.raw(b"GET http://proxy:80/v1/models/m HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_the_cache_of_paths_does_not_grow_without_bound(taxi):
    with taxi.connect() as client:
        requests = [f"GET /v1/models/m?{i} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for i in range(3000)]
        threading.Thread(target=client.sendall, args=(b"".join(requests),)).start()
        data = b""
        while data.count(b"HTTP/1.1 200") < 3000:
            data += client.recv(1 << 20)
    assert len(taxi.server._listeners[0].rest._routes) <= 1024


class Echo:
    """Answers the paths that begin with a prefix."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.seen = []

    def handle(self, exchange):
        self.seen.append((exchange.method, exchange.target))
        if not exchange.target.startswith(self.prefix):
            return False
        exchange.reply(200, exchange.body + self.prefix.encode(), (("x-echo", "1"),), "text/plain")
        return True


def test_other_interfaces_answer_the_paths_that_are_theirs(taxi):
    first, second = Echo("/v2/"), Echo("/")
    taxi.server._listeners[0].rest.also = (first, second)
    status, body, headers = taxi.request("PUT", "/v2/models/m", b"hello ")
    assert (status, body, headers["x-echo"], headers["content-type"]) == (200, b"hello /v2/", "1", "text/plain")
    assert taxi.request("GET", "/metrics")[:2] == (200, b"/")
    assert taxi.predict({"instances": [ROW]})[0] == 200
    assert taxi.request("GET", "/v1/models/m")[0] == 200
    assert first.seen == [("PUT", "/v2/models/m"), ("GET", "/metrics")]
    assert second.seen == [("GET", "/metrics")]


def test_an_interface_that_fails_is_an_internal_error(taxi, caplog):
    class Broken:
        def handle(self, exchange):
            raise ValueError("no luck")

    taxi.server._listeners[0].rest.also = (Broken(),)
    assert taxi.request("GET", "/metrics")[:2] == (500, b'{"error":"ValueError: no luck"}')
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("execution", ["thread", "inline"])
def test_a_model_that_wants_to_exit_fails_its_request_alone(start, fakes, execution):
    def body(columns):
        if columns[0].values[0] == 1:
            raise SystemExit(3)
        return {"total": columns[0].values.astype(np.float32)}

    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")], body=body))
    server = start({"m": model}, batching=BatchingOptions(execution=execution))
    assert server.predict({"instances": [1.0]})[:2] == (500, {"error": "the model raised SystemExit(3)"})
    assert server.predict({"instances": [2.0]})[:2] == (200, {"predictions": [2.0]})


def test_paths_that_nobody_uses_do_not_keep_out_those_that_are_used(taxi):
    interface = taxi.server._listeners[0].rest
    for number in range(3000):
        interface._find_route(f"/v1/models/junk{number}")
    interface._find_route("/v1/models/m:predict")
    assert "/v1/models/m:predict" in interface._routes
    interface._find_route(f"/v1/models/{'m' * 5000}")
    assert max(map(len, interface._routes)) < 1024
