"""What a row costs: multiplications of a traced function, by which the batch sizes to compile for are chosen."""

from __future__ import annotations

import math
from typing import Any

from mainstay.saved_model.program import BATCH

SMALL_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""The batch sizes for functions whose rows are dear: padding one row to eight would cost more than it is worth."""

DEAR = 2e7
"""From how many multiplications per row on a function is dear: about a millisecond of a processor's core."""

_OTHER = 128
"""The length that any axis of open length other than the batch is taken to have."""


def multiplications(closed: Any) -> float:
    """Return about how many multiplications a traced function does for one row: those of products and convolutions.

    Args:
        closed: The function, traced over a batch.
    """
    return _count(closed.jaxpr)


def _count(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            contracted = parameters["dimension_numbers"][0][0]
            shape = equation.invars[0].aval.shape
            total += _size(equation.outvars[0]) * math.prod(_length(shape[axis]) for axis in contracted)
        elif name == "conv_general_dilated":
            spec = parameters["dimension_numbers"].rhs_spec
            kernel = equation.invars[1].aval.shape
            total += _size(equation.outvars[0]) * math.prod(_length(kernel[axis]) for axis in spec[1:])
        else:
            times = _length(parameters["length"]) if name == "scan" else 1.0
            inner = [parameters[key] for key in _INNER if key in parameters]
            inner += list(parameters.get("branches", ()))
            total += times * sum(_count(getattr(item, "jaxpr", item)) for item in inner)
    return total


_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr", "body_jaxpr")


def _size(value: Any) -> float:
    return math.prod(map(_length, value.aval.shape))


def _length(axis: Any) -> float:
    if isinstance(axis, int):
        return float(axis)
    return 1.0 if str(axis) == BATCH else float(_OTHER)
