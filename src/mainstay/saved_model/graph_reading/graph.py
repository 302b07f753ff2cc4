"""A graph of TensorFlow as values: nodes in an order in which each comes after what it reads.

What is read may be hostile: names are unique, every reference leads somewhere, and a graph that goes in circles other
than the loops of TensorFlow 1 is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mainstay.core import FormatError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graphs.attributes import read_attribute
from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.graphs.dtypes import Kind, kind_of_number

Source: TypeAlias = tuple[int, int]
"""The index of a node and of one of its outputs."""

Reference: TypeAlias = tuple[str, int]
"""The name of a node and the index of one of its outputs."""

ARGUMENT = "_Arg"
"""The op of the nodes that stand for the arguments of a function."""

CALLS = ("PartitionedCall", "StatefulPartitionedCall")


@dataclass(frozen=True, slots=True)
class NamedNode:
    """A node whose inputs are named, as in a `GraphDef`.

    Args:
        op: What it computes.
        inputs: What it reads.
        controls: The names of the nodes that run before it.
    """

    op: OpNode
    inputs: tuple[Reference, ...]
    controls: tuple[str, ...]


NamedNodes: TypeAlias = dict[str, NamedNode]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node of a `Graph`.

    Args:
        op: What it computes.
        inputs: What it reads.
        controls: The nodes that run before it.
    """

    op: OpNode
    inputs: tuple[Source, ...]
    controls: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A function, or the part of the main graph that gives some results.

    Args:
        name: Its name, for messages.
        nodes: Its nodes, each after those that it reads.
        arguments: The nodes that stand for its arguments.
        results: What it gives.
        effects: The nodes that run for what they change.
    """

    name: str
    nodes: tuple[GraphNode, ...]
    arguments: tuple[int, ...]
    results: tuple[Source, ...]
    effects: tuple[int, ...] = field(default=())


def read_node(node: Any, functions: Mapping[str, Any], path: str = "") -> NamedNode:
    """Return a `NodeDef` as a node with named inputs.

    Args:
        node: The message.
        functions: The functions of the model by name: TensorFlow 1 calls them as if they were ops.
        path: The function that it is in, for messages.

    Raises:
        FormatError: It is malformed.
    """
    where = f"{path}/{node.name}" if path else node.name
    # What starts with an underscore are notes of TensorFlow's own passes, such as inferred shapes.
    attrs = {
        name: read_attribute(value, where=f"{where}.{name}") for name, value in node.attr.items() if name[:1] != "_"
    }
    known = definition(node.op)
    try:
        if known is not None:
            attrs = {**known.defaults, **{name: value for name, value in attrs.items() if value is not None}}
            outputs = known.output_kinds(attrs)
        else:
            outputs = _function_outputs(functions.get(node.op))
    except FormatError as error:
        raise FormatError(
            error.summary, where=f"{where} ({node.op}): {error.where}", expected=error.expected, received=error.received
        ) from error
    inputs, controls = [], []
    for text in node.input:
        if text.startswith("^"):
            controls.append(text[1:])
        else:
            inputs.append(parse_reference(text))
    return NamedNode(OpNode(where, node.op, attrs, outputs), tuple(inputs), tuple(controls))


def _function_outputs(function: Any) -> tuple[Kind, ...]:
    if function is None:
        return ()
    return tuple(kind_of_number(argument.type) for argument in function.signature.output_arg)


def parse_reference(text: str) -> tuple[str, Any]:
    """Return the name of a node and the output in ``node``, ``node:1`` or ``node:output:1``.

    In the last form, which the bodies of functions use, the output stays a pair of its name and the index in it.
    """
    parts = text.split(":")
    if len(parts) == 1:
        return text, 0
    if len(parts) == 2 and parts[1].isdecimal():
        return parts[0], int(parts[1])
    if len(parts) == 3 and parts[2].isdecimal():
        return parts[0], (parts[1], int(parts[2]))
    raise FormatError("an input of a node is malformed", expected="node:output:index", received=text)


def read_nodes(
    nodes: Iterable[Any], functions: Mapping[str, Any], *, path: str = "", arguments: Sequence[tuple[str, Kind]] = ()
) -> NamedNodes:
    """Return the nodes of a `GraphDef` or `FunctionDef` by name, every reference resolved to an index.

    Raises:
        FormatError: A name comes twice, or a reference leads nowhere.
    """
    found: NamedNodes = {
        name: NamedNode(OpNode(f"{path}/{name}", ARGUMENT, {"index": index}, (kind,)), (), ())
        for index, (name, kind) in enumerate(arguments)
    }
    for message in nodes:
        if message.name in found:
            raise FormatError("two nodes have one name", where=f"{path}/{message.name}" if path else message.name)
        found[message.name] = read_node(message, functions, path)
    for name, node in found.items():
        inputs = tuple(resolve(found, reference, functions, node.op.name) for reference in node.inputs)
        for control in node.controls:
            if control not in found:
                raise FormatError("a node waits for one that is not there", where=node.op.name, received=control)
        _refuse_other_inputs(found, node.op, inputs)
        found[name] = NamedNode(node.op, inputs, node.controls)
    return found


def _refuse_other_inputs(nodes: NamedNodes, op: OpNode, inputs: Sequence[Reference]) -> None:
    """Refuse a node that reads other tensors than its op takes, where the attributes say what it takes."""
    known = definition(op.op)
    if known is None:
        return
    try:
        takes = [kind for argument in known.inputs for kind in argument.kinds(op.attrs)]
    except FormatError:
        return  # an attribute lacks that only the inputs need
    sources = [nodes[source].op.outputs[output : output + 1] for source, output in inputs]
    reads = [each[0] if each else None for each in sources]
    same = all(kind in (None, taken) for kind, taken in zip(reads, takes, strict=False))
    if len(takes) != len(reads) or not same:
        raise FormatError(
            "a node reads other tensors than its op takes",
            where=f"{op.name} ({op.op})",
            expected=", ".join(map(str, takes)) or "none",
            received=", ".join(map(str, reads)) or "none",
        )


def resolve(
    nodes: Mapping[str, NamedNode], reference: tuple[str, Any], functions: Mapping[str, Any], where: str
) -> Reference:
    """Return a reference with the index of its output.

    Raises:
        FormatError: It leads nowhere.
    """
    name, output = reference
    node = nodes.get(name)
    if node is None:
        raise FormatError("a node reads one that is not there", where=where, received=name)
    if isinstance(output, int):
        index = output
    else:
        known = definition(node.op.op)
        if known is not None:
            starts = known.output_starts(node.op.attrs)
        else:
            function = functions.get(node.op.op)
            arguments = function.signature.output_arg if function is not None else ()
            starts = {argument.name: position for position, argument in enumerate(arguments)}
            if function is None:
                return name, output[1]
        if output[0] not in starts:
            raise FormatError(
                "a node reads an output that is not there", where=where, expected=", ".join(starts), received=output[0]
            )
        index = starts[output[0]] + output[1]
    if index >= len(node.op.outputs) and (definition(node.op.op) is not None or node.op.op == ARGUMENT):
        raise FormatError(
            "a node reads an output that is not there",
            where=where,
            expected=f"one of {len(node.op.outputs)} outputs of {name}",
            received=index,
        )
    return name, index


def build_graph(
    name: str,
    nodes: Mapping[str, NamedNode],
    *,
    arguments: Sequence[str],
    results: Sequence[Reference],
    targets: Sequence[str] = (),
) -> Graph:
    """Return the part of a graph that `results` and `targets` need, in order.

    Args:
        name: Its name.
        nodes: The nodes by name.
        arguments: The names of the nodes that stand for the arguments.
        results: What it gives.
        targets: The nodes that run besides.

    Raises:
        FormatError: The graph goes in circles.
    """
    wanted = [*arguments, *(reference[0] for reference in results), *targets]
    order = sorted_names(nodes, wanted)
    index = {each: position for position, each in enumerate(order)}
    return Graph(
        name,
        tuple(
            GraphNode(
                nodes[each].op,
                tuple((index[source], output) for source, output in nodes[each].inputs),
                tuple(index[control] for control in nodes[each].controls),
            )
            for each in order
        ),
        tuple(index[argument] for argument in arguments),
        tuple((index[source], output) for source, output in results),
        tuple(index[target] for target in targets),
    )


def sorted_names(nodes: Mapping[str, NamedNode], wanted: Sequence[str]) -> list[str]:
    """Return what `wanted` needs, each after what it needs itself."""
    done: dict[str, bool] = {}
    order: list[str] = []
    for start in wanted:
        stack = [(start, False)]
        while stack:
            name, left = stack.pop()
            if left:
                done[name] = True
                order.append(name)
                continue
            if name in done:
                if not done[name]:
                    raise FormatError("a graph goes in a circle", where=nodes[name].op.name)
                continue
            node = nodes.get(name)
            if node is None:
                raise FormatError("a node reads one that is not there", received=name)
            done[name] = False
            stack.append((name, True))
            needs = [*(source for source, _ in node.inputs), *node.controls]
            for need in reversed(needs):
                if need not in done:
                    stack.append((need, False))
                elif not done[need]:
                    raise FormatError("a graph goes in a circle", where=node.op.name, received=f"it reads {need}")
    return order


def ancestors(nodes: Mapping[str, NamedNode], wanted: Iterable[str], *, through_controls: bool = True) -> set[str]:
    """Return the names of `wanted` and of everything that these need, loops of TensorFlow 1 included."""
    found: set[str] = set()
    pending = list(wanted)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        pending += [source for source, _ in nodes[name].inputs]
        if through_controls:
            pending += nodes[name].controls
    return found


_REFERENCES = ("VariableV2", "Variable")
_TAKING_REFERENCES = re.compile(r"^(Assign|AssignAdd|AssignSub|Scatter.*|IsVariableInitialized|Apply.*|SparseApply.*)$")


def value_name(variable: str) -> str:
    """Return the name of the node that reads a variable of TensorFlow 1, whose handle is its value as well."""
    return f"{variable} (value)"


def with_reads(nodes: NamedNodes) -> NamedNodes:
    """Return the nodes with one more for each variable of TensorFlow 1, which reads it for all that want its value."""
    variables = {name for name, node in nodes.items() if node.op.op in _REFERENCES}
    if not variables:
        return nodes
    found: NamedNodes = {}
    for name, node in nodes.items():
        start = 1 if _TAKING_REFERENCES.match(node.op.op) else 0
        inputs = tuple(
            (value_name(source), 0) if position >= start and source in variables else (source, output)
            for position, (source, output) in enumerate(node.inputs)
        )
        found[name] = NamedNode(node.op, inputs, node.controls)
        if name in variables:
            attrs = {"dtype": node.op.attrs.get("dtype")}
            read = OpNode(value_name(node.op.name), "ReadVariableOp", attrs, node.op.outputs)
            found[value_name(name)] = NamedNode(read, ((name, 0),), ())
            found[name] = NamedNode(OpNode(node.op.name, node.op.op, node.op.attrs, ("resource",)), (), node.controls)
    return found
