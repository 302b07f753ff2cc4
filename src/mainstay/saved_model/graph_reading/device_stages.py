"""A stage that XLA compiles: once for each set of shapes, with the weights as arguments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import ml_dtypes
import numpy as np

from mainstay.core import MainstayError, ModelError
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
_NARROW = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
_EXACT = {"xla_allow_excess_precision": False}
"""Rounds to 16 bits wherever the graph says so, as TensorFlow does, instead of where it costs nothing."""

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
        self.graph_name = graph.name
        self._free = free
        self._constants = constants
        self._shape_only = shape_only
        self._evaluation = evaluation
        self.roots = self._find_roots()
        self.is_narrow = any(kind in _NARROW for index in stage.nodes for kind in graph.nodes[index].op.outputs)
        self.open_roots = tuple(source for source in self.roots if source[0] not in constants)
        self._read = (*self.open_roots, *stage.inputs)
        self._large: dict[Source, jax.Array] = {}
        self._stored: tuple[int, _Parts] | None = None
        self._shapes: dict[Any, int] = {}
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
        return tuple(sorted(found, key=lambda source: (source[0] not in self._constants, source)))

    def run(self, values: Mapping[Source, Value]) -> dict[Source, Value]:
        """Return the outputs of the stage.

        Args:
            values: What it reads: its inputs, and those of its roots that are no constants.

        Raises:
            NodeNeedsValueError: A node cannot be traced without the value of an input.
        """
        parts = self._weights().copy()
        for source in self._read:
            parts.add(values[source], is_static=source[0] in self._shape_only)
        key = tuple(parts.key)
        found = self._programs.get(key)
        if found is None:
            with self._lock:
                found = self._programs.get(key)
                if found is None:
                    return self._compile(key, parts)
        return dict(zip(self.stage.outputs, found.run(parts.arguments), strict=True))

    def _weights(self) -> _Parts:
        """Return the weights and large constants as parts of the arguments, for as long as no variable changes."""
        changes = Variable.changes
        if self._stored is None or self._stored[0] != changes:
            parts = _Parts([], [], [])
            for source in self.roots:
                if source[0] in self._constants:
                    value = take(self._constants, source)
                    if isinstance(value, np.ndarray):
                        if source not in self._large:
                            self._large[source] = jax.device_put(value)
                        value = self._large[source]
                    parts.add(value)
            key = tuple(parts.key)
            number = self._shapes.setdefault(key, len(self._shapes))
            self._stored = changes, _Parts(parts.arguments, [number], parts.builders)
        return self._stored[1]

    def _compile(self, key: tuple[Any, ...], parts: _Parts) -> dict[Source, Value]:
        """Return the outputs for arguments of new shapes, and keep the program."""
        made = _Compiled(self, parts.builders)
        outputs = made.run(parts.arguments)
        self._programs[key] = made
        while len(self._programs) > _MOST_PROGRAMS:
            del self._programs[next(iter(self._programs))]
        return dict(zip(self.stage.outputs, outputs, strict=True))

    def trace(self, given: Mapping[Source, Value], failed: list[int] | None = None) -> list[Value]:
        """Return the outputs of the stage, computed node by node.

        Args:
            given: What the stage reads.
            failed: Takes the node that cannot be computed, if there is one.

        Raises:
            NodeNeedsValueError: A node cannot be traced without the value of an input.
            ModelError: A node cannot be computed.
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
            except ModelError:
                if failed is not None:
                    failed.append(index)
                raise
            for position, output in enumerate(outputs):
                values[index, position] = output

        for index in self.stage.nodes:
            run(index)
        return [value(source) for source in self.stage.outputs]


def _same(traced: Any) -> Value:
    return traced


def _known(value: Value, _: Any) -> Value:
    return value


def _variable(name: str, trainable: bool, traced: Any) -> Value:
    return Variable(name, traced, trainable=trainable)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The values that a stage reads, taken apart.

    Args:
        arguments: What the program takes for each value; None for what is built into it.
        key: What says of each value whether a program that was made for another one can take it.
        builders: What makes a value of its argument while the program is traced.
    """

    arguments: list[Any]
    key: list[Any]
    builders: list[Callable[[Any], Value]]

    def copy(self) -> _Parts:
        """Return the same parts in lists of their own."""
        return _Parts(self.arguments.copy(), self.key.copy(), self.builders.copy())

    def add(self, value: Value, *, is_static: bool = False) -> None:
        """Add a value; `is_static` if it follows from shapes, so that the program may have it built in."""
        argument: Any = value
        build: Callable[[Any], Value] = _same
        if isinstance(value, np.ndarray) and is_static and not is_symbolic(value):
            key: Any = (value.shape, value.dtype, value.tobytes())
            argument, build = None, partial(_known, value)
        elif isinstance(value, np.ndarray | np.generic | jax.Array):
            key = (value.shape, value.dtype)
        elif isinstance(value, Variable) and value.is_initialized and value.dtype != object:
            argument = value.on_device()
            key = ("variable", argument.shape, argument.dtype)
            build = partial(_variable, value.name, value.trainable)
        elif isinstance(value, TensorListValue):
            leaves, tree = jax.tree.flatten(value)
            key = (tree, tuple((np.shape(leaf), leaf.dtype) for leaf in leaves))
        else:
            key = ("object", id(value))
            argument, build = None, partial(_known, value)
        self.arguments.append(argument)
        self.key.append(key)
        self.builders.append(build)


class _Compiled:
    """A stage for one set of shapes: a program, and the outputs that were known while it was traced."""

    def __init__(self, stage: DeviceStage, builders: Sequence[Callable[[Any], Value]]) -> None:
        self._sources = (*stage.roots, *stage.stage.inputs)
        self._stage = stage
        self._builders = builders
        self._known: dict[int, Value] = {}
        self._program = jax.jit(self._traced, compiler_options=_EXACT if stage.is_narrow else None)

    def _traced(self, arguments: Sequence[Any]) -> list[Value]:
        given = {
            source: build(argument)
            for source, build, argument in zip(self._sources, self._builders, arguments, strict=True)
        }
        outputs = self._stage.trace(given)
        self._known = {index: value for index, value in enumerate(outputs) if not _has_arrays(value)}
        return [value for index, value in enumerate(outputs) if index not in self._known]

    def run(self, arguments: Sequence[Any]) -> list[Value]:
        """Return the outputs of the stage.

        Raises:
            ModelError: XLA cannot compile or run it.
        """
        try:
            computed = iter(self._program(list(arguments)))
        except (MainstayError, NodeNeedsValueError, ValueNeededError):
            raise
        except Exception as error:
            graph = self._stage.graph_name
            raise ModelError(
                "a part of the graph cannot be compiled or run",
                where=graph,
                received=f"{type(error).__name__}: {error}",
            ) from error
        # What is known is looked up only now: the first call of the program is what traces it.
        count = len(self._stage.stage.outputs)
        return [self._known[index] if index in self._known else next(computed) for index in range(count)]


def _has_arrays(value: Value) -> bool:
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value))
