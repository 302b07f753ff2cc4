"""Fuzz the gRPC services: mutated requests of every method, and whatever bytes, through an exchange without sockets.

    python tools/fuzz_grpc.py --seconds 20        # fails on any finding
    python tools/fuzz_grpc.py --seconds 300 --seed 7

Every call must be answered, once: with a response that protobuf reads, or with a status that says what is wrong with
the request. What a template says of a request must be what protobuf reads of it. Anything else is a finding, which is
kept in `.fuzz/`.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from message_mutation import mutate_bytes, mutate_message

from mainstay.core import RequestError, Signature, TensorSpec, message_class
from mainstay.hostops import HostInput
from mainstay.serving.batching.executor import DeviceThread
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.predict_request import Templates, read_request
from mainstay.serving.grpc.services import grpc_services
from mainstay.serving.grpc.tensor_proto import decode_tensor, encode_tensor
from mainstay.serving.models.loading import make_servable
from mainstay.serving.models.snapshot import Snapshot
from mainstay.serving.models.sources import Source
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import Code

FINDINGS = Path(__file__).resolve().parent.parent / ".fuzz"

PREDICTION = "/tensorflow.serving.PredictionService"
_PATIENCE_SECONDS = 20
_GRACE_SECONDS = 90
_MOST_BYTES = 8 << 30


class FindingError(Exception):
    """A request that was not answered as it should be."""


class PlainSignature:
    """A signature in plain Python, which takes no time."""

    buckets = (1, 2, 4, 8)
    rows = True

    def __init__(
        self, inputs: list[TensorSpec], outputs: list[TensorSpec], body: Callable[..., Any], method: str = "predict"
    ) -> None:
        self.inputs = tuple(HostInput(spec, spec.name == "optional") for spec in inputs)
        self.signature = Signature(tuple(inputs), tuple(outputs))
        self.method = method
        self._body = body

    def warm_up(self, buckets: Any = None) -> None:
        """There is nothing to compile."""

    def run(self, columns: list[Any]) -> dict[str, Any]:
        """Return what the body makes of the columns."""
        found: dict[str, Any] = self._body(*(column.values for column in columns))
        return found


class PlainModel:
    """Signatures by name."""

    def __init__(self, **signatures: PlainSignature) -> None:
        self.signatures = signatures


class Exchange:
    """A call without a connection, which keeps its answer."""

    def __init__(self, path: str, message: bytes, received: float) -> None:
        self.path = path
        self.message = message
        self.headers: Mapping[bytes, bytes] = {}
        self.received = received
        self.deadline: float | None = None
        self.peer = self.identity = ""
        self.on_cancel: Callable[[], None] | None = None
        self.on_message: Callable[[bytes | None], None] | None = None
        self.sent: list[bytes] = []
        self.code: Code | None = None
        self.text = ""
        self.ended = asyncio.Event()

    def reply(self, *parts: bytes) -> None:
        """Keep a response."""
        self.sent.append(b"".join(parts))
        self.finish(Code.OK)

    def send(self, message: bytes) -> None:
        """Keep one message of an answer."""
        self.sent.append(message)

    def finish(self, code: Code, message: str = "", trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """Keep the status."""
        if self.code is not None:
            raise FindingError("a call was answered twice")
        self.code, self.text = code, message
        self.ended.set()


def models() -> dict[str, PlainModel]:
    """Return models whose signatures take tensors of many kinds, tf.Examples, and features."""

    def spec(name: str, dtype: str = "float32", *inner: int | None) -> TensorSpec:
        return TensorSpec([None, *inner], dtype, name)

    def classify(texts: Any) -> dict[str, Any]:
        return {"classes": np.full((len(texts), 2), "a", object), "scores": np.zeros((len(texts), 2), np.float32)}

    features = [spec("x", "float32", 2), spec("s", "string"), spec("optional", "int32")]
    return {
        "m": PlainModel(
            serving_default=PlainSignature(
                [spec("x", "float32", 3), spec("n", "int64")],
                [spec("y"), spec("s", "string")],
                lambda x, n: {"y": x.sum(1), "s": np.full(len(n), b"s", object)},
            ),
            words=PlainSignature([spec("s", "string", None)], [spec("t", "string", None)], lambda s: {"t": s}),
            halves=PlainSignature(
                [spec("h", "bfloat16")], [spec("h", "float16")], lambda h: {"h": h.astype("float16")}
            ),
            classify=PlainSignature(
                [spec("inputs", "string")], [spec("classes", "string", 2), spec("scores", "float32", 2)], classify
            ),
            regress=PlainSignature(
                features, [spec("v")], lambda x, s, n: {"v": (x.sum(1) + n).astype(np.float32)}, "regress"
            ),
        )
    }


def seeds() -> dict[str, list[Any]]:
    """Return requests that are right, by method."""
    predictions = []
    cases: list[tuple[str, dict[str, Any]]] = [
        ("", {"x": np.ones((2, 3), np.float32), "n": np.array([1, 2], np.int64)}),
        ("words", {"s": np.array([["a", "b"], ["c", ""]], object)}),
        ("halves", {"h": np.ones(3, "bfloat16")}),
    ]
    for content in (True, False):
        for signature, tensors in cases:
            request = message_class("tensorflow.serving.PredictRequest")()
            request.model_spec.name, request.model_spec.signature_name = "m", signature
            for name, array in tensors.items():
                request.inputs[name].ParseFromString(encode_tensor(array, content=content))
            predictions.append(request)
    predictions[0].output_filter.append("y")
    predictions[1].model_spec.version.value = 1
    found: dict[str, list[Any]] = {"Predict": predictions}
    example = message_class("tensorflow.Example")()
    example.features.feature["x"].float_list.value.extend([1.0, 2.0])
    example.features.feature["s"].bytes_list.value.append(b"a")
    example.features.feature["optional"].int64_list.value.append(3)
    for method, kind, signature in (("Classify", "Classification", "classify"), ("Regress", "Regression", "regress")):
        request = message_class(f"tensorflow.serving.{kind}Request")()
        request.model_spec.name, request.model_spec.signature_name = "m", signature
        request.input.example_list_with_context.examples.extend([example, example])
        request.input.example_list_with_context.context.CopyFrom(example)
        found[method] = [request]
    request = message_class("tensorflow.serving.MultiInferenceRequest")()
    for method in ("classify", "regress"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "m", method
    request.input.example_list.examples.append(example)
    found["MultiInference"] = [request]
    request = message_class("tensorflow.serving.GetModelMetadataRequest")(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    found["GetModelMetadata"] = [request]
    return found


RESPONSES = {
    "Predict": "PredictResponse",
    "Classify": "ClassificationResponse",
    "Regress": "RegressionResponse",
    "MultiInference": "MultiInferenceResponse",
    "GetModelMetadata": "GetModelMetadataResponse",
}


class Fuzzer:
    """The services of a few models, and requests to send them.

    Args:
        seed: Where chance begins.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loop = asyncio.new_event_loop()
        self._executor = DeviceThread(self.loop)
        engine = Engine(self.loop)
        servables = {}
        for name, model in models().items():
            source = Source(name, 1, model=model)
            options = ServerOptions()
            made = make_servable(source, model, options=options, executor=self._executor, loop=self.loop)
            servables[name] = {1: made}
        engine.snapshot = Snapshot(servables)
        self._engine = engine
        self._services = grpc_services(engine)
        self._templates = Templates()
        self._seeds = [(method, request) for method, requests in seeds().items() for request in requests]

    def close(self) -> None:
        """Give everything back."""
        self._executor.close(10)
        self.loop.close()

    def requests(self) -> Iterator[tuple[str, bytes]]:
        """Yield methods and mutated requests, without end."""
        while True:
            method, request = self.chance.choice(self._seeds)
            draw = self.chance.random()
            if draw < 0.1:
                yield method, request.SerializeToString()
            elif draw < 0.6:
                changes = self.chance.choice((1, 1, 2, 3))
                yield method, mutate_message(request, self.chance, changes=changes).SerializeToString()
            elif draw < 0.9:
                yield method, mutate_bytes(request.SerializeToString(), self.chance)
            else:
                yield method, self.chance.randbytes(self.chance.randrange(40))

    def try_one(self, method: str, message: bytes) -> None:
        """Send a request.

        Raises:
            FindingError: It is not answered as it should be.
        """
        if method == "Predict":
            self._compare(message)
        exchange = Exchange(f"{PREDICTION}/{method}", message, self._engine.time())

        async def run() -> None:
            self._services.handle(exchange)
            await asyncio.wait_for(exchange.ended.wait(), _PATIENCE_SECONDS)

        try:
            self.loop.run_until_complete(run())
        except TimeoutError as error:
            raise FindingError("a call was not answered") from error
        if exchange.code is Code.OK:
            message_class(f"tensorflow.serving.{RESPONSES[method]}").FromString(exchange.sent[0])
        elif exchange.code is Code.INTERNAL and not exchange.text.startswith("the request cannot be read as"):
            raise FindingError(f"an error that is no refusal: {exchange.text}")
        for versions in self._engine.snapshot.servables.values():
            if any(servable.users for servable in versions.values()):
                raise FindingError("a version is still held")

    def _compare(self, message: bytes) -> None:
        """Hold what templates say of a request against what protobuf reads."""
        template = self._templates.find(message)
        try:
            request, head = read_request(message)
        except DecodeError as error:
            if template is not None:
                raise FindingError("a template fits what protobuf refuses") from error
            return
        if template is None:
            self._templates.learn(message, request, head)
            return
        tensors = template.tensors(message)
        if template.head != head or set(tensors) != set(request.inputs):
            raise FindingError("a template has another head, or other inputs")
        for name, array in tensors.items():
            try:
                expected = decode_tensor(request.inputs[name], name)
            except RequestError as error:
                raise FindingError("a template takes a tensor that is refused") from error
            if (array.shape, array.dtype, array.tobytes()) != (expected.shape, expected.dtype, expected.tobytes()):
                raise FindingError(f"a template reads another tensor {name!r}")


def fuzz(seed: int, *, seconds: float | None = None, count: int | None = None) -> int:
    """Send mutated requests.

    Args:
        seed: Where chance begins.
        seconds: For how long.
        count: Or how many.

    Returns:
        How many were sent.

    Raises:
        FindingError: One was not answered as it should be; its last argument is the request.
    """
    fuzzer, sent = Fuzzer(seed), 0
    end = None if seconds is None else time.monotonic() + seconds
    try:
        for method, message in fuzzer.requests():
            if (end is not None and time.monotonic() >= end) or sent == count:
                break
            try:
                fuzzer.try_one(method, message)
            except Exception as error:
                raise FindingError(f"{method}: {type(error).__name__}: {error}", message) from error
            sent += 1
    finally:
        fuzzer.close()
    return sent


def main() -> None:
    """Fuzz for a while, and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    # A request that takes all memory or all time is a finding too: it ends here, and says where.
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    faulthandler.dump_traceback_later(given.seconds + _GRACE_SECONDS, exit=True)
    try:
        sent = fuzz(given.seed, seconds=given.seconds)
    except FindingError as error:
        FINDINGS.mkdir(exist_ok=True)
        (FINDINGS / "finding-grpc").write_bytes(error.args[-1])
        sys.exit(f"{error.args[0]}; the request is in {FINDINGS / 'finding-grpc'}")
    sys.stdout.write(f"{sent:,} requests, nothing found\n")


if __name__ == "__main__":
    main()
