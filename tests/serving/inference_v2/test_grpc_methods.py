"""The Open Inference Protocol over gRPC, over exchanges that are no connections."""

import struct
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import PermissionDeniedError, TensorSpec, message_class
from mainstay.serving.grpc.interface import GrpcServices
from mainstay.serving.inference_v2.grpc_methods import SERVICE, register
from mainstay.serving.status import Code


class FakeExchange:
    """A call as the transport hands it over; it keeps what is answered."""

    def __init__(self, path, message):
        self.path, self.message = path, message
        self.headers, self.peer, self.identity = {}, "10.0.0.1:5", ""
        self.received, self.deadline = 0.0, None
        self.on_cancel = self.on_message = None
        self.code, self.text, self.answer = None, "", b""
        self.ended = threading.Event()

    def reply(self, *parts):
        assert self.code is None, "a call is answered once"
        self.code, self.answer = Code.OK, b"".join(parts)
        self.ended.set()

    def finish(self, code, message="", trailers=()):
        assert self.code is None, "a call is answered once"
        self.code, self.text = code, message
        self.ended.set()


class Caller:
    """The methods of a running server."""

    def __init__(self, running):
        self.running = running
        self.services = GrpcServices(running.server._engine)
        register(self.services)

    def call(self, method, message):
        data = message if isinstance(message, bytes) else message.SerializeToString()
        exchange = FakeExchange(f"{SERVICE}/{method}", data)
        exchange.received = self.running.server._engine.time()
        self.running.loop.call_soon_threadsafe(self.services.handle, exchange)
        assert exchange.ended.wait(20)
        return exchange

    def ask(self, method, **fields):
        exchange = self.call(method, message_class(f"inference.{method}Request")(**fields))
        assert exchange.code is Code.OK, exchange.text
        return message_class(f"inference.{method}Response").FromString(exchange.answer)

    def infer(self, request):
        exchange = self.call("ModelInfer", request)
        assert exchange.code is Code.OK, exchange.text
        return message_class("inference.ModelInferResponse").FromString(exchange.answer)


@pytest.fixture
def caller(start, fakes):
    def answer(columns):
        x, s = columns[0].values, columns[1].values
        return {"y": x * 2, "t": s, "n": np.arange(len(x), dtype=np.uint8)}

    outputs = [
        TensorSpec([None, 3], "float32", "y"),
        TensorSpec([None], "string", "t"),
        TensorSpec([None], "uint8", "n"),
    ]
    main = fakes.Signature([fakes.input("x", "float32", 3), fakes.input("s", "string")], outputs, answer)
    pair = [fakes.input("a", "float32", 2), fakes.input("b", "int64")]
    total = fakes.Signature(
        pair,
        [TensorSpec([None], "float32", "sum"), TensorSpec([None], "bfloat16", "h")],
        lambda columns: {
            "sum": columns[0].values.sum(axis=1) + columns[1].values.astype(np.float32),
            "h": columns[0].values[:, 0].astype("bfloat16"),
        },
    )
    every = [fakes.input(name, name) for name in CONTENTS]
    echo = fakes.Signature(
        every,
        [TensorSpec([None], name, name) for name in CONTENTS],
        lambda columns: {name: column.values for name, column in zip(CONTENTS, columns, strict=True)},
    )
    return Caller(start({"m": fakes.Model(serving_default=main), "pair": fakes.Model(total=total, every=echo)}))


CONTENTS = {
    "bool": ("BOOL", "bool_contents", [True, False]),
    "int8": ("INT8", "int_contents", [-128, 127]),
    "int16": ("INT16", "int_contents", [-(2**15), 5]),
    "int32": ("INT32", "int_contents", [-(2**31), 5]),
    "int64": ("INT64", "int64_contents", [-(2**63), 5]),
    "uint8": ("UINT8", "uint_contents", [255, 0]),
    "uint16": ("UINT16", "uint_contents", [65535, 0]),
    "uint32": ("UINT32", "uint_contents", [2**32 - 1, 0]),
    "uint64": ("UINT64", "uint64_contents", [2**64 - 1, 0]),
    "float32": ("FP32", "fp32_contents", [0.5, -2]),
    "float64": ("FP64", "fp64_contents", [0.1, float("inf")]),
    "string": ("BYTES", "bytes_contents", [b"a", b"\xff"]),
}


def request(model="m", **more):
    return message_class("inference.ModelInferRequest")(model_name=model, **more)


def raw_pair(a, b, **more):
    found = request("pair", **more)
    found.parameters["signature_name"].string_param = "total"
    found.inputs.add(name="a", datatype="FP32", shape=a.shape)
    found.inputs.add(name="b", datatype="INT64", shape=b.shape)
    found.raw_input_contents.extend([a.tobytes(), b.tobytes()])
    return found


def test_the_server_and_its_models_describe_themselves(caller):
    assert caller.ask("ServerLive").live
    assert caller.ask("ServerReady").ready
    assert caller.ask("ServerMetadata").name == "mainstay"
    assert caller.ask("ModelReady", name="m").ready
    assert not caller.ask("ModelReady", name="m", version="9").ready
    assert not caller.ask("ModelReady", name="none").ready
    found = caller.ask("ModelMetadata", name="m", version="1")
    assert (found.name, list(found.versions), found.platform) == ("m", ["1"], "mainstay_saved_model")
    assert [(item.name, item.datatype, list(item.shape)) for item in (*found.inputs, *found.outputs)] == [
        ("x", "FP32", [-1, 3]),
        ("s", "BYTES", [-1]),
        ("y", "FP32", [-1, 3]),
        ("t", "BYTES", [-1]),
        ("n", "UINT8", [-1]),
    ]


def test_raw_tensors_are_answered_with_raw_tensors(caller):
    x, texts = np.arange(6, dtype=np.float32).reshape(2, 3), (b"\xff", b"")
    sent = request(id="7")
    sent.inputs.add(name="s", datatype="BYTES", shape=[2])
    sent.inputs.add(name="x", datatype="FP32", shape=[2, 3])
    strings = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    sent.raw_input_contents.extend([strings, x.tobytes()])
    found = caller.infer(sent)
    assert (found.model_name, found.model_version, found.id) == ("m", "1", "7")
    assert [(item.name, item.datatype, list(item.shape)) for item in found.outputs] == [
        ("y", "FP32", [2, 3]),
        ("t", "BYTES", [2]),
        ("n", "UINT8", [2]),
    ]
    assert list(found.raw_output_contents) == [(x * 2).tobytes(), strings, b"\0\1"]


def test_values_of_every_datatype_are_answered_with_values(caller):
    sent = request("pair")
    sent.parameters["signature_name"].string_param = "every"
    for name, (datatype, field, values) in CONTENTS.items():
        getattr(sent.inputs.add(name=name, datatype=datatype, shape=[2]).contents, field).extend(values)
    found = caller.infer(sent)
    assert not found.raw_output_contents
    for item in found.outputs:
        datatype, field, values = CONTENTS[item.name]
        assert (item.datatype, list(getattr(item.contents, field))) == (datatype, values)


def test_outputs_are_chosen_and_classified(caller):
    sent = request()
    sent.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([1, 3, 2])
    sent.inputs.add(name="s", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"a")
    sent.outputs.add(name="y").parameters["classification"].int64_param = 2
    found = caller.infer(sent)
    assert [list(item.contents.bytes_contents) for item in found.outputs] == [[b"6.000000:1", b"4.000000:2"]]


def test_requests_alike_are_read_by_their_numbers_alone(caller):
    method = caller.services.methods[f"{SERVICE}/ModelInfer"]
    for seed in range(4):
        a = np.random.default_rng(seed).random((3, 2)).astype(np.float32)
        b = np.arange(3) + seed
        found = caller.infer(raw_pair(a, b))
        sums = np.frombuffer(found.raw_output_contents[0], np.float32)
        assert np.allclose(sums, a.sum(axis=1) + b)
        assert found.raw_output_contents[1] == a[:, 0].astype("bfloat16").tobytes()
    assert method._templates.find(raw_pair(np.ones((3, 2), np.float32), np.arange(3)).SerializeToString())
    assert not method._templates.find(raw_pair(np.ones((3, 2), np.float32), np.arange(3), id="7").SerializeToString())


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_message_is_answered_as_if_it_were_the_first(caller, changes):
    """A template never reads what protobuf would read in another way."""
    good = raw_pair(np.ones((2, 2), np.float32), np.arange(2)).SerializeToString()
    caller.infer(good)
    body = bytearray(good)
    for place, byte in changes:
        body[place % len(body)] = byte
    learned, fresh = caller.call("ModelInfer", bytes(body)), Caller(caller.running).call("ModelInfer", bytes(body))
    assert (learned.code, learned.text) == (fresh.code, fresh.text)
    assert learned.answer == fresh.answer


def broken(change):
    sent = raw_pair(np.ones((2, 2), np.float32), np.arange(2))
    change(sent)
    return sent


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        (lambda r: setattr(r, "model_name", "none"), Code.NOT_FOUND, "Request for unknown model: 'none' is not found"),
        (lambda r: setattr(r, "model_version", "9"), Code.NOT_FOUND, "'pair' version 9 is not found"),
        (lambda r: setattr(r, "model_version", "x"), Code.INVALID_ARGUMENT, "failed to get model version"),
        (lambda r: r.raw_input_contents.pop(), Code.INVALID_ARGUMENT, "expected 2 raw_input_contents"),
        (lambda r: r.inputs.pop(), Code.INVALID_ARGUMENT, "expected 1 raw_input_contents"),
        (lambda r: setattr(r.inputs[0], "datatype", "FP16"), Code.INVALID_ARGUMENT, "unexpected total byte size 16"),
        (lambda r: setattr(r.inputs[1], "datatype", "FP64"), Code.INVALID_ARGUMENT, "expects 'INT64'"),
        (lambda r: setattr(r.inputs[1], "datatype", ""), Code.INVALID_ARGUMENT, "datatype of input 'b' is unknown"),
        (lambda r: setattr(r.inputs[1], "name", "a"), Code.INVALID_ARGUMENT, "comes twice"),
        (lambda r: setattr(r.inputs[1], "name", "z"), Code.INVALID_ARGUMENT, "unexpected inference input 'z'"),
        (lambda r: r.inputs[0].shape.__setitem__(0, -2), Code.INVALID_ARGUMENT, "shape of input 'a' is none"),
        (lambda r: r.inputs[0].contents.fp32_contents.append(1), Code.INVALID_ARGUMENT, "must not be specified"),
        (lambda r: r.outputs.add(name="z"), Code.INVALID_ARGUMENT, "unexpected inference output 'z'"),
        (
            lambda r: r.inputs[0].parameters["shared_memory_region"].MergeFromString(b"\x1a\x01r"),
            Code.INVALID_ARGUMENT,
            "shared memory",
        ),
        (
            lambda r: setattr(r.parameters["sequence_id"], "int64_param", 3),
            Code.UNIMPLEMENTED,
            "sequences of requests are not served",
        ),
        (
            lambda r: setattr(r.parameters["signature_name"], "string_param", "z"),
            Code.INVALID_ARGUMENT,
            "not found in signature def",
        ),
        (
            lambda r: r.raw_input_contents.__delitem__(slice(None)),
            Code.INVALID_ARGUMENT,
            "unexpected number of elements",
        ),
    ],
)
def test_what_is_wrong_is_refused(caller, change, code, what):
    exchange = caller.call("ModelInfer", broken(change))
    assert exchange.code is code, exchange.text
    assert what in exchange.text


def test_numbers_that_no_datatype_holds_are_refused(caller):
    sent = request("pair")
    sent.parameters["signature_name"].string_param = "every"
    sent.inputs.add(name="int8", datatype="INT8", shape=[1]).contents.int_contents.append(128)
    assert "is no INT8" in caller.call("ModelInfer", sent).text


@pytest.mark.parametrize("method", ["ServerLive", "ModelReady", "ModelMetadata", "ModelInfer"])
def test_what_is_no_message_is_refused(caller, method):
    assert caller.call(method, b"\xff\xff").code is Code.INVALID_ARGUMENT


def test_an_unknown_model_has_no_metadata(caller):
    exchange = caller.call("ModelMetadata", message_class("inference.ModelMetadataRequest")(name="none"))
    assert (exchange.code, exchange.text) == (Code.NOT_FOUND, "Request for unknown model: 'none' is not found")


def test_who_may_not_ask_about_a_model_does_not_learn_whether_it_is_there(caller):
    class Only:
        def check(self, call):
            if call.model != "m":
                raise PermissionDeniedError("no")

    caller.running.server._engine.gates = (Only(),)
    assert caller.ask("ModelReady", name="m").ready
    for name in ("pair", "none"):
        request = message_class("inference.ModelReadyRequest")(name=name)
        assert caller.call("ModelReady", request).code is Code.PERMISSION_DENIED


def test_an_output_is_not_given_twice(caller):
    exchange = caller.call("ModelInfer", raw_request(outputs=("y", "y")))
    assert (exchange.code, exchange.text.split(";")[0]) == (Code.INVALID_ARGUMENT, "output 'y' comes twice")


def test_ids_are_repeated_and_not_kept(caller):
    for name in ("first", "second", "x" * 5000, ""):
        assert caller.infer(raw_request(name)).id == name
    endpoint = caller.running.server._engine.snapshot.latest["m"].endpoint("")
    assert len(endpoint.memo["gRPC ModelInfer"].heads) == 1


def raw_request(name="", outputs=()):
    request = message_class("inference.ModelInferRequest")(model_name="m", id=name)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    request.inputs.add(name="s", datatype="BYTES", shape=[1])
    for name in outputs:
        request.outputs.add(name=name)
    request.raw_input_contents.extend([np.zeros(3, np.float32).tobytes(), struct.pack("<I", 1) + b"a"])
    return request
