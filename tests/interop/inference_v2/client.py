"""What Triton's own clients ask over HTTP and gRPC; run with the Python of the environment that has them.

python client.py HTTP_ADDRESS GRPC_ADDRESS OUTCOMES
"""

import json
import sys
import traceback

import ml_dtypes
import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

X = np.arange(6, dtype=np.float32).reshape(2, 3)
TEXTS = np.array([b"a\xff", "é".encode()], object)


def tensor(module, name, array, datatype, **how):
    """Return an input of a request."""
    found = module.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, **how)
    return found


def refusal(client, model, inputs):
    """Return how a request is refused."""
    try:
        client.infer(model, inputs)
    except InferenceServerException as error:
        return str(error)
    return "nothing was refused"


def check_health_and_metadata(http, grpc):
    for client in (http, grpc):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("m")
        assert client.is_model_ready("m", "1")
        assert not client.is_model_ready("none")
    assert http.get_server_metadata()["name"] == "mainstay"
    assert grpc.get_server_metadata(as_json=True)["name"] == "mainstay"
    described = http.get_model_metadata("m")
    assert described["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    listed = grpc.get_model_metadata("m", as_json=True)
    assert [item["datatype"] for item in listed["outputs"]] == ["FP32", "BYTES"]


def check_binary_tensors(http, grpc):
    for module, client in ((over_http, http), (over_grpc, grpc)):
        for _ in range(3):
            inputs = [tensor(module, "x", X, "FP32"), tensor(module, "s", TEXTS, "BYTES")]
            outputs = [module.InferRequestedOutput("y"), module.InferRequestedOutput("s")]
            result = client.infer("m", inputs, outputs=outputs, request_id="5")
            assert np.array_equal(result.as_numpy("y"), X * 2)
            assert result.as_numpy("s").tolist() == TEXTS.tolist()
            answer = result.get_response()
            assert (answer["id"] if isinstance(answer, dict) else answer.id) == "5"


def check_tensors_in_json(http, grpc):
    text = np.array(["a", "é"], object)
    inputs = [
        tensor(over_http, "x", X, "FP32", binary_data=False),
        tensor(over_http, "s", text, "BYTES", binary_data=False),
    ]
    result = http.infer("m", inputs, outputs=[over_http.InferRequestedOutput("y", binary_data=False)])
    assert np.array_equal(result.as_numpy("y"), X * 2)
    mixed = [tensor(over_http, "x", X, "FP32", binary_data=True), inputs[1]]
    assert np.array_equal(http.infer("m", mixed).as_numpy("y"), X * 2)


def check_every_datatype(http, grpc):
    arrays = {
        "bool": ("BOOL", [True, False]),
        **{f"{kind}{bits}": (f"{kind}{bits}".upper(), [1, 2]) for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
        "float16": ("FP16", [0.5, 2]),
        "float32": ("FP32", [0.5, 2]),
        "float64": ("FP64", [0.1, 2]),
    }
    for module, client in ((over_http, http), (over_grpc, grpc)):
        inputs = [tensor(module, name, np.array(values, name), kind) for name, (kind, values) in arrays.items()]
        inputs.append(tensor(module, "bfloat16", np.array([1.5, -2], ml_dtypes.bfloat16), "BF16"))
        result = client.infer("m", inputs, parameters={"signature_name": "every"})
        for name, (_, values) in arrays.items():
            found = result.as_numpy(name)
            assert found.dtype == name, (name, found.dtype)
            assert np.array_equal(found, np.array(values, name)), name
        assert result.as_numpy("bfloat16").tolist() == [1.5, -2]


def check_classification(http, grpc):
    for module, client in ((over_http, http), (over_grpc, grpc)):
        inputs = [tensor(module, "x", X, "FP32"), tensor(module, "s", TEXTS, "BYTES")]
        result = client.infer("m", inputs, outputs=[module.InferRequestedOutput("y", class_count=1)])
        assert result.as_numpy("y").tolist() == [[b"4.000000:2"], [b"10.000000:2"]]


def check_asynchronous_calls(http, grpc):
    inputs = [tensor(over_http, "x", X, "FP32"), tensor(over_http, "s", TEXTS, "BYTES")]
    for waiting in [http.async_infer("m", inputs) for _ in range(8)]:
        assert np.array_equal(waiting.get_result().as_numpy("y"), X * 2)


def check_compressed_requests(http, grpc):
    inputs = [tensor(over_http, "x", X, "FP32"), tensor(over_http, "s", TEXTS, "BYTES")]
    result = http.infer("m", inputs, request_compression_algorithm="gzip", response_compression_algorithm="gzip")
    assert np.array_equal(result.as_numpy("y"), X * 2)
    inputs = [tensor(over_grpc, "x", X, "FP32"), tensor(over_grpc, "s", TEXTS, "BYTES")]
    assert np.array_equal(grpc.infer("m", inputs, compression_algorithm="gzip").as_numpy("y"), X * 2)


def check_errors(http, grpc):
    for module, client in ((over_http, http), (over_grpc, grpc)):
        good = [tensor(module, "x", X, "FP32"), tensor(module, "s", TEXTS, "BYTES")]
        wrong = [tensor(module, "x", X.astype(np.float64), "FP64"), good[1]]
        for model, inputs, what in (
            ("none", good, "Request for unknown model: 'none' is not found"),
            ("m", wrong, "data-type is 'FP64', but model 'm' expects 'FP32'"),
            ("m", good[:1], "missing required input(s) ['s']"),
        ):
            assert what in refusal(client, model, inputs)


def main():
    """Run every case and write what went wrong in each."""
    http = over_http.InferenceServerClient(sys.argv[1], concurrency=4)
    grpc = over_grpc.InferenceServerClient(sys.argv[2])
    outcomes = {}
    for name, case in list(globals().items()):
        if name.startswith("check_"):
            try:
                case(http, grpc)
                outcomes[name] = ""
            except Exception:
                outcomes[name] = traceback.format_exc()[-2000:]
    with open(sys.argv[3], "w") as file:
        json.dump(outcomes, file)


main()
