"""Real artifacts behind HTTP: the same answers as offline, whatever the batch they travel in."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.saved_model import ServingFunction, load, save
from mainstay.serving import BatchingOptions

CITIES = ["", "Zürich", "São Paulo", "東京", "Bern"]


def graph():
    inputs = [
        HostInput(TensorSpec([None], "float64", "amount")),
        HostInput(TensorSpec([None], "int64", "account"), optional=True),
        HostInput(TensorSpec([None], "string", "city"), optional=True),
    ]
    nodes = [
        HostNode("Const", "zero", (), {"value": 0, "dtype": "int64"}),
        HostNode("Const", "blank", (), {"value": "", "dtype": "string"}),
        HostNode("Const", "many", (), {"value": 1000, "dtype": "int64"}),
        HostNode("Cast", "amount_x", ("amount",), {"dtype": "float32"}),
        HostNode("FillMissing", "account_filled", ("account", "zero"), {}),
        HostNode("FloorMod", "account_id", ("account_filled", "many"), {}),
        HostNode("IsMissing", "account_gone", ("account",), {}),
        HostNode("Cast", "account_m", ("account_gone",), {"dtype": "float32"}),
        HostNode("FillMissing", "city_filled", ("city", "blank"), {}),
        HostNode("LookupTableFindV2", "city_id", ("city_filled",), {"asset": "cities.txt", "num_oov_buckets": 3}),
    ]
    outputs = {name: name for name in ("amount_x", "account_id", "account_m", "city_id")}
    return HostGraph(inputs, nodes, outputs, {"cities.txt": "\n".join([*CITIES[1:], ""]).encode()})


def features(weights, values):
    # Each feature comes out unmixed, so that bit-identity can be seen; the score mixes them.
    score = values["amount_x"] * 0.5 + weights["account"][values["account_id"]] + weights["city"][values["city_id"]]
    return {"score": score + values["account_m"], **values}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    random = np.random.default_rng(1)
    weights = {name: random.normal(size=size).astype(np.float32) for name, size in (("account", 1000), ("city", 8))}
    specs = [
        TensorSpec([None], "float32", "amount_x"),
        TensorSpec([None], "int64", "account_id"),
        TensorSpec([None], "float32", "account_m"),
        TensorSpec([None], "int64", "city_id"),
    ]
    functions = {
        "serving_default": ServingFunction(features, tuple(specs), weights, graph()),
        "transform_features": ServingFunction(None, prefix=graph()),
        "image": ServingFunction(
            lambda weights, values: {"mean": values["pixels"].mean(axis=(1, 2))},
            (TensorSpec([None, 4, 4], "float32", "pixels"),),
        ),
    }
    golden = {
        "amount": [1.5, 2.5],
        "account": [1, 2**40],
        "city": ["Bern", "nowhere"],
        "pixels": np.ones((2, 4, 4), np.float32),
    }
    path = tmp_path_factory.mktemp("served") / "cards" / "3"
    save(functions, path, golden=golden)
    return path


@pytest.fixture(scope="module")
def loaded(artifact):
    return load(artifact, buckets=[1, 2, 4, 8])


@pytest.fixture
def served(loaded, start):
    return start({"m": loaded}, batching=BatchingOptions(max_batch_size=8))


ROW = st.fixed_dictionaries(
    {"amount": st.floats(-1e6, 1e6)},
    optional={
        "account": st.none() | st.integers(-(2**63), 2**63 - 1),
        "city": st.none() | st.sampled_from(CITIES) | st.text(max_size=5),
    },
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=1, max_size=20))
def test_a_row_is_answered_over_http_as_offline(loaded, served, rows):
    """Features are bit-identical and the score within 1e-6, with values missing, unseen, huge or foreign."""
    columns = {name: [row.get(name) for row in rows] for name in ("amount", "account", "city")}
    for name in ("serving_default", "transform_features"):
        offline = loaded.signatures[name](columns)
        status, answer = served.predict({"signature_name": name, "instances": rows})
        assert status == 200, answer
        by_column = served.predict({"signature_name": name, "inputs": columns})[1]["outputs"]
        for output, expected in offline.items():
            got = np.array([row[output] for row in answer["predictions"]], expected.dtype)
            np.testing.assert_array_equal(np.array(by_column[output], expected.dtype), got)
            if output == "score":
                np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
            else:
                np.testing.assert_array_equal(got, expected)


def test_concurrent_requests_are_answered_as_single_ones(loaded, start):
    server = start({"m": loaded}, batching=BatchingOptions(max_batch_size=8, execution="thread"))
    wrong = []

    def client(seed):
        random = np.random.default_rng(seed)
        for _ in range(15):
            pixels = random.normal(size=(int(random.integers(1, 6)), 4, 4)).astype(np.float32)
            status, answer = server.predict({"signature_name": "image", "instances": pixels.tolist()})
            if status != 200 or not np.allclose(answer["predictions"], pixels.mean(axis=(1, 2)), atol=1e-6):
                wrong.append(answer)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_faults_of_a_request_are_named_with_their_place(served):
    for instances, place in (
        ([{"amount": 1.0}, {"amount": "x"}], '$.instances[1].amount: expected float64, received "x"'),
        ([{"amount": 1.0, "cty": "Bern"}], "did you mean 'city'?"),
        ([{"account": 1}], "$.instances[0].amount: expected float64, received nothing"),
    ):
        status, answer = served.predict({"instances": instances})
        assert status == 400
        assert place in answer["error"]
    status, answer = served.predict({"signature_name": "image", "instances": [[[1, 2], [3, 4]]]})
    assert status == 400
    assert "$.instances[0]: expected float32 of shape [4, 4], received shape [2,2]" in answer["error"]


def test_the_metadata_tells_the_raw_inputs(served):
    _, body, _ = served.request("GET", "/v1/models/m/metadata")
    signature = json.loads(body)["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert {name: info["dtype"] for name, info in signature["inputs"].items()} == {
        "amount": "DT_DOUBLE",
        "account": "DT_INT64",
        "city": "DT_STRING",
    }
    assert "score" in signature["outputs"]


SERVER = """
import sys
from mainstay.serving import ServerOptions, serve
options = ServerOptions(rest_port=0, grpc_port=None)
serve({"cards": sys.argv[1]}, options, on_ready=lambda server: print(server.rest_port, flush=True))
assert "keras" not in sys.modules and "tensorflow" not in sys.modules
"""


def test_a_folder_of_versions_is_served_without_keras(artifact, repository):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(artifact.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(repository / "src")},
    )
    try:
        port = int(process.stdout.readline() or 0)
        assert port, process.communicate()[1].decode()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("POST", "/v1/models/cards/versions/3:predict", '{"instances":[{"amount":1}]}')
            answer = json.loads(connection.getresponse().read())
        assert "score" in answer["predictions"][0]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0, log.decode()
    finally:
        process.kill()
        process.communicate()
