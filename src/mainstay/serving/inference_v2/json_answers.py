"""Answers over REST: what is known of the server and its models, and inferences, as JSON with raw bytes behind it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any, TypeAlias

import numpy as np
import orjson

from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.inference_v2.infer import InferRequest, chosen
from mainstay.serving.inference_v2.tensor_data import DATATYPES, as_bytes, datatype_of, to_raw
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.rest.float_text import floats_text

Array: TypeAlias = np.ndarray[Any, Any]

PLATFORM = "mainstay_saved_model"
EXTENSIONS = ("binary_tensor_data", "classification")


def server_metadata() -> dict[str, Any]:
    """Return what the server says of itself."""
    return {"name": "mainstay", "version": metadata.version("mainstay"), "extensions": list(EXTENSIONS)}


def model_metadata(servable: Servable, endpoint: Endpoint, versions: Sequence[int]) -> dict[str, Any]:
    """Return what a model takes and gives.

    Args:
        servable: The version that is described.
        endpoint: The signature that is described.
        versions: The versions that answer.
    """
    specs = {spec.name: spec for spec in endpoint.signature.inputs}
    inputs = []
    for plan in endpoint.plans:
        shape = (None, *plan.inner) if endpoint.batched or plan.name not in specs else specs[plan.name].shape
        inputs.append(_tensor(plan.name, plan.dtype, shape))
    return {
        "name": servable.name,
        "versions": [str(version) for version in sorted(versions)],
        "platform": PLATFORM,
        "inputs": inputs,
        "outputs": [_tensor(spec.name, spec.dtype, spec.shape) for spec in endpoint.signature.outputs],
    }


def _tensor(name: str, dtype: str, shape: Sequence[int | None]) -> dict[str, Any]:
    return {"name": name, "datatype": DATATYPES[dtype], "shape": [-1 if axis is None else axis for axis in shape]}


def inference(result: Outputs, request: InferRequest, servable: Servable) -> tuple[bytes, int | None]:
    """Return the body of an answer, and how many of its bytes are JSON where raw bytes follow."""
    default = request.parameters.get("binary_data_output") is True
    outputs, tail = [], []
    for item, array in chosen(result, request.outputs):
        described: dict[str, Any] = {"name": item.name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if default if item.binary is None else item.binary:
            data = to_raw(array)
            described["parameters"] = {"binary_data_size": len(data)}
            outputs.append(orjson.dumps(described))
            tail.append(data)
        else:
            outputs.append(b'%b,"data":%b}' % (orjson.dumps(described)[:-1], _values_text(array)))
    about: dict[str, Any] = {"model_name": servable.name, "model_version": str(servable.version)}
    if request.name:
        about["id"] = request.name
    head = b'%b,"outputs":[%b]}' % (orjson.dumps(about)[:-1], b",".join(outputs))
    return (head, None) if not tail else (b"".join((head, *tail)), len(head))


def _values_text(array: Array) -> bytes:
    """Return the values of an output, one after the other, as a list in JSON; NaN and infinities as bare words."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind in "OSU":
        return orjson.dumps([as_bytes(value).decode("utf-8", "replace") for value in flat.tolist()])
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    if flat.dtype.name in ("float16", "bfloat16"):
        flat = flat.astype(np.float32)
    return floats_text(flat) if flat.dtype.kind == "f" else orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
