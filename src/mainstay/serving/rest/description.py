"""What a server tells about its models: status and signatures, in the JSON form of TF Serving's protos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mainstay.core import TensorSpec
from mainstay.serving.models.snapshot import Servable, VersionStatus
from mainstay.serving.rest.answers import Answer

_TF_DTYPES = {"float16": "DT_HALF", "bfloat16": "DT_BFLOAT16", "float32": "DT_FLOAT", "float64": "DT_DOUBLE"}
_PREDICT = "tensorflow/serving/predict"


def status_answer(versions: Mapping[int, VersionStatus]) -> Answer:
    """Return the answer to a status request: each version and its state, the newest first."""
    listed = [
        {
            "version": str(version),
            "state": versions[version].state.name,
            "status": {"error_code": versions[version].code.name, "error_message": versions[version].message},
        }
        for version in sorted(versions, reverse=True)
    ]
    return _answer({"model_version_status": listed})


def metadata_answer(servable: Servable) -> Answer:
    """Return the answer to a metadata request: every signature as a `SignatureDef`."""
    signatures = {name: _signature_def(name, servable) for name in sorted(servable.endpoints)}
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    return _answer({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}})


def _signature_def(name: str, servable: Servable) -> dict[str, Any]:
    signature = servable.endpoints[name].signature
    return {
        "inputs": {spec.name: _tensor_info(spec, f"{name}_{spec.name}:0") for spec in signature.inputs},
        "outputs": {
            spec.name: _tensor_info(spec, f"StatefulPartitionedCall:{index}")
            for index, spec in enumerate(signature.outputs)
        },
        "method_name": _PREDICT,
        "defaults": {},
    }


def _tensor_info(spec: TensorSpec, name: str) -> dict[str, Any]:
    axes = [{"size": str(-1 if axis is None else axis), "name": ""} for axis in spec.shape]
    return {
        "dtype": _TF_DTYPES.get(spec.dtype, f"DT_{spec.dtype.upper()}"),
        "tensor_shape": {"dim": axes, "unknown_rank": False},
        "name": name,
    }


def _answer(document: Any) -> Answer:
    return Answer(200, orjson.dumps(document, option=orjson.OPT_INDENT_2))
