"""Functions with which a session of TensorFlow saves and restores the variables of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mainstay.saved_model.graph_writing.captures import Resource
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library, Ref
from mainstay.saved_model.graphs.dtypes import Kind


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the model.

    Args:
        resource: What functions hold on to.
        key: Where its value lies in the weights.
        kind: Its dtype.
        shape: Its shape.
    """

    resource: Resource
    key: str
    kind: Kind
    shape: tuple[int, ...]


def save_function(library: Library, variables: Sequence[Variable]) -> str:
    """Add a function that writes the variables under a prefix, and return its name."""
    builder = FunctionBuilder(library.unique("traced_save"))
    prefix, handles = _arguments(builder, variables)
    if variables:
        values = [
            builder.one("ReadVariableOp", [handle], variable.kind, variable.shape)
            for handle, variable in zip(handles, variables, strict=True)
        ]
        builder.op("SaveV2", [prefix, *_places(builder, variables), *values], [], stateful=True)
    return library.add(builder.finish({"prefix": prefix}))


def restore_function(library: Library, variables: Sequence[Variable]) -> str:
    """Add a function that reads the variables from under a prefix, and return its name."""
    builder = FunctionBuilder(library.unique("traced_restore"))
    prefix, handles = _arguments(builder, variables)
    if variables:
        outputs = [(variable.kind, variable.shape) for variable in variables]
        values = builder.op("RestoreV2", [prefix, *_places(builder, variables)], outputs)
        for handle, value in zip(handles, values, strict=True):
            builder.op("AssignVariableOp", [handle, value], [], stateful=True)
    return library.add(builder.finish({"prefix": prefix}))


def _arguments(builder: FunctionBuilder, variables: Sequence[Variable]) -> tuple[Ref, list[Ref]]:
    prefix = builder.argument("file_prefix", "string", ())
    return prefix, [builder.argument(f"handle_{index}", "resource", ()) for index in range(len(variables))]


def _places(builder: FunctionBuilder, variables: Sequence[Variable]) -> list[Ref]:
    """Return the names of the tensors and that whole tensors are meant."""
    keys = builder.constant(np.array([variable.key.encode() for variable in variables], object))
    return [keys, builder.constant(np.array([b""] * len(variables), object))]
