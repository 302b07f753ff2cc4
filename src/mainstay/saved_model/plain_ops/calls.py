"""Equations that hold a program of their own and only apply it: it is written in their place."""

from __future__ import annotations

from typing import Any

from jax.extend import core

from mainstay.saved_model.plain_ops.graph import Graph
from mainstay.saved_model.plain_ops.interpreter import run
from mainstay.saved_model.plain_ops.registry import Equation, lowering
from mainstay.saved_model.plain_ops.values import Value


@lowering(
    "jit", "closed_call", "core_call", "call", "remat2", "composite", "custom_jvp_call", "custom_vjp_call",
    "custom_vmap_call",
)  # fmt: skip
def inline(graph: Graph, equation: Equation, *inputs: Value) -> list[Value]:
    """Write what a call does; the rules for its derivative are for training alone."""
    names = ("jaxpr", "call_jaxpr", "call", "fun_jaxpr")
    return run(
        graph, closed(next(equation.params[n] for n in names if n in equation.params)), inputs, needed=equation.needed
    )


@lowering(
    "copy", "copy_p", "stop_gradient", "optimization_barrier", "name", "device_put", "sharding_constraint", "pvary",
    "layout_constraint",
)  # fmt: skip
def identity(_graph: Graph, _equation: Equation, *inputs: Value) -> list[Value]:
    """Pass values on: what the equation says is for differentiation, for compilers or for several devices."""
    return list(inputs)


def closed(program: Any) -> Any:
    """Return a program with its constants, of which there are none if it was open."""
    return program if isinstance(program, core.ClosedJaxpr) else core.ClosedJaxpr(program, ())
