"""Inference requests over REST: a JSON object, and behind it the tensors that come as raw bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import RequestError
from mainstay.serving.inference_v2.infer import InferRequest, RequestedOutput
from mainstay.serving.inference_v2.tensor_data import DATATYPES, DTYPES, checked_dtype, checked_shape, from_raw
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.json_text import parse, show
from mainstay.serving.rest.whole import read_tensor

Array: TypeAlias = np.ndarray[Any, Any]

_NAMES = {datatype: name for name, datatype in DATATYPES.items()}


def read_request(body: bytes, json_size: int | None) -> InferRequest:
    """Read an inference request.

    Args:
        body: The body.
        json_size: How many of its bytes are JSON, by the header ``Inference-Header-Content-Length``; None for all.

    Raises:
        RequestError: It is no JSON, or not as the protocol says.
    """
    if json_size is not None and json_size > len(body):
        raise RequestError(
            "the header Inference-Header-Content-Length is larger than the body",
            expected=f"0 to {len(body)}",
            received=json_size,
        )
    document = _object(parse(body if json_size is None else body[:json_size]), "$")
    rest = memoryview(body)[len(body) if json_size is None else json_size :]
    inputs: dict[str, Array] = {}
    items = document.get("inputs")
    if type(items) is not list or not items:
        raise RequestError("Unable to find 'inputs' in request", where="$.inputs", expected="a list of tensors")
    for index, item in enumerate(items):
        name, tensor, rest = _read_input(_object(item, f"$.inputs[{index}]"), rest, f"$.inputs[{index}]")
        if name in inputs:
            raise RequestError(f"input '{name}' comes twice", where=f"$.inputs[{index}]")
        inputs[name] = tensor
    if len(rest):
        raise RequestError(f"unexpected additional input data: {len(rest)} bytes behind the last tensor", where="$")
    parameters = _object(document.get("parameters", {}), "$.parameters")
    request_id = document.get("id", "")
    if type(request_id) is not str:
        raise RequestError("the id is no string", where="$.id", expected="a string", received=show(request_id))
    return InferRequest(inputs, _read_outputs(document, parameters), parameters, request_id)


def read_raw(body: bytes, endpoint: Endpoint) -> InferRequest:
    """Read a body without JSON: the bytes of the only input of a signature, whose shape but for the rows is known.

    Raises:
        RequestError: The signature has several inputs, or one of unknown size, or the bytes are no whole rows.
    """
    plan = endpoint.plans[0]
    dtype, inner = DTYPES[DATATYPES[plan.dtype]], [axis for axis in plan.inner if axis is not None]
    size = math.prod(inner) * dtype.itemsize
    if len(endpoint.plans) != 1 or plan.dtype == "string" or len(inner) != len(plan.inner) or not size:
        raise RequestError(
            "a request without JSON is for signatures with one input of numbers whose shape is known",
            fix="describe the tensors in JSON, and give its size in Inference-Header-Content-Length",
        )
    shape = (len(body) // size, *inner)
    return InferRequest({plan.name: from_raw(body, dtype, shape, plan.name)})


def _object(value: Any, where: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise RequestError(f"{where} is no object", where=where, expected="an object", received=show(value))
    return value


def _read_input(item: dict[str, Any], rest: memoryview, where: str) -> tuple[str, Array, memoryview]:
    """Read one input; return its name, its tensor, and the raw bytes behind it."""
    name = item.get("name")
    if type(name) is not str:
        raise RequestError("an input has no name", where=where, expected="a string under 'name'")
    dtype = checked_dtype(item.get("datatype"), name)
    shape = checked_shape(item.get("shape"), name)
    parameters = _object(item.get("parameters", {}), f"{where}.parameters")
    if "shared_memory_region" in parameters:
        raise RequestError("shared memory is not served", where=where, fix="send the tensor in the request")
    size = parameters.get("binary_data_size")
    if size is None:
        return name, _read_data(item, dtype, shape, name=name, where=where), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise RequestError(
            f"the binary data of input '{name}' is cut off",
            where=f"{where}.parameters.binary_data_size",
            expected=f"0 to {len(rest)} bytes",
            received=show(size),
        )
    return name, from_raw(rest[:size], dtype, shape, name), rest[size:]


def _read_data(item: dict[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...], *, name: str, where: str) -> Array:
    if "data" not in item:
        raise RequestError(
            f"input '{name}' has no data", where=where, expected="'data', or the parameter binary_data_size"
        )
    known = _NAMES[item["datatype"]]
    plan = InputPlan(name, known, False, (), free=True)
    array = read_tensor(item["data"], plan, f"{where}.data")
    count = math.prod(shape)
    if array.size != count or array.ndim == 0:
        raise RequestError(
            f"unexpected number of elements {array.size} for input '{name}', expecting {count}",
            where=f"{where}.data",
        )
    return array.astype(dtype, copy=False).reshape(shape)


def _read_outputs(document: dict[str, Any], parameters: Mapping[str, Any]) -> tuple[RequestedOutput, ...]:
    items = document.get("outputs", [])
    if type(items) is not list:
        raise RequestError("'outputs' is no list", where="$.outputs", expected="a list of outputs")
    default = parameters.get("binary_data_output")
    outputs = []
    for index, item in enumerate(items):
        where = f"$.outputs[{index}]"
        name = _object(item, where).get("name")
        said = _object(item.get("parameters", {}), f"{where}.parameters")
        binary, classes = said.get("binary_data", default), said.get("classification", 0)
        if type(name) is not str or type(binary) not in (bool, type(None)) or type(classes) is not int or classes < 0:
            raise RequestError(
                "an output is not as the protocol says",
                where=where,
                expected="a name, and parameters binary_data (bool) and classification (whole number)",
                received=show(item),
            )
        if "shared_memory_region" in said:
            raise RequestError("shared memory is not served", where=where, fix="take the tensor from the answer")
        outputs.append(RequestedOutput(name, binary, classes))
    return tuple(outputs)
