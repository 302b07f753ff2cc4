"""TF Serving's two protocols as a client speaks them: what is asked becomes a request, and its answer arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

import numpy as np
import orjson

from mainstay.core import MainstayError, ServerError, Signature, message_class
from mainstay.serving.client.arrays import (
    Array,
    answer_arrays,
    fill_example,
    json_feature,
    output_array,
    request_json,
    signature_of,
)
from mainstay.serving.client.grpc_transport import GrpcTransport
from mainstay.serving.client.rest_transport import HttpAnswer, RestTransport
from mainstay.serving.client.retries import TryAgainError
from mainstay.serving.grpc.tensor_proto import decode_tensor, encode_tensor
from mainstay.serving.models.snapshot import State
from mainstay.serving.status import Code, error_of

Example: TypeAlias = Mapping[str, Any]
Classes: TypeAlias = list[list[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is for.

    Args:
        model: The model's name.
        version: The version, or None.
        label: The version's label, or None.
        signature: The signature's name; empty for the default one.
        headers: Headers, or metadata in gRPC, by lower-case name.
    """

    model: str
    version: int | None = None
    label: str | None = None
    signature: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """The path of the version in the REST interface."""
        path = f"/v1/models/{quote(self.model, safe='')}"
        if self.version is not None:
            return f"{path}/versions/{self.version}"
        return path if self.label is None else f"{path}/labels/{quote(self.label, safe='')}"


class ServingProtocol(Protocol):
    """A protocol of a server; each method raises what the server or the way to it said."""

    def predict(
        self, target: Target, arrays: Mapping[str, Array], signature: Signature, seconds: float
    ) -> dict[str, Array]:
        """Return the outputs for some inputs."""

    def classify(self, target: Target, examples: Sequence[Example], seconds: float) -> Classes:
        """Return labels and scores of each example."""

    def regress(self, target: Target, examples: Sequence[Example], seconds: float) -> list[float]:
        """Return a value of each example."""

    def signatures(self, target: Target, seconds: float) -> dict[str, Signature]:
        """Return the signatures of a version."""

    def states(self, target: Target, seconds: float) -> dict[int, str]:
        """Return where each version stands."""

    def close(self) -> None:
        """Close what is kept open."""


_HTTP_CODES = {
    code.http: code
    for code in (
        *(Code.UNKNOWN, Code.INTERNAL, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.UNAUTHENTICATED),
        *(Code.PERMISSION_DENIED, Code.RESOURCE_EXHAUSTED, Code.UNIMPLEMENTED, Code.UNAVAILABLE),
        Code.DEADLINE_EXCEEDED,
    )
}


class RestProtocol:
    """TF Serving's REST interface."""

    def __init__(self, transport: RestTransport) -> None:
        self._transport = transport

    def predict(
        self, target: Target, arrays: Mapping[str, Array], signature: Signature, seconds: float
    ) -> dict[str, Array]:
        """Return the outputs for some inputs."""
        path = target.path
        document = self._ask("POST", f"{path}:predict", request_json(arrays, target.signature), target, seconds)
        return answer_arrays(document, signature, path)

    def classify(self, target: Target, examples: Sequence[Example], seconds: float) -> Classes:
        """Return labels and scores of each example."""
        results = self._results("classify", target, examples, seconds)
        return [[(str(label), float(score)) for label, score in row] for row in results]

    def regress(self, target: Target, examples: Sequence[Example], seconds: float) -> list[float]:
        """Return a value of each example."""
        return [float(value) for value in self._results("regress", target, examples, seconds)]

    def _results(self, method: str, target: Target, examples: Sequence[Example], seconds: float) -> list[Any]:
        document: dict[str, Any] = {"examples": [_json_example(example) for example in examples]}
        if target.signature:
            document["signature_name"] = target.signature
        path = f"{target.path}:{method}"
        answer = self._ask("POST", path, json.dumps(document).encode(), target, seconds)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != len(examples):
            raise ServerError("the answer has not one result for each example", where=path)
        return results

    def signatures(self, target: Target, seconds: float) -> dict[str, Signature]:
        """Return the signatures of a version."""
        path = f"{target.path}/metadata"
        document = self._ask("GET", path, None, target, seconds)
        try:
            found = document["metadata"]["signature_def"]["signature_def"]
            return {name: signature_of(definition) for name, definition in found.items()}
        except (KeyError, TypeError, ValueError, MainstayError) as error:
            raise ServerError("the answer is no metadata of a model", where=path) from error

    def states(self, target: Target, seconds: float) -> dict[int, str]:
        """Return where each version stands."""
        path = target.path
        document = self._ask("GET", path, None, target, seconds)
        try:
            return {int(item["version"]): item["state"] for item in document["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError("the answer is no status of a model", where=path) from error

    def _ask(self, method: str, path: str, body: bytes | None, target: Target, seconds: float) -> Any:
        headers = {**dict(target.headers), **({} if body is None else {"content-type": "application/json"})}
        answer = self._transport.send(method, path, body, headers, timeout_seconds=seconds)
        if answer.status != 200:
            _refuse(answer, path)
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            try:
                return json.loads(answer.body)  # takes NaN and Infinity, which TF Serving writes
            except ValueError as error:
                raise ServerError("the answer is no JSON", where=path, received=answer.body[:200]) from error

    def close(self) -> None:
        """Close what is kept open."""
        self._transport.close()


def _refuse(answer: HttpAnswer, path: str) -> None:
    try:
        message = str(orjson.loads(answer.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = f"the server answered with status {answer.status}"
    fallback = Code.INVALID_ARGUMENT if 400 <= answer.status < 500 else Code.UNKNOWN
    code = _HTTP_CODES.get(answer.status, fallback)
    error = error_of(code, message, path)
    if code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED):
        raise TryAgainError(error, answer.wait_seconds)
    raise error


def _json_example(example: Example) -> dict[str, Any]:
    return {name: json_feature(value) for name, value in example.items()}


_METHODS = {
    "Predict": ("PredictionService", "PredictResponse"),
    "Classify": ("PredictionService", "ClassificationResponse"),
    "Regress": ("PredictionService", "RegressionResponse"),
    "GetModelMetadata": ("PredictionService", "GetModelMetadataResponse"),
    "GetModelStatus": ("ModelService", "GetModelStatusResponse"),
}


class GrpcProtocol:
    """TF Serving's gRPC services."""

    def __init__(self, transport: GrpcTransport) -> None:
        self._transport = transport

    def predict(
        self, target: Target, arrays: Mapping[str, Array], signature: Signature, seconds: float
    ) -> dict[str, Array]:
        """Return the outputs for some inputs."""
        request = predict_message(target, arrays)
        answer = self._call("Predict", request, target, seconds)
        specs = {spec.name: spec for spec in signature.outputs}
        found = {}
        for name, proto in answer.outputs.items():
            array = decode_tensor(proto, name)
            found[name] = output_array(array, specs[name]) if name in specs else array
        return found

    def classify(self, target: Target, examples: Sequence[Example], seconds: float) -> Classes:
        """Return labels and scores of each example."""
        request = self._examples("ClassificationRequest", target, examples)
        answer = self._call("Classify", request.SerializeToString(), target, seconds)
        return [[(item.label, item.score) for item in row.classes] for row in answer.result.classifications]

    def regress(self, target: Target, examples: Sequence[Example], seconds: float) -> list[float]:
        """Return a value of each example."""
        request = self._examples("RegressionRequest", target, examples)
        answer = self._call("Regress", request.SerializeToString(), target, seconds)
        return [item.value for item in answer.result.regressions]

    def _examples(self, kind: str, target: Target, examples: Sequence[Example]) -> Any:
        request = message_class(f"tensorflow.serving.{kind}")()
        _fill_spec(request.model_spec, target)
        for example in examples:
            fill_example(request.input.example_list.examples.add(), example)
        return request

    def signatures(self, target: Target, seconds: float) -> dict[str, Signature]:
        """Return the signatures of a version."""
        request = message_class("tensorflow.serving.GetModelMetadataRequest")(metadata_field=["signature_def"])
        _fill_spec(request.model_spec, target)
        request.model_spec.signature_name = ""
        answer = self._call("GetModelMetadata", request.SerializeToString(), target, seconds)
        packed = answer.metadata["signature_def"].value
        definitions = message_class("tensorflow.serving.SignatureDefMap").FromString(packed).signature_def
        from google.protobuf.json_format import MessageToDict

        return {
            name: signature_of(MessageToDict(definition, preserving_proto_field_name=True))
            for name, definition in definitions.items()
        }

    def states(self, target: Target, seconds: float) -> dict[int, str]:
        """Return where each version stands."""
        request = message_class("tensorflow.serving.GetModelStatusRequest")()
        _fill_spec(request.model_spec, target)
        answer = self._call("GetModelStatus", request.SerializeToString(), target, seconds)
        return {item.version: State(item.state).name for item in answer.model_version_status if item.state}

    def _call(self, method: str, request: bytes, target: Target, seconds: float) -> Any:
        service, answer = _METHODS[method]
        data = self._transport.call(
            f"/tensorflow.serving.{service}/{method}", request, target.headers, timeout_seconds=seconds
        )
        try:
            return message_class(f"tensorflow.serving.{answer}").FromString(data)
        except Exception as error:  # protobuf's implementations have exceptions of their own
            raise ServerError("the answer is no such message", where=method, expected=answer) from error

    def close(self) -> None:
        """Close what is kept open."""
        self._transport.close()


def predict_message(target: Target, arrays: Mapping[str, Array]) -> bytes:
    """Return a serialised ``PredictRequest``."""
    request = message_class("tensorflow.serving.PredictRequest")()
    _fill_spec(request.model_spec, target)
    for name, array in arrays.items():
        request.inputs[name].ParseFromString(encode_tensor(_encoded(array), content=True))
    return bytes(request.SerializeToString())


def _fill_spec(spec: Any, target: Target) -> None:
    spec.name = target.model
    spec.signature_name = target.signature
    if target.version is not None:
        spec.version.value = target.version
    elif target.label is not None:
        spec.version_label = target.label


def _encoded(array: Array) -> Array:
    if array.dtype != object:
        return array
    flat = [item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item for item in array.reshape(-1)]
    encoded = np.empty(len(flat), object)
    encoded[:] = flat
    return encoded.reshape(array.shape)
