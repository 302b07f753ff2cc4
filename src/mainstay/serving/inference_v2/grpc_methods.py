"""The service ``inference.GRPCInferenceService``: health, metadata and inference over gRPC."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from mainstay.core import NotFoundError, RequestError, message_class
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.interface import GrpcServices
from mainstay.serving.grpc.pending import PendingCall
from mainstay.serving.grpc.predict_request import Numbers, Template, Templates
from mainstay.serving.grpc.wire import LENGTH, MalformedError, field, head, walk
from mainstay.serving.inference_v2.infer import (
    InferRequest,
    RequestedOutput,
    apply_parameters,
    check_outputs,
    chosen,
    chunk_of,
    find,
    version_of,
)
from mainstay.serving.inference_v2.json_answers import model_metadata, server_metadata
from mainstay.serving.inference_v2.tensor_data import (
    DTYPES,
    as_bytes,
    checked_dtype,
    checked_shape,
    datatype_of,
    from_raw,
    to_raw,
)
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.status import Code, status_of

Array: TypeAlias = np.ndarray[Any, Any]

SERVICE = "/inference.GRPCInferenceService"

_ID, _RAW_INPUT, _RAW_OUTPUT = 3, 7, 6
_MOST_KNOWN = 512
_MEMO = "gRPC ModelInfer"
_NOT_READ: Any = None
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class _Head(NamedTuple):
    """What a request says besides the numbers of its tensors.

    Attributes:
        model: The model's name.
        version: The version that is asked for, as it is written.
        request: The rest, without tensors.
        raw: Whether its tensors come as raw bytes; the answer's do as they do.
    """

    model: str
    version: str
    request: InferRequest
    raw: bool


def register(services: GrpcServices) -> None:
    """Add the methods of the protocol to the gRPC services of a server."""
    engine, methods = services.engine, services.methods
    methods[f"{SERVICE}/ServerLive"] = _simple("ServerLive", lambda _: {"live": True})
    methods[f"{SERVICE}/ServerReady"] = _simple("ServerReady", lambda _: {"ready": engine.ready})
    methods[f"{SERVICE}/ServerMetadata"] = _simple("ServerMetadata", lambda _: server_metadata())
    for name in ("ServerLive", "ServerReady", "ServerMetadata"):
        services.admit(f"{SERVICE}/{name}", name)
    methods[f"{SERVICE}/ModelReady"] = ModelReadyMethod(engine)
    methods[f"{SERVICE}/ModelMetadata"] = ModelMetadataMethod(engine)
    methods[f"{SERVICE}/ModelInfer"] = ModelInferMethod(engine)


def _simple(name: str, answer: Callable[[Any], dict[str, Any]]) -> Callable[[GrpcExchange], None]:
    """Return a method that is answered at once."""

    def method(exchange: GrpcExchange) -> None:
        request = _read(exchange, f"inference.{name}Request")
        if request is None:
            return
        try:
            response = message_class(f"inference.{name}Response")(**answer(request))
        except Exception as error:
            exchange.finish(*status_of(error))
            return
        exchange.reply(response.SerializeToString())

    return method


def _read(exchange: GrpcExchange, name: str) -> Any:
    """Return the message of a call, or None where it is refused for being none."""
    try:
        return message_class(name).FromString(exchange.message)
    except DecodeError:
        exchange.finish(Code.INVALID_ARGUMENT, f"the request cannot be read as {name}")
        return None


class ModelReadyMethod:
    """Answers whether a model takes requests, to those who may know.

    Args:
        engine: What serves the models.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call."""
        request = _read(exchange, "inference.ModelReadyRequest")
        if request is None:
            return
        call = Call("V2", "ModelReady", request.name, received=exchange.received)
        pending = PendingCall(self._engine, exchange, call)
        try:
            pending.begin()
            call.version = version_of(request.version)
            ready = self._is_ready(call)
        except Exception as error:
            pending.refuse(error)
            return
        pending.answer((message_class("inference.ModelReadyResponse")(ready=ready).SerializeToString(),))

    def _is_ready(self, call: Call) -> bool:
        try:
            self._engine.snapshot.find(call.model, call.version)
        except NotFoundError:
            return False
        return True


class ModelMetadataMethod:
    """Answers what a model takes and gives.

    Args:
        engine: What serves the models.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call."""
        request = _read(exchange, "inference.ModelMetadataRequest")
        if request is None:
            return
        engine = self._engine
        call = Call("V2", "GetModelMetadata", request.name, received=exchange.received)
        pending = PendingCall(engine, exchange, call)
        try:
            pending.begin()
            call.version = version_of(request.version)
            servable = find(engine, call)
            versions = engine.snapshot.servables.get(servable.name, {servable.version: servable})
            described = model_metadata(servable, servable.endpoint(""), list(versions))
            response = message_class("inference.ModelMetadataResponse")(**described)
        except Exception as error:
            pending.refuse(error)
            return
        pending.answer((response.SerializeToString(),))


class ModelInferMethod:
    """Answers inferences. Where a message like it came before, only its raw numbers are looked at.

    Args:
        engine: What runs the models.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._templates = Templates(_find_numbers)

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call, now or later."""
        message, request = exchange.message, _NOT_READ
        template = self._templates.find(message)
        if template is None:
            request = _read(exchange, "inference.ModelInferRequest")
            if request is None:
                return
        model = request.model_name if template is None else template.head.model
        call = Call("V2", "Predict", model, received=exchange.received)
        pending = PendingCall(self._engine, exchange, call)
        try:
            pending.begin()
            said: _Head = _head_of(request) if template is None else template.head
            call.version = version_of(said.version)
            servable = find(self._engine, call)
            if said.request.parameters:
                apply_parameters(call, said.request.parameters)
            endpoint = servable.endpoint(said.request.signature)
            memo = endpoint.memo.get(_MEMO)
            if memo is None:
                memo = endpoint.memo[_MEMO] = _Memo()
            binding = None if template is None else memo.bindings.get(template)
            if binding is None or template is None:
                check_outputs(said.request.outputs, endpoint, model)
                inputs = _read_inputs(request) if template is None else template.tensors(message)
                chunk = chunk_of(inputs, endpoint, model)
                if template is None:
                    self._templates.learn(message, request, said)
                else:
                    memo.bind(template, endpoint, chunk)
            else:
                chunk = binding.chunk(message)
            pending.encode = partial(_write, said, servable, memo.heads)
            self._engine.submit(call, endpoint, chunk, pending.done)
        except Exception as error:
            pending.refuse(error)


class _Binding(NamedTuple):
    """What was worked out for the requests that fit one template.

    Attributes:
        reads: For each input of the signature where its numbers lie in the message.
        like: The rows of one of the requests; only their numbers change.
    """

    reads: tuple[Numbers, ...]
    like: Chunk

    def chunk(self, message: bytes) -> Chunk:
        """Return the rows of a message that fits."""
        parts = [np.frombuffer(message, dtype, count, at).reshape(axes) for _, dtype, axes, count, at, _ in self.reads]
        like = self.like
        return Chunk(like.rows, parts, False, like.shape, like.place, 0, like.whole)


class _Memo:
    """What was worked out for a signature: bindings by template, and the heads of answers by what they describe."""

    __slots__ = ("bindings", "heads")

    def __init__(self) -> None:
        self.bindings: dict[Template, _Binding] = {}
        self.heads: dict[Any, bytes] = {}

    def bind(self, template: Template, endpoint: Endpoint, chunk: Chunk) -> None:
        """Remember the rows of a request that fits a template, if every input of the signature is in it."""
        places = {item.name: item for item in template.inputs}
        if len(places) != len(endpoint.plans):
            return
        if len(self.bindings) >= _MOST_KNOWN:
            self.bindings.clear()
        # What the message held is not kept, but where it lay and what it looked like.
        like = Chunk(chunk.rows, (), False, chunk.shape, chunk.place, 0, chunk.whole)
        self.bindings[template] = _Binding(tuple(places[plan.name] for plan in endpoint.plans), like)


def _head_of(message: Any) -> _Head:
    outputs = tuple(_requested(item) for item in message.outputs)
    request = InferRequest({}, outputs, _parameters(message.parameters), message.id)
    return _Head(message.model_name, message.model_version, request, bool(message.raw_input_contents))


def _parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in values.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(value, choice)
    return found


def _requested(item: Any) -> RequestedOutput:
    parameters = _parameters(item.parameters)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise RequestError("the parameter classification is out of range", where="$.outputs", expected="0 or more")
    if "shared_memory_region" in parameters:
        raise RequestError("shared memory is not served", where="$.outputs", fix="take the tensor from the answer")
    return RequestedOutput(item.name, None, classes)


def _read_inputs(message: Any) -> dict[str, Array]:
    """Return the tensors of a request by name."""
    raw, items = message.raw_input_contents, message.inputs
    if raw and len(raw) != len(items):
        raise RequestError(
            f"expected {len(items)} raw_input_contents, one for each input, but got {len(raw)}",
            where="$.raw_input_contents",
        )
    inputs: dict[str, Array] = {}
    for index, item in enumerate(items):
        name, shape = item.name, checked_shape(list(item.shape), item.name)
        dtype = checked_dtype(item.datatype, name)
        if name in inputs:
            raise RequestError(f"input '{name}' comes twice", where=f"$.inputs[{index}]")
        if "shared_memory_region" in item.parameters:
            raise RequestError("shared memory is not served", where="$.inputs", fix="send the tensor in the request")
        if raw and item.HasField("contents") and item.contents.ByteSize():
            raise RequestError(
                "contents field must not be specified when using raw_input_contents for infer input "
                f"'{name}' for model '{message.model_name}'",
                where=f"$.inputs[{index}]",
            )
        inputs[name] = from_raw(raw[index], dtype, shape, name) if raw else _from_contents(item, dtype, shape)
    return inputs


def _from_contents(item: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    kind = _CONTENTS.get(item.datatype)
    if kind is None:
        raise RequestError(f"input '{item.name}' of {item.datatype} comes in raw_input_contents only", where="$.inputs")
    values, count = getattr(item.contents, kind), math.prod(shape)
    filled = [known.name for known, _ in item.contents.ListFields()]
    if len(values) != count or filled not in ([kind], []):
        raise RequestError(
            f"unexpected number of elements {len(values)} for input '{item.name}', expecting {count}",
            where=f"$.inputs.{item.name}.contents.{kind}",
        )
    if dtype.kind == "O":
        strings = np.empty(count, object)
        strings[:] = list(values)
        return strings.reshape(shape)
    wide = np.array(values, np.int64 if dtype.kind in "iu" and dtype.itemsize < 8 else dtype)
    narrow = wide.astype(dtype)
    if dtype.kind in "iu" and not (narrow == wide).all():
        raise RequestError(f"a number of input '{item.name}' is no {item.datatype}", where="$.inputs")
    return narrow.reshape(shape)


def _find_numbers(message: bytes, items: Sequence[Any]) -> tuple[Numbers, ...] | None:
    """Return where the raw numbers of a request lie, in the order of its inputs; None where they are not all there."""
    try:
        places = [item for item in walk(message, 0, len(message)) if item.number == _RAW_INPUT]
    except MalformedError:
        return None
    if len(places) != len(items) or not places or any(item.kind != LENGTH for item in places):
        return None
    found = []
    for item, place in zip(items, places, strict=True):
        dtype, shape, size = DTYPES[item.datatype], tuple(item.shape), place.stop - place.start
        if dtype.kind in "Ob" or not size or math.prod(shape) * dtype.itemsize != size:
            return None
        found.append(Numbers(item.name, dtype, shape, math.prod(shape), place.start, place.stop))
    return tuple(found)


def _write(said: _Head, servable: Servable, memo: dict[Any, bytes], result: Outputs) -> Sequence[bytes]:
    """Return the response in parts: all but the raw bytes, which is the same for answers alike, then those."""
    outputs = chosen(result, said.request.outputs)
    if not said.raw and all(datatype_of(array) in _CONTENTS for _, array in outputs):
        message = _message(outputs, servable, contents=True)
        message.id = said.request.name
        return (message.SerializeToString(),)
    key = tuple((item, array.dtype, array.shape) for item, array in outputs)
    known = memo.get(key)
    if known is None:
        known = _message(outputs, servable, contents=False).SerializeToString()
        if len(memo) >= _MOST_KNOWN:
            memo.clear()
        memo[key] = known
    # The id is the client's own, and stands apart from what answers have in common.
    parts = [known, field(_ID, said.request.name.encode())] if said.request.name else [known]
    for _, array in outputs:
        data = to_raw(array)
        parts += (head(_RAW_OUTPUT, len(data)), data)
    return parts


def _message(outputs: Sequence[tuple[RequestedOutput, Array]], servable: Servable, *, contents: bool) -> Any:
    message = message_class("inference.ModelInferResponse")(
        model_name=servable.name, model_version=str(servable.version)
    )
    for item, array in outputs:
        datatype = datatype_of(array)
        tensor = message.outputs.add(name=item.name, datatype=datatype, shape=array.shape)
        if contents:
            values = array.reshape(-1).tolist()
            getattr(tensor.contents, _CONTENTS[datatype]).extend(
                map(as_bytes, values) if datatype == "BYTES" else values
            )
    return message
