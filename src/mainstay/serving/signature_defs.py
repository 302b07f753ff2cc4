"""Signatures as `tensorflow.SignatureDef`, which both protocols of TF Serving describe a model with."""

from __future__ import annotations

from typing import Any

from mainstay.core import TensorSpec, message_class
from mainstay.serving.models.snapshot import Endpoint

_FLOATS = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}
_MEMO = "signature_def"


def definition_of(endpoint: Endpoint) -> Any:
    """Return the definition of a signature: that of its file, or one that says the same of a model without one.

    Returns:
        A ``tensorflow.SignatureDef`` of the private pool; not to be changed.
    """
    known = endpoint.memo.get(_MEMO)
    if known is None:
        known = endpoint.memo[_MEMO] = _made(endpoint) if endpoint.definition is None else endpoint.definition
    return known


def _made(endpoint: Endpoint) -> Any:
    made = message_class("tensorflow.SignatureDef")()
    for spec in endpoint.signature.inputs:
        _describe(made.inputs[spec.name], spec, f"{endpoint.name}_{spec.name}:0")
    for index, spec in enumerate(endpoint.signature.outputs):
        _describe(made.outputs[spec.name], spec, f"StatefulPartitionedCall:{index}")
    made.method_name = endpoint.method
    return made


def _describe(info: Any, spec: TensorSpec, name: str) -> None:
    info.name = name
    info.dtype = dtype_number(spec.dtype)
    info.tensor_shape.SetInParent()
    for axis in spec.shape:
        info.tensor_shape.dim.add().size = -1 if axis is None else axis


def dtype_number(dtype: str) -> int:
    """Return the number of a dtype in ``tensorflow.DataType``."""
    values = message_class("tensorflow.TensorInfo").DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_name
    number: int = values[f"DT_{_FLOATS.get(dtype, dtype.upper())}"].number
    return number


def dtype_name(number: int) -> str:
    """Return the name that ``tensorflow.DataType`` has for a number, such as ``DT_FLOAT``."""
    values = message_class("tensorflow.TensorInfo").DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number
    return values[number].name if number in values else str(number)
