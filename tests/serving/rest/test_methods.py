import json

import pytest

from mainstay.serving.rest.options import RestOptions
from tests.serving.rest.imported import half_plus


def ask(server, action, name):
    body = json.dumps({"signature_name": name, "examples": [{"x": 1.0}], "instances": [1.0]})
    status, answer, _ = server.request("POST", f"/v1/models/half:{action}", body)
    return status, json.loads(answer).get("error", "")


@pytest.mark.parametrize(
    ("action", "method", "kind"), [("classify", "regress", "classification"), ("regress", "classify", "regression")]
)
def test_names_of_methods_are_checked_where_that_is_asked(start, action, method, kind):
    model = half_plus(2)
    for signature in model.signatures.values():
        signature.method = f"tensorflow/serving/{method}" if signature.method.endswith(action) else signature.method
    name = "classify_x_to_y" if action == "classify" else "tensorflow/serving/regress"
    assert ask(start({"half": model}), action, name) == (200, "")
    status, error = ask(start({"half": model}, rest=RestOptions(check_method_names=True)), action, name)
    assert status == 400
    assert error == (
        f"Expected {kind} signature method_name to be tensorflow/serving/{action}. Was: tensorflow/serving/{method}"
    )


def test_any_known_method_may_predict(start):
    model = half_plus(2)
    server = start({"half": model}, rest=RestOptions(check_method_names=True))
    assert ask(server, "predict", "serving_default") == (200, "")


def test_an_unknown_method_is_the_models_fault(start):
    model = half_plus(2)
    model.signatures["serving_default"].method = "mine"
    status, error = ask(start({"half": model}, rest=RestOptions(check_method_names=True)), "predict", "serving_default")
    assert status == 500
    assert error.startswith("Expected prediction signature method_name to be one of {tensorflow/serving/predict, ")
