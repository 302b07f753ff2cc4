"""Classify, Regress and MultiInference: tf.Examples in, classes and values out."""

import numpy as np
import pytest

from mainstay.core import message_class
from mainstay.serving.status import Code

SERVICE = "/tensorflow.serving.PredictionService"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def example(**features):
    made = message_class("tensorflow.Example")()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(values[0])]
        getattr(made.features.feature[name], kind).value.extend(values)
    return made


def request(kind, *examples, model="m", signature="", context=None, version=None):
    made = message_class(f"tensorflow.serving.{kind}")()
    made.model_spec.name = model
    made.model_spec.signature_name = signature
    if version is not None:
        made.model_spec.version.value = version
    put(made.input, examples, context)
    return made


def put(given, examples, context=None):
    if context is None:
        given.example_list.examples.extend(examples)
    else:
        given.example_list_with_context.examples.extend(examples)
        given.example_list_with_context.context.CopyFrom(context)


def read(kind, exchange):
    assert exchange.code is Code.OK, exchange.text
    return message_class(f"tensorflow.serving.{kind}").FromString(exchange.sent[0])


def lengths(inputs):
    return np.array([[len(value)] for value in inputs.tolist()], np.float32)


def answers(inputs):
    rows = len(inputs)
    return {
        "classes": np.array([[b"no", b"yes"]] * rows, object),
        "scores": np.concatenate([1 - lengths(inputs) / 100, lengths(inputs) / 100], 1),
    }


@pytest.fixture
def services(serve, fakes):
    """Services of a model as TensorFlow exports them, `m`, and one of Mainstay's own, `own`."""
    strings = [fakes.spec("inputs", "string")]
    classes, scores = fakes.spec("classes", "string", 2), fakes.spec("scores", "float32", 2)
    features = [fakes.spec("age"), fakes.spec("kind", "string"), fakes.spec("optional_n", "int32")]

    def own(age, kind, n):
        label = np.array([value.upper() for value in kind.tolist()], object)
        return {"label": label, "score": (age + n).astype(np.float32)}

    model = fakes.Model(
        serving_default=fakes.Signature(strings, [classes, scores], answers, method="classify"),
        only_scores=fakes.Signature(strings, [scores], lambda s: {"scores": answers(s)["scores"]}, method="classify"),
        only_classes=fakes.Signature(strings, [classes], lambda s: {"classes": answers(s)["classes"]}),
        regress=fakes.Signature(strings, [fakes.spec("outputs", "float32", 1)], lambda s: {"outputs": lengths(s)}),
        flat=fakes.Signature(strings, [fakes.spec("outputs")], lambda s: {"outputs": lengths(s)[:, 0]}),
        wide=fakes.Signature(
            strings, [fakes.spec("outputs", "float32", 2)], lambda s: {"outputs": np.ones((len(s), 2), np.float32)}
        ),
        double=fakes.Signature(
            strings, [fakes.spec("outputs", "float64")], lambda s: {"outputs": lengths(s)[:, 0].astype(np.float64)}
        ),
        odd=fakes.Signature(strings, [fakes.spec("z")], lambda s: {"z": lengths(s)[:, 0]}),
        mixed=fakes.Signature(
            strings,
            [classes, fakes.spec("scores", "float32", 3)],
            lambda s: {"classes": answers(s)["classes"], "scores": np.ones((len(s), 3), np.float32)},
        ),
        untyped=fakes.Signature(
            strings, [fakes.spec("scores", "int32", 2)], lambda s: {"scores": np.ones((len(s), 2), np.int32)}
        ),
        other_input=fakes.Signature([fakes.spec("x", "string")], [scores], answers),
        features=fakes.Signature(features, [scores], answers),
    )
    of_our_own = fakes.Model(
        serving_default=fakes.Signature(
            features, [fakes.spec("label", "string"), fakes.spec("score")], own, method="classify"
        ),
        price=fakes.Signature(
            [fakes.spec("pixels", "float32", 2, 2), fakes.spec("flag", "bool")],
            [fakes.spec("price")],
            lambda pixels, flag: {"price": (pixels.sum((1, 2)) * flag).astype(np.float32)},
            method="regress",
        ),
    )
    return serve({"m": {3: model}, "own": {1: of_our_own}})


def test_examples_are_classified(services):
    sent = [example(x=1), example(y=b"more")]
    exchange = services.call(f"{SERVICE}/Classify", request("ClassificationRequest", *sent))
    response = read("ClassificationResponse", exchange)
    found = [[(one.label, round(one.score, 4)) for one in row.classes] for row in response.result.classifications]
    sizes = [len(one.SerializeToString()) / 100 for one in sent]
    assert found == [[("no", round(1 - size, 4)), ("yes", round(size, 4))] for size in sizes]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 3, "serving_default")


def test_labels_or_scores_may_be_all_there_is(services):
    for signature, expected in (("only_scores", [("", True), ("", True)]), ("only_classes", [("no", 0), ("yes", 0)])):
        asked = request("ClassificationRequest", example(x=1), signature=signature)
        row = read("ClassificationResponse", services.call(f"{SERVICE}/Classify", asked)).result.classifications[0]
        assert [(one.label, bool(one.score)) for one in row.classes] == expected


@pytest.mark.parametrize("signature", ["regress", "flat"])
def test_examples_are_regressed(services, signature):
    asked = request("RegressionRequest", example(x=1), example(), signature=signature)
    response = read("RegressionResponse", services.call(f"{SERVICE}/Regress", asked))
    size = len(example(x=1).SerializeToString())
    assert [one.value for one in response.result.regressions] == [size, 0]
    assert response.model_spec.signature_name == signature


def test_every_example_has_the_features_of_the_context(services):
    asked = request("RegressionRequest", example(a=1), example(b=2), signature="flat", context=example(c=b"x"))
    response = read("RegressionResponse", services.call(f"{SERVICE}/Regress", asked))
    sizes = [len(one.SerializeToString() + example(c=b"x").SerializeToString()) for one in (example(a=1), example(b=2))]
    assert [one.value for one in response.result.regressions] == sizes


def test_features_are_the_inputs_of_a_signature_of_our_own(services):
    sent = [example(age=2.5, kind=b"a", optional_n=3), example(age=1.0, kind=b"b")]
    asked = request("ClassificationRequest", *sent, model="own")
    response = read("ClassificationResponse", services.call(f"{SERVICE}/Classify", asked))
    found = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    assert found == [[("A", 5.5)], [("B", 1.0)]]


def test_features_of_a_context_are_inputs_too_and_those_of_an_example_win(services):
    asked = request(
        "ClassificationRequest",
        example(age=2.5),
        example(kind=b"b", age=1.0),
        model="own",
        context=example(kind=b"a", age=9.0),
    )
    response = read("ClassificationResponse", services.call(f"{SERVICE}/Classify", asked))
    found = [(row.classes[0].label, row.classes[0].score) for row in response.result.classifications]
    assert found == [("A", 2.5), ("B", 1.0)]


def test_features_have_the_shape_and_dtype_of_their_input(services):
    sent = example(pixels=[1.0, 2.0, 3.0, 4.0], flag=1)
    asked = request("RegressionRequest", sent, example(pixels=[1.0] * 4, flag=0), model="own", signature="price")
    response = read("RegressionResponse", services.call(f"{SERVICE}/Regress", asked))
    assert [one.value for one in response.result.regressions] == [10, 0]


@pytest.mark.parametrize(
    ("kind", "how", "code", "message"),
    [
        ("Classify", {"signature": "s"}, Code.INVALID_ARGUMENT, "No signature was found with the name: s"),
        ("Regress", {"signature": "s"}, Code.INVALID_ARGUMENT, "No signature was found with the name: s"),
        ("Classify", {"model": ""}, Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        ("Classify", {"model": "n"}, Code.NOT_FOUND, "Servable not found for request: Latest(n)"),
        ("Classify", {"version": 9}, Code.NOT_FOUND, "Servable not found for request: Specific(m, 9)"),
        ("Classify", {"signature": "features"}, Code.INVALID_ARGUMENT, "Expected one input Tensor."),
        (
            "Classify",
            {"signature": "other_input"},
            Code.FAILED_PRECONDITION,
            "No classification inputs found in SignatureDef: x: string",
        ),
        (
            "Classify",
            {"signature": "odd"},
            Code.FAILED_PRECONDITION,
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            "Signature was: z: float32",
        ),
        (
            "Classify",
            {"signature": "mixed"},
            Code.INVALID_ARGUMENT,
            "Tensors class and score should match in dim_size(1). Got 2 vs. 3",
        ),
        (
            "Classify",
            {"signature": "untyped"},
            Code.INVALID_ARGUMENT,
            "Expected scores Tensor of DT_FLOAT. Got: DT_INT32",
        ),
        ("Regress", {"signature": "serving_default"}, Code.INVALID_ARGUMENT, "Expected one output Tensor."),
        (
            "Regress",
            {"signature": "odd"},
            Code.FAILED_PRECONDITION,
            "No regression outputs found in SignatureDef: z: float32",
        ),
        (
            "Regress",
            {"signature": "wide"},
            Code.INVALID_ARGUMENT,
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
        ),
        (
            "Regress",
            {"signature": "double"},
            Code.INVALID_ARGUMENT,
            "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_the_words_of_tf_serving(services, kind, how, code, message):
    name = {"Classify": "ClassificationRequest", "Regress": "RegressionRequest"}[kind]
    exchange = services.call(f"{SERVICE}/{kind}", request(name, example(x=1), **how))
    assert (exchange.code, exchange.text) == (code, message)
    assert services.watcher.ended_calls[-1].method == kind


@pytest.mark.parametrize("context", [None, example(c=1)])
def test_a_request_without_examples_is_refused(services, context):
    exchange = services.call(f"{SERVICE}/Classify", request("ClassificationRequest", context=context))
    assert (exchange.code, exchange.text.partition(";")[0]) == (Code.INVALID_ARGUMENT, "Input is empty.")


def test_a_request_without_a_model_spec_is_refused(services):
    for method in ("Classify", "Regress"):
        assert services.call(f"{SERVICE}/{method}").text == "Missing ModelSpec"


@pytest.mark.parametrize(
    ("sent", "part"),
    [
        (example(age=1.0), "kind"),
        (example(age=1, kind=b"a"), "age"),
        (example(age=[1.0, 2.0], kind=b"a"), "age"),
        (example(age=1.0, kind=b"a", optional_n=[1, 2]), "optional_n"),
        (example(age=1.0, kind=b"a", optional_n=2**40), "-2147483648 to 2147483647, int32"),
    ],
)
def test_examples_that_lack_a_feature_or_have_another_are_refused(services, sent, part):
    exchange = services.call(f"{SERVICE}/Classify", request("ClassificationRequest", sent, model="own"))
    assert exchange.code is Code.INVALID_ARGUMENT
    assert part in exchange.text


def test_an_example_that_is_none_is_refused(services):
    asked = request("ClassificationRequest", model="own").SerializeToString()
    broken = asked.removesuffix(b"\x12\x00").removesuffix(b"\x12\x02\x0a\x00") + b"\x12\x05\x0a\x03\x0a\x01\xff"
    exchange = services.call(f"{SERVICE}/Classify", broken)
    assert exchange.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["Classify", "Regress", "MultiInference", "GetModelMetadata"])
def test_bytes_that_are_no_request_are_refused(services, method):
    assert services.call(f"{SERVICE}/{method}", b"\xff").code is Code.INTERNAL


ONE = (example(x=1),)


def tasks(*given, examples=ONE, model="m"):
    made = message_class("tensorflow.serving.MultiInferenceRequest")()
    for method, signature in given:
        task = made.tasks.add(method_name=method)
        task.model_spec.name = model
        task.model_spec.signature_name = signature
    put(made.input, examples)
    return made


def test_several_signatures_are_asked_about_the_same_examples(services):
    asked = tasks((REGRESS, "flat"), (CLASSIFY, ""), (REGRESS, "regress"), examples=[example(x=1), example()])
    exchange = services.call(f"{SERVICE}/MultiInference", asked)
    results = read("MultiInferenceResponse", exchange).results
    assert [one.WhichOneof("result") for one in results] == [
        "regression_result",
        "classification_result",
        "regression_result",
    ]
    assert [one.model_spec.signature_name for one in results] == ["flat", "serving_default", "regress"]
    assert {one.model_spec.version.value for one in results} == {3}
    size = len(example(x=1).SerializeToString())
    assert [one.value for one in results[0].regression_result.regressions] == [size, 0]
    assert len(results[1].classification_result.classifications) == 2
    assert services.engine.snapshot.find("m").users == 0


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (tasks(), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (
            tasks((REGRESS, "flat"), (REGRESS, "flat")),
            Code.INVALID_ARGUMENT,
            "Duplicate evaluation of signature: flat",
        ),
        (tasks((REGRESS, "s")), Code.INVALID_ARGUMENT, "Requested signature not found in model graph: s"),
        (
            tasks(("tensorflow/serving/predict", "flat")),
            Code.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        (tasks((REGRESS, "")), Code.INVALID_ARGUMENT, "Expected one output Tensor."),
        (
            tasks((REGRESS, "flat"), (REGRESS, "wide")),
            Code.INVALID_ARGUMENT,
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
        ),
        (tasks((REGRESS, "flat"), examples=()), Code.INVALID_ARGUMENT, "Input is empty."),
    ],
)
def test_tasks_that_do_not_fit_are_refused_in_the_words_of_tf_serving(services, asked, code, message):
    exchange = services.call(f"{SERVICE}/MultiInference", asked)
    assert (exchange.code, exchange.text.partition("; $")[0]) == (code, message)
    assert services.engine.snapshot.find("m").users == 0


def test_tasks_for_several_models_are_refused(services):
    asked = tasks((REGRESS, "flat"), (REGRESS, "regress"))
    asked.tasks[1].model_spec.name = "own"
    exchange = services.call(f"{SERVICE}/MultiInference", asked)
    assert exchange.text == "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    asked.tasks[1].model_spec.name = ""
    assert services.call(f"{SERVICE}/MultiInference", asked).text == "Found ModelSpec with an empty model name."


def test_method_names_are_looked_at_where_asked_to(serve, fakes):
    strings = [fakes.spec("inputs", "string")]
    signature = fakes.Signature(strings, [fakes.spec("outputs")], lambda s: {"outputs": lengths(s)[:, 0]})
    services = serve({"m": {1: fakes.Model(serving_default=signature)}}, check_method_names=True)
    message = (
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict"
    )
    exchange = services.call(f"{SERVICE}/Regress", request("RegressionRequest", example(x=1)))
    assert (exchange.code, exchange.text) == (Code.INVALID_ARGUMENT, message)
    assert services.call(f"{SERVICE}/MultiInference", tasks((REGRESS, ""))).text == message


def test_requests_for_examples_run_in_one_batch(services):
    asked = request("RegressionRequest", example(x=1), signature="flat")
    services.calls([(f"{SERVICE}/Regress", asked, {}) for _ in range(3)])
    assert {call.run.rows for call in services.watcher.ended_calls} == {3}
