"""The flow of a traced function: which of its inputs each result depends on, and which results are inputs untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_CALLS = ("jit", "pjit", "closed_call", "core_call")


@dataclass(frozen=True)
class Flow:
    """Where a value comes from.

    Args:
        inputs: The numbers of the inputs that it depends on.
        same: The number of the input that it is; None where it is computed.
    """

    inputs: frozenset[int] = frozenset()
    same: int | None = None


def flow_of(closed: Any) -> list[Flow]:
    """Return the flow of each result of a closed jaxpr."""
    count = len(closed.jaxpr.invars)
    return _through(closed.jaxpr, [Flow(frozenset([index]), index) for index in range(count)])


def _through(jaxpr: Any, given: Sequence[Flow]) -> list[Flow]:
    known: dict[int, Flow] = {id(variable): flow for variable, flow in zip(jaxpr.invars, given, strict=True)}

    def find(atom: Any) -> Flow:
        return known.get(id(atom), Flow())

    for equation in jaxpr.eqns:
        taken = [find(atom) for atom in equation.invars]
        inner = equation.params.get("jaxpr") if equation.primitive.name in _CALLS else None
        if equation.primitive.name == "optimization_barrier":
            made = taken
        elif inner is not None:
            made = _through(getattr(inner, "jaxpr", inner), taken)
        else:
            both = Flow(frozenset().union(*(flow.inputs for flow in taken)))
            made = [both] * len(equation.outvars)
        known.update((id(variable), flow) for variable, flow in zip(equation.outvars, made, strict=True))
    return [find(atom) for atom in jaxpr.outvars]
