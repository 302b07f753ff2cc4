"""Variables: read, asked about, and written to."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.core import ModelError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, Variable, backend_of, shape_array


def _variable(node: OpNode, value: Value) -> Variable:
    if not isinstance(value, Variable):
        raise ModelError("an op wants a variable", where=node.name, received=type(value).__name__)
    return value


@graph_op("ReadVariableOp", kind="either")
def read_variable(node: OpNode, variable: Value) -> Value:
    """Return the value of a variable."""
    return _variable(node, variable).value


@graph_op("VariableShape")
def variable_shape(node: OpNode, variable: Value) -> Value:
    """Return the shape of a variable."""
    return shape_array(tuple(np.shape(_variable(node, variable).value)), node.attr("out_type", np.dtype(np.int32)))


@graph_op("VarIsInitializedOp", "IsVariableInitialized", kind="host")
def is_initialized(node: OpNode, variable: Value) -> Value:
    """Return whether a variable has a value."""
    return np.array(_variable(node, variable).is_initialized)


@graph_op("AssignVariableOp", kind="host", effect=True)
def assign(node: OpNode, variable: Value, value: Value) -> tuple[Value, ...]:
    """Give a variable a value."""
    _variable(node, variable).value = value
    return ()


@graph_op("Assign", kind="host", effect=True)
def assign_reference(node: OpNode, variable: Value, value: Value) -> Value:
    """Give a variable of TensorFlow 1 a value."""
    _variable(node, variable).value = value
    return value


def _changed(node: OpNode, variable: Value, value: Value, sign: int) -> Value:
    target = _variable(node, variable)
    before = target.value
    change = value if sign > 0 else -np.asarray(value)
    target.value = backend_of(before, value).add(before, change).astype(before.dtype)
    return target.value


@graph_op("AssignAddVariableOp", kind="host", effect=True)
def assign_add(node: OpNode, variable: Value, value: Value) -> tuple[Value, ...]:
    """Add to a variable."""
    _changed(node, variable, value, 1)
    return ()


@graph_op("AssignSubVariableOp", kind="host", effect=True)
def assign_sub(node: OpNode, variable: Value, value: Value) -> tuple[Value, ...]:
    """Subtract from a variable."""
    _changed(node, variable, value, -1)
    return ()


@graph_op("AssignAdd", kind="host", effect=True)
def assign_add_reference(node: OpNode, variable: Value, value: Value) -> Value:
    """Add to a variable of TensorFlow 1."""
    return _changed(node, variable, value, 1)


@graph_op("AssignSub", kind="host", effect=True)
def assign_sub_reference(node: OpNode, variable: Value, value: Value) -> Value:
    """Subtract from a variable of TensorFlow 1."""
    return _changed(node, variable, value, -1)


_SCATTERS: dict[str, Any] = {
    "Update": "set",
    "Add": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Div": "divide",
    "Min": "min",
    "Max": "max",
}


def _scatter(node: OpNode, variable: Value, indices: Value, updates: Value) -> Value:
    target = _variable(node, variable)
    way = _SCATTERS[node.op.removeprefix("Resource").removeprefix("Scatter")]
    array = jnp.asarray(target.value)
    target.value = getattr(array.at[jnp.asarray(indices)], way)(updates)
    return target.value


@graph_op(*(f"ResourceScatter{name}" for name in _SCATTERS), kind="host", effect=True)
def resource_scatter(node: OpNode, variable: Value, indices: Value, updates: Value) -> tuple[Value, ...]:
    """Change rows of a variable."""
    _scatter(node, variable, indices, updates)
    return ()


@graph_op(*(f"Scatter{name}" for name in _SCATTERS), kind="host", effect=True)
def scatter_reference(node: OpNode, variable: Value, indices: Value, updates: Value) -> Value:
    """Change rows of a variable of TensorFlow 1."""
    return _scatter(node, variable, indices, updates)
