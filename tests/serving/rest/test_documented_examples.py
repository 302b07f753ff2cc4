"""The requests and answers of TensorFlow Serving's own pages and tests, white space aside."""

import json
from pathlib import Path

import pytest

from tests.serving.rest.imported import half_plus

_REAL = Path(__file__).parents[3].parent / "shared" / "data" / "saved_models"

EXAMPLES = [
    # The page on the REST interface.
    ("POST", "/v1/models/half_plus_three:predict", '{"instances": [1.0,2.0,5.0]}', '{"predictions": [3.5, 4.0, 5.5]}'),
    (
        "POST",
        "/v1/models/half_plus_three:regress",
        '{"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}',
        '{"results": [3.5, 4.0]}',
    ),
    (
        "GET",
        "/v1/models/half_plus_three",
        None,
        '{"model_version_status": [{"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", '
        '"error_message": ""}}]}',
    ),
    # The quick start.
    ("POST", "/v1/models/half_plus_two:predict", '{"instances": [1.0, 2.0, 5.0]}', '{"predictions": [2.5, 3.0, 4.5]}'),
    # The tests of its handler.
    (
        "POST",
        "/v1/models/half_plus_two:predict",
        '{"instances": [[1.0, 2.0], [3.0, 4.0]]}',
        '{"predictions": [[2.5, 3.0], [3.5, 4.0]]}',
    ),
    (
        "POST",
        "/v1/models/half_plus_two/versions/123:predict",
        '{"signature_name": "serving_default", "instances": [3.0, 4.0]}',
        '{"predictions": [3.5, 4.0]}',
    ),
    (
        "POST",
        "/v1/models/half_plus_two/versions/123:predict",
        '{"signature_name": "serving_default", "inputs": [3.0, 4.0]}',
        '{"outputs": [3.5, 4.0]}',
    ),
    (
        "POST",
        "/v1/models/half_plus_two:classify",
        '{"signature_name": "classify_x_to_y", "examples": [ { "x": 20.0 } ] }',
        '{"results": [[["", 12.0]]]}',
    ),
]

REFUSALS = [
    ("/v1/models/half:predict", '{"instances": [1.0,5.0]}', 404, "Servable not found for request: Latest(half)"),
    ("/v1/models/half_plus_two:predict", "", 400, "JSON Parse error: The document is empty"),
    ("/v1/models/half_plus_two:predict", "instances = [1, 2]", 400, "JSON Parse error: Invalid value. at offset: 0"),
    (
        "/v1/models/half_plus_two:predict",
        '{ "instances": ["x", "y"] }',
        400,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
        'JSON Value: "x" Type: String is not of expected type: float',
    ),
    (
        "/v1/models/half_plus_two:predict",
        '{ "signature_name": 100 }',
        400,
        "JSON Value: {\"signature_name\":100} not formatted correctly. 'signature_name' key must be a string value.",
    ),
    (
        "/v1/models/half_plus_two/labels/none:predict",
        '{ "instances": ["x"] }',
        400,
        "Unrecognized servable version label: none",
    ),
    ("/v1/models/foo/versions/50:predict", '{ "instances": [1] }', 404, "Servable not found for request: Specific(foo"),
]


def same(text, expected):
    return "".join(text.split()) == "".join(expected.split())


@pytest.fixture
def halves(start):
    return start({"half_plus_two": half_plus(2), "half_plus_three": half_plus(3)})


@pytest.mark.parametrize(("method", "path", "body", "expected"), EXAMPLES)
def test_the_documented_requests_have_the_documented_answers(halves, method, path, body, expected):
    status, answer, headers = halves.request(method, path.replace("123", "1"), body)
    assert status == 200, answer
    assert headers["content-type"] == "application/json"
    assert same(answer.decode(), expected.replace("123", "1"))


@pytest.mark.parametrize(("path", "body", "status", "message"), REFUSALS)
def test_the_documented_faults_have_the_documented_messages(halves, path, body, status, message):
    answered, answer, headers = halves.request("POST", path, body)
    assert (answered, headers["content-type"]) == (status, "application/json")
    assert list(json.loads(answer)) == ["error"]
    assert json.loads(answer)["error"].startswith(message)


@pytest.mark.skipif(not _REAL.is_dir(), reason="TF Serving's own models are not beside this checkout")
def test_the_real_models_give_the_documented_answers(start):
    models = {"half_plus_two": "saved_model_half_plus_two_cpu", "half_plus_three": "saved_model_half_plus_three"}
    server = start({name: _REAL / path for name, path in models.items()})
    for method, path, body, expected in EXAMPLES:
        status, answer, _ = server.request(method, path, body)
        assert status == 200, answer
        assert same(answer.decode(), expected)
    for path, body, status, message in REFUSALS:
        answered, answer, _ = server.request("POST", path, body)
        assert answered == status
        assert json.loads(answer)["error"].startswith(message)
    for value, expected in (("3.0", "3.5"), ("[[3.0],[4.0]]", "[[3.5],[4.0]]"), ("[]", "[]"), ("[[[1]]]", "[[[2.5]]]")):
        status, answer, _ = server.request("POST", "/v1/models/half_plus_two:predict", f'{{"inputs": {value}}}')
        assert (status, answer.decode()) == (200, f'{{"outputs":{expected}}}')
