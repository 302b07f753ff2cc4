"""A graph that runs: stages on the host and on the device in turns, what is constant computed beforehand."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from mainstay.core import MainstayError, ModelError
from mainstay.saved_model.graph_reading.control_flow import CONTROL_FLOW
from mainstay.saved_model.graph_reading.device_stages import DeviceStage
from mainstay.saved_model.graph_reading.evaluation import Evaluation, NodeNeedsValueError, take
from mainstay.saved_model.graph_reading.graph import ARGUMENT, Graph, Source
from mainstay.saved_model.graph_reading.graph_ops.registry import implementation
from mainstay.saved_model.graph_reading.graph_ops.values import Value, ValueNeededError
from mainstay.saved_model.graph_reading.library import Library
from mainstay.saved_model.graph_reading.limits import result_bytes
from mainstay.saved_model.graph_reading.partition import Partition, Stage, host_nodes, partition
from mainstay.saved_model.graph_reading.resources import HANDLES, Resources
from mainstay.saved_model.graphs.definitions import definition

_MOST_FOLDED_BYTES = 1 << 28
"""How large the values of a graph may be together that are computed beforehand and kept."""


class Programs:
    """The programs of a model: one for each function that runs on the host's account, made at its first call.

    Args:
        library: The functions.
        resources: The variables and tables.
    """

    def __init__(self, library: Library, resources: Resources) -> None:
        self.library = library
        self.resources = resources
        self.traced = Evaluation(library, resources)
        self.eager = Evaluation(library, resources, self.call)
        self._programs: dict[str, Program] = {}
        self._host: dict[str, bool] = {}
        self._lock = threading.RLock()

    def call(self, name: str, arguments: Sequence[Value]) -> list[Value]:
        """Return what a function gives."""
        return self.program(name).run(arguments)

    def program(self, name: str) -> Program:
        """Return the program of a function."""
        found = self._programs.get(name)
        if found is None:
            with self._lock:
                found = self._programs.get(name) or Program(self.library.graph(name), self)
                self._programs[name] = found
        return found

    def is_host_function(self, name: str) -> bool:
        """Return whether only the host can run a function."""
        if name not in self._host:
            self._host[name] = False
            graph = self.library.graph(name)
            self._host[name] = bool(graph.effects) or bool(host_nodes(graph, self.is_host_function))
        return self._host[name]


@dataclass(frozen=True)
class _Plan:
    """How a program runs."""

    partition: Partition
    devices: Mapping[Stage, DeviceStage]


class Program:
    """A graph that runs; several threads may run it at once.

    Args:
        graph: The graph.
        programs: The other programs of the model.
    """

    def __init__(self, graph: Graph, programs: Programs) -> None:
        self.graph = graph
        self._programs = programs
        self._lock = threading.Lock()
        self._host = host_nodes(graph, programs.is_host_function)
        with jax.enable_x64(True):
            self.constants = self._folded()
        self._plan = self._planned()

    @property
    def partition(self) -> Partition:
        """The stages of the graph as they are known so far."""
        return self._plan.partition

    @property
    def evaluation(self) -> Evaluation:
        """Computes single nodes."""
        return self._programs.eager

    @property
    def device_stages(self) -> Mapping[Stage, DeviceStage]:
        """The stages that XLA compiles."""
        return self._plan.devices

    def need_value(self, index: int) -> None:
        """Move a node to the host, since it cannot be traced without the value of an input."""
        with self._lock:
            if index in self._host:
                node = self.graph.nodes[index].op
                raise ModelError("a node cannot be computed without a value that is not known", where=node.name)
            self._host.add(index)
            self._plan = self._planned()

    def _planned(self) -> _Plan:
        found = partition(self.graph, self._host, self.constants)
        devices = {
            stage: DeviceStage(
                self.graph,
                stage,
                free=found.free,
                constants=self.constants,
                shape_only=found.shape_only,
                evaluation=self._programs.traced,
            )
            for stage in found.stages
            if stage.on_device
        }
        return _Plan(found, devices)

    def _folded(self) -> dict[int, tuple[Value, ...]]:
        """Return the outputs of the nodes that depend on constants alone, and the resources that handles stand for."""
        constants: dict[int, tuple[Value, ...]] = {}
        evaluation = self._programs.eager
        total = 0
        for index, node in enumerate(self.graph.nodes):
            if node.op.op == "Const" or node.op.op in HANDLES:
                constants[index] = evaluation.node(node.op, [])
            elif self._is_foldable(index, constants):
                inputs = [take(constants, source) for source in node.inputs]
                if result_bytes(node.op, inputs, _MOST_FOLDED_BYTES) + total > _MOST_FOLDED_BYTES:
                    continue
                try:
                    outputs = evaluation.node(node.op, inputs)
                except (MainstayError, ValueNeededError):
                    continue  # it fails where it is run, if it is run
                arrays = tuple(np.asarray(each) if isinstance(each, jax.Array) else each for each in outputs)
                if all(isinstance(each, np.ndarray | np.generic) for each in arrays):
                    plain = tuple(np.asarray(each) for each in arrays)
                    size = sum(each.nbytes for each in plain)
                    if size + total <= _MOST_FOLDED_BYTES:
                        constants[index] = plain
                        total += size
        return constants

    def _is_foldable(self, index: int, constants: Mapping[int, tuple[Value, ...]]) -> bool:
        node = self.graph.nodes[index]
        known, facts = implementation(node.op.op), definition(node.op.op)
        if node.op.op == ARGUMENT or index in self.graph.effects or node.op.op in CONTROL_FLOW:
            return False
        if known is None or known.effect or facts is None or facts.stateful or not node.op.outputs or not node.inputs:
            return False
        if known.kind == "host" and ("string" in node.op.outputs or node.op.op.startswith("Decode")):
            return False  # nothing tells beforehand how large that becomes
        return all(
            source in constants and isinstance(take(constants, (source, output)), np.ndarray)
            for source, output in node.inputs
        )

    def run(self, arguments: Sequence[Value]) -> list[Value]:
        """Return the results of the graph; numbers may still lie on the device.

        Args:
            arguments: The values of its arguments, in order.

        Raises:
            MainstayError: A node cannot be computed; `where` names it.
        """
        return self.run_and_keep(arguments)[0]

    def run_and_keep(self, arguments: Sequence[Value]) -> tuple[list[Value], dict[Source, Value]]:
        """Return the results of the graph as `run` does, and every value that a stage handed to another."""
        with jax.enable_x64(True):
            while True:
                before = self._programs.resources.snapshot() if self.graph.effects else None
                try:
                    return self._run(self._plan, arguments)
                except NodeNeedsValueError as error:
                    if before is not None:
                        self._programs.resources.restore(before)
                    self.need_value(error.index)

    def _run(self, plan: _Plan, arguments: Sequence[Value]) -> tuple[list[Value], dict[Source, Value]]:
        values: dict[Source, Value] = {}
        for index, argument in zip(self.graph.arguments, arguments, strict=True):
            values[index, 0] = argument
        for stage in plan.partition.stages:
            if stage.on_device:
                device = plan.devices[stage]
                for source in device.open_roots:
                    self._value(source, values)
                values.update(device.run(values))
            else:
                for index in stage.nodes:
                    self._run_node(index, values)
        return [self._value(source, values) for source in self.graph.results], values

    def _run_node(self, index: int, values: dict[Source, Value]) -> None:
        node = self.graph.nodes[index]
        inputs = [self._value(source, values) for source in node.inputs]
        try:
            outputs = self._programs.eager.node(node.op, inputs)
        except ValueNeededError as error:
            raise ModelError(
                "a node cannot be computed without a value that is not known", where=f"{node.op.name} ({node.op.op})"
            ) from error
        for position, output in enumerate(outputs):
            values[index, position] = output

    def _value(self, source: Source, values: dict[Source, Value]) -> Value:
        """Return an output of a node, computing what is free at this moment."""
        if source in values:
            return values[source]
        if source[0] in self.constants:
            return take(self.constants, source)
        self._run_node(source[0], values)
        if source not in values:
            raise ModelError("a node reads an output that is not there", where=self.graph.nodes[source[0]].op.name)
        return values[source]
