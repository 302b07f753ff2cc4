"""The OpenAPI 3.1 document of a model: what can be asked of it, in the terms of its signatures."""

from __future__ import annotations

from typing import Any

import orjson

from mainstay.core import TensorSpec
from mainstay.serving.bodies.formats import ARROW, NPY, NPZ, PROTOBUF
from mainstay.serving.examples import CLASSIFY_METHOD, REGRESS_METHOD
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.answers import Answer
from mainstay.serving.signature_defs import definition_of

_ERROR = {"$ref": "#/components/schemas/Error"}
_STRING = {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Bytes"}]}
_FAULTS = {
    "400": "The request is not as the signature says; the message names the place.",
    "404": "There is no such model or version, or it does not answer yet.",
    "429": "Too many requests.",
    "500": "The model failed.",
    "503": "The server is loading, stopping or full.",
    "504": "The answer was not there in time.",
}
_MEMO = "openapi"


def openapi_answer(servable: Servable) -> Answer:
    """Return the OpenAPI document of a version of a model."""
    first = next(iter(servable.endpoints.values()), None)
    body = None if first is None else first.memo.get(_MEMO)
    if body is None:
        body = orjson.dumps(describe(servable), option=orjson.OPT_INDENT_2)
        if first is not None:
            first.memo[_MEMO] = body
    return Answer(200, body)


def describe(servable: Servable) -> dict[str, Any]:
    """Return the OpenAPI document of a version of a model as a JSON object."""
    base = f"/v1/models/{servable.name}"
    paths: dict[str, Any] = {
        f"{base}:predict": {"post": _predict(servable)},
        base: {"get": _read("The state of every version", "getStatus", "Status")},
        f"{base}/metadata": {"get": _read("The signatures", "getMetadata", "Metadata")},
    }
    for action, method in (("classify", CLASSIFY_METHOD), ("regress", REGRESS_METHOD)):
        names = [name for name, endpoint in servable.endpoints.items() if endpoint.method == method]
        if names:
            paths[f"{base}:{action}"] = {"post": _examples(action, names)}
    schemas = {"Error": _object({"error": {"type": "string"}}), "Bytes": _BYTES, "Status": _STATUS, "Metadata": _ANY}
    for name, endpoint in servable.endpoints.items():
        schemas[f"{_word(name)}.request"] = _request(endpoint, servable)
        schemas[f"{_word(name)}.response"] = _response(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": servable.name, "version": str(servable.version)},
        "paths": paths,
        "components": {"schemas": schemas},
    }


_BYTES = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
}
_ANY: dict[str, Any] = {"type": "object"}
_STATUS = {
    "type": "object",
    "properties": {
        "model_version_status": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "version": {"type": "string"},
                    "state": {"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                    "status": {
                        "type": "object",
                        "properties": {"error_code": {"type": "string"}, "error_message": {"type": "string"}},
                    },
                },
            },
        }
    },
}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties) if required is None else required,
    }


def _word(name: str) -> str:
    """Return a signature's name with only what the keys of components may have."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _tensors(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the forms of a body with tensors: JSON, and those that no schema describes."""
    return {**_content(schema), **{name: {"schema": {}} for name in (NPY, NPZ, ARROW, PROTOBUF)}}


def _answers(content: dict[str, Any], codes: tuple[str, ...]) -> dict[str, Any]:
    faults = {code: {"description": _FAULTS[code], "content": _content(_ERROR)} for code in codes}
    return {"200": {"description": "The answer.", "content": content}, **faults}


def _read(summary: str, operation: str, schema: str) -> dict[str, Any]:
    answers = _answers(_content({"$ref": f"#/components/schemas/{schema}"}), ("404",))
    return {"summary": summary, "operationId": operation, "responses": answers}


def _predict(servable: Servable) -> dict[str, Any]:
    names = [_word(name) for name in servable.endpoints]
    return {
        "summary": "Predict",
        "operationId": "predict",
        "parameters": [
            {
                "name": "signature_name",
                "in": "query",
                "description": "The signature, where the body is no JSON and cannot name it.",
                "schema": {"enum": list(servable.endpoints)},
            }
        ],
        "requestBody": {"required": True, "content": _tensors(_any_of(names, "request"))},
        "responses": _answers(_tensors(_any_of(names, "response")), tuple(_FAULTS)),
    }


def _any_of(names: list[str], part: str) -> dict[str, Any]:
    choices = [{"$ref": f"#/components/schemas/{name}.{part}"} for name in names]
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _examples(action: str, names: list[str]) -> dict[str, Any]:
    feature = {"anyOf": [{"type": ["number", "string", "boolean"]}, {"type": "array"}, _STRING]}
    features = {"type": "object", "additionalProperties": feature}
    request = _object(
        {
            "signature_name": {"enum": names},
            "context": features,
            "examples": {"type": "array", "items": features, "minItems": 1},
        },
        ["examples"],
    )
    result: dict[str, Any] = {"type": "number"}
    if action == "classify":
        pair = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False}
        result = {"type": "array", "items": pair}
    return {
        "summary": action.capitalize(),
        "operationId": action,
        "requestBody": {"required": True, "content": _content(request)},
        "responses": _answers(_content(_object({"results": {"type": "array", "items": result}})), tuple(_FAULTS)),
    }


def _request(endpoint: Endpoint, servable: Servable) -> dict[str, Any]:
    """Return the two forms of a request: a list of rows, or the columns."""
    plans = endpoint.plans
    required = [plan.name for plan in plans if plan.free or not plan.optional]
    named_rows = _object({plan.name: _row(plan) for plan in plans}, required)
    named_columns = _object({plan.name: _column(plan) for plan in plans}, required)
    rows = named_rows if len(plans) > 1 else {"anyOf": [_row(plans[0]), named_rows]}
    columns = named_columns if len(plans) > 1 else {"anyOf": [_column(plans[0]), named_columns]}
    name: dict[str, Any] = {"signature_name": {"const": endpoint.name}}
    forms = {"instances": {"type": "array", "minItems": 1, "items": rows}, "inputs": columns}
    needed = [] if endpoint is servable.default_endpoint else ["signature_name"]
    return {"oneOf": [_object({**name, form: schema}, [*needed, form]) for form, schema in forms.items()]}


def _row(plan: InputPlan) -> dict[str, Any]:
    if plan.free:
        return _free(plan.dtype)
    schema = _nested(_scalar(plan.dtype), plan.inner)
    return {"anyOf": [schema, {"type": "null"}]} if plan.optional else schema


def _column(plan: InputPlan) -> dict[str, Any]:
    if plan.free:
        return _free(plan.dtype)
    schema: dict[str, Any] = {"type": "array", "items": _row(plan)}
    return {"anyOf": [schema, {"type": "null"}]} if plan.optional else schema


def _free(dtype: str) -> dict[str, Any]:
    return {"anyOf": [_scalar(dtype), {"type": "array"}], "description": f"{dtype} of any shape that the graph takes"}


def _scalar(dtype: str) -> dict[str, Any]:
    if dtype == "string":
        return _STRING
    if dtype == "bool":
        return {"type": "boolean"}
    if "float" in dtype:
        return {"type": "number", "format": "double" if dtype == "float64" else "float"}
    bits = int(dtype.lstrip("uint"))
    low, high = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return {"type": "integer", "minimum": low, "maximum": high}


def _nested(schema: dict[str, Any], axes: tuple[int | None, ...]) -> dict[str, Any]:
    for length in reversed(axes):
        schema = {"type": "array", "items": schema}
        if length is not None:
            schema |= {"minItems": length, "maxItems": length}
    return schema


def _response(endpoint: Endpoint) -> dict[str, Any]:
    specs = endpoint.signature.outputs
    known = {name: not info.tensor_shape.unknown_rank for name, info in definition_of(endpoint).outputs.items()}
    values = {spec.name: _output(spec, known.get(spec.name, True)) for spec in specs}
    whole = next(iter(values.values())) if len(values) == 1 else _object(values)
    if not endpoint.decoder.batched or any(plan.free for plan in endpoint.plans):
        return {"oneOf": [_object({"predictions": {"type": "array"}}), _object({"outputs": whole})]}
    rows = {spec.name: _nested(_answered(spec), spec.shape[1:]) for spec in specs}
    row = next(iter(rows.values())) if len(rows) == 1 else _object(rows)
    return {"oneOf": [_object({"predictions": {"type": "array", "items": row}}), _object({"outputs": whole})]}


def _output(spec: TensorSpec, is_ranked: bool) -> dict[str, Any]:
    return _nested(_answered(spec), spec.shape) if is_ranked else {}


def _answered(spec: TensorSpec) -> dict[str, Any]:
    if spec.dtype != "string":
        return _scalar(spec.dtype)
    return {"$ref": "#/components/schemas/Bytes"} if spec.name.endswith("_bytes") else {"type": "string"}
