"""Walking a traced program: each equation is written by its lowering, or computed now if it depends on no input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend import core

from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.plain_ops.folding import fold
from mainstay.saved_model.plain_ops.graph import Graph, stored_shape
from mainstay.saved_model.plain_ops.patterns import gelus
from mainstay.saved_model.plain_ops.registry import Aval, Equation, find
from mainstay.saved_model.plain_ops.values import (
    DTYPES,
    NotPlainError,
    Value,
    constant,
    plain_shape,
    same_shape,
)


def run(
    graph: Graph, closed_jaxpr: Any, arguments: Sequence[Value], *, needed: Sequence[bool] | None = None
) -> list[Value]:
    """Write a program.

    Args:
        graph: Where to.
        closed_jaxpr: The program.
        arguments: What it is applied to.
        needed: Which of its results something depends on; the others are not computed.

    Returns:
        Its results.

    Raises:
        NotPlainError: A part of it cannot be written, and `graph.refuse` does not take that in.
    """
    jaxpr = closed_jaxpr.jaxpr
    live = _live(jaxpr, [True] * len(jaxpr.outvars) if needed is None else needed)
    values: dict[Any, Value] = dict(zip(jaxpr.invars, arguments, strict=True))
    values.update(zip(jaxpr.constvars, (constant(np.asarray(each)) for each in closed_jaxpr.consts), strict=True))

    def read(atom: Any) -> Value:
        if isinstance(atom, core.Literal):
            return constant(np.asarray(atom.val, _dtype(atom.aval)))
        return values[atom] if atom in values else _nothing(atom.aval)

    special = gelus(jaxpr)
    for index, equation in enumerate(jaxpr.eqns):
        wanted = tuple(variable in live for variable in equation.outvars)
        if not any(wanted):
            continue
        inputs = [read(atom) for atom in equation.invars]
        name = equation.primitive.name
        try:
            results = fold(equation, inputs) or _written(graph, equation, inputs, (wanted, index in special))
        except NotPlainError as error:
            if graph.refuse is None:
                raise NotPlainError(f"{name}: {error}") from error
            graph.refuse(name, str(error))
            results = [_nothing(variable.aval) for variable in equation.outvars]
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _dtype(aval: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(aval.dtype)
    return dtype


def _live(jaxpr: Any, needed: Sequence[bool]) -> set[Any]:
    """Return the variables that the needed results depend on."""
    live = {
        atom
        for atom, wanted in zip(jaxpr.outvars, needed, strict=True)
        if wanted and not isinstance(atom, core.Literal)
    }
    for equation in reversed(jaxpr.eqns):
        if any(variable in live for variable in equation.outvars):
            live.update(atom for atom in equation.invars if not isinstance(atom, core.Literal))
    return live


def _written(graph: Graph, equation: Any, inputs: list[Value], how: tuple[tuple[bool, ...], bool]) -> list[Value]:
    name = equation.primitive.name
    write = find(name)
    if write is None:
        raise NotPlainError("there are no plain ops for it")
    outputs = tuple(_aval(variable.aval) for variable in equation.outvars)
    for value in inputs:
        if value.dtype.name not in DTYPES:
            raise NotPlainError(f"there are no plain ops for values of {value.dtype}")
    made = write(graph, Equation(name, equation.params, outputs, *how), *inputs)
    results = [made] if isinstance(made, Value) else list(made)
    for result, expected in zip(results, outputs, strict=True):
        if result.dtype != expected.dtype or not same_shape(result.shape, expected.shape):
            raise NotPlainError(f"its lowering gives {result.dtype}{result.shape} for {expected.dtype}{expected.shape}")
    return results


def _aval(aval: Any) -> Aval:
    if not hasattr(aval, "shape") or str(getattr(aval, "dtype", "")) not in DTYPES:
        raise NotPlainError(f"there are no plain ops for values of {getattr(aval, 'dtype', aval)}")
    return Aval(np.dtype(aval.dtype), plain_shape(aval.shape))


def _nothing(aval: Any) -> Value:
    """Return what stands for a result that nothing needs, or that could not be written."""
    dtype = np.dtype(aval.dtype) if str(getattr(aval, "dtype", "")) in DTYPES else np.dtype(np.float32)
    shape = plain_shape(getattr(aval, "shape", ()))
    return Value(dtype, shape, shape, Ref("nothing:output:0", dtype, stored_shape(shape)))
