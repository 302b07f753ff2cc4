"""The methods whose requests are tf.Examples: Classify, Regress and MultiInference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from mainstay.core import RequestError, UnsupportedError, message_class
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.examples import (
    CLASSIFY_METHOD,
    REGRESS_METHOD,
    classify_results,
    example_chunk,
    find_classes,
    find_values,
    regress_results,
    with_context,
)
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.pending import PendingCall
from mainstay.serving.grpc.predict import refuse_message, route
from mainstay.serving.grpc.predict_request import Head, head_of
from mainstay.serving.grpc.predict_response import model_spec
from mainstay.serving.grpc.tensor_proto import as_bytes
from mainstay.serving.grpc.wire import field
from mainstay.serving.models.snapshot import DEFAULT_SIGNATURE, Endpoint, Servable
from mainstay.serving.rest.methods import check_method

_FIND: dict[str, Callable[[Endpoint], object]] = {CLASSIFY_METHOD: find_classes, REGRESS_METHOD: find_values}
_NAMES = {CLASSIFY_METHOD: "ClassificationRequest", REGRESS_METHOD: "RegressionRequest"}
_RESULT_FIELDS = {CLASSIFY_METHOD: 2, REGRESS_METHOD: 3}
"""The fields of `InferenceResult`."""


class ExampleMethod:
    """Answers calls of Classify or of Regress.

    Args:
        engine: What runs them.
        method: `CLASSIFY_METHOD` or `REGRESS_METHOD`.
        check_method_names: Whether only signatures answer whose `method_name` it is.
    """

    def __init__(self, engine: Engine, method: str, *, check_method_names: bool = False) -> None:
        self._engine = engine
        self._method = method
        self._find = _finder(method, check_method_names=check_method_names)
        self._name = method.rpartition("/")[2].capitalize()

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call, now or later."""
        try:
            request = message_class("mainstay.serving.ExampleRequest").FromString(exchange.message)
        except DecodeError:
            refuse_message(exchange, f"tensorflow.serving.{_NAMES[self._method]}")
            return
        engine, method = self._engine, self._method
        head = head_of(request.model_spec, request.HasField("model_spec"))
        call = Call("gRPC", self._name, head.model, head.version, head.label, received=exchange.received)
        pending = PendingCall(engine, exchange, call)
        try:
            pending.begin()
            servable = route(engine, call, head)
            endpoint = _endpoint(servable, head.signature, "No signature was found with the name: ")
            self._find(endpoint)
            spec = field(2, model_spec(servable.name, servable.version, endpoint.name))
            pending.encode = lambda outputs: (field(1, result_bytes(method, outputs, endpoint)), spec)
            engine.submit(call, endpoint, example_chunk(endpoint, examples_of(request.input)), pending.done)
        except Exception as error:
            pending.refuse(error)


class MultiInferenceMethod:
    """Answers calls of MultiInference: several signatures of one model, asked about the same examples.

    Args:
        engine: What runs them.
        check_method_names: Whether only signatures answer whose `method_name` is that of their task.
    """

    def __init__(self, engine: Engine, *, check_method_names: bool = False) -> None:
        self._engine = engine
        self._find = {method: _finder(method, check_method_names=check_method_names) for method in _FIND}

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call, now or later."""
        try:
            request = message_class("mainstay.serving.ExampleTasks").FromString(exchange.message)
        except DecodeError:
            refuse_message(exchange, "tensorflow.serving.MultiInferenceRequest")
            return
        engine = self._engine
        heads = [head_of(task.model_spec, task.HasField("model_spec")) for task in request.tasks]
        first = heads[0] if heads else Head("", None, None, "")
        call = Call("gRPC", "MultiInference", first.model, first.version, first.label, received=exchange.received)
        pending = PendingCall(engine, exchange, call)
        try:
            pending.begin()
            servable = route(engine, call, first._replace(is_complete=True))
            tasks = self._tasks(servable, heads, [task.method_name for task in request.tasks])
            gathering = _Gathering(pending, servable, tasks)
            serialized = examples_of(request.input)
            chunks = [example_chunk(endpoint, serialized) for _, endpoint in tasks]
            for index, chunk in enumerate(chunks):
                engine.submit(call, tasks[index][1], chunk, gathering.taker(index))
        except Exception as error:
            for ticket in call.tickets:
                ticket.cancel()
            pending.refuse(error)

    def _tasks(self, servable: Servable, heads: Sequence[Head], methods: Sequence[str]) -> list[tuple[str, Endpoint]]:
        """Return for each task what is asked and the signature that answers.

        Raises:
            RequestError: The tasks are for several models, ask for one signature twice, or for one that is not there.
            UnsupportedError: A task is neither to classify nor to regress.
        """
        found: list[tuple[str, Endpoint]] = []
        seen = set()
        for head, method in zip(heads, methods, strict=True):
            if not head.model:
                raise RequestError("Found ModelSpec with an empty model name.")
            if head.model != heads[0].model:
                raise RequestError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
            name = head.signature or DEFAULT_SIGNATURE
            if name in seen:
                raise RequestError(f"Duplicate evaluation of signature: {name}")
            seen.add(name)
            endpoint = _endpoint(servable, head.signature, "Requested signature not found in model graph: ")
            find = self._find.get(method)
            if find is None:
                raise UnsupportedError(f"Unsupported signature method_name: {method}")
            find(endpoint)
            found.append((method, endpoint))
        return found


class _Gathering:
    """The results of several signatures, until all of them are there."""

    def __init__(self, pending: PendingCall, servable: Servable, tasks: Sequence[tuple[str, Endpoint]]) -> None:
        self._pending = pending
        self._servable = servable
        self._tasks = tasks
        self._results: list[bytes] = [b""] * len(tasks)
        self._missing = len(tasks)

    def taker(self, index: int) -> Callable[[Outputs | Exception], None]:
        """Return what takes the result of one task."""
        return lambda result: self._take(index, result)

    def _take(self, index: int, result: Outputs | Exception) -> None:
        pending = self._pending
        method, endpoint = self._tasks[index]
        try:
            if isinstance(result, Exception):
                raise result
            spec = model_spec(self._servable.name, self._servable.version, endpoint.name)
            found = field(_RESULT_FIELDS[method], result_bytes(method, result, endpoint))
        except Exception as error:
            for ticket in pending.call.tickets:
                ticket.cancel()
            pending.refuse(error)
            return
        self._results[index] = field(1, field(1, spec) + found)
        self._missing -= 1
        if not self._missing:
            pending.answer(self._results, result)


def _finder(method: str, *, check_method_names: bool) -> Callable[[Endpoint], object]:
    """Return what refuses a signature that is not one for a method."""
    find, action = _FIND[method], method.rpartition("/")[2]

    def checked(endpoint: Endpoint) -> object:
        check_method(endpoint, action)
        return find(endpoint)

    return checked if check_method_names else find


def _endpoint(servable: Servable, signature: str, refusal: str) -> Endpoint:
    found = servable.endpoints.get(signature) if signature else servable.default_endpoint
    if found is None:
        raise RequestError(f"{refusal}{signature or DEFAULT_SIGNATURE}")
    return found


def examples_of(given: Any) -> list[bytes]:
    """Return the examples of a ``SerializedInput``, each with the features of the context."""
    kind = given.WhichOneof("kind")
    if kind == "example_list_with_context":
        return with_context(given.example_list_with_context.context, given.example_list_with_context.examples)
    return list(given.example_list.examples)


def result_bytes(method: str, outputs: Outputs, endpoint: Endpoint) -> bytes:
    """Return outputs as the bytes of a ``ClassificationResult`` or a ``RegressionResult``.

    Raises:
        RequestError: The outputs are not what the method gives.
    """
    if method == REGRESS_METHOD:
        result = message_class("tensorflow.serving.RegressionResult")()
        for value in regress_results(outputs.arrays, endpoint).tolist():
            result.regressions.add(value=value)
    else:
        result = message_class("tensorflow.serving.ClassificationResult")()
        classes, scores = classify_results(outputs.arrays, endpoint)
        shown = classes if classes is not None else scores
        rows, width = shown.shape if shown is not None else (0, 0)
        for row in range(rows):
            listed = result.classifications.add().classes
            labels = [""] * width if classes is None else [_text(value) for value in classes[row].tolist()]
            values = [0.0] * width if scores is None else scores[row].tolist()
            for label, score in zip(labels, values, strict=True):
                listed.add(label=label, score=score)
    encoded: bytes = result.SerializeToString()
    return encoded


def _text(value: bytes | str) -> str:
    return as_bytes(value).decode("utf-8", "replace")
