"""The client against a running server, over both protocols."""

import threading

import numpy as np
import pytest

from mainstay.core import (
    ArgumentError,
    DeadlineError,
    NotFoundError,
    RequestError,
    ServerError,
    TensorSpec,
    UnavailableError,
)
from mainstay.serving import BatchingOptions, Client
from mainstay.serving.client.retries import Retries


def mixed(columns):
    """Return one output of each kind for inputs x [rows, 2] float32, n int64, s string."""
    x, n, s = (column.values for column in columns)
    texts = [item.decode() if isinstance(item, bytes) else str(item) for item in s]
    return {
        "sum": (x.sum(1) + n).astype(np.float32),
        "twice": (n * 2).astype(np.int64),
        "loud": np.array([text.upper() for text in texts], object),
        "raw_bytes": np.array([text.encode("utf-16") for text in texts], object),
    }


@pytest.fixture
def served(start, fakes):
    inputs = [fakes.input("x", "float32", 2), fakes.input("n", "int64"), fakes.input("s", "string")]
    outputs = (
        TensorSpec([None], "float32", "sum"),
        TensorSpec([None], "int64", "twice"),
        TensorSpec([None], "string", "loud"),
        TensorSpec([None], "string", "raw_bytes"),
    )
    one = fakes.Signature([fakes.input("x", "float32")])
    model = fakes.Model(serving_default=fakes.Signature(inputs, outputs, mixed), one=one)
    return start({"m": model}, grpc_port=0)


@pytest.fixture(params=["http", "grpc"])
def client(request, served):
    port = served.port if request.param == "http" else served.server.grpc_port
    with Client(f"{request.param}://127.0.0.1:{port}", timeout_seconds=20) as made:
        yield made


def test_arrays_go_in_and_come_out_with_the_dtypes_of_the_signature(client):
    answer = client.predict("m", {"x": [[1.5, 2], [3, 4]], "n": np.array([10, 2**40]), "s": ["ä", b"b"]})
    assert answer["sum"].dtype == np.float32
    np.testing.assert_allclose(answer["sum"], np.float32([13.5, 7 + 2**40]))
    assert answer["twice"].dtype == np.int64
    assert answer["twice"].tolist() == [20, 2**41]
    assert answer["loud"].tolist() == ["Ä", "B"]
    assert answer["raw_bytes"].tolist() == ["ä".encode("utf-16"), "b".encode("utf-16")]


def test_the_only_input_needs_no_name_and_numbers_that_are_none_pass(client):
    values = np.array([1.0, np.nan, np.inf, -np.inf])
    (answer,) = client.predict("m", values, signature="one").values()
    np.testing.assert_array_equal(answer, values.astype(np.float32))


def test_signatures_and_states_are_told(client):
    signatures = client.signatures("m")
    assert sorted(signatures) == ["one", "serving_default"]
    assert {(spec.name, spec.dtype, tuple(spec.shape)) for spec in signatures["serving_default"].inputs} == {
        ("x", "float32", (None, 2)),
        ("n", "int64", (None,)),
        ("s", "string", (None,)),
    }
    assert client.states("m") == {1: "AVAILABLE"}
    assert client.wait_until_available("m", timeout_seconds=5) == 1


def test_what_is_wrong_is_told_before_anything_is_sent(client):
    with pytest.raises(RequestError, match="no input 'z'"):
        client.predict("m", {"z": 1})
    with pytest.raises(RequestError, match="several inputs"):
        client.predict("m", [1.0])
    with pytest.raises(RequestError, match="dtype"):
        client.predict("m", {"x": [[1, 2]], "n": [1.5], "s": ["a"]})
    with pytest.raises(RequestError, match="no strings"):
        client.predict("m", {"x": [[1, 2]], "n": [1], "s": [1]})
    with pytest.raises(RequestError, match="no signature 'other'"):
        client.predict("m", [1.0], signature="other")


def test_the_servers_refusals_have_classes(client):
    with pytest.raises(NotFoundError, match="Servable not found"):
        client.predict("other", [1.0])
    with pytest.raises(NotFoundError, match="7"):
        client.predict("m", [1.0], version=7)
    with pytest.raises(RequestError):
        client.predict("m", {"x": [[1.0, 2.0]], "n": [1, 2], "s": ["a"]})


def test_threads_share_a_client(client):
    wrong = []

    def work(number):
        for step in range(20):
            value = float(number * 100 + step)
            (answer,) = client.predict("m", [value], signature="one").values()
            if answer.tolist() != [value]:
                wrong.append((value, answer))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_large_request_passes(client):
    values = np.random.default_rng(0).random(200_000).astype(np.float32)
    (answer,) = client.predict("m", values, signature="one").values()
    np.testing.assert_array_equal(answer, values)


def test_a_model_that_fails_is_the_servers_fault(start, fakes):
    def fail(columns):
        raise ZeroDivisionError("boom")

    running = start(
        {"m": fakes.Model(serving_default=fakes.Signature([fakes.input("x")], None, fail))},
        grpc_port=0,
        batching=BatchingOptions(execution="thread"),
    )
    for address in (f"http://127.0.0.1:{running.port}", f"grpc://127.0.0.1:{running.server.grpc_port}"):
        with Client(address) as client, pytest.raises(ServerError, match="boom"):
            client.predict("m", [1.0])


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_not_there_is_unavailable(scheme):
    with (
        Client(f"{scheme}://127.0.0.1:1", retries=Retries(attempts=1)) as client,
        pytest.raises(UnavailableError, match="cannot be reached"),
    ):
        client.predict("m", [1.0])
    with Client(f"{scheme}://127.0.0.1:1") as client, pytest.raises(DeadlineError, match="did not answer"):
        client.wait_until_available("m", timeout_seconds=0.01)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ArgumentError, match="TLS"):
        Client("http://a", tls="ca.pem")
    with pytest.raises(ArgumentError, match="timeout"):
        Client("http://a", timeout_seconds=0)
    with pytest.raises(ArgumentError, match="no file of certificates"):
        Client("https://a", tls="/does/not/exist.pem")


def test_what_the_only_signature_takes_is_asked_once_whatever_its_name(start, fakes, monkeypatch):
    running = start({"m": fakes.Model(one=fakes.Signature([fakes.input("x", "float32")]))})
    with Client(f"http://127.0.0.1:{running.port}") as client:
        asked, ask = [], client._protocol.signatures
        monkeypatch.setattr(client._protocol, "signatures", lambda *given: asked.append(given) or ask(*given))
        for _ in range(3):
            assert client.predict("m", [2.0])["total"].tolist() == [2.0]
    assert len(asked) == 1
