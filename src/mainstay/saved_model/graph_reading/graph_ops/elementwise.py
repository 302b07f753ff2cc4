"""How operations work element by element: on NumPy arrays, on JAX's, and on tensors of symbolic sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import backend_of, is_symbolic

Function = Callable[..., Any]


def elementwise(numpy: Function, jax: Function, *, symbolic: bool = False) -> Function:
    """Return the implementation of an operation that works element by element.

    Args:
        numpy: What computes it where all inputs are NumPy's.
        jax: What computes it where one is JAX's.
        symbolic: Whether `numpy` also takes object arrays of symbolic sizes. Where it does not, sizes become values
            of the program.
    """

    def implementation(node: OpNode, *inputs: Any) -> Any:
        values = inputs
        if any(is_symbolic(value) for value in values) and not (symbolic and backend_of(*values) is np):
            dtype = node.attr("T")
            values = tuple(on_device(value, dtype) if is_symbolic(value) else value for value in values)
        if backend_of(*values) is np:
            with np.errstate(all="ignore"):
                return np.asarray(numpy(*values))
        return jax(*values)

    return implementation


def register(names: str, numpy: Function, jax: Function, *, module: str, symbolic: bool = False) -> None:
    """Register an operation that works element by element.

    Args:
        names: Its names, with spaces between them.
        numpy: What computes it where all inputs are NumPy's.
        jax: What computes it where one is JAX's.
        module: The module that it belongs to.
        symbolic: Whether `numpy` also takes object arrays of symbolic sizes.
    """
    implementation = elementwise(numpy, jax, symbolic=symbolic)
    implementation.__module__ = module
    graph_op(*names.split())(implementation)
