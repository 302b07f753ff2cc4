import json

import numpy as np
import pytest

from mainstay.core import MainstayError, TensorSpec, message_class
from mainstay.serving.rest.example_json import read_examples
from tests.serving.rest.imported import ImportedModel, ImportedSignature, floats


@pytest.fixture
def labels(start):
    """A server of a classifier that answers with the number of bytes of each example."""

    def classify(examples):
        sizes = np.array([[len(example)] for example in examples], np.float32)
        names = np.full(sizes.shape, b"\xff size", object)
        return {"classes": np.hstack([names, names]), "scores": np.hstack([sizes, sizes * np.nan])}

    def fail(examples):
        return {"outputs": np.zeros((len(examples), 2), np.float32)}

    inputs = [TensorSpec([None], "string", "inputs")]
    outputs = [TensorSpec([None, 2], "string", "classes"), floats("scores", None, 2)]
    return start(
        {
            "m": ImportedModel(
                serving_default=ImportedSignature(inputs, outputs, classify, method="classify"),
                wide=ImportedSignature(inputs, [floats("outputs", None, 2)], fail, method="regress"),
                plain=ImportedSignature([floats("x", None)], [floats("y", None)], lambda x: {"y": x}),
            )
        }
    )


class Recorded:
    """A version of which only the default signature is asked for."""

    def __init__(self, endpoint):
        self.found = endpoint

    def endpoint(self, name):
        return self.found


@pytest.fixture
def read(labels):
    endpoint = labels.server._engine.snapshot.servables["m"][1].endpoints["serving_default"]

    def call(document):
        _, chunk = read_examples(json.dumps(document).encode(), Recorded(endpoint), "classify")
        return [message_class("tensorflow.Example").FromString(data).features.feature for data in chunk.parts[0]]

    return call


def test_values_become_features_of_their_kind(read):
    image = {"b64": "aW1hZ2UgYnl0ZXM="}
    (feature,) = read({"examples": [{"names": ["foo", image], "age": 20, "is": True, "ratings": [8.0, 9.5], "no": []}]})
    assert list(feature["names"].bytes_list.value) == [b"foo", b"image bytes"]
    assert list(feature["age"].int64_list.value) == [20]
    assert list(feature["is"].int64_list.value) == [1]
    assert list(feature["ratings"].float_list.value) == [8.0, 9.5]
    assert feature["no"].WhichOneof("kind") is None


def test_what_the_context_has_is_in_every_example(read):
    first, second = read({"context": {"query": "pizza", "ids": [1, 2]}, "examples": [{"x": 1}, {"query": "pasta"}]})
    assert list(first["query"].bytes_list.value) == [b"pizza"]
    assert list(first["ids"].int64_list.value) == [1, 2]
    assert list(first["x"].int64_list.value) == [1]
    assert list(second["query"].bytes_list.value) == [b"pasta"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "JSON Value: [1] Is not object"),
        ({}, "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {"x": 1}}, 'JSON Value: {"examples":{"x":1}} Expecting \'examples\' value to be an list/array'),
        ({"examples": []}, "JSON Value: {\"examples\":[]} 'examples' value is an empty array"),
        ({"examples": [1.5]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{}], "context": [1]}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"b": 1}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1, 2.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": ["a", True]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": [0.5, "a"]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ({"examples": [{"x": 1e39}]}, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ({"examples": [{"x": {"b64": "?"}}]}, "Unable to base64 decode"),
        ({"examples": [{}], "signature_name": None}, "'signature_name' key must be a string value."),
    ],
)
def test_what_is_no_example_is_refused_in_the_words_of_tf_serving(read, document, message):
    with pytest.raises(MainstayError) as caught:
        read(document)
    assert message in caught.value.summary


def test_results_are_pairs_of_labels_and_scores(labels):
    body = json.dumps({"examples": [{"x": 1}, {"x": 2.5}]})
    status, answer, _ = labels.request("POST", "/v1/models/m:classify", body)
    assert status == 200
    size = len(message_class("tensorflow.Example")().SerializeToString())
    assert size == 0
    results = json.loads(answer)["results"]
    assert [[pair[0] for pair in row] for row in results] == [["\ufffd size"] * 2] * 2
    assert b",NaN]]" in answer


@pytest.mark.parametrize(
    ("action", "name", "status", "message"),
    [
        ("regress", "wide", 400, "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got"),
        ("regress", "plain", 400, "No regression inputs found in SignatureDef"),
        ("classify", "plain", 400, "No classification inputs found in SignatureDef"),
        ("classify", "none", 400, 'Serving signature name: "none" not found in signature def'),
    ],
)
def test_a_signature_that_does_not_classify_or_regress_is_refused(labels, action, name, status, message):
    body = json.dumps({"signature_name": name, "examples": [{"x": 1.0}]})
    answered, answer, _ = labels.request("POST", f"/v1/models/m:{action}", body)
    assert answered == status
    assert json.loads(answer)["error"].startswith(message)
