"""What a step costs, from its traced form: a number that is the same on every machine and in every run."""

from __future__ import annotations

import math
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

_PARALLEL = frozenset(
    {"conv_general_dilated", "reduce_window_max", "reduce_window_sum", "select_and_scatter_add", "sort"}
)
"""Operations that XLA spreads over the cores of a CPU, though not inside a loop."""


def operations(program: ClosedJaxpr | Jaxpr) -> float:
    """Return about how many floating-point operations a program takes, infinity if it has some that loops slow down.

    Matrix products count two per multiply-add, everything else one per element that it makes.
    """
    equations = program.jaxpr.eqns if isinstance(program, ClosedJaxpr) else program.eqns
    return sum(_operations(equation) for equation in equations)


def _operations(equation: Any) -> float:
    name = equation.primitive.name
    if name in _PARALLEL or name == "while":
        return math.inf
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        depth = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
        return float(2 * depth * math.prod(equation.outvars[0].aval.shape))
    inner = [
        operations(item)
        for value in equation.params.values()
        for item in (value if isinstance(value, tuple) else (value,))
        if isinstance(item, (ClosedJaxpr, Jaxpr))
    ]
    if inner:
        times = float(equation.params["length"]) if name == "scan" else 1.0
        return float(times * (max(inner) if name == "cond" else sum(inner)))
    return float(sum(math.prod(variable.aval.shape) for variable in equation.outvars))
