"""Scans: loops that take one slice of their inputs at each step, and collect one of their outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.plain_ops.calls import closed
from mainstay.saved_model.plain_ops.control_flow import Shared, whole, wrap, write_loop
from mainstay.saved_model.plain_ops.graph import Graph, stored_shape
from mainstay.saved_model.plain_ops.interpreter import run
from mainstay.saved_model.plain_ops.registry import Aval, Equation, lowering
from mainstay.saved_model.plain_ops.values import Value, plain_shape

_INDEX = np.dtype(np.int32)


@lowering("scan")
def scan(graph: Graph, equation: Equation, *given: Value) -> list[Value]:
    """Write a scan as a loop whose outputs are collected in lists of tensors."""
    params = equation.params
    fixed, carried = params["num_consts"], params["num_carry"]
    length = plain_shape([params["length"]])[0]
    constants, carry, sequences = given[:fixed], given[fixed : fixed + carried], given[fixed + carried :]
    program = closed(params["jaxpr"])
    collected = [index for index in range(carried, len(equation.outputs)) if equation.needed[index]]
    needed = [index < carried or index in collected for index in range(len(equation.outputs))]
    shared = Shared.of(graph, [*constants, *(graph.full(each) for each in sequences)])
    state = [graph.ref(graph.scalar(0, _INDEX)), *whole(graph, carry)]
    state += [_empty_list(graph, equation.outputs[index], length) for index in collected]

    def goes_on(inner: Graph, arguments: list[Ref], _: list[Value]) -> list[Ref]:
        step = Value(_INDEX, (), (), arguments[0])
        return [inner.ref(inner.elementwise("Less", step, inner.length(length), dtype=np.bool_))]

    def body(inner: Graph, arguments: list[Ref], values: list[Value]) -> list[Ref]:
        step = Value(_INDEX, (), (), arguments[0])
        place = step
        if params["reverse"]:
            last = inner.elementwise("Sub", inner.length(length), inner.scalar(1, _INDEX))
            place = inner.elementwise("Sub", last, step)
        slices = [_slice(inner, each, place) for each in values[fixed:]]
        inputs = [*values[:fixed], *wrap(arguments[1 : 1 + carried], equation.outputs[:carried]), *slices]
        results = run(inner, program, inputs, needed=needed)
        lists = [
            inner.builder.one("TensorListSetItem", [handle, inner.ref(place), inner.ref(inner.full(results[index]))],
                              "variant", (), element_dtype=results[index].dtype)
            for handle, index in zip(arguments[1 + carried :], collected, strict=True)
        ]  # fmt: skip
        following = inner.elementwise("AddV2", step, inner.scalar(1, _INDEX))
        return [inner.ref(following), *whole(inner, results[:carried]), *lists]

    made = write_loop(graph, state, shared, condition=goes_on, body=body)
    outputs = dict(enumerate(wrap(made[1 : 1 + carried], equation.outputs[:carried])))
    for handle, index in zip(made[1 + carried :], collected, strict=True):
        outputs[index] = _stacked(graph, handle, equation.outputs[index])
    return [outputs.get(index) or _unneeded(each) for index, each in enumerate(equation.outputs)]


def _slice(graph: Graph, value: Value, place: Value) -> Value:
    inputs = [graph.full(value), place, graph.scalar(0, np.int32)]
    return graph.op("GatherV2", inputs, value.dtype, value.shape[1:], batch_dims=0)


def _empty_list(graph: Graph, like: Aval, length: Any) -> Ref:
    element, count = graph.ref(graph.lengths(like.shape[1:])), graph.ref(graph.length(length))
    return graph.builder.one("TensorListReserve", [element, count], "variant", (), element_dtype=like.dtype)


def _stacked(graph: Graph, handle: Ref, like: Aval) -> Value:
    element = graph.ref(graph.lengths(like.shape[1:]))
    count = like.shape[0] if isinstance(like.shape[0], int) else -1
    ref = graph.builder.one(
        "TensorListStack", [handle, element], like.dtype, stored_shape(like.shape),
        element_dtype=like.dtype, num_elements=count,
    )  # fmt: skip
    return Value(like.dtype, like.shape, like.shape, ref)


def _unneeded(like: Aval) -> Value:
    """Return what stands for an output that nothing reads."""
    return Value(like.dtype, like.shape, like.shape, None)
