"""Sorting and the largest elements, both by `TopKV2`, which keeps equal elements in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.saved_model.plain_ops.elementwise import is_nan
from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.reductions import signed
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value, is_float


@lowering("sort")
def sort(graph: Graph, equation: Equation, *values: Value) -> Sequence[Value]:
    """Write a stable sort by some keys, of any number of values along with them: the last key is sorted by first."""
    axis, keys = equation.params["dimension"], equation.params["num_keys"]
    rank = len(values[0].shape)
    turn = [*(each for each in range(rank) if each != axis), axis]
    moved = [graph.full(graph.transpose(value, turn)) for value in values]
    order: Value | None = None
    for key in reversed(moved[:keys]):
        descending = _descending(graph, key)
        if order is not None:
            descending = _taken(graph, descending, order)
        places = _top(graph, descending, key.shape[-1])[1]
        order = places if order is None else _taken(graph, order, places)
    if order is None:
        return values
    back = [int(each) for each in np.argsort(turn)]
    return [graph.transpose(_taken(graph, value, order), back) for value in moved]


def _taken(graph: Graph, value: Value, order: Value) -> Value:
    """Return the elements along the last axis in another order."""
    last = len(value.shape) - 1
    return graph.op("GatherV2", [value, order, graph.scalar(last, np.int32)], value.dtype, order.shape, batch_dims=last)


def _top(graph: Graph, value: Value, count: Any) -> tuple[Value, Value]:
    shape = (*value.shape[:-1], count)
    best, places = graph.ops(
        "TopKV2", [value, graph.length(count)], [(value.dtype, shape), (np.int32, shape)], sorted=True
    )
    return best, places


def _descending(graph: Graph, key: Value) -> Value:
    """Return integers of which the largest belong to the smallest keys, so that NaN comes last and -0 equals 0."""
    dtype = key.dtype
    if dtype == np.bool_:
        return graph.elementwise("Invert", graph.cast(key, np.int32))
    if dtype.kind in "iu":
        if dtype == np.uint64:
            key = signed(graph, key)
        elif dtype == np.uint32:
            key = graph.cast(key, np.int64)
        elif dtype.itemsize < 4:
            key = graph.cast(key, np.int32)
        return graph.elementwise("Invert", key)
    if not is_float(dtype):
        raise NotPlainError("there are no plain ops for sorting complex numbers")
    wide = key if dtype.itemsize >= 4 else graph.cast(key, np.float32)
    integer = np.dtype(f"i{wide.dtype.itemsize}")
    zero = graph.scalar(0, wide.dtype)
    settled = graph.select(graph.elementwise("Equal", wide, zero, dtype=np.bool_), zero, wide)
    bits = graph.elementwise("Bitcast", settled, dtype=integer)
    # Negative numbers have the opposite order of their bits.
    flipped = graph.elementwise("BitwiseXor", bits, graph.scalar(np.iinfo(integer).max, integer))
    negative = graph.elementwise("Less", bits, graph.scalar(0, integer), dtype=np.bool_)
    ordered = graph.select(negative, flipped, bits)
    last = graph.select(is_nan(graph, wide), graph.scalar(np.iinfo(integer).max, integer), ordered)
    return graph.elementwise("Invert", last)


@lowering("top_k", "approx_top_k")
def top_k(graph: Graph, equation: Equation, x: Value) -> Sequence[Value]:
    """Write the largest elements and where they are; NaN counts as infinite."""
    rank = len(x.shape)
    axis = equation.params.get("axis", equation.params.get("reduction_dimension", rank - 1)) % rank
    turn = [*(each for each in range(rank) if each != axis), axis]
    back = [int(each) for each in np.argsort(turn)]
    x = graph.full(graph.transpose(x, turn))
    key = _key(graph, x, smallest=equation.name == "approx_top_k" and not equation.params["is_max_k"])
    best, places = _top(graph, key, equation.shape[axis])
    if key is not x or is_float(x.dtype):
        best = _taken(graph, x, places)
    found = (best, graph.cast(places, equation.outputs[1].dtype))
    return [graph.transpose(each, back) for each in found]


def _key(graph: Graph, x: Value, *, smallest: bool) -> Value:
    """Return numbers whose largest are at the places of the largest or smallest elements."""
    if is_float(x.dtype):
        key = graph.elementwise("Neg", x) if smallest else x
        return graph.select(is_nan(graph, x), graph.scalar(-np.inf if smallest else np.inf, x.dtype), key)
    if x.dtype.kind == "c" or smallest:
        raise NotPlainError(f"there are no plain ops for the {'smallest' if smallest else 'largest'} of {x.dtype}")
    if x.dtype == np.uint64:
        return signed(graph, x)
    if x.dtype in (np.int32, np.int64):
        return x
    return graph.cast(x, np.int64 if x.dtype == np.uint32 else np.int32)
