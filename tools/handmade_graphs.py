"""SavedModels of TensorFlow made by hand, message by message, for tests that must not need TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import message_class
from mainstay.saved_model.bundle import add_strings, write_bundle
from mainstay.saved_model.graphs.attributes import FunctionAttr, ShapeAttr, TypeAttr, write_attribute
from mainstay.saved_model.graphs.dtypes import number_of_kind
from mainstay.saved_model.graphs.tensors import write_shape, write_tensor_proto

__all__ = [
    "BOOL",
    "FLOAT",
    "INT",
    "LONG",
    "RESOURCE",
    "STRING",
    "FunctionAttr",
    "ShapeAttr",
    "TypeAttr",
    "const",
    "function",
    "meta_graph",
    "node",
    "signature",
    "write",
    "write_shape",
    "write_tensor_proto",
]

FLOAT = TypeAttr(np.float32)
INT = TypeAttr(np.int32)
LONG = TypeAttr(np.int64)
STRING = TypeAttr("string")
BOOL = TypeAttr(np.bool_)
RESOURCE = TypeAttr("resource")


def node(name: str, op: str, *inputs: str, **attrs: Any) -> Any:
    """Return a `NodeDef`."""
    made = message_class("tensorflow.NodeDef")(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        made.attr[key].CopyFrom(write_attribute(value))
    return made


def const(name: str, value: Any, *controls: str) -> Any:
    """Return the node of a constant: floats of 32 bits, integers of 32 bits unless they are of NumPy's own types."""
    array = np.asarray(value, object if isinstance(value, bytes | str) else None)
    if not isinstance(value, np.ndarray | np.generic):
        array = array.astype({"float64": np.float32, "int64": np.int32}.get(array.dtype.name, array.dtype))
    kind = TypeAttr("string") if array.dtype == object else TypeAttr(array.dtype)
    return node(name, "Const", *controls, value=array, dtype=kind)


def function(
    name: str,
    nodes: Sequence[Any],
    *,
    inputs: Mapping[str, TypeAttr],
    outputs: Mapping[str, tuple[str, TypeAttr]],
    control: Sequence[str] = (),
) -> Any:
    """Return a `FunctionDef`: each output is the tensor that it is, and its dtype."""
    made = message_class("tensorflow.FunctionDef")()
    made.signature.name = name
    for key, kind in inputs.items():
        made.signature.input_arg.add(name=key, type=number_of_kind(kind.kind))
    for key, (tensor, kind) in outputs.items():
        made.signature.output_arg.add(name=key, type=number_of_kind(kind.kind))
        made.ret[key] = tensor
    for each in control:
        made.control_ret[each] = each
    made.node_def.extend(nodes)
    return made


def signature(inputs: Mapping[str, tuple[str, TypeAttr]], outputs: Mapping[str, tuple[str, TypeAttr]]) -> Any:
    """Return a `SignatureDef` of tensors of any shape."""
    made = message_class("tensorflow.SignatureDef")(method_name="tensorflow/serving/predict")
    for target, tensors in ((made.inputs, inputs), (made.outputs, outputs)):
        for key, (name, kind) in tensors.items():
            target[key].name = name
            target[key].dtype = number_of_kind(kind.kind)
            write_shape(target[key].tensor_shape, None)
    return made


def meta_graph(
    nodes: Sequence[Any],
    signatures: Mapping[str, Any],
    *,
    functions: Sequence[Any] = (),
    tags: Sequence[str] = ("serve",),
) -> Any:
    """Return a `MetaGraphDef`."""
    made = message_class("tensorflow.MetaGraphDef")()
    made.meta_info_def.tags.extend(tags)
    made.graph_def.node.extend(nodes)
    made.graph_def.library.function.extend(functions)
    for name, each in signatures.items():
        made.signature_def[name].CopyFrom(each)
    return made


def write(folder: Path, *graphs: Any, tensors: Mapping[str, np.ndarray[Any, Any]] | None = None) -> Path:
    """Write a SavedModel, and return its folder; a tensor of strings is a single one."""
    folder.mkdir(parents=True, exist_ok=True)
    model = message_class("tensorflow.SavedModel")(saved_model_schema_version=1)
    model.meta_graphs.extend(graphs)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
    if tensors:
        write_bundle(folder, {name: array for name, array in tensors.items() if array.dtype != object})
        add_strings(folder, {name: array.item() for name, array in tensors.items() if array.dtype == object})
    return folder
