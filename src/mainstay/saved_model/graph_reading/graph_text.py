"""Graphs as messages again: the host's part of an imported signature is stored as functions of TensorFlow's ops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import FormatError, ModelError, message_class
from mainstay.saved_model.graph_reading.graph import ARGUMENT, Graph, Source
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graph_reading.graph_ops.values import Table, Value, Variable
from mainstay.saved_model.graph_reading.library import Library, called_functions
from mainstay.saved_model.graphs.attributes import ShapeAttr, TypeAttr, write_attribute
from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.graphs.dtypes import Kind, number_of_kind

STAGE = "stage"
INITIALISE = "initialise"


class FunctionWriter:
    """Collects the nodes of one function.

    Args:
        name: Its name.
        arguments: The names and dtypes of its arguments.
    """

    def __init__(self, name: str, arguments: Iterable[tuple[str, Kind]]) -> None:
        self.message = message_class("tensorflow.FunctionDef")()
        self.message.signature.name = name
        for argument, kind in arguments:
            self.message.signature.input_arg.add(name=argument, type=number_of_kind(kind))

    def add(self, name: str, op: OpNode, inputs: Sequence[str], controls: Sequence[str] = ()) -> None:
        """Add a node that reads the given tensors."""
        node = self.message.node_def.add(name=name, op=op.op)
        node.input.extend([*inputs, *(f"^{control}" for control in controls)])
        known = definition(op.op)
        kinds = known.attributes if known is not None else {}
        for attribute, value in sorted(op.attrs.items()):
            if value is not None and (known is None or value is not known.defaults.get(attribute)):
                node.attr[attribute].CopyFrom(write_attribute(_wrapped(value, kinds.get(attribute, ""))))

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        """Add a constant, and return what reads it."""
        kind: Kind = "string" if value.dtype == object else value.dtype
        self.add(name, OpNode(name, "Const", {"value": value, "dtype": kind}, (kind,)), ())
        return f"{name}:output:0"

    def give(self, name: str, tensor: str, kind: Kind) -> None:
        """Add a result."""
        self.message.signature.output_arg.add(name=name, type=number_of_kind(kind))
        self.message.ret[name] = tensor

    def run(self, node: str) -> None:
        """Add a node that runs for what it changes."""
        self.message.control_ret[node] = node


def _wrapped(value: Any, kind: str) -> Any:
    if kind.startswith("list("):
        return [_wrapped(item, kind[5:-1]) for item in value]
    if kind == "type" or (not kind and isinstance(value, np.dtype)):
        return TypeAttr(value)
    if kind == "shape":
        return ShapeAttr(value)
    return value


def output_text(name: str, op: OpNode, output: int) -> str:
    """Return how a function writes an output of a node.

    Raises:
        FormatError: The op has no such output.
    """
    known = definition(op.op)
    for argument, start in reversed(known.output_starts(op.attrs).items() if known is not None else ()):
        if start <= output:
            return f"{name}:{argument}:{output - start}"
    raise FormatError("a node has no such output", where=op.name, received=output)


def write_function(name: str, graph: Graph, nodes: Iterable[int], results: Mapping[str, Source]) -> FunctionWriter:
    """Return a whole graph as a function: its arguments are ``argument0``, ``argument1``, …"""
    arguments = {index: f"argument{number}" for number, index in enumerate(graph.arguments)}
    writer = FunctionWriter(name, [(text, graph.nodes[i].op.outputs[0]) for i, text in arguments.items()])

    def text(source: Source) -> str:
        if source[0] in arguments:
            return arguments[source[0]]
        return output_text(f"node{source[0]}", graph.nodes[source[0]].op, source[1])

    for index in nodes:
        node = graph.nodes[index]
        if node.op.op == ARGUMENT:
            continue
        controls = [f"node{control}" for control in node.controls if control not in arguments]
        writer.add(f"node{index}", node.op, [text(source) for source in node.inputs], controls)
        if index in graph.effects:
            writer.run(f"node{index}")
    for result, source in results.items():
        writer.give(result, text(source), graph.nodes[source[0]].op.outputs[source[1]])
    return writer


def write_called(ops: Iterable[OpNode], library: Library) -> list[Any]:
    """Return the `FunctionDef` messages of every function that nodes call, and of those that these call."""
    found: dict[str, Any] = {}
    pending = [name for op in ops for name in called_functions(op.op, op.attrs, {})]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        graph = library.graph(name)
        results = {f"result{number}": source for number, source in enumerate(graph.results)}
        found[name] = write_function(name, graph, range(len(graph.nodes)), results).message
        pending += [each for node in graph.nodes for each in called_functions(node.op.op, node.op.attrs, {})]
    return [found[name] for name in sorted(found)]


def write_initialiser(resources: Sequence[tuple[OpNode, Value]]) -> Any:
    """Return the function that fills tables and variables.

    Args:
        resources: The handle of each, of a shared name of its own, and what it stands for.

    Raises:
        ModelError: One cannot be stored.
    """
    writer = FunctionWriter(INITIALISE, ())
    for number, (handle, value) in enumerate(resources):
        writer.add(f"handle{number}", handle, ())
        reads = output_text(f"handle{number}", handle, 0)
        if isinstance(value, Variable):
            content = writer.constant(f"value{number}", np.asarray(value.value))
            op = OpNode("", "AssignVariableOp", {"dtype": value.dtype}, ())
            writer.add(f"fill{number}", op, [reads, content])
        elif isinstance(value, Table):
            keys, values = _columns(value)
            inputs = [reads, writer.constant(f"keys{number}", keys), writer.constant(f"values{number}", values)]
            attrs = {"Tin": value.key_kind, "Tout": value.value_kind}
            writer.add(f"fill{number}", OpNode("", "LookupTableImportV2", attrs, ()), inputs)
        else:
            raise ModelError("a resource cannot be stored", where=handle.name, received=type(value).__name__)
        writer.run(f"fill{number}")
    return writer.message


def _columns(table: Table) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    content = table.content or {}
    columns = []
    for kind, values in ((table.key_kind, list(content)), (table.value_kind, list(content.values()))):
        if values and isinstance(values[0], np.ndarray):
            columns.append(np.stack(values))
            continue
        column = np.empty(len(values), kind if isinstance(kind, np.dtype) else object)
        column[:] = values
        columns.append(column)
    return columns[0], columns[1]
