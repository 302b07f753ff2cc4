"""Runs a graph node by node: on NumPy and JAX arrays, or on the tracers of a program that XLA is to compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mainstay.core import MainstayError, ModelError
from mainstay.saved_model.graph_reading.control_flow import CONTROL_FLOW
from mainstay.saved_model.graph_reading.graph import Graph, Source
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, implementation
from mainstay.saved_model.graph_reading.graph_ops.values import Value, ValueNeededError
from mainstay.saved_model.graph_reading.library import Library
from mainstay.saved_model.graph_reading.limits import Budget, refuse_gigantic, refuse_gigantic_result
from mainstay.saved_model.graph_reading.resources import HANDLES, Resources

_NOT_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class NodeNeedsValueError(Exception):
    """A node of a graph cannot be traced without the value of an input.

    Args:
        index: Which node.
    """

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Evaluation:
    """Computes nodes, and the functions that nodes call.

    Args:
        library: The functions.
        resources: The variables and tables.
        call: Runs a function that a node calls, ``call(name, arguments)``; by default node by node as well.
        budget: What may be done; None for anything. With one nothing is traced, and everything runs node by node.

    Attributes:
        traced: Whether XLA is tracing: loops and conditionals then become XLA's.
    """

    def __init__(
        self,
        library: Library,
        resources: Resources,
        call: Callable[[str, Sequence[Value]], Sequence[Value]] | None = None,
        *,
        budget: Budget | None = None,
    ) -> None:
        self.traced = call is None and budget is None
        self._budget = budget
        self._library = library
        self._resources = resources
        self._call = call

    def call(self, name: str, arguments: Sequence[Value]) -> Sequence[Value]:
        """Return what a function gives."""
        return self.run_function(name, arguments) if self._call is None else self._call(name, arguments)

    def constants(self, body: str) -> set[int]:
        """Return which arguments the body of a loop hands back untouched."""
        graph = self._library.graph(body)
        return {
            index for index, source in enumerate(graph.results) if origin(graph, source) == (graph.arguments[index], 0)
        }

    def run_function(self, name: str, arguments: Sequence[Value]) -> list[Value]:
        """Return what a function gives, computed node by node."""
        return self.run_graph(self._library.graph(name), arguments)

    def run_graph(self, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
        """Return what a graph gives, computed node by node."""
        values: dict[int, tuple[Value, ...]] = {}
        for index, argument in zip(graph.arguments, arguments, strict=True):
            values[index] = (argument,)
        for index, node in enumerate(graph.nodes):
            if index not in values:
                values[index] = self.node(node.op, [take(values, source) for source in node.inputs])
        return [take(values, source) for source in graph.results]

    def node(self, node: OpNode, inputs: Sequence[Value]) -> tuple[Value, ...]:
        """Return the outputs of a node.

        Raises:
            ModelError: There is no implementation of the op, or it fails; `where` names the node.
            ValueNeededError: XLA is tracing, and the value of an input is needed.
        """
        if self._budget is not None:
            self._budget.ask(node, inputs)
        try:
            outputs = self._run(node, inputs)
        except (ValueNeededError, NodeNeedsValueError):
            raise
        except _NOT_CONCRETE as error:
            raise ValueNeededError from error
        except MainstayError as error:
            if error.where is not None:
                raise
            raise type(error)(
                error.summary,
                where=f"{node.name} ({node.op})",
                expected=error.expected,
                received=error.received,
                fix=error.fix,
            ) from error
        except Exception as error:
            raise ModelError(
                "a node of the graph cannot be computed",
                where=f"{node.name} ({node.op})",
                received=f"{type(error).__name__}: {error}; inputs {[described(value) for value in inputs]}",
            ) from error
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        refuse_gigantic_result(node, outputs)
        return outputs

    def _run(self, node: OpNode, inputs: Sequence[Value]) -> Any:
        if node.op == "Const":
            return node.attrs["value"]
        if node.op in CONTROL_FLOW:
            return CONTROL_FLOW[node.op](node, inputs, self)
        if node.op in HANDLES:
            return self._resources.handle(node)
        known = implementation(node.op)
        if known is None:
            raise ModelError("an op of the graph is not read here", received=node.op)
        if known.kind == "host":
            inputs = [np.asarray(value) if isinstance(value, jax.Array) else value for value in inputs]
        refuse_gigantic(node, inputs)
        return known.run(node, *inputs)


def take(values: Mapping[int, tuple[Value, ...]], source: Source) -> Value:
    """Return an output of a node."""
    outputs = values[source[0]]
    if source[1] >= len(outputs):
        raise ModelError("a node reads an output that is not there", received=f"output {source[1]} of {len(outputs)}")
    return outputs[source[1]]


def described(value: Value) -> str:
    """Return a value's dtype and shape, for messages."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value)


def origin(graph: Graph, source: Source) -> Source:
    """Return where a value comes from that Identity nodes hand on."""
    while graph.nodes[source[0]].op.op == "Identity" and graph.nodes[source[0]].inputs:
        source = graph.nodes[source[0]].inputs[0]
    return source
