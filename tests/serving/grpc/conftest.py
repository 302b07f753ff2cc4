"""The gRPC services over an exchange that is no connection, with models without a compiler."""

import asyncio

import numpy as np
import pytest

from mainstay.core import Signature, TensorSpec, message_class
from mainstay.hostops import HostInput
from mainstay.serving.batching.executor import DeviceThread
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.services import grpc_services
from mainstay.serving.models.loading import make_servable
from mainstay.serving.models.snapshot import Snapshot
from mainstay.serving.models.sources import Source
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import Code

PREDICT = "/tensorflow.serving.PredictionService/Predict"


class FakeExchange:
    """A call as the transport hands it over; it keeps what is answered."""

    def __init__(self, path, message=b"", *, received=0.0, deadline=None, headers=None):
        self.path = path
        self.message = message
        self.headers = headers or {}
        self.received = received
        self.deadline = deadline
        self.peer = "10.0.0.1:5"
        self.identity = ""
        self.on_cancel = None
        self.on_message = None
        self.sent = []
        self.code = None
        self.text = ""
        self.ended = asyncio.Event()

    def reply(self, *parts):
        assert self.code is None, "a call is answered once"
        self.sent.append(b"".join(parts))
        self.code = Code.OK
        self.ended.set()

    def send(self, message):
        self.sent.append(message)

    def finish(self, code, message="", trailers=()):
        assert self.code is None, "a call is answered once"
        self.code, self.text, self.trailers = code, message, trailers
        self.ended.set()


class Watcher:
    """An observer that keeps calls."""

    def __init__(self):
        self.begun_calls = []
        self.ended_calls = []

    def begun(self, call):
        self.begun_calls.append(call)

    def ended(self, call):
        self.ended_calls.append(call)


class FakeSignature:
    """A signature that does what `body` says with its columns."""

    buckets = (1, 2, 4, 8, 16, 32)

    def __init__(self, inputs, outputs, body, *, method="predict", rows=True):
        self.inputs = tuple(HostInput(spec, spec.name.startswith("optional")) for spec in inputs)
        self.signature = Signature(tuple(inputs), tuple(outputs))
        self.body = body
        self.method = method
        self.rows = rows
        self.batches = []

    def warm_up(self, buckets=None):
        pass

    def example(self, rows):
        raise RuntimeError("there is none")

    def run(self, columns):
        self.batches.append(len(columns[0]))
        return self.body(*(column.values for column in columns))

    def run_whole(self, tensors):
        self.batches.append("whole")
        return self.body(*tensors)


class FakeModel:
    def __init__(self, **signatures):
        self.signatures = signatures


class Services:
    """The services of an engine with models, seen from a caller that waits."""

    def __init__(self, models, labels=None, **how):
        self.loop = asyncio.new_event_loop()
        self.engine = Engine(self.loop)
        self.executor = DeviceThread(self.loop)
        options = ServerOptions()
        servables = {}
        for name, versions in models.items():
            for version, model in versions.items():
                source = Source(name, version, model=model)
                made = make_servable(source, model, options=options, executor=self.executor, loop=self.loop)
                servables.setdefault(name, {})[version] = made
        self.engine.snapshot = Snapshot(servables, labels=labels or {})
        self.watcher = Watcher()
        self.engine.observers = (self.watcher,)
        self.services = grpc_services(self.engine, **how)

    def exchange(self, path, message=b"", **how):
        how.setdefault("received", self.loop.time())
        return FakeExchange(path, message if isinstance(message, bytes) else message.SerializeToString(), **how)

    def call(self, path, message=b"", **how):
        """Return the exchange of a call that has been answered."""
        return self.calls([(path, message, how)])[0]

    def calls(self, given):
        """Return the exchanges of calls that come together."""

        async def run():
            exchanges = [self.exchange(path, message, **how) for path, message, how in given]
            for exchange in exchanges:
                self.services.handle(exchange)
            await asyncio.wait_for(asyncio.gather(*(exchange.ended.wait() for exchange in exchanges)), 20)
            return exchanges

        return self.loop.run_until_complete(run())

    def predict(self, request, **how):
        """Return the response of a prediction that succeeds."""
        exchange = self.call(PREDICT, request, **how)
        assert exchange.code is Code.OK, exchange.text
        return message_class("tensorflow.serving.PredictResponse").FromString(exchange.sent[0])

    def close(self):
        self.executor.close(10)
        self.loop.close()


@pytest.fixture
def serve():
    """Makes services: `serve({"m": {1: model}})`."""
    made = []

    def make(models, **how):
        made.append(Services(models, **how))
        return made[-1]

    yield make
    for services in made:
        services.close()


@pytest.fixture
def fakes():
    """The building blocks of tests, as one namespace."""

    class Fakes:
        Signature = FakeSignature
        Model = FakeModel
        Exchange = FakeExchange
        spec = staticmethod(lambda name, dtype="float32", *inner: TensorSpec([None, *inner], dtype, name))

    return Fakes


def doubled(x):
    return {"y": np.asarray(x * np.float32(2), np.float32)}


@pytest.fixture
def double(serve, fakes):
    """Services of one model `m`, version 7, that doubles `x`, `[rows, 3]`."""
    signature = fakes.Signature([fakes.spec("x", "float32", 3)], [fakes.spec("y", "float32", 3)], doubled)
    return serve({"m": {7: fakes.Model(serving_default=signature)}})


@pytest.fixture
def ask():
    """Makes Predict requests: `ask("m", x=array, signature="s", version=1, label="l", outputs=["y"], content=True)`."""

    def make(model, *, signature="", version=None, label=None, outputs=(), content=True, **inputs):
        request = message_class("tensorflow.serving.PredictRequest")(output_filter=outputs)
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for name, array in inputs.items():
            fill(request.inputs[name], np.asarray(array), content=content)
        return request

    return make


DATA_TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bool": 10, "object": 7}
FIELDS = {1: "float_val", 2: "double_val", 3: "int_val", 9: "int64_val", 10: "bool_val", 7: "string_val"}


def fill(proto, array, *, content):
    """Write an array into a `TensorProto` as TensorFlow's clients do, by nothing of the code that is tested."""
    if array.dtype.kind in "SU":
        array = np.array([str(v).encode() for v in array.reshape(-1).tolist()], object).reshape(array.shape)
    proto.dtype = DATA_TYPES[array.dtype.name]
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if content and array.dtype.kind != "O":
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, FIELDS[proto.dtype]).extend(array.reshape(-1).tolist())
