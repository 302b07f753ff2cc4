"""The method GetModelMetadata: the signatures of a model, as `SignatureDef`."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from mainstay.core import RequestError, message_class
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.pending import PendingCall
from mainstay.serving.grpc.predict import refuse_message, route
from mainstay.serving.grpc.predict_request import head_of
from mainstay.serving.models.snapshot import Servable
from mainstay.serving.signature_defs import definition_of

SIGNATURE_DEF = "signature_def"
"""The only field that may be asked for."""


class MetadataMethod:
    """Answers calls of GetModelMetadata.

    Args:
        engine: What knows the models.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, exchange: GrpcExchange) -> None:
        """Answer one call."""
        try:
            request = message_class("tensorflow.serving.GetModelMetadataRequest").FromString(exchange.message)
        except DecodeError:
            refuse_message(exchange, "tensorflow.serving.GetModelMetadataRequest")
            return
        engine = self._engine
        head = head_of(request.model_spec, request.HasField("model_spec"))
        call = Call("gRPC", "GetModelMetadata", head.model, head.version, head.label, received=exchange.received)
        pending = PendingCall(engine, exchange, call)
        try:
            pending.begin()
            if head.is_complete:
                _check_fields(request.metadata_field)
            servable = route(engine, call, head)
            response = message_class("tensorflow.serving.GetModelMetadataResponse")()
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
            response.metadata[SIGNATURE_DEF].Pack(signature_map(servable))
            pending.answer([response.SerializeToString()])
        except Exception as error:
            pending.refuse(error)


def signature_map(servable: Servable) -> Any:
    """Return the signatures of a model as a ``SignatureDefMap``."""
    found = message_class("tensorflow.serving.SignatureDefMap")()
    for name, endpoint in servable.endpoints.items():
        found.signature_def[name].CopyFrom(definition_of(endpoint))
    return found


def _check_fields(fields: Any) -> None:
    if not fields:
        raise RequestError("GetModelMetadataRequest must specify at least one metadata_field")
    for name in fields:
        if name != SIGNATURE_DEF:
            raise RequestError(f"Metadata field {name} is not supported")
