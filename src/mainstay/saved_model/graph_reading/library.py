"""The functions of a model: read when they are first called, with the functions that they call put in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mainstay.core import FormatError
from mainstay.saved_model.graph_reading.conditionals import fold_conditionals, has_conditionals
from mainstay.saved_model.graph_reading.frames import fold_loops
from mainstay.saved_model.graph_reading.graph import (
    CALLS,
    Graph,
    GraphNode,
    NamedNode,
    NamedNodes,
    Reference,
    Source,
    ancestors,
    build_graph,
    parse_reference,
    read_nodes,
    resolve,
)
from mainstay.saved_model.graph_reading.graph_ops.registry import implementation
from mainstay.saved_model.graph_reading.limits import refuse_repeats
from mainstay.saved_model.graphs.attributes import FunctionAttr
from mainstay.saved_model.graphs.dtypes import Kind, kind_of_number

_MOST_NODES = 250_000
_DEEPEST = 200


@dataclass(frozen=True, slots=True)
class FunctionBody:
    """A function before its nodes are put in order.

    Args:
        name: Its name.
        nodes: Its nodes by name, those that stand for its arguments included.
        arguments: The names of these.
        results: What it gives.
        targets: Nodes that run besides, such as `Assign`.
    """

    name: str
    nodes: NamedNodes
    arguments: tuple[str, ...]
    results: tuple[Reference, ...]
    targets: tuple[str, ...] = ()


class Library:
    """The functions of a model by name.

    Args:
        functions: The `FunctionDef` messages.

    Raises:
        FormatError: Two functions have one name.
    """

    def __init__(self, functions: Iterable[Any]) -> None:
        self._definitions: dict[str, Any] = {}
        functions = list(functions)
        refuse_repeats(node for function in functions for node in function.node_def)
        for function in functions:
            if function.signature.name in self._definitions:
                raise FormatError("two functions have one name", where=function.signature.name)
            self._definitions[function.signature.name] = function
        self._bodies: dict[str, FunctionBody] = {}
        self._graphs: dict[str, Graph] = {}
        self._effects: dict[str, bool] = {}
        self._open: list[str] = []

    @property
    def definitions(self) -> Mapping[str, Any]:
        """The `FunctionDef` messages by name."""
        return self._definitions

    def add(self, body: FunctionBody) -> None:
        """Add a function that was cut out of a graph."""
        if body.name in self._bodies or body.name in self._definitions:
            raise FormatError("two functions have one name", where=body.name)
        self._bodies[body.name] = body

    def input_kinds(self, name: str) -> tuple[Kind, ...]:
        """Return the dtypes of a function's arguments."""
        graph = self.graph(name)
        return tuple(graph.nodes[index].op.outputs[0] for index in graph.arguments)

    def body(self, name: str) -> FunctionBody:
        """Return a function.

        Raises:
            FormatError: There is no such function, or it is malformed.
        """
        if name not in self._bodies:
            function = self._definitions.get(name)
            if function is None:
                raise FormatError("a function is called that is not there", received=name)
            self._bodies[name] = self._read(name, function)
        return self._bodies[name]

    def _read(self, name: str, function: Any) -> FunctionBody:
        arguments = []
        for argument in function.signature.input_arg:
            if argument.type == 0 or argument.number_attr or argument.type_list_attr:
                raise FormatError("a function takes tensors of no fixed dtype", where=name, received=argument.name)
            arguments.append((argument.name, kind_of_number(argument.type)))
        nodes = read_nodes(function.node_def, self._definitions, path=name, arguments=arguments)
        results = []
        for output in function.signature.output_arg:
            if output.name not in function.ret:
                raise FormatError("a function does not say where a result comes from", where=name, received=output.name)
            results.append(resolve(nodes, parse_reference(function.ret[output.name]), self._definitions, name))
        for target in function.control_ret.values():
            if target not in nodes:
                raise FormatError("a function waits for a node that is not there", where=name, received=target)
        names = tuple(argument for argument, _ in arguments)
        return self.prepared(FunctionBody(name, nodes, names, tuple(results)), everything=True)

    def prepared(self, body: FunctionBody, *, everything: bool) -> FunctionBody:
        """Return a function or a part of the main graph whose loops and conditionals are nodes that call functions.

        Args:
            body: What is to be prepared.
            everything: Whether every node that changes something runs, as in a function; else only those that
                the results and targets need, as in a session of TensorFlow 1.
        """
        start = [*body.arguments, *(name for name, _ in body.results), *body.targets]
        nodes = body.nodes
        if not everything:
            needed = ancestors(nodes, start)
            nodes = {name: node for name, node in nodes.items() if name in needed}
        changing = {name for name, node in nodes.items() if self._changes(node)}
        if not changing and not body.targets and not has_conditionals(nodes):
            nodes = _without_controls(nodes)
        needed = ancestors(nodes, [*start, *changing])
        nodes = {name: node for name, node in nodes.items() if name in needed}
        nodes, inside = fold_loops(nodes, body.name, self)
        _refuse_lost(changing - nodes.keys() - inside, body)
        changing = {name for name, node in nodes.items() if self._changes(node)}
        nodes = fold_conditionals(nodes, where=body.name, library=self, changing=changing)
        if not changing and not body.targets:
            nodes = _without_controls(nodes)
        targets = dict.fromkeys([*body.targets, *(name for name in nodes if name in changing)])
        return FunctionBody(body.name, nodes, body.arguments, body.results, tuple(targets))

    def _changes(self, node: NamedNode) -> bool:
        if (known := implementation(node.op.op)) is not None:
            return known.effect
        return any(self.has_effects(name) for name in called_functions(node.op.op, node.op.attrs, self._definitions))

    def has_effects(self, name: str) -> bool:
        """Return whether a function changes something other than its results, such as a variable."""
        if name not in self._effects:
            self._effects[name] = False
            body = self.body(name)
            self._effects[name] = any(self._changes(node) for node in body.nodes.values())
        return self._effects[name]

    def graph(self, name: str) -> Graph:
        """Return a function in order, every function that it calls unconditionally in its place.

        Raises:
            FormatError: It is malformed, calls itself, or becomes too large.
        """
        if name not in self._graphs:
            if name in self._open or len(self._open) > _DEEPEST:
                raise FormatError(
                    "a function calls itself" if name in self._open else "functions call each other too deeply",
                    where=" -> ".join([*self._open[-8:], name]),
                )
            self._open.append(name)
            try:
                self._graphs[name] = self.ordered(self.body(name))
            finally:
                self._open.pop()
        return self._graphs[name]

    def ordered(self, body: FunctionBody) -> Graph:
        """Return a prepared function in order, every function that it calls unconditionally in its place."""
        graph = build_graph(body.name, body.nodes, arguments=body.arguments, results=body.results, targets=body.targets)
        return _inlined(graph, self)


def _refuse_lost(names: set[str], body: FunctionBody) -> None:
    """Refuse a loop of TensorFlow 1 that changes something besides its variables.

    Raises:
        FormatError: There is such a node.
    """
    for name in sorted(names):
        raise FormatError(
            "a loop of TensorFlow 1 changes a variable, which is not read here",
            where=body.nodes[name].op.name,
            expected="loops that only compute",
            received=body.nodes[name].op.op,
        )


def _without_controls(nodes: NamedNodes) -> NamedNodes:
    return {name: replace(node, controls=()) if node.controls else node for name, node in nodes.items()}


def called_functions(op: str, attrs: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the functions that a node may call."""
    if op in definitions:
        return (op,)
    found = []
    for value in attrs.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, FunctionAttr):
                found.append(item.name)
    return tuple(found)


def called_function(node: GraphNode, library: Library) -> str | None:
    """Return the function that a node does nothing but call, or None."""
    if node.op.op in CALLS:
        function = node.op.attrs.get("f")
        if not isinstance(function, FunctionAttr):
            raise FormatError("a call does not say what it calls", where=node.op.name)
        return function.name
    return node.op.op if node.op.op in library.definitions else None


class _Inlining:
    """Collects the nodes of a graph and of the functions that it calls."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[GraphNode] = []
        self.outputs: list[tuple[Source, ...]] = []
        self.runs: list[tuple[int, ...]] = []

    def add(self, node: GraphNode, inputs: tuple[Source, ...], controls: tuple[int, ...]) -> None:
        """Keep a node."""
        self.nodes.append(GraphNode(node.op, inputs, controls))
        index = len(self.nodes) - 1
        self.outputs.append(tuple((index, output) for output in range(max(len(node.op.outputs), 1))))
        self.runs.append((index,))

    def source(self, source: Source, where: str) -> Source:
        """Return where an output of the original graph is now."""
        outputs = self.outputs[source[0]]
        if source[1] >= len(outputs):
            if self.runs[source[0]] and len(self.nodes[self.runs[source[0]][-1]].op.outputs) == 0:
                return outputs[0][0], source[1]
            raise FormatError("a node reads an output that is not there", where=where, received=source[1])
        return outputs[source[1]]


def _inlined(graph: Graph, library: Library) -> Graph:
    state = _Inlining(graph)
    for node in graph.nodes:
        inputs = tuple(state.source(source, node.op.name) for source in node.inputs)
        controls = tuple(dict.fromkeys(run for control in node.controls for run in state.runs[control]))
        function = called_function(node, library)
        if function is None:
            state.add(node, inputs, controls)
        else:
            _inline(state, library.graph(function), node, inputs, controls)
        if len(state.nodes) > _MOST_NODES:
            raise FormatError("a model has too many nodes", where=node.op.name, expected=f"at most {_MOST_NODES:,}")
    return Graph(
        graph.name,
        tuple(state.nodes),
        tuple(state.outputs[index][0][0] for index in graph.arguments),
        tuple(state.source(source, graph.name) for source in graph.results),
        tuple(dict.fromkeys(run for index in graph.effects for run in state.runs[index])),
    )


def _inline(
    state: _Inlining, callee: Graph, node: GraphNode, inputs: tuple[Source, ...], controls: tuple[int, ...]
) -> None:
    """Put the nodes of a function where it is called."""
    if len(inputs) != len(callee.arguments):
        raise FormatError(
            "a function is called with the wrong number of arguments",
            where=node.op.name,
            expected=f"{len(callee.arguments)} for {callee.name}",
            received=len(inputs),
        )
    given = dict(zip(callee.arguments, inputs, strict=True))
    place: dict[int, int] = {}

    def moved(source: Source) -> Source:
        return given[source[0]] if source[0] in given else (place[source[0]], source[1])

    effects = set(callee.effects)
    for index, inner in enumerate(callee.nodes):
        if index in given:
            continue
        place[index] = len(state.nodes)
        name = f"{node.op.name}/{inner.op.name.partition('/')[2] or inner.op.name}"
        before = tuple(place[control] for control in inner.controls if control in place)
        if index in effects or inner.controls:
            before = tuple(dict.fromkeys((*before, *controls)))
        state.nodes.append(
            GraphNode(replace(inner.op, name=name), tuple(moved(source) for source in inner.inputs), before)
        )
    state.outputs.append(tuple(moved(source) for source in callee.results))
    after = [*(place[index] for index in callee.effects), *(source[0] for source in state.outputs[-1])]
    state.runs.append(tuple(dict.fromkeys(after)))
