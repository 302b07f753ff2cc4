"""`PredictRequest` and `PredictResponse` over HTTP: what gRPC clients send, without gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.calls import Call
from mainstay.serving.grpc.predict_request import Head, read_request
from mainstay.serving.grpc.predict_response import ResponseWriter, filtered, model_spec
from mainstay.serving.grpc.tensor_proto import decode_tensor
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.tensors import check_names

Array: TypeAlias = np.ndarray[Any, Any]


def read_message(body: bytes, call: Call) -> tuple[Mapping[str, Any], Head]:
    """Return the tensors of a request by name, as ``TensorProto``, and what else it says.

    Args:
        body: The bytes of a ``tensorflow.serving.PredictRequest``.
        call: What the path asks for; where the message says it too, it has to be the same.

    Raises:
        RequestError: It is no such message, or it is for another model than the path.
    """
    from google.protobuf.message import DecodeError

    try:
        request, head = read_request(body)
    except DecodeError as error:
        raise RequestError(
            "the body is no tensorflow.serving.PredictRequest", where="$", expected="the bytes of one message"
        ) from error
    asked = {
        "name": (head.model, call.model),
        "version": (head.version, call.version),
        "label": (head.label, call.label),
    }
    for field, (said, path) in asked.items():
        if said and said != path:
            raise RequestError(
                "the message is for another model than the path",
                where=f"$.model_spec.{field}",
                expected=f"{path}, as in the path, or nothing" if path else "nothing, as in the path",
                received=said,
            )
    return request.inputs, head


def read_tensors(protos: Mapping[str, Any], endpoint: Endpoint) -> dict[str, Array]:
    """Return the tensors of a request as arrays.

    Args:
        protos: The tensors by name, as ``TensorProto``.
        endpoint: The signature that they are for; what it does not take is refused before it is read, since a few
            bytes may stand for a large tensor.

    Raises:
        RequestError: One is missing, unknown or malformed.
    """
    check_names(endpoint, protos)
    return {plan.name: decode_tensor(protos[plan.name], plan.name) for plan in endpoint.plans if plan.name in protos}


def write_message(
    arrays: Mapping[str, Array], servable: Servable, endpoint: Endpoint, outputs: tuple[str, ...] = ()
) -> bytes:
    """Return the bytes of a ``tensorflow.serving.PredictResponse``.

    Args:
        arrays: The outputs by name.
        servable: The version that answered.
        endpoint: The signature that answered.
        outputs: The outputs that were asked for; empty for all.
    """
    key = (write_message, outputs)
    writer = endpoint.memo.get(key)
    if writer is None:
        spec = model_spec(servable.name, servable.version, endpoint.name)
        writer = ResponseWriter(spec, filtered(endpoint.signature, outputs), content=False)
        if not outputs:
            endpoint.memo[key] = writer
    return b"".join(writer.write(arrays))
