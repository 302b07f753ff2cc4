"""Branches and loops: their bodies become functions of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.plain_ops.calls import closed
from mainstay.saved_model.plain_ops.dimensions import Dimensions
from mainstay.saved_model.plain_ops.graph import Graph, stored_shape
from mainstay.saved_model.plain_ops.interpreter import run
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import NotPlainError, Value

_LOWERED = {"_lower_using_switch_merge": True}
"""Lets TensorFlow run a loop or a branch as part of the graph around it, as its own Python API does."""


@dataclass(frozen=True, eq=False)
class Shared:
    """What the functions of a loop or a branch take from outside, unchanged.

    Args:
        values: The values, of which those that are known are written where they are used.
        symbols: The symbols of the lengths that are passed along.
        passed: The tensors that are passed: values that are not known, then the lengths.
    """

    values: tuple[Value, ...]
    symbols: tuple[str, ...]
    passed: tuple[Ref, ...]

    @classmethod
    def of(cls, graph: Graph, values: Sequence[Value]) -> Shared:
        """Return values of a graph, and its symbolic lengths, as its functions take them."""
        symbols = graph.dimensions.symbols
        tensors = [graph.ref(value) for value in values if value.known is None]
        lengths = [graph.ref(graph.length(Symbol(name))) for name in symbols]
        return cls(tuple(values), symbols, (*tensors, *lengths))

    def inside(self, arguments: Sequence[Ref]) -> tuple[list[Value], dict[str, Ref]]:
        """Return the values and the lengths as the arguments of a function hold them."""
        given = iter(arguments)
        values = [value if value.known is not None else replace(value, ref=next(given)) for value in self.values]
        return values, dict(zip(self.symbols, given, strict=True))


class Symbol(str):
    """The name of a symbolic length, as a length."""


Body: TypeAlias = "Callable[[Graph, list[Ref], list[Value]], Sequence[Ref]]"
"""Writes a function, given its graph, the arguments that change and the values that are shared."""


def write_function(
    graph: Graph, name: str, *, changing: Sequence[Ref], shared: Shared, body: Body, keep: bool = False
) -> str:
    """Write a function of the graph and return its name.

    Args:
        graph: The graph that uses it.
        name: What its name says.
        changing: What it takes first: tensors like these.
        shared: What it takes after them.
        body: Writes it.
        keep: Whether it also returns what is shared, as a step of a loop does.
    """
    builder = FunctionBuilder(graph.library.unique(name))
    every = [*changing, *shared.passed]
    arguments = [builder.argument(f"arg_{index}", ref.dtype, ref.shape) for index, ref in enumerate(every)]
    first, others = arguments[: len(changing)], arguments[len(changing) :]
    values, lengths = shared.inside(others)
    inner = Graph(builder, graph.library, Dimensions(builder, scalars=lengths), refuse=graph.refuse)
    results = [*body(inner, first, values), *(others if keep else ())]
    if graph.refuse is None:
        graph.library.add(builder.finish({f"result_{index}": ref for index, ref in enumerate(results)}))
    return builder.name


def whole(graph: Graph, values: Sequence[Value]) -> list[Ref]:
    """Return the tensors of values in full."""
    return [graph.ref(graph.full(value)) for value in values]


def wrap(refs: Sequence[Ref], like: Sequence[Any]) -> list[Value]:
    """Return tensors as values of the dtypes and shapes of others."""
    return [Value(each.dtype, each.shape, each.shape, ref) for ref, each in zip(refs, like, strict=True)]


@lowering("cond")
def cond(graph: Graph, equation: Equation, which: Value, *operands: Value) -> list[Value]:
    """Write a choice among branches; an index beyond them is that of the nearest."""
    branches = equation.params["branches"]
    if which.known is not None:
        chosen_branch = branches[min(max(int(which.known), 0), len(branches) - 1)]
        return run(graph, closed(chosen_branch), operands, needed=equation.needed)
    shared = Shared.of(graph, operands)
    names = []
    for index, branch in enumerate(branches):

        def body(inner: Graph, _: list[Ref], values: list[Value], branch: Any = branch) -> list[Ref]:
            return whole(inner, run(inner, closed(branch), values))

        names.append(write_function(graph, f"branch_{index}", changing=(), shared=shared, body=body))
    inputs = [Value(np.dtype(np.int32), (), (), ref) for ref in shared.passed]
    kinds = [(each.dtype, each.shape) for each in equation.outputs]
    shapes = [stored_shape(each.shape) for each in equation.outputs]
    if len(branches) == 1:
        return list(graph.ops("PartitionedCall", inputs, kinds, f=names[0]))
    if len(branches) == 2:
        chosen = which
        if which.dtype != np.bool_:
            chosen = graph.elementwise("Greater", which, graph.scalar(0, which.dtype), dtype=np.bool_)
        attrs: dict[str, Any] = {"then_branch": names[1], "else_branch": names[0], "output_shapes": shapes, **_LOWERED}
        return list(graph.ops("StatelessIf", [chosen, *inputs], kinds, **attrs))
    chosen = graph.elementwise("Maximum", graph.cast(which, np.int32), graph.scalar(0, np.int32))
    return list(graph.ops("StatelessCase", [chosen, *inputs], kinds, branches=names, output_shapes=shapes, **_LOWERED))


@lowering("platform_index")
def platform(graph: Graph, equation: Equation) -> Value:
    """Write which of several platforms the program runs on: plain ops are written from the form for CPUs."""
    platforms = equation.params["platforms"]
    index = next((i for i, names in enumerate(platforms) if names is None or "cpu" in names), None)
    if index is None:
        raise NotPlainError("a part of the program is not for CPUs")
    return graph.scalar(index, equation.dtype)


@lowering("while")
def while_loop(graph: Graph, equation: Equation, *given: Value) -> list[Value]:
    """Write a loop."""
    params = equation.params
    tested, looped = params["cond_nconsts"], params["body_nconsts"]
    shared = Shared.of(graph, given[: tested + looped])
    state = list(given[tested + looped :])
    batched = bool(closed(params["cond_jaxpr"]).out_avals[0].shape)

    def holds(inner: Graph, arguments: list[Ref], values: list[Value]) -> Value:
        (result,) = run(inner, closed(params["cond_jaxpr"]), [*values[:tested], *wrap(arguments, state)])
        return result

    def goes_on(inner: Graph, arguments: list[Ref], values: list[Value]) -> list[Ref]:
        result = inner.full(holds(inner, arguments, values))
        if result.shape:
            axes = inner.integers(list(range(len(result.shape))))
            result = inner.op("Any", [result, axes], np.bool_, (), keep_dims=False)
        return [inner.ref(result)]

    def body(inner: Graph, arguments: list[Ref], values: list[Value]) -> list[Ref]:
        before = wrap(arguments, state)
        after = run(inner, closed(params["body_jaxpr"]), [*values[tested:], *before])
        still = holds(inner, arguments, values) if batched else None
        if still is not None:
            # Each row of a loop that `vmap` made ends by itself.
            after = [_where(inner, still, *pair) for pair in zip(after, before, strict=True)]
        return whole(inner, after)

    return wrap(write_loop(graph, whole(graph, state), shared, condition=goes_on, body=body), equation.outputs)


def _where(graph: Graph, still: Value, after: Value, before: Value) -> Value:
    return graph.select(graph.broadcast(still, after.shape, range(len(still.shape))), after, before)


def write_loop(graph: Graph, state: Sequence[Ref], shared: Shared, *, condition: Body, body: Body) -> list[Ref]:
    """Write a loop and return its state after the end.

    Args:
        graph: Where to.
        state: The state before.
        shared: What does not change.
        condition: Writes whether it goes on.
        body: Writes a step.
    """
    tested = write_function(graph, "while_cond", changing=state, shared=shared, body=condition)
    stepped = write_function(graph, "while_body", changing=state, shared=shared, body=body, keep=True)
    every = [*state, *shared.passed]
    attrs = {"cond": tested, "body": stepped, "output_shapes": [ref.shape for ref in every], **_LOWERED}
    made = graph.builder.op("StatelessWhile", every, [(ref.dtype, ref.shape) for ref in every], attrs=attrs)
    return list(made[: len(state)])
