"""The method Predict: named tensors in, named tensors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from mainstay.core import PreconditionError, RequestError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.pending import PendingCall
from mainstay.serving.grpc.predict_request import Head, Template, Templates, read_request
from mainstay.serving.grpc.predict_response import ResponseWriter, filtered, model_spec
from mainstay.serving.grpc.tensor_proto import DTYPES, data_type_name, decode_tensor
from mainstay.serving.models.snapshot import DEFAULT_SIGNATURE, Endpoint, Servable
from mainstay.serving.rest.methods import check_method
from mainstay.serving.status import Code
from mainstay.serving.tensors import check_names, tensor_chunk, wrong_dtype
from mainstay.serving.traffic.config import DEFAULT_STICKY

_MEMO = "gRPC Predict"
_CLIENT_HEADER = DEFAULT_STICKY.encode()
_MOST_KNOWN = 1024


class _Binding(NamedTuple):
    """What was worked out for requests that fit one template, and the signature that answers them.

    Attributes:
        reads: For each input of the signature the dtype, number, place and shape of its numbers in the message.
        rows: How many rows they have.
        shape: The inner shapes that the signature leaves open.
        place: Gives the path of a value in the request.
        whole: Whether the tensors run just as they are.
        encode: Writes the response.
    """

    reads: tuple[tuple[np.dtype[Any], int, int, tuple[int, ...]], ...]
    rows: int
    shape: tuple[tuple[int, ...], ...]
    place: Callable[[str, int], str]
    whole: bool
    encode: Callable[[Outputs], tuple[bytes, ...]]


class _Memo:
    """What Predict has worked out for a signature: bindings by template, and writers by the outputs asked for."""

    __slots__ = ("bindings", "writers")

    def __init__(self) -> None:
        self.bindings: dict[Template, _Binding] = {}
        self.writers: dict[tuple[str, ...], Callable[[Outputs], tuple[bytes, ...]]] = {}


class PredictMethod:
    """Answers calls of Predict.

    Args:
        engine: What runs them.
        content: Whether numbers of responses go into ``tensor_content`` instead of the field of their dtype.
        check_method_names: Whether only signatures with a `method_name` of TF Serving's answer.
    """

    def __init__(self, engine: Engine, *, content: bool = False, check_method_names: bool = False) -> None:
        self._engine = engine
        self._content = content
        self._check_method_names = check_method_names
        self._templates = Templates()

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call, now or later."""
        message = exchange.message
        request: Any = None
        template = self._templates.find(message)
        if template is None:
            try:
                request, head = read_request(message)
            except DecodeError:
                refuse_message(exchange, "tensorflow.serving.PredictRequest")
                return
        else:
            head = template.head
        engine = self._engine
        call = Call("gRPC", "Predict", head.model, head.version, head.label, received=exchange.received)
        pending = PendingCall(engine, exchange, call)
        if head.client:
            call.headers = {_CLIENT_HEADER: head.client, **call.headers}
        try:
            pending.begin()
            servable = route(engine, call, head)
            endpoint = find_endpoint(servable, head.signature)
            if self._check_method_names:
                check_method(endpoint, "predict")
            memo = endpoint.memo.get(_MEMO)
            if memo is None:
                memo = endpoint.memo[_MEMO] = _Memo()
            if template is not None:
                chunk = self._bound(template, endpoint, servable, memo, pending)
            else:
                pending.encode = self._writer(head, endpoint, servable, memo)
                chunk = self._chunk(request.inputs, endpoint)
                self._templates.learn(message, request, head)
            engine.submit(call, endpoint, chunk, pending.done)
        except Exception as error:
            pending.refuse(error)

    def _bound(
        self, template: Template, endpoint: Endpoint, servable: Servable, memo: _Memo, pending: PendingCall
    ) -> Chunk:
        """Return the rows of a request that fits a template."""
        message = pending.exchange.message
        binding = memo.bindings.get(template)
        if binding is None:
            pending.encode = encode = self._writer(template.head, endpoint, servable, memo)
            tensors = template.tensors(message)
            chunk = tensor_chunk(endpoint, tensors)
            if len(tensors) == len(endpoint.plans):
                if len(memo.bindings) >= _MOST_KNOWN:
                    memo.bindings.clear()
                places = {item.name: (item.dtype, item.size, item.start, item.shape) for item in template.inputs}
                reads = tuple(places[plan.name] for plan in endpoint.plans)
                memo.bindings[template] = _Binding(reads, chunk.rows, chunk.shape, chunk.place, chunk.whole, encode)
            return chunk
        reads, rows, shape, place, whole, pending.encode = binding
        parts = [np.frombuffer(message, dtype, size, start).reshape(axes) for dtype, size, start, axes in reads]
        return Chunk(rows, parts, False, shape, place, 0, whole)

    def _chunk(self, inputs: Any, endpoint: Endpoint) -> Chunk:
        """Return the rows of a request that was read in full."""
        check_names(endpoint, inputs)
        tensors = {}
        for slot, plan in enumerate(endpoint.plans):
            if plan.name not in inputs:
                continue
            proto = inputs[plan.name]
            if proto.dtype and proto.dtype not in DTYPES:
                raise wrong_dtype(plan, data_type_name(proto.dtype), slot=slot)
            tensors[plan.name] = decode_tensor(proto, plan.name)
        return tensor_chunk(endpoint, tensors)

    def _writer(
        self, head: Head, endpoint: Endpoint, servable: Servable, memo: _Memo
    ) -> Callable[[Outputs], tuple[bytes, ...]]:
        """Return what writes responses with the outputs that are asked for."""
        found = memo.writers.get(head.outputs)
        if found is None:
            names = filtered(endpoint.signature, head.outputs)
            spec = model_spec(servable.name, servable.version, endpoint.name)
            writer = ResponseWriter(spec, names, content=self._content)

            def found(outputs: Outputs) -> tuple[bytes, ...]:
                return writer.write(outputs.arrays)

            if len(memo.writers) >= _MOST_KNOWN:
                memo.writers.clear()
            memo.writers[head.outputs] = found
        return found


def route(engine: Engine, call: Call, head: Head) -> Servable:
    """Return the version that answers a call.

    Raises:
        RequestError: The request does not say which model it is for, or the model has no such label.
        NotFoundError: There is no such model or version.
    """
    if not head.is_complete:
        raise RequestError("Missing ModelSpec")
    if not head.model:
        raise RequestError("ModelSpec has no name specified.")
    return engine.route(call)


def find_endpoint(servable: Servable, signature: str) -> Endpoint:
    """Return a signature; an empty name means the default one, as does the only one there is.

    Raises:
        PreconditionError: There is none of that name.
    """
    found = servable.endpoints.get(signature) if signature else servable.default_endpoint
    if found is None:
        raise PreconditionError(f'Serving signature key "{signature or DEFAULT_SIGNATURE}" not found.')
    return found


def refuse_message(exchange: GrpcExchange, name: str) -> None:
    """Refuse a call whose message cannot be read, as gRPC servers do."""
    exchange.finish(Code.INTERNAL, f"the request cannot be read as {name}")
