"""The loops of TensorFlow 1: Enter, Merge, Switch, NextIteration and Exit become one While node for each frame.

A frame has a loop variable for each Merge of an Enter and a NextIteration; what else enters stays as it is throughout.
The innermost frames are folded first, so that a loop inside of another is a plain node by the time the outer is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.core import FormatError
from mainstay.saved_model.graph_reading.graph import ARGUMENT, NamedNode, NamedNodes, Reference
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode
from mainstay.saved_model.graphs.attributes import FunctionAttr

if TYPE_CHECKING:
    from mainstay.saved_model.graph_reading.library import Library

ENTER = ("Enter", "RefEnter")
MERGE = ("Merge", "RefMerge")
SWITCH = ("Switch", "RefSwitch")
_EXIT = ("Exit", "RefExit")
_NEXT = ("NextIteration", "RefNextIteration")


@dataclass(frozen=True, slots=True)
class _Variable:
    """A loop variable: the names of the nodes that it consists of."""

    enter: str
    merge: str
    next: str
    switch: str | None
    exit: str | None


@dataclass(frozen=True, slots=True)
class _Frame:
    """A loop."""

    name: str
    enters: tuple[str, ...]
    variables: tuple[_Variable, ...]
    condition: str
    constants: tuple[str, ...]


def fold_loops(nodes: NamedNodes, where: str, library: Library) -> tuple[NamedNodes, set[str]]:
    """Return the nodes with a While node in the place of every loop of TensorFlow 1, and the names of what is in loops.

    Args:
        nodes: The nodes by name.
        where: The name of the function or graph, for messages and for the names of the functions that are cut out.
        library: Takes the condition and the body of every loop.

    Raises:
        FormatError: A loop is malformed.
    """
    frames: dict[str, list[str]] = {}
    for name, node in nodes.items():
        if node.op.op in ENTER:
            frames.setdefault(_frame_name(node), []).append(name)
    nodes, inside = dict(nodes), set[str]()
    while frames:
        for frame, enters in frames.items():
            described = _describe(frame, enters, nodes)
            if not _reads_other_frames(described, nodes):
                break
        else:
            raise FormatError("loops cross each other", where=where, received=", ".join(frames))
        inside |= _fold(described, nodes, where, library)
        del frames[frame]
    return nodes, inside


def _frame_name(node: NamedNode) -> str:
    name = node.op.attrs.get("frame_name")
    if not isinstance(name, bytes) or len(node.inputs) != 1:
        raise FormatError("an Enter node is malformed", where=node.op.name, received=name)
    return name.decode("utf-8", "replace")


def _readers(nodes: NamedNodes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for source, _ in node.inputs:
            found.setdefault(source, []).append(name)
    return found


def _describe(frame: str, enters: Sequence[str], nodes: NamedNodes) -> _Frame:
    readers = _readers(nodes)
    variables, constants, conditions = [], [], set()
    for enter in enters:
        merges = [name for name in readers.get(enter, []) if nodes[name].op.op in MERGE]
        nexts = [
            source
            for merge in merges
            for source, _ in nodes[merge].inputs
            if source != enter and nodes[source].op.op in _NEXT
        ]
        if not merges or not nexts:
            constants.append(enter)
            continue
        if len(merges) != 1 or len(nexts) != 1:
            raise FormatError("a loop variable is malformed", where=nodes[enter].op.name, received=", ".join(merges))
        switches = [name for name in readers.get(merges[0], []) if _is_loop_switch(name, merges[0], nodes)]
        exits = [name for switch in switches for name in readers.get(switch, []) if nodes[name].op.op in _EXIT]
        conditions |= {nodes[switch].inputs[1][0] for switch in switches}
        if len(switches) > 1 or len(exits) > 1:
            raise FormatError("a loop variable is malformed", where=nodes[enter].op.name, received=", ".join(switches))
        variables.append(
            _Variable(enter, merges[0], nexts[0], switches[0] if switches else None, exits[0] if exits else None)
        )
    if len(conditions) != 1:
        raise FormatError(
            "a loop has no single condition", where=frame, expected="one LoopCond", received=", ".join(conditions)
        )
    return _Frame(frame, tuple(enters), tuple(variables), conditions.pop(), tuple(constants))


def _is_loop_switch(name: str, merge: str, nodes: NamedNodes) -> bool:
    node = nodes[name]
    if node.op.op not in SWITCH or len(node.inputs) != 2 or node.inputs[0][0] != merge:
        return False
    return nodes[node.inputs[1][0]].op.op == "LoopCond"


def _cut(wanted: Sequence[Reference], frame: _Frame, nodes: NamedNodes, *, body: bool) -> NamedNodes:
    """Return what `wanted` needs inside of a frame, its loop variables read as arguments."""
    borders = _borders(frame, body=body)
    around = {*frame.enters, *(each for variable in frame.variables for each in (variable.merge, variable.switch))}
    found: NamedNodes = {}
    pending = [source for source, _ in (borders.get(reference, reference) for reference in wanted)]
    stops = {reference[0] for reference in borders.values()}
    while pending:
        name = pending.pop()
        if name in found or name in stops:
            continue
        if name not in nodes or name in around:
            raise FormatError("a loop reads what it cannot read", where=frame.name, received=name)
        node = nodes[name]
        inputs = tuple(borders.get(reference, reference) for reference in node.inputs)
        controls = tuple(control for control in node.controls if control not in around and control in nodes)
        found[name] = NamedNode(node.op, inputs, controls)
        pending += [source for source, _ in inputs]
        pending += controls
    return found


def _borders(frame: _Frame, *, body: bool) -> dict[Reference, Reference]:
    """Return what the condition or the body reads as its arguments."""
    position = {name: index for index, name in enumerate(frame.enters)}
    borders: dict[Reference, Reference] = {}
    for variable in frame.variables:
        argument = (f"argument {position[variable.enter]}", 0)
        if not body:
            borders[variable.merge, 0] = argument
        elif variable.switch is not None:
            borders[variable.switch, 1] = argument
    for constant in frame.constants:
        borders[constant, 0] = (f"argument {position[constant]}", 0)
    return borders


def _reads_other_frames(frame: _Frame, nodes: NamedNodes) -> bool:
    """Return whether another loop is inside of a frame: its own are read as arguments, so no Enter is left."""
    pending = [frame.condition, *(variable.next for variable in frame.variables)]
    around = {*frame.enters, *(each for variable in frame.variables for each in (variable.merge, variable.switch))}
    seen: set[str | None] = set(around)
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if nodes[name].op.op in ENTER:
            return True
        pending += [source for source, _ in nodes[name].inputs]
        pending += [control for control in nodes[name].controls if control in nodes]
    return False


def _inside(frame: _Frame, nodes: NamedNodes) -> tuple[NamedNodes, NamedNodes]:
    """Return the nodes of the condition and of the body."""
    nexts = [(variable.next, 0) for variable in frame.variables]
    return _cut([(frame.condition, 0)], frame, nodes, body=False), _cut(nexts, frame, nodes, body=True)


def _fold(frame: _Frame, nodes: NamedNodes, where: str, library: Library) -> set[str]:
    """Put a While node in the place of a frame, in `nodes` itself, and return what is in its functions."""
    from mainstay.saved_model.graph_reading.library import FunctionBody

    position = {name: index for index, name in enumerate(frame.enters)}
    kinds = tuple(nodes[name].op.outputs[0] for name in frame.enters)
    arguments = tuple(f"argument {index}" for index in range(len(kinds)))
    places = {
        name: NamedNode(OpNode(f"{where}/{frame.name}/{name}", ARGUMENT, {"index": index}, (kind,)), (), ())
        for index, (name, kind) in enumerate(zip(arguments, kinds, strict=True))
    }
    condition, body = _inside(frame, nodes)
    results = [(argument, 0) for argument in arguments]
    for variable in frame.variables:
        results[position[variable.enter]] = (variable.next, 0)
    name = f"{where}/{frame.name}"
    for suffix, found, gives in (("condition", condition, [(frame.condition, 0)]), ("body", body, results)):
        part = FunctionBody(f"{name}/{suffix}", {**places, **found}, arguments, tuple(gives))
        library.add(library.prepared(part, everything=True))
    attrs = {"cond": FunctionAttr(f"{name}/condition"), "body": FunctionAttr(f"{name}/body"), "T": kinds}
    loop = f"{frame.name}/while"
    inputs = tuple(nodes[enter].inputs[0] for enter in frame.enters)
    controls = tuple(control for enter in frame.enters for control in nodes[enter].controls)
    for each in {*condition, *body}:
        nodes.pop(each, None)
    for enter in frame.enters:
        del nodes[enter]
    exits = {}
    for variable in frame.variables:
        nodes.pop(variable.merge, None)
        nodes.pop(variable.switch or "", None)
        if variable.exit is not None:
            exits[variable.exit] = position[variable.enter]
    op = OpNode(f"{where}/{loop}", "While", attrs, kinds)
    nodes[loop] = NamedNode(op, inputs, tuple(control for control in controls if control in nodes))
    for exit_name, index in exits.items():
        node = nodes[exit_name]
        nodes[exit_name] = NamedNode(
            OpNode(node.op.name, "Identity", node.op.attrs, node.op.outputs), ((loop, index),), ()
        )
    _drop_lost(nodes)
    return {*condition, *body}


def _drop_lost(nodes: NamedNodes) -> None:
    """Forget what is left of a loop outside of its functions, and waiting for what went into them."""
    lost = [""]
    while lost:
        lost = [name for name, node in nodes.items() if any(source not in nodes for source, _ in node.inputs)]
        for name in lost:
            del nodes[name]
    for name, node in nodes.items():
        if any(control not in nodes for control in node.controls):
            kept = tuple(control for control in node.controls if control in nodes)
            nodes[name] = NamedNode(node.op, node.inputs, kept)
