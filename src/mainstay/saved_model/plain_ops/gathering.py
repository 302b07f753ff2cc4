"""Reading at computed places: gathers of every form, and blocks from computed starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Dimension, Shape, Value, constant, is_one, plain_shape, product, same

_OPEN: Dimension = "?"
"""A length that is not known, not even as an expression."""


def as_index(graph: Graph, indices: Value) -> Value:
    """Return indices in a dtype in which TensorFlow takes them."""
    if indices.known is not None and (indices.known.size == 0 or np.abs(indices.known.astype(np.int64)).max() < 2**31):
        return replace(indices, dtype=np.dtype(np.int32), known=indices.known.astype(np.int32))
    wide = indices.dtype in (np.uint32, np.int64, np.uint64)
    return graph.cast(indices, np.int64 if wide else np.int32)


def clamp_index(graph: Graph, index: Value, last: Dimension) -> Value:
    """Return indices held between zero and the last one that there is."""
    if index.known is not None and isinstance(last, int):
        return replace(index, known=np.clip(index.known, 0, last).astype(index.dtype))
    if index.known is not None and not index.known.any():
        return index
    most = graph.cast(graph.length(last), index.dtype)
    return graph.elementwise("Minimum", graph.elementwise("Maximum", index, graph.scalar(0, index.dtype)), most)


@lowering("dynamic_slice")
def dynamic_slice(graph: Graph, equation: Equation, x: Value, *given: Value) -> Value:
    """Write a block from computed starts, which are moved so that it lies inside."""
    starts, sizes = given[: len(x.shape)], plain_shape(equation.shape)
    return block(graph, x, starts, sizes)


def block(graph: Graph, x: Value, starts: Sequence[Value], sizes: Shape) -> Value:
    """Return a block of a value from computed starts, which are moved so that it lies inside."""
    begins = _moved_inside(graph, x.shape, starts, sizes)
    if all(begin.known is not None for begin in begins):
        return graph.crop(x, [int(begin.known) for begin in begins if begin.known is not None], sizes)
    return graph.block(x, graph.stack(begins, 0), sizes)


def _moved_inside(graph: Graph, shape: Shape, starts: Sequence[Value], sizes: Shape) -> list[Value]:
    zero = graph.scalar(0, np.int32)
    return [
        zero
        if same(size, whole)
        else graph.cast(graph.full(clamp_index(graph, as_index(graph, start), whole - size)), np.int32)
        for start, size, whole in zip(starts, sizes, shape, strict=True)
    ]


@lowering("dynamic_update_slice")
def dynamic_update_slice(graph: Graph, equation: Equation, x: Value, update: Value, *starts: Value) -> Value:
    """Write a value with a block replaced, whose start is moved so that it lies inside."""
    begins = _moved_inside(graph, x.shape, starts, update.shape)
    return replace(replaced(graph, x, update, begins, 0), shape=equation.shape)


def replaced(graph: Graph, x: Value, update: Value, begins: Sequence[Value], axis: int) -> Value:
    """Return a value with a block replaced: what is in front along an axis, the rows it touches, what is behind."""
    while axis < len(x.shape) and same(update.shape[axis], x.shape[axis]):
        axis += 1
    if axis == len(x.shape):
        return update
    begin, size = begins[axis], update.shape[axis]
    zeros = [graph.scalar(0, np.int32)] * len(x.shape)
    end = graph.elementwise("AddV2", begin, graph.length(size))

    def part(first: Value, length: Value, shape: Shape) -> Value:
        starts = graph.stack([*zeros[:axis], first, *zeros[axis + 1 :]], 0)
        rest = graph.scalar(-1, np.int32)
        lengths = graph.stack([*([rest] * axis), length, *([rest] * (len(x.shape) - axis - 1))], 0)
        return graph.whole("Slice", [x, starts, lengths], x.dtype, shape)

    def sized(length: Dimension) -> Shape:
        return (*x.shape[:axis], length, *x.shape[axis + 1 :])

    front = part(zeros[0], begin, sized(_OPEN))
    behind = part(end, graph.scalar(-1, np.int32), sized(_OPEN))
    rows = part(begin, graph.length(size), sized(size))
    middle = graph.full(replaced(graph, rows, update, begins, axis + 1))
    return graph.op("ConcatV2", [front, middle, behind, graph.scalar(axis, np.int32)], x.dtype, x.shape)


@lowering("gather")
def gather(graph: Graph, equation: Equation, x: Value, indices: Value) -> Value:
    """Write a gather, by the simplest op that has the same effect."""
    plan = Plan.of(equation.params)
    indices = as_index(graph, indices)
    filled = equation.params["mode"] == GatherScatterMode.FILL_OR_DROP
    starts = [column_of(graph, indices, place) for place in range(len(plan.axes))]
    clamped = [
        clamp_index(graph, start, x.shape[axis] - plan.sizes[axis])
        for start, axis in zip(starts, plan.axes, strict=True)
    ]
    if not indices.shape[:-1]:
        begins = starts_of(graph, plan, clamped)
        made = graph.reshape(block(graph, x, begins, plan.sizes), equation.shape)
    else:
        made = _gathered(graph, x, clamped, plan, indices)
    made = replace(made, shape=equation.shape) if len(made.shape) == len(equation.shape) else made
    if not filled:
        return made
    inside = inside_of(graph, starts, plan, x.shape)
    if inside is None:
        return made
    placed = graph.broadcast(inside, equation.shape, plan.batch_positions(len(equation.shape)))
    return replace(graph.select(placed, made, _fill(equation, x.dtype)), shape=equation.shape)


def starts_of(graph: Graph, plan: Plan, starts: Sequence[Value]) -> list[Value]:
    """Return the start along every axis of a window of which some axes have none of their own."""
    begins = [graph.scalar(0, np.int32)] * len(plan.sizes)
    for axis, start in zip(plan.axes, starts, strict=True):
        begins[axis] = graph.cast(start, np.int32)
    return begins


def _fill(equation: Equation, dtype: np.dtype[Any]) -> Value:
    """Return what a gather gives for places outside."""
    value = equation.params["fill_value"]
    if value is None:
        if dtype.kind in "fcV":
            value = np.nan
        elif dtype.kind == "i":
            value = np.iinfo(dtype).min
        else:
            value = True if dtype == np.bool_ else np.iinfo(dtype).max
    return constant(np.asarray(value).astype(dtype))


def column_of(graph: Graph, indices: Value, place: int) -> Value:
    """Return one component of index vectors, which are the last axis."""
    batch = indices.shape[:-1]
    if is_one(indices.shape[-1]):
        return graph.reshape(indices, batch)
    if indices.known is not None and indices.known.shape == indices.shape:
        return constant(indices.known[..., place])
    rank = len(indices.shape)
    part = graph.crop(indices, [0] * (rank - 1) + [place], (*batch, 1))
    return graph.reshape(part, batch)


def inside_of(graph: Graph, starts: Sequence[Value], plan: Plan, shape: Shape) -> Value | None:
    """Return whether each slice lies inside, or None if all of them certainly do."""
    made: Value | None = None
    for start, axis in zip(starts, plan.axes, strict=True):
        last = shape[axis] - plan.sizes[axis]
        if (
            start.known is not None
            and isinstance(last, int)
            and bool(((start.known >= 0) & (start.known <= last)).all())
        ):
            continue
        most = graph.cast(graph.length(last), start.dtype)
        for op, bound in (("GreaterEqual", graph.scalar(0, start.dtype)), ("LessEqual", most)):
            holds = graph.elementwise(op, start, bound, dtype=np.bool_)
            made = holds if made is None else graph.elementwise("LogicalAnd", made, holds)
    return made


class Plan:
    """What a gather or a scatter does with the axes of its operand.

    Args:
        axes: The axes that a component of the index vectors says the start of, in the order of the components.
        sizes: The size of the window along each axis of the operand.
        dropped: The axes of the operand that the windows do not have in the result.
        batched: The axes of the operand that go along with one of the indices, and that one.
        windows: The axes of the result that are those of the windows.
    """

    def __init__(
        self, axes: Sequence[int], sizes: Shape, dropped: Sequence[int], batched: dict[int, int], windows: Sequence[int]
    ) -> None:
        self.axes = tuple(axes)
        self.sizes = sizes
        self.dropped = tuple(dropped)
        self.batched = batched
        self.windows = tuple(windows)

    @classmethod
    def of(cls, params: Any) -> Plan:
        """Return the plan of a gather."""
        numbers = params["dimension_numbers"]
        batched = dict(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True))
        return cls(
            numbers.start_index_map, plain_shape(params["slice_sizes"]), numbers.collapsed_slice_dims, batched,
            numbers.offset_dims,
        )  # fmt: skip

    def batch_positions(self, rank: int) -> list[int]:
        """Return the axes of the result that are those of the indices."""
        return [axis for axis in range(rank) if axis not in self.windows]

    def indexed(self, shape: Shape) -> list[int]:
        """Return the axes of the operand that places are computed for, in its order; the others are taken whole."""
        return [
            axis
            for axis in range(len(shape))
            if axis in self.batched
            or not same(self.sizes[axis], shape[axis])
            or (axis in self.dropped and axis in self.axes)
        ]


def _gathered(graph: Graph, x: Value, starts: Sequence[Value], plan: Plan, indices: Value) -> Value:
    """Return the slices of a gather whose index vectors have axes of their own."""
    batch = indices.shape[:-1]
    indexed = plan.indexed(x.shape)
    for axis in [axis for axis in indexed if axis not in plan.batched and axis not in plan.axes]:
        sizes = [plan.sizes[axis] if each == axis else size for each, size in enumerate(x.shape)]
        x = graph.crop(x, [0] * len(sizes), sizes)
        indexed.remove(axis)
    starting = dict(zip(plan.axes, starts, strict=True))
    kept = [axis for axis in indexed if axis not in plan.batched and axis not in plan.dropped]
    single = [axis for axis in indexed if axis in starting]
    if len(single) == 1 and not kept and len(plan.batched) in (0, len(batch)) and _leading(plan.batched):
        made = _one_axis(graph, x, starting[single[0]], plan, single[0])
    else:
        made = _by_number(graph, x, columns_of(graph, starting, indexed, (kept, plan, batch)), indexed)
    rest = [axis for axis in range(len(x.shape)) if axis not in indexed]
    return _arranged(graph, made, plan, [*kept, *rest], len(batch))


def _by_number(graph: Graph, x: Value, columns: Sequence[Value], indexed: Sequence[int]) -> Value:
    """Return what is at places along several axes, which become one axis in front."""
    rest = [axis for axis in range(len(x.shape)) if axis not in indexed]
    number = graph.full(_numbered(graph, columns, [x.shape[axis] for axis in indexed]))
    turned = graph.full(graph.transpose(x, [*indexed, *rest]))
    tail = turned.shape[len(indexed) :]
    flat = graph.full(graph.reshape(turned, (product(turned.shape[: len(indexed)]), *tail)))
    shape = (*columns[0].shape, *tail)
    return graph.op("GatherV2", [flat, number, graph.scalar(0, np.int32)], x.dtype, shape, batch_dims=0)


def _numbered(graph: Graph, columns: Sequence[Value], sizes: Sequence[Dimension]) -> Value:
    """Return places as numbers of elements in a row of all of them."""
    made = columns[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        scaled = graph.elementwise("Mul", made, graph.cast(graph.length(size), made.dtype))
        made = graph.elementwise("AddV2", scaled, column)
    return made


def _leading(batched: dict[int, int]) -> bool:
    return list(batched.values()) == list(range(len(batched)))


def _one_axis(graph: Graph, x: Value, index: Value, plan: Plan, axis: int) -> Value:
    """Return what is at places along a single axis: axes of the indices, then the others of the operand."""
    batched = list(plan.batched)
    others = [each for each in range(len(x.shape)) if each != axis and each not in plan.batched]
    index = graph.full(index)
    if batched:
        turned = graph.full(graph.transpose(x, [*batched, axis, *others]))
        where, count = len(batched), len(batched)
        shape = (*index.shape, *(x.shape[each] for each in others))
        return graph.op("GatherV2", [turned, index, graph.scalar(where, np.int32)], x.dtype, shape, batch_dims=count)
    shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    made = graph.op("GatherV2", [graph.full(x), index, graph.scalar(axis, np.int32)], x.dtype, shape, batch_dims=0)
    rank = len(index.shape)
    order = [*range(axis, axis + rank), *range(axis), *range(axis + rank, len(shape))]
    return graph.transpose(made, order)


def columns_of(
    graph: Graph, starting: dict[int, Value], indexed: Sequence[int], where: tuple[Sequence[int], Plan, Shape]
) -> list[Value]:
    """Return the places of all elements of the windows, along each axis.

    Args:
        graph: Where to write it.
        starting: The start along each axis that has one, one for each index vector.
        indexed: The axes that places are computed for, in order.
        where: Those of them along which a window has more than one place, the plan, and the shape of the indices.

    Returns:
        For each axis ``[*batch, *windows]``, as small as it can be stored.
    """
    kept, plan, batch = where
    shape = (*batch, *(plan.sizes[axis] for axis in kept))
    dtype = max((start.dtype for start in starting.values()), key=lambda each: each.itemsize, default=np.dtype("i4"))
    columns = []
    for axis in indexed:
        if axis in plan.batched:
            along = plan.batched[axis]
            column = graph.broadcast(graph.range(batch[along]), shape, [along])
        else:
            column = graph.broadcast(starting[axis], shape, range(len(batch)))
            if axis in kept and not is_one(plan.sizes[axis]):
                steps = graph.range(plan.sizes[axis], starting[axis].dtype)
                steps = graph.broadcast(steps, shape, [len(batch) + kept.index(axis)])
                column = graph.elementwise("AddV2", column, steps)
        columns.append(graph.cast(replace(column, shape=shape), dtype))
    return columns


def _arranged(graph: Graph, made: Value, plan: Plan, windows: Sequence[int], batch: int) -> Value:
    """Return the result of a gather with its axes where the equation has them.

    Args:
        graph: Where to write it.
        made: Axes of the indices, then the `windows`.
        plan: The plan.
        windows: The axes of the operand in the order in which `made` has them.
        batch: How many axes the indices have.
    """
    shown = [axis for axis in range(len(plan.sizes)) if axis not in plan.dropped and axis not in plan.batched]
    # An axis that is dropped but was taken whole has length one.
    surplus = [place for place, axis in enumerate(windows) if axis not in shown]
    if surplus:
        shape = [size for place, size in enumerate(made.shape) if place - batch not in surplus]
        made = graph.reshape(made, shape)
        windows = [axis for axis in windows if axis in shown]
    rank = batch + len(windows)
    order = [0] * rank
    for position, place in zip(plan.batch_positions(rank), range(batch), strict=True):
        order[position] = place
    for position, axis in zip(sorted(plan.windows), shown, strict=True):
        order[position] = batch + list(windows).index(axis)
    return graph.transpose(made, order)
