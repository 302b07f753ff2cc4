"""A stage that XLA compiles: once for each set of shapes, with the weights as arguments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mainstay.saved_model.graph_reading.evaluation import Evaluation, NodeNeedsValueError, take
from mainstay.saved_model.graph_reading.graph import Graph, Source
from mainstay.saved_model.graph_reading.graph_ops.values import (
    TensorListValue,
    Value,
    ValueNeededError,
    Variable,
    is_symbolic,
)
from mainstay.saved_model.graph_reading.partition import Stage

_MOST_PROGRAMS = 256
_LARGE = 1 << 16
"""From how many bytes on a constant is an argument of a program like a weight, instead of a part of it."""


class DeviceStage:
    """A stage of a graph, compiled for each set of shapes at the first call that brings it.

    Args:
        graph: The graph.
        stage: The stage.
        free: The nodes outside of it that it computes for itself.
        constants: The outputs of the nodes that are known already.
        shape_only: The nodes whose values follow from shapes, which a program may have built in.
        evaluation: Traces nodes.
    """

    def __init__(
        self,
        graph: Graph,
        stage: Stage,
        *,
        free: frozenset[int],
        constants: Mapping[int, tuple[Value, ...]],
        shape_only: frozenset[int],
        evaluation: Evaluation,
    ) -> None:
        self.stage = stage
        self._graph = graph
        self._free = free
        self._constants = constants
        self._shape_only = shape_only
        self._evaluation = evaluation
        self.roots = self._find_roots()
        self._weights: dict[Source, jax.Array] = {}
        self._programs: dict[Any, _Compiled] = {}
        self._lock = threading.Lock()

    def _find_roots(self) -> tuple[Source, ...]:
        """Return the weights, resources and large constants that the stage reads through free nodes."""
        found: dict[Source, None] = {}
        pending = [s for index in self.stage.nodes for s in self._graph.nodes[index].inputs if s[0] in self._free]
        seen = set()
        while pending:
            source = pending.pop()
            if source in seen:
                continue
            seen.add(source)
            if source[0] in self._constants:
                value = take(self._constants, source)
                if not isinstance(value, np.ndarray) or (value.nbytes >= _LARGE and value.dtype != object):
                    found[source] = None
            elif self._graph.nodes[source[0]].inputs:
                pending += self._graph.nodes[source[0]].inputs
            else:
                found[source] = None
        return tuple(sorted(found))

    def run(self, values: Mapping[Source, Value]) -> dict[Source, Value]:
        """Return the outputs of the stage.

        Args:
            values: What it reads: its inputs, and those of its roots that are no constants.

        Raises:
            NodeNeedsValueError: A node cannot be traced without the value of an input.
        """
        arguments: list[Any] = []
        key: list[Any] = []
        builders: list[Callable[[Any], Value]] = []
        for source in (*self.roots, *self.stage.inputs):
            value = values[source] if source in values else take(self._constants, source)
            self._take_apart(source, value, arguments, key, builders)
        found = self._programs.get(tuple(key))
        if found is None:
            with self._lock:
                found = self._programs.get(tuple(key))
                if found is None:
                    return self._compile(tuple(key), builders, arguments)
        return dict(zip(self.stage.outputs, found.run(arguments), strict=True))

    def _compile(
        self, key: tuple[Any, ...], builders: Sequence[Callable[[Any], Value]], arguments: Sequence[Any]
    ) -> dict[Source, Value]:
        """Return the outputs for arguments of new shapes, and keep the program."""
        made = _Compiled(self, builders)
        outputs = made.run(arguments)
        self._programs[key] = made
        while len(self._programs) > _MOST_PROGRAMS:
            del self._programs[next(iter(self._programs))]
        return dict(zip(self.stage.outputs, outputs, strict=True))

    def _take_apart(
        self, source: Source, value: Value, arguments: list[Any], key: list[Any], builders: list[Callable[[Any], Value]]
    ) -> None:
        """Add what a value is to the arguments of the program, and to the key under which it is kept."""
        if isinstance(value, Variable) and value.is_initialized and value.dtype != object:
            arguments.append(value.on_device())
            key.append(("variable", value.shape, value.dtype))
            name, trainable = value.name, value.trainable
            builders.append(lambda traced: Variable(name, traced, trainable=trainable))
        elif isinstance(value, np.ndarray) and source in self._weights:
            arguments.append(self._weights[source])
            key.append("weight")
            builders.append(_same)
        elif isinstance(value, np.ndarray) and source[0] in self._constants:
            self._weights[source] = jax.device_put(value)
            arguments.append(self._weights[source])
            key.append("weight")
            builders.append(_same)
        elif isinstance(value, np.ndarray) and source[0] in self._shape_only and not is_symbolic(value):
            arguments.append(None)
            key.append((value.shape, value.dtype, value.tobytes()))
            builders.append(lambda _: value)
        elif isinstance(value, np.ndarray | np.generic | jax.Array):
            arguments.append(value)
            key.append((value.shape, value.dtype))
            builders.append(_same)
        elif isinstance(value, TensorListValue):
            leaves, tree = jax.tree.flatten(value)
            arguments.append(value)
            key.append((tree, tuple((np.shape(leaf), leaf.dtype) for leaf in leaves)))
            builders.append(_same)
        else:
            arguments.append(None)
            key.append(("object", id(value)))
            builders.append(lambda _: value)

    def trace(self, given: Mapping[Source, Value]) -> list[Value]:
        """Return the outputs of the stage, computed node by node.

        Raises:
            NodeNeedsValueError: A node cannot be traced without the value of an input.
        """
        values = dict(given)

        def value(source: Source) -> Value:
            if source in values:
                return values[source]
            if source[0] in self._constants:
                return take(self._constants, source)
            run(source[0])
            return values[source]

        def run(index: int) -> None:
            node = self._graph.nodes[index]
            try:
                outputs = self._evaluation.node(node.op, [value(source) for source in node.inputs])
            except ValueNeededError as error:
                raise NodeNeedsValueError(index) from error
            for position, output in enumerate(outputs):
                values[index, position] = output

        for index in self.stage.nodes:
            run(index)
        return [value(source) for source in self.stage.outputs]


def _same(traced: Any) -> Value:
    return traced


class _Compiled:
    """A stage for one set of shapes: a program, and the outputs that were known while it was traced."""

    def __init__(self, stage: DeviceStage, builders: Sequence[Callable[[Any], Value]]) -> None:
        self._sources = (*stage.roots, *stage.stage.inputs)
        self._stage = stage
        self._builders = builders
        self._known: dict[int, Value] = {}
        self._program = jax.jit(self._traced)

    def _traced(self, arguments: Sequence[Any]) -> list[Value]:
        given = {
            source: build(argument)
            for source, build, argument in zip(self._sources, self._builders, arguments, strict=True)
        }
        outputs = self._stage.trace(given)
        self._known = {index: value for index, value in enumerate(outputs) if not _has_arrays(value)}
        return [value for index, value in enumerate(outputs) if index not in self._known]

    def run(self, arguments: Sequence[Any]) -> list[Value]:
        """Return the outputs of the stage."""
        computed = iter(self._program(list(arguments)))
        # What is known is looked up only now: the first call of the program is what traces it.
        count = len(self._stage.stage.outputs)
        return [self._known[index] if index in self._known else next(computed) for index in range(count)]


def _has_arrays(value: Value) -> bool:
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value))
