"""Programs as plain TensorFlow ops, and what keeps one from becoming that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.core import ModelError
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library, Ref
from mainstay.saved_model.plain_ops import (
    calls,
    contractions,
    control_flow,
    conversions,
    convolutions,
    elementwise,
    gathering,
    integers,
    pooling,
    reductions,
    running,
    scanning,
    scattering,
    shapes,
    signals,
    sorting,
)
from mainstay.saved_model.plain_ops.dimensions import Dimensions
from mainstay.saved_model.plain_ops.graph import Graph, stored_shape
from mainstay.saved_model.plain_ops.interpreter import run
from mainstay.saved_model.plain_ops.registry import registered
from mainstay.saved_model.plain_ops.values import DTYPES, NotPlainError, Value, plain_shape

THEMES = (
    elementwise, integers, conversions, shapes, gathering, scattering, reductions, running, contractions, convolutions,
    pooling, sorting, signals, control_flow, scanning, calls,
)  # fmt: skip
"""The modules that hold the lowerings."""


def emit(
    builder: FunctionBuilder,
    library: Library,
    closed_jaxpr: Any,
    arguments: Sequence[Ref],
    dimensions: Dimensions | None = None,
) -> list[Ref]:
    """Write a traced program into a function of a graph.

    Args:
        builder: The function.
        library: Takes the functions of loops and branches.
        closed_jaxpr: The program, as `jax.make_jaxpr` gives it, with symbolic lengths or without.
        arguments: Its arguments: tensors of the dtypes that the program takes.
        dimensions: Where its symbolic lengths come from. By default from the shapes of the arguments.

    Returns:
        Its results.

    Raises:
        ModelError: A part of it has no plain ops; `unsupported` lists all of them.
    """
    known = dimensions or Dimensions.of_arguments(builder, closed_jaxpr, arguments)
    graph = Graph(builder, library, known)
    try:
        results = run(graph, closed_jaxpr, _values(closed_jaxpr, arguments))
        return [graph.ref(graph.full(result)) for result in results]
    except NotPlainError as error:
        raise ModelError(
            "a program has no form in plain TensorFlow ops",
            received=str(error),
            fix="save it with tensorflow='xla', or 'auto'",
        ) from error


def unsupported(closed_jaxpr: Any) -> tuple[str, ...]:
    """Return what keeps a traced program from becoming plain ops: each primitive, and why; nothing if all is well.

    Example:
        >>> import jax
        >>> unsupported(jax.make_jaxpr(lambda x: jax.numpy.linalg.cholesky(jax.numpy.sin(x)))(jax.numpy.eye(2)))
        ('cholesky: there are no plain ops for it',)
    """
    found: dict[str, None] = {}
    builder = FunctionBuilder("unsupported")
    arguments = []
    for index, aval in enumerate(closed_jaxpr.in_avals):
        if str(getattr(aval, "dtype", "")) not in DTYPES:
            return (f"argument {index}: there are no plain ops for values of {getattr(aval, 'dtype', aval)}",)
        arguments.append(builder.argument(f"arg_{index}", aval.dtype, stored_shape(plain_shape(aval.shape))))

    def refuse(primitive: str, reason: str) -> None:
        found[f"{primitive}: {reason}"] = None

    graph = Graph(builder, Library(), Dimensions.of_arguments(builder, closed_jaxpr, arguments), refuse=refuse)
    try:
        run(graph, closed_jaxpr, _values(closed_jaxpr, arguments))
    except ModelError as error:
        found[f"dimensions: {error.summary}: {error.received}"] = None
    return tuple(found)


def supported_primitives() -> tuple[str, ...]:
    """Return the names of the primitives that become plain ops, in all forms or in some."""
    return registered()


def _values(closed_jaxpr: Any, arguments: Sequence[Ref]) -> list[Value]:
    shapes_of = [plain_shape(aval.shape) for aval in closed_jaxpr.in_avals]
    return [
        Value(aval.dtype, shape, shape, ref)
        for aval, shape, ref in zip(closed_jaxpr.in_avals, shapes_of, arguments, strict=True)
    ]
