"""What a server tells about its models: status and signatures, in the JSON form of TF Serving's protos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mainstay.serving.models.snapshot import Servable, VersionStatus
from mainstay.serving.rest.answers import Answer
from mainstay.serving.signature_defs import definition_of, dtype_name


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
    signatures = {name: _signature_def(definition_of(servable.endpoints[name])) for name in sorted(servable.endpoints)}
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    return _answer({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}})


def _signature_def(definition: Any) -> dict[str, Any]:
    """Return a definition as the JSON printer of C++ writes it: first what has a default value, then the choices."""
    return {
        "inputs": {name: _tensor_info(definition.inputs[name]) for name in sorted(definition.inputs)},
        "outputs": {name: _tensor_info(definition.outputs[name]) for name in sorted(definition.outputs)},
        "method_name": definition.method_name,
        "defaults": {name: _plain(definition.defaults[name]) for name in sorted(definition.defaults)},
    }


def _tensor_info(info: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"dtype": dtype_name(info.dtype)}
    if info.HasField("tensor_shape"):
        shape = info.tensor_shape
        axes = [{"size": str(axis.size), "name": axis.name} for axis in shape.dim]
        found["tensor_shape"] = {"dim": axes, "unknown_rank": shape.unknown_rank}
    encoding = info.WhichOneof("encoding")
    if encoding is not None:
        value = getattr(info, encoding)
        found[encoding] = value if encoding == "name" else _plain(value)
    return found


def _plain(message: Any) -> Any:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _answer(document: Any) -> Answer:
    return Answer(200, orjson.dumps(document, option=orjson.OPT_INDENT_2))
