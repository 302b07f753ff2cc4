"""Writing at computed places: scatters of every form that TensorFlow has an op for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jax.lax import GatherScatterMode

from mainstay.saved_model.plain_ops.gathering import (
    Plan,
    as_index,
    block,
    clamp_index,
    column_of,
    columns_of,
    inside_of,
    replaced,
    starts_of,
)
from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Dimension, NotPlainError, Shape, Value, plain_shape

_OPS = {
    "scatter": "TensorScatterUpdate",
    "scatter-add": "TensorScatterAdd",
    "scatter-sub": "TensorScatterSub",
    "scatter-min": "TensorScatterMin",
    "scatter-max": "TensorScatterMax",
}


_BLOCKS = {
    "scatter-add": "AddV2",
    "scatter-sub": "Sub",
    "scatter-mul": "Mul",
    "scatter-min": "Minimum",
    "scatter-max": "Maximum",
}


@lowering(*_OPS, "scatter-mul")
def scatter(graph: Graph, equation: Equation, x: Value, indices: Value, updates: Value) -> Value:
    """Write a scatter: updates that do not lie inside are dropped, or moved inside."""
    _check(equation, x)
    plan, positions = _plan(equation, x, updates)
    indices = as_index(graph, indices)
    starts = [column_of(graph, indices, place) for place in range(len(plan.axes))]
    clamped = [
        clamp_index(graph, start, x.shape[axis] - plan.sizes[axis])
        for start, axis in zip(starts, plan.axes, strict=True)
    ]
    inside = None
    if equation.params["mode"] != GatherScatterMode.CLIP:
        inside = inside_of(graph, starts, plan, x.shape)
    if not indices.shape[:-1]:
        return _one_block(graph, equation, x, (starts_of(graph, plan, clamped), updates, plan, inside))
    op = _OPS.get(equation.name)
    if op is None:
        raise NotPlainError("TensorFlow has no op that multiplies at computed places")
    starting = dict(zip(plan.axes, clamped, strict=True))
    places, axes, written = _places(graph, x, updates, (plan, positions, starting, indices.shape[:-1]))
    turned = graph.full(graph.transpose(x, axes))
    made = _applied(graph, op, turned, places, (written, inside))
    return replace(graph.transpose(made, [int(axis) for axis in np.argsort(axes)]), shape=equation.shape)


def _one_block(
    graph: Graph, equation: Equation, x: Value, what: tuple[list[Value], Value, Plan, Value | None]
) -> Value:
    """Return a value with one block of it changed."""
    begins, updates, plan, inside = what
    window = graph.reshape(updates, plan.sizes)
    if equation.name in _BLOCKS:
        window = graph.elementwise(_BLOCKS[equation.name], block(graph, x, begins, plan.sizes), window)
    made = replace(replaced(graph, x, graph.full(window), begins, 0), shape=equation.shape)
    return made if inside is None else replace(graph.select(inside, made, x), shape=equation.shape)


def _places(
    graph: Graph, x: Value, updates: Value, how: tuple[Plan, tuple[list[int], list[int]], dict[int, Value], Shape]
) -> tuple[Value, list[int], Value]:
    """Return the places of all updates, the order of the axes of `x` in which they are, and the updates for them."""
    plan, positions, starting, batch = how
    indexed = plan.indexed(x.shape) or [0]
    if any(axis not in plan.axes and axis not in plan.batched for axis in indexed):
        raise NotPlainError("there are no plain ops for windows that are smaller than an axis without an index")
    kept = [axis for axis in indexed if axis not in plan.batched and axis not in plan.dropped]
    rest = [axis for axis in range(len(x.shape)) if axis not in indexed]
    columns = columns_of(graph, starting, indexed, (kept, plan, batch))
    places = graph.full(graph.stack([graph.full(column) for column in columns], len(columns[0].shape)))
    windows = [axis for axis in range(len(x.shape)) if axis not in plan.dropped and axis not in plan.batched]
    shown = {axis: positions[1][number] for number, axis in enumerate(windows)}
    order = [*positions[0], *(shown[axis] for axis in [*kept, *rest] if axis in shown)]
    written = graph.transpose(updates, order)
    missing = [axis for axis in rest if axis not in shown]
    if missing:
        sizes = (*written.shape[: len(batch) + len(kept)], *(1 if a in missing else x.shape[a] for a in rest))
        written = graph.reshape(written, sizes)
    return places, [*indexed, *rest], written


def _check(equation: Equation, x: Value) -> None:
    if x.dtype == np.bool_ and equation.name != "scatter":
        raise NotPlainError("TensorFlow has no such scatter of booleans")
    program = equation.params.get("update_jaxpr")
    if equation.name == "scatter" and program is not None:
        jaxpr = getattr(program, "jaxpr", program)
        if jaxpr.eqns or jaxpr.outvars[0] is not jaxpr.invars[1]:
            raise NotPlainError("there are no plain ops for a scatter with a function of its own")


def _plan(equation: Equation, x: Value, updates: Value) -> tuple[Plan, tuple[list[int], list[int]]]:
    """Return the plan, and the axes of the updates that are those of the indices, and those of the windows."""
    numbers = equation.params["dimension_numbers"]
    windows = sorted(numbers.update_window_dims)
    batched = dict(zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True))
    dropped = tuple(numbers.inserted_window_dims)
    shown = [axis for axis in range(len(x.shape)) if axis not in dropped and axis not in batched]
    sizes: list[Dimension] = [1] * len(x.shape)
    for axis, position in zip(shown, windows, strict=True):
        sizes[axis] = updates.shape[position]
    plan = Plan(numbers.scatter_dims_to_operand_dims, plain_shape(sizes), dropped, batched, windows)
    return plan, (plan.batch_positions(len(updates.shape)), windows)


def _applied(graph: Graph, op: str, x: Value, places: Value, what: tuple[Value, Value | None]) -> Value:
    """Return a value with updates at places; those that are not inside go to a row that is cut off afterwards."""
    updates, inside = what
    updates = graph.full(updates)
    if inside is None:
        return graph.op(op, [x, places, updates], x.dtype, x.shape)
    rank = len(places.shape) - 1
    room = graph.full(graph.broadcast(inside, (*places.shape[:-1], 1), range(len(inside.shape))))
    first = graph.crop(places, [0] * (rank + 1), (*places.shape[:-1], 1))
    extra = graph.cast(graph.length(x.shape[0]), places.dtype)
    moved = graph.select(room, first, extra)
    components = places.shape[-1]
    if components > 1:
        others = graph.crop(places, [0] * rank + [1], (*places.shape[:-1], components - 1))
        moved = graph.concatenate([moved, others], rank)
    zeros = [0] * len(x.shape)
    wide = graph.pad(x, graph.scalar(0, x.dtype), zeros, [1, *zeros[1:]])
    made = graph.op(op, [wide, graph.full(moved), updates], x.dtype, wide.shape)
    return graph.crop(made, zeros, x.shape)
