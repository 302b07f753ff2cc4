"""Cuts a graph into stages: what Python does on the host, and what XLA compiles, in turns.

A stage of even level is the host's, one of odd level the device's; a node's level is at least that of what it reads.
What is neither bound to the host nor to the device goes to the host only if something there needs it and it is cheap:
so the arithmetic of shapes and of small integers stays with the strings and tables that it is made for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mainstay.saved_model.graph_reading.control_flow import CONTROL_FLOW
from mainstay.saved_model.graph_reading.graph import ARGUMENT, Graph, GraphNode, Source
from mainstay.saved_model.graph_reading.graph_ops.registry import implementation
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graph_reading.resources import HANDLES

SHAPES = ("Shape", "ShapeN", "Size", "Rank", "VariableShape")
"""Ops that read only the shape of their input."""

READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd")
"""Ops that read a variable."""

_PASSING = ("Identity", "ReadVariableOp", "StopGradient", "PreventGradient")
_HEAVY = re.compile(
    r"MatMul|Conv|Pool|Einsum|BatchNorm|FFT|Svd|Cholesky|Resize|XlaCallModule|Softmax|Qr$|Eig|Solve|LRN|GRU|LSTM"
    r"|Gelu|Erf|gamma|Bessel|NonMaxSuppression|CropAndResize"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Nodes that run together.

    Args:
        nodes: Which, in order.
        on_device: Whether XLA compiles them.
        inputs: What they read from outside.
        outputs: What others read of them.
    """

    nodes: tuple[int, ...]
    on_device: bool
    inputs: tuple[Source, ...]
    outputs: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """A graph in stages.

    Args:
        stages: The stages in order.
        free: The nodes that each stage computes for itself, such as reading a weight.
        shape_only: The nodes that depend on shapes and constants alone.
    """

    stages: tuple[Stage, ...]
    free: frozenset[int]
    shape_only: frozenset[int]


def host_nodes(graph: Graph, is_host_function: Callable[[str], bool]) -> set[int]:
    """Return the nodes that only the host can compute.

    Args:
        graph: The graph.
        is_host_function: Says of a function that a node calls whether only the host can run it.
    """
    found: set[int] = set()
    for index, node in enumerate(graph.nodes):
        if node.op.op != ARGUMENT and _is_host(graph, index, node, found, is_host_function):
            found.add(index)
    return found


def _is_host(
    graph: Graph, index: int, node: GraphNode, found: set[int], is_host_function: Callable[[str], bool]
) -> bool:
    from mainstay.saved_model.graph_reading.library import called_functions

    op = node.op
    if op.op == "Const" or op.op in HANDLES:
        return False
    if index in graph.effects or "string" in op.outputs or op.attrs.get("element_dtype") == "string":
        return True
    for source, output in node.inputs:
        kinds = graph.nodes[source].op.outputs
        kind = kinds[output] if output < len(kinds) else None
        if kind == "string" or (kind == "variant" and source in found):
            return True
    if op.op in CONTROL_FLOW:
        return any(is_host_function(name) for name in called_functions(op.op, op.attrs, {}))
    known = implementation(op.op)
    return known is None or known.kind == "host" or known.effect or (bool(graph.effects) and op.op in READS)


def partition(graph: Graph, host: set[int], constants: Mapping[int, tuple[Value, ...]]) -> Partition:
    """Return a graph in stages.

    Args:
        graph: The graph.
        host: The nodes that only the host can compute.
        constants: The outputs of the nodes that are known already.
    """
    free = _free_nodes(graph, host, constants)
    wanted = _wanted_on_host(graph, host)
    levels: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        if index in free:
            continue
        before = [source for source, _ in node.inputs if source not in free]
        if graph.effects:
            before += [control for control in node.controls if control not in free]
        level = max((levels[each] for each in before), default=0)
        if node.op.op == ARGUMENT:
            levels[index] = 0
        elif index in host:
            levels[index] = level + level % 2
        elif (_goes_along(node) and any(graph.nodes[each].op.op != ARGUMENT for each in before)) or (
            index in wanted and level % 2 == 0 and not _is_heavy(node)
        ):
            levels[index] = level
        else:
            levels[index] = level + 1 - level % 2
    shape_only = _shape_only(graph, host, constants)
    return Partition(_stages(graph, levels), frozenset(free), frozenset(shape_only))


def _goes_along(node: GraphNode) -> bool:
    known = implementation(node.op.op)
    return known is not None and known.kind == "either"


def _is_heavy(node: GraphNode) -> bool:
    return node.op.op in CONTROL_FLOW or _HEAVY.search(node.op.op) is not None


def _free_nodes(graph: Graph, host: set[int], constants: Mapping[int, tuple[Value, ...]]) -> set[int]:
    free: set[int] = set(constants)
    for index, node in enumerate(graph.nodes):
        is_resource = node.op.op == ARGUMENT and node.op.outputs[0] == "resource"
        passes = node.op.op in _PASSING and all(source in free for source, _ in node.inputs)
        if is_resource or node.op.op in HANDLES or (passes and index not in host):
            free.add(index)
    return free


def _wanted_on_host(graph: Graph, host: set[int]) -> set[int]:
    wanted: set[int] = set()
    for index in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[index]
        if (index in host or index in wanted) and node.op.op not in SHAPES:
            wanted.update(source for source, _ in node.inputs)
    return wanted


def _shape_only(graph: Graph, host: set[int], constants: Mapping[int, tuple[Value, ...]]) -> set[int]:
    found: set[int] = set()
    for index, node in enumerate(graph.nodes):
        if index in constants or node.op.op in CONTROL_FLOW:
            continue
        if node.op.op in SHAPES:
            found.add(index)
            continue
        known = all(source in found or source in constants for source, _ in node.inputs)
        if index not in host and known and any(source in found for source, _ in node.inputs):
            found.add(index)
    return found


def _stages(graph: Graph, levels: Mapping[int, int]) -> tuple[Stage, ...]:
    by_level: dict[int, list[int]] = {}
    for index, level in levels.items():
        if graph.nodes[index].op.op != ARGUMENT:
            by_level.setdefault(level, []).append(index)
    read_elsewhere: dict[int, dict[Source, None]] = {level: {} for level in by_level}
    inputs: dict[int, dict[Source, None]] = {level: {} for level in by_level}
    for index, level in levels.items():
        for source in graph.nodes[index].inputs:
            other = levels.get(source[0])
            if other is not None and (other != level or graph.nodes[source[0]].op.op == ARGUMENT):
                inputs.setdefault(level, {})[source] = None
                read_elsewhere.setdefault(other, {})[source] = None
    for source in graph.results:
        if source[0] in levels:
            read_elsewhere.setdefault(levels[source[0]], {})[source] = None
    return tuple(
        Stage(
            tuple(nodes),
            level % 2 == 1,
            tuple(inputs[level]),
            tuple(source for source in read_elsewhere[level] if graph.nodes[source[0]].op.op != ARGUMENT),
        )
        for level, nodes in sorted(by_level.items())
    )
