"""The conditionals of TensorFlow 1: Switch and Merge become If nodes.

A node is inside of a branch if it reads, or waits for, an output of a Switch; a Merge ends the two branches of one
predicate. Merges of one predicate that do not need each other become one If node of several outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mainstay.core import FormatError
from mainstay.saved_model.graph_reading.frames import MERGE, SWITCH
from mainstay.saved_model.graph_reading.graph import ARGUMENT, NamedNode, NamedNodes, Reference, sorted_names
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graphs.attributes import FunctionAttr
from mainstay.saved_model.graphs.dtypes import Kind

if TYPE_CHECKING:
    from mainstay.saved_model.graph_reading.library import Library

Context: TypeAlias = frozenset[tuple[Reference, int]]
"""The branches that a node is in: a predicate and the side of it, 1 where it is true."""

_PASSING = ("Identity", "RefIdentity")
_BRANCHES = ("else_branch", "then_branch")


@dataclass(frozen=True, slots=True)
class _Merge:
    """A Merge node: its predicate, and which of its inputs belongs to which side."""

    name: str
    predicate: Reference
    inputs: tuple[int, int]
    outer: Context
    level: int


def has_conditionals(nodes: NamedNodes) -> bool:
    """Return whether there is a conditional of TensorFlow 1."""
    return any(node.op.op in MERGE for node in nodes.values())


def fold_conditionals(nodes: NamedNodes, *, where: str, library: Library, changing: set[str]) -> NamedNodes:
    """Return the nodes with If nodes in the place of the conditionals of TensorFlow 1.

    Args:
        nodes: The nodes by name, without loops of TensorFlow 1.
        where: The name of the function or graph, for messages and for the names of the functions that are cut out.
        library: Takes the branches.
        changing: The names of the nodes that change something.

    Raises:
        FormatError: A Merge does not end the two branches of a predicate, or a node inside of a branch changes
            something.
    """
    if not has_conditionals(nodes):
        return nodes
    nodes = dict(nodes)
    contexts, merges = _contexts(nodes)
    groups: dict[tuple[int, Reference, Context], list[_Merge]] = {}
    for merge in merges:
        groups.setdefault((merge.level, merge.predicate, merge.outer), []).append(merge)
    for number, (_, group) in enumerate(sorted(groups.items(), key=lambda item: item[0][0])):
        _fold(group, nodes, contexts, name=f"{where}/conditional {number}", library=library)
    lost = [name for name in changing if contexts.get(name)]
    if lost:
        raise FormatError(
            "a conditional of TensorFlow 1 changes a variable, which is not read here",
            where=nodes[lost[0]].op.name,
            expected="branches that only compute",
            received=nodes[lost[0]].op.op,
        )
    return nodes


def _root(reference: Reference, nodes: NamedNodes) -> Reference:
    while nodes[reference[0]].op.op in _PASSING and nodes[reference[0]].inputs:
        reference = nodes[reference[0]].inputs[0]
    return reference


def _contexts(nodes: NamedNodes) -> tuple[dict[str, Context], list[_Merge]]:
    """Return the branches that each node is in, and every Merge in order."""
    contexts: dict[str, Context] = {}
    levels: dict[str, int] = {}
    merges = []
    for name in sorted_names(nodes, list(nodes)):
        node = nodes[name]
        around = [_of_reference(reference, nodes, contexts) for reference in node.inputs]
        before = [*(source for source, _ in node.inputs), *node.controls]
        levels[name] = max((levels[each] for each in before), default=0)
        if node.op.op in MERGE:
            levels[name] += 1
            merge = _describe(name, node, around, levels[name])
            merges.append(merge)
            contexts[name] = merge.outer
        else:
            contexts[name] = frozenset().union(*around, *(contexts[control] for control in node.controls))
    return contexts, merges


def _of_reference(reference: Reference, nodes: NamedNodes, contexts: dict[str, Context]) -> Context:
    name, output = reference
    if nodes[name].op.op not in SWITCH:
        return contexts[name]
    return contexts[name] | {(_root(nodes[name].inputs[1], nodes), output)}


def _describe(name: str, node: NamedNode, around: Sequence[Context], level: int) -> _Merge:
    if len(around) == 2:
        first, second = around
        opposite = sorted((predicate, side) for predicate, side in first if (predicate, 1 - side) in second)
        if opposite:
            # Of nested predicates that differ, the Merge ends the one that all others are inside of both branches.
            predicate, side = next(
                (each for each in opposite if first - {each} == second - {(each[0], 1 - each[1])}), opposite[0]
            )
            return _Merge(name, predicate, _by_side(side), first & second, level)
        only = sorted(first ^ second)
        if len(only) == 1:
            # One branch is nothing but a constant that nothing holds back.
            predicate, side = only[0]
            return _Merge(name, predicate, _by_side(side if only[0] in first else 1 - side), first & second, level)
    raise FormatError(
        "a Merge does not end the two branches of a conditional",
        where=node.op.name,
        expected="two inputs, one for each side of a predicate",
        received=f"{len(around)} inputs",
    )


def _by_side(first: int) -> tuple[int, int]:
    """Return the input for the false and for the true side, given the side of the first input."""
    return (0, 1) if first == 0 else (1, 0)


def _fold(
    group: Sequence[_Merge], nodes: NamedNodes, contexts: dict[str, Context], *, name: str, library: Library
) -> None:
    """Put an If node in the place of Merges of one predicate, in `nodes` and `contexts` themselves."""
    from mainstay.saved_model.graph_reading.library import FunctionBody

    predicate = group[0].predicate
    arguments: dict[Reference, int] = {}
    branches = []
    for side in (0, 1):
        wanted = [nodes[merge.name].inputs[merge.inputs[side]] for merge in group]
        branches.append(_cut(wanted, (predicate, side), nodes, contexts, arguments))
    kinds: tuple[Kind, ...] = tuple(nodes[source].op.outputs[output] for source, output in arguments)
    names = tuple(_argument(index) for index in range(len(kinds)))
    places = {
        each: NamedNode(OpNode(f"{name}/{each}", ARGUMENT, {"index": index}, (kind,)), (), ())
        for index, (each, kind) in enumerate(zip(names, kinds, strict=True))
    }
    for side, (found, gives) in enumerate(branches):
        indices = {f"index {merge.name}": _constant(f"{name}/{merge.name}", merge.inputs[side]) for merge in group}
        results = (*gives, *((each, 0) for each in indices))
        part = FunctionBody(f"{name}/{_BRANCHES[side]}", {**places, **indices, **found}, names, results)
        library.add(library.prepared(part, everything=True))
    outputs = (*(nodes[merge.name].op.outputs[0] for merge in group), *(np.dtype(np.int32) for _ in group))
    attrs = {
        **{branch: FunctionAttr(f"{name}/{branch}") for branch in _BRANCHES},
        "Tcond": nodes[predicate[0]].op.outputs[predicate[1]],
        "Tin": kinds,
        "Tout": outputs,
    }
    nodes[name] = NamedNode(OpNode(name, "If", attrs, outputs), (predicate, *arguments), ())
    contexts[name] = group[0].outer
    for position, merge in enumerate(group):
        old = nodes[merge.name].op
        passing = OpNode(old.name, "IdentityN", {"T": old.outputs}, old.outputs)
        nodes[merge.name] = NamedNode(passing, ((name, position), (name, len(group) + position)), ())


def _argument(index: int) -> str:
    return f"argument {index}"


def _constant(name: str, value: int) -> NamedNode:
    return NamedNode(OpNode(name, "Const", {"value": np.array(value, np.int32)}, (np.dtype(np.int32),)), (), ())


def _cut(
    wanted: Sequence[Reference],
    branch: tuple[Reference, int],
    nodes: NamedNodes,
    contexts: dict[str, Context],
    arguments: dict[Reference, int],
) -> tuple[NamedNodes, list[Reference]]:
    """Return the nodes of a branch and what it gives, and note in `arguments` what it reads from outside."""
    found: NamedNodes = {}
    pending: list[str] = []

    def inner(reference: Reference) -> Reference:
        source, _ = reference
        node = nodes[source]
        if node.op.op in SWITCH and _root(node.inputs[1], nodes) == branch[0]:
            reference = node.inputs[0]
        elif branch in contexts[source]:
            pending.append(source)
            return reference
        return _argument(arguments.setdefault(reference, len(arguments))), 0

    results = [inner(reference) for reference in wanted]
    while pending:
        name = pending.pop()
        if name not in found:
            node = nodes[name]
            found[name] = NamedNode(node.op, tuple(inner(reference) for reference in node.inputs), node.controls)
    return {
        name: NamedNode(node.op, node.inputs, tuple(control for control in node.controls if control in found))
        for name, node in found.items()
    }, results
