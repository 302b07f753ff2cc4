"""Run where TensorFlow and its serving stubs are installed: asks a server everything, and writes what went wrong.

    python client.py PORT FOLDER OUT [MODEL ...]

Each function whose name begins with `check_` is a case.
"""

import json
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

PORT, FOLDER, OUT, *MODELS = sys.argv[1:]
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
CHANNEL = grpc.insecure_channel(f"127.0.0.1:{PORT}", options=OPTIONS)
PREDICTION = prediction_service_pb2_grpc.PredictionServiceStub(CHANNEL)
SERVICE = model_service_pb2_grpc.ModelServiceStub(CHANNEL)
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def request(model, signature="", version=None, label=None, outputs=(), **inputs):
    made = predict_pb2.PredictRequest(output_filter=outputs)
    made.model_spec.name = model
    made.model_spec.signature_name = signature
    if version is not None:
        made.model_spec.version.value = version
    if label is not None:
        made.model_spec.version_label = label
    for name, value in inputs.items():
        made.inputs[name].CopyFrom(value if isinstance(value, tensor_pb2.TensorProto) else proto(value))
    return made


def proto(array):
    return tf.make_tensor_proto(array)


def predict(*arguments, timeout=30, **how):
    response = PREDICTION.Predict(request(*arguments, **how), timeout=timeout)
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def error_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("the call succeeded")


def check_a_prediction_is_answered():
    for _ in range(3):
        np.testing.assert_array_equal(predict("net", x=ROWS)["y"], ROWS * 2)
        response = PREDICTION.Predict(request("net", x=ROWS))
        spec = response.model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("net", 2, "serving_default")
        assert list(response.outputs["y"].float_val) == (ROWS * 2).reshape(-1).tolist()


def check_values_are_taken_from_every_field():
    full = tf.make_tensor_proto(ROWS)
    full.ClearField("tensor_content")
    full.float_val.extend(ROWS.reshape(-1).tolist())
    same = tf.make_tensor_proto(3.0, shape=[2, 3])
    assert len(same.float_val) == 1
    for _ in range(2):
        np.testing.assert_array_equal(predict("net", x=full)["y"], ROWS * 2)
        np.testing.assert_array_equal(predict("net", x=same)["y"], np.full((2, 3), 6, np.float32))


def check_every_dtype_comes_back():
    for name in [
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "bfloat16", "float32", "float64", "string"),
    ]:
        dtype = tf.as_dtype(name)
        if name == "string":
            array = np.array([[b"a", b"\xff\x00"], ["\u00e9".encode(), b""]], object)
        else:
            array = np.array([[0, 1], [100, 2]]).astype(dtype.as_numpy_dtype)
        for value in (tf.make_tensor_proto(array, dtype), as_fields(array, dtype)):
            for _ in range(2):
                found = predict("types", name, x=value)["y"]
                assert found.dtype == array.dtype, (name, found.dtype)
                assert found.tolist() == array.tolist(), (name, found)


def as_fields(array, dtype):
    """A tensor with its values in the field of its dtype, as TensorFlow writes one from Python lists."""
    made = tf.make_tensor_proto(array, dtype)
    if not made.tensor_content:
        return made
    made.ClearField("tensor_content")
    flat = array.reshape(-1)
    name = dtype.name
    if name in ("float16", "bfloat16"):
        made.half_val.extend(flat.view(np.uint16).tolist())
    else:
        fields = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"}
        fields |= {"uint32": "uint32_val", "uint64": "uint64_val"}
        getattr(made, fields.get(name, "int_val")).extend(flat.tolist())
    return made


def check_versions_are_chosen():
    np.testing.assert_array_equal(predict("net", version=2, x=ROWS)["y"], ROWS * 2)
    assert error_of(lambda: predict("net", version=1, x=ROWS)) == (
        "NOT_FOUND",
        "Servable not found for request: Specific(net, 1)",
    )


def check_refusals_have_the_words_of_tf_serving():
    cases = [
        (request("n", x=ROWS), "NOT_FOUND", "Servable not found for request: Latest(n)"),
        (request("", x=ROWS), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (request("net", label="x", x=ROWS), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (request("net", "s", x=ROWS), "FAILED_PRECONDITION", 'Serving signature key "s" not found.'),
        (
            request("net", z=ROWS, x=ROWS),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. "
            "Missing but required: {}.",
        ),
        (
            request("net", x=ROWS.astype(np.int32)),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float but int32 is provided",
        ),
        (request("net", x=ROWS[:, :2]), "INVALID_ARGUMENT", "an input has the wrong shape"),
        (
            request("net", outputs=["z"], x=ROWS),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
    ]
    for asked, code, message in cases:
        found = error_of(lambda asked=asked: PREDICTION.Predict(asked))
        assert found[0] == code, found
        assert found[1].startswith(message), found


def check_only_the_outputs_asked_for_are_sent():
    a, b = np.float32([1, 2]), np.int64([3, 4])
    assert set(predict("types", "several", a=a, b=b)) == {"sum", "difference", "word"}
    found = predict("types", "several", outputs=["word", "sum"], a=a, b=b)
    assert (found["sum"].tolist(), found["word"].tolist()) == ([4, 6], [b"3", b"4"])
    assert len(found) == 2


def check_messages_of_64_megabytes_pass():
    array = np.arange(16 << 20, dtype=np.float32).reshape(1, -1)
    np.testing.assert_array_equal(predict("types", "wide", timeout=120, x=array)["y"], array)


def check_a_deadline_ends_a_call():
    code, _ = error_of(lambda: predict("slow", timeout=0.2, x=np.float32([1.0])))
    assert code == "DEADLINE_EXCEEDED"
    assert predict("slow", x=np.float32([0.0]))["y"].tolist() == [0.0]


def check_a_call_can_be_cancelled():
    future = PREDICTION.Predict.future(request("slow", x=np.float32([0.5])))
    future.cancel()
    assert future.cancelled()
    assert predict("slow", x=np.float32([0.0]))["y"].tolist() == [0.0]


def check_compressed_calls_are_answered():
    response = PREDICTION.Predict(request("net", x=np.zeros((300, 3), np.float32)), compression=grpc.Compression.Gzip)
    assert tf.make_ndarray(response.outputs["y"]).shape == (300, 3)


def check_answers_of_many_threads_are_not_mixed():
    def work(number):
        for step in range(25):
            rows = np.full((1 + (number + step) % 9, 3), number * 1000 + step, np.float32)
            np.testing.assert_array_equal(predict("net", x=rows)["y"], rows * 2)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


def example(**features):
    made = tf.train.Example()
    for name, value in features.items():
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(value)]
        getattr(made.features.feature[name], kind).value.append(value)
    return made


def check_examples_are_classified():
    sent = [example(x=1), example(x=1, y=b"more")]
    asked = classification_pb2.ClassificationRequest()
    asked.model_spec.name = "examples"
    asked.input.example_list.examples.extend(sent)
    response = PREDICTION.Classify(asked)
    found = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    sizes = [len(one.SerializeToString()) for one in sent]
    assert found == [[("long", size), ("short", -size)] for size in sizes], found
    assert response.model_spec.signature_name == "serving_default"


def check_examples_are_regressed():
    asked = regression_pb2.RegressionRequest()
    asked.model_spec.name = "examples"
    asked.model_spec.signature_name = "price"
    asked.input.example_list_with_context.examples.extend([example(age=1.5), example(age=2.5, kind=b"long")])
    asked.input.example_list_with_context.context.CopyFrom(example(kind=b"ab"))
    assert [one.value for one in PREDICTION.Regress(asked).result.regressions] == [3.5, 6.5]


def check_several_signatures_are_asked_at_once():
    asked = inference_pb2.MultiInferenceRequest()
    for method, signature in (("regress", "lengths"), ("classify", "")):
        task = asked.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "examples"
        task.model_spec.signature_name = signature
    asked.input.example_list.examples.append(example(x=1))
    regression, classification = PREDICTION.MultiInference(asked).results
    size = len(example(x=1).SerializeToString())
    assert [one.value for one in regression.regression_result.regressions] == [size]
    assert classification.classification_result.classifications[0].classes[0].score == size


def check_metadata_unpack_into_signatures():
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "net"
    response = PREDICTION.GetModelMetadata(asked)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    info = signatures.signature_def["serving_default"].inputs["x"]
    assert (tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).as_list()) == (tf.float32, [None, 3])


def check_the_status_of_a_model_is_told():
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "net"
    states = {one.version: one.state for one in SERVICE.GetModelStatus(asked).model_version_status}
    assert states[2] == get_model_status_pb2.ModelVersionStatus.AVAILABLE, states
    asked.model_spec.name = "n"
    assert error_of(lambda: SERVICE.GetModelStatus(asked)) == ("NOT_FOUND", "Could not find any versions of model n")


def check_the_services_are_healthy():
    stub = health_pb2_grpc.HealthStub(CHANNEL)
    for name in ("", "PredictionService", "tensorflow.serving.ModelService"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == 1
    assert error_of(lambda: stub.Check(health_pb2.HealthCheckRequest(service="x")))[0] == "NOT_FOUND"
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == 1
    watch.cancel()


def check_reflection_is_enough_to_call_a_method():
    database = ProtoReflectionDescriptorDatabase(CHANNEL)
    assert "tensorflow.serving.PredictionService" in database.get_services()
    pool = DescriptorPool(database)
    method = pool.FindServiceByName("tensorflow.serving.PredictionService").FindMethodByName("Predict")
    asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = CHANNEL.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=asked.SerializeToString,
        response_deserializer=answered.FromString,
    )
    response = call(asked.FromString(request("net", x=ROWS).SerializeToString()))
    assert list(response.outputs["y"].float_val) == (ROWS * 2).reshape(-1).tolist()


def check_a_method_that_is_not_there_is_unimplemented():
    call = CHANNEL.unary_unary("/tensorflow.serving.PredictionService/Nothing")
    assert error_of(lambda: call(b""))[0] == "UNIMPLEMENTED"
    call = CHANNEL.unary_unary("/tensorflow.ProfilerService/Profile")
    assert error_of(lambda: call(b""))[0] == "UNIMPLEMENTED"
    call = CHANNEL.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert error_of(lambda: call(b"\xff\xff"))[0] == "INTERNAL"


def check_urgency_is_taken_from_the_metadata():
    for value, code in (("sheddable", None), ("much", "INVALID_ARGUMENT")):
        call = lambda value=value: PREDICTION.Predict(  # noqa: E731
            request("net", x=ROWS), metadata=[("x-mainstay-criticality", value)]
        )
        if code is None:
            call()
        else:
            assert error_of(call)[0] == code


def check_half_plus_two_of_tensorflow_answers():
    for model in MODELS:
        found = predict(model, x=np.float32([1.0, 2.0, 5.0]))
        assert [value.tolist() for value in found.values()] == [[2.5, 3.0, 4.5]], found


def check_half_plus_two_of_tensorflow_takes_examples():
    for model in MODELS:
        asked = regression_pb2.RegressionRequest()
        asked.model_spec.name, asked.model_spec.signature_name = model, "regress_x_to_y"
        asked.input.example_list.examples.extend([example(x=1.0), example(x=5.0)])
        assert [one.value for one in PREDICTION.Regress(asked).result.regressions] == [2.5, 4.5]
        classify = classification_pb2.ClassificationRequest(input=asked.input)
        classify.model_spec.name, classify.model_spec.signature_name = model, "classify_x_to_y"
        rows = PREDICTION.Classify(classify).result.classifications
        assert [[one.score for one in row.classes] for row in rows] == [[2.5], [4.5]], rows
        several = inference_pb2.MultiInferenceRequest(input=asked.input)
        for kind, name in (
            ("regress", "regress_x_to_y"),
            ("regress", "regress_x_to_y2"),
            ("classify", "classify_x_to_y"),
        ):
            task = several.tasks.add(method_name=f"tensorflow/serving/{kind}")
            task.model_spec.name, task.model_spec.signature_name = model, name
        results = PREDICTION.MultiInference(several).results
        assert [one.value for one in results[1].regression_result.regressions] == [3.5, 5.5], results
        wrong = regression_pb2.RegressionRequest(model_spec=asked.model_spec)
        wrong.input.example_list.examples.append(example(z=1.0))
        assert error_of(lambda wrong=wrong: PREDICTION.Regress(wrong))[0] == "INVALID_ARGUMENT"


def check_zz_models_can_be_reloaded():
    """The last one, as it changes what is served."""
    asked = model_management_pb2.ReloadConfigRequest(metric_names=["/tensorflow/serving/request_count"])
    config = asked.config.model_config_list.config.add(
        name="again", base_path=f"{FOLDER}/net", model_platform="tensorflow"
    )
    config.model_version_policy.specific.versions.extend([1, 2])
    stop = threading.Event()
    wrong = []

    def keep_asking():
        while not stop.is_set():
            try:
                predict("again", x=ROWS)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    wrong.append(str(error))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        response = SERVICE.HandleReloadConfigRequest(asked, timeout=120)
    finally:
        stop.set()
        thread.join()
    assert not wrong, wrong
    assert response.status.error_code == 0, response
    assert [one.name for one in response.metric] == ["/tensorflow/serving/request_count"], response
    assert response.metric[0].int64_value_increase > 0, response
    np.testing.assert_array_equal(predict("again", version=1, x=ROWS)["y"], ROWS)
    np.testing.assert_array_equal(predict("again", version=2, x=ROWS)["y"], ROWS * 2)
    config.version_labels["old"] = 1
    SERVICE.HandleReloadConfigRequest(asked, timeout=120)
    np.testing.assert_array_equal(predict("again", label="old", x=ROWS)["y"], ROWS)
    config.base_path = "relative"
    assert error_of(lambda: SERVICE.HandleReloadConfigRequest(asked))[0] == "INVALID_ARGUMENT"


def main():
    """Run every case and write what went wrong in it."""
    outcomes = {}
    for name, case in sorted(globals().items()):
        if name.startswith("check_"):
            try:
                case()
                outcomes[name] = ""
            except BaseException:
                outcomes[name] = traceback.format_exc()
    with open(OUT, "w") as out:
        json.dump(outcomes, out)


if __name__ == "__main__":
    main()
