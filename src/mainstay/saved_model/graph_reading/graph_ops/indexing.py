"""Gathering rows and elements by index, and scattering them.

An index outside of its axis is an error on the host, as on TensorFlow's CPUs. Inside of a program it is what
TensorFlow documents for GPUs: what is gathered there is zero, and what is scattered there is dropped.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mainstay.core import DataError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import (
    Value,
    Variable,
    backend_of,
    integer,
    integers,
    is_known,
    known,
)


def take(x: Value, indices: Value, axis: int = 0) -> Value:
    """Return the slices at some indices of an axis.

    Args:
        x: The tensor.
        indices: Integers of any shape, which stands in the place of the axis in the result.
        axis: The axis, at least 0.

    Raises:
        DataError: All values are known and an index is outside of the axis.
    """
    if backend_of(x, indices) is np:
        x, indices = np.asarray(x), np.asarray(indices)
        check_indices(indices, x.shape[axis])
        return np.take(x, indices.astype(np.int64), axis)
    place = (slice(None),) * axis + (jnp.asarray(indices),)
    return jnp.asarray(x).at[place].get(mode="fill", fill_value=0, wrap_negative_indices=False)


def check_indices(indices: np.ndarray[Any, Any], length: Any) -> None:
    """Refuse indices outside of an axis.

    Raises:
        DataError: There is one.
    """
    if indices.size and isinstance(length, int) and (indices.min() < 0 or indices.max() >= length):
        wrong = indices[(indices < 0) | (indices >= length)].ravel()[0]
        raise DataError("an index is outside of its axis", expected=f"0 to {length - 1}", received=wrong)


@graph_op("GatherV2")
def gather_v2(node: OpNode, x: Value, indices: Value, axis: Value) -> Value:
    """Gather slices along an axis, for each element of some batch axes."""
    batch_axes = node.attr("batch_dims", 0)
    batch_axes += np.ndim(indices) if batch_axes < 0 else 0
    position = integer(axis) % np.ndim(x)
    if x.dtype == object and not is_known(indices):
        x = on_device(x, node.attr("Tparams"))
    return _batch_take(x, indices, position, batch_axes)


def _batch_take(x: Value, indices: Value, axis: int, batch_axes: int) -> Value:
    if not batch_axes:
        return take(x, indices, axis)
    if backend_of(x, indices) is np:
        rows = [_batch_take(*pair, axis - 1, batch_axes - 1) for pair in zip(x, indices, strict=True)]
        return np.stack(rows)

    def one(row: Any, chosen: Any) -> Any:
        return _batch_take(row, chosen, axis - 1, batch_axes - 1)

    return jax.vmap(one)(jnp.asarray(x), jnp.asarray(indices))


@graph_op("Gather")
def gather(_node: OpNode, x: Value, indices: Value) -> Value:
    """Gather rows."""
    return take(x, indices)


@graph_op("ResourceGather")
def resource_gather(node: OpNode, variable: Value, indices: Value) -> Value:
    """Gather rows of a variable."""
    return _batch_take(value_of(variable), indices, node.attr("batch_dims", 0), node.attr("batch_dims", 0))


@graph_op("ResourceGatherNd")
def resource_gather_nd(_node: OpNode, variable: Value, indices: Value) -> Value:
    """Gather slices of a variable by positions along its first axes."""
    return _gather_nd(value_of(variable), indices)


def value_of(variable: Value) -> Value:
    """Return the value of a variable, or a value that already is one."""
    return variable.value if isinstance(variable, Variable) else variable


@graph_op("GatherNd")
def gather_nd(node: OpNode, x: Value, indices: Value) -> Value:
    """Gather slices by positions along the first axes."""
    if x.dtype == object and not is_known(indices):
        x = on_device(x, node.attr("Tparams"))
    return _gather_nd(x, indices)


def _gather_nd(x: Value, indices: Value) -> Value:
    depth = np.shape(indices)[-1]
    if not depth:
        outer = np.shape(indices)[:-1]
        return backend_of(x).broadcast_to(x, (*outer, *np.shape(x)))
    positions = tuple(indices[..., axis] for axis in range(depth))
    if backend_of(x, indices) is np:
        for axis, each in enumerate(positions):
            check_indices(np.asarray(each), np.shape(x)[axis])
        return np.asarray(np.asarray(x)[positions])
    return jnp.asarray(x).at[positions].get(mode="fill", fill_value=0, wrap_negative_indices=False)


@graph_op("OneHot")
def one_hot(node: OpNode, indices: Value, depth: Value, on: Value, off: Value) -> Value:
    """Return one value at each index along a new axis, and another elsewhere."""
    rank = np.ndim(indices) + 1
    axis = node.attr("axis", -1) % rank
    xp = backend_of(indices, on, off)
    classes = xp.arange(integer(depth)).reshape(tuple(-1 if each == axis else 1 for each in range(rank)))
    hit = xp.expand_dims(indices, axis) == classes.astype(indices.dtype)
    return xp.where(hit, on, off)


def _scattered(x: Any, indices: Value, updates: Value, how: str) -> Any:
    """Return a tensor with updates written (`set`) or combined (`add`, `min`, …) at positions of its first axes."""
    depth = np.shape(indices)[-1]
    indices = jnp.asarray(indices)
    positions = tuple(indices[..., axis] for axis in range(depth)) if depth else (Ellipsis,)
    reference = jnp.asarray(x).at[positions]
    if not depth:
        updates = _combined(jnp.asarray(updates), indices.ndim - 1, how)
        return getattr(reference, how)(updates)
    return getattr(reference, how)(updates, mode="drop", wrap_negative_indices=False)


def _combined(updates: Any, outer: int, how: str) -> Any:
    """Fold updates that all go to the same place into one."""
    axes = tuple(range(outer))
    if how == "set":
        return updates[(-1,) * outer]
    reduce: Any = {"add": jnp.sum, "subtract": jnp.sum, "max": jnp.max, "min": jnp.min}[how]
    return reduce(updates, axes)


def _refuse_outside(x: Value, indices: Value) -> None:
    """Refuse known indices that are outside of a tensor."""
    if is_known(indices):
        for axis in range(np.shape(indices)[-1]):
            check_indices(np.asarray(indices)[..., axis], np.shape(x)[axis])


@graph_op("ScatterNd")
def scatter_nd(_node: OpNode, indices: Value, updates: Value, sizes: Value) -> Value:
    """Return zeros of a shape with updates added at positions of the first axes."""
    target = integers(sizes)
    if backend_of(indices, updates) is np and all(isinstance(size, int) for size in target):
        dtype = np.asarray(updates).dtype
        result = np.full(target, b"", object) if dtype.kind == "O" else np.zeros(target, dtype)
        _refuse_outside(result, indices)
        np.add.at(result, tuple(np.moveaxis(np.asarray(indices), -1, 0)), updates)
        return result
    return _scattered(jnp.zeros(target, updates.dtype), indices, updates, "add")


@graph_op("TensorScatterUpdate")
def tensor_scatter_update(_node: OpNode, x: Value, indices: Value, updates: Value) -> Value:
    """Return a tensor with slices replaced; where an index comes twice, one of its updates stays."""
    _refuse_outside(x, indices)
    if backend_of(x, indices, updates) is np:
        result = np.array(x)
        result[tuple(np.moveaxis(np.asarray(indices), -1, 0))] = updates
        return result
    return _scattered(x, indices, updates, "set")


@graph_op("TensorScatterAdd", "ScatterNdNonAliasingAdd")
def tensor_scatter_add(_node: OpNode, x: Value, indices: Value, updates: Value) -> Value:
    """Return a tensor with updates added."""
    _refuse_outside(x, indices)
    return _scattered(x, indices, updates, "add")


@graph_op("TensorScatterSub")
def tensor_scatter_sub(_node: OpNode, x: Value, indices: Value, updates: Value) -> Value:
    """Return a tensor with updates subtracted."""
    _refuse_outside(x, indices)
    return _scattered(x, indices, updates, "subtract")


@graph_op("TensorScatterMax")
def tensor_scatter_max(_node: OpNode, x: Value, indices: Value, updates: Value) -> Value:
    """Return a tensor of the larger ones of its elements and the updates."""
    _refuse_outside(x, indices)
    return _scattered(x, indices, updates, "max")


@graph_op("TensorScatterMin")
def tensor_scatter_min(_node: OpNode, x: Value, indices: Value, updates: Value) -> Value:
    """Return a tensor of the smaller ones of its elements and the updates."""
    _refuse_outside(x, indices)
    return _scattered(x, indices, updates, "min")


_NAMED = {"Update": "set", "Add": "add", "Sub": "subtract", "Max": "max", "Min": "min"}


@graph_op(*(f"ResourceScatterNd{name}" for name in _NAMED), kind="host", effect=True)
def resource_scatter_nd(node: OpNode, variable: Variable, indices: Value, updates: Value) -> Value:
    """Combine slices of a variable with updates."""
    how = _NAMED[node.op.removeprefix("Resource").removeprefix("ScatterNd")]
    _refuse_outside(variable.value, indices)
    variable.value = np.asarray(_scattered(variable.value, indices, updates, how))
    return ()


@graph_op(*(f"ScatterNd{name}" for name in _NAMED), kind="host", effect=True)
def scatter_nd_reference(node: OpNode, variable: Variable, indices: Value, updates: Value) -> Value:
    """Combine slices of a variable of TensorFlow 1 with updates."""
    resource_scatter_nd(node, variable, indices, updates)
    return variable.value


@graph_op("InplaceUpdate", "InplaceAdd", "InplaceSub")
def inplace(node: OpNode, x: Value, rows: Value, values: Value) -> Value:
    """Return a tensor with some rows replaced, or values added to or subtracted from them."""
    how = {"InplaceUpdate": "set", "InplaceAdd": "add", "InplaceSub": "subtract"}[node.op]
    return getattr(jnp.asarray(x).at[jnp.asarray(rows)], how)(values)


@graph_op("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(_node: OpNode, *inputs: Value) -> Value:
    """Merge slices of several tensors, each at its index; the last one stays where an index comes twice."""
    count = len(inputs) // 2
    places = [known(each).ravel().astype(np.int64) for each in inputs[:count]]
    indices = np.concatenate(places)
    length = int(indices.max()) + 1 if indices.size else 0
    inner = np.shape(inputs[count])[inputs[0].ndim :]
    xp = backend_of(*inputs[count:])
    data = [xp.asarray(each).reshape(each_places.size, *inner) for each, each_places in _pairs(inputs, places)]
    joined = xp.concatenate(data)
    last = np.full(length, -1, np.int64)
    last[indices] = np.arange(indices.size)
    if (last < 0).any():
        filled = xp.concatenate([joined, xp.zeros((1, *inner), joined.dtype)])
        return filled[last]
    return joined[last]


def _pairs(inputs: tuple[Value, ...], places: list[Any]) -> list[tuple[Value, Any]]:
    return list(zip(inputs[len(places) :], places, strict=True))
