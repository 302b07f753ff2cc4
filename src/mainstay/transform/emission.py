"""Emission: nodes become operations of a host graph once the measures that they wait for are taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.transform.analyzers import Vocabulary
from mainstay.transform.misuse import misuse
from mainstay.transform.nodes import Measure, Node, Pending

Key = tuple[str, str, int]
"""What tells measures apart: the kind, the name of the measured value, and the capacity."""


def measures_of(node: Node) -> list[Measure]:
    """Return the measures that a node itself waits for."""
    held = (value for value in node.attrs.values() if isinstance(value, (Pending, Vocabulary)))
    return [value.measure for value in held]


def in_order(roots: Iterable[Node]) -> list[Node]:
    """Return all nodes that the roots need, each after those that it needs; a loop, for graphs may be deep."""
    ordered: list[Node] = []
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            needed = [*node.inputs, *(measure.source for measure in measures_of(node))]
            stack.extend((source, False) for source in reversed(needed))
    return ordered


class Emitter:
    """The operations emitted so far; equal ones are emitted once.

    Args:
        nodes: All nodes that will be emitted, in order.
        columns: The names of all columns, which no operation may have.
    """

    def __init__(self, nodes: Sequence[Node], columns: Iterable[str]) -> None:
        self.results: dict[Key, Any] = {}
        self.operations: list[HostNode] = []
        self.assets: dict[str, bytes] = {}
        self._taken = set(columns)
        self._names: dict[int, str] = {}
        self._known: dict[str, str] = {}
        self._reserved = {value.filename.lower() for node in nodes if (value := _vocabulary(node)) and value.filename}

    def emit(self, root: Node) -> str:
        """Return the name of a node's value, emitting what it needs; every measure it waits for has been taken."""
        for node in in_order([root]):
            if id(node) not in self._names:
                self._names[id(node)] = self._emit(node)
        return self._names[id(root)]

    def key(self, measure: Measure) -> Key:
        """Return what tells a measure apart; its source is emitted."""
        return measure.kind, self.emit(measure.source), measure.capacity

    def graph(self, outputs: Mapping[str, Node], inputs: Iterable[HostInput]) -> HostGraph:
        """Return the host graph of some nodes, with those of the inputs that it reads."""
        given = {name: self.emit(node) for name, node in outputs.items()}
        needed = set(given.values())
        operations = []
        for operation in reversed(self.operations):
            if operation.name in needed:
                operations.append(operation)
                needed.update(operation.inputs)
        used = {operation.attrs["asset"] for operation in operations if "asset" in operation.attrs}
        return HostGraph(
            [item for item in inputs if item.spec.name in needed],
            operations[::-1],
            given,
            {name: content for name, content in self.assets.items() if name in used},
        )

    def _emit(self, node: Node) -> str:
        if node.op == "Input":
            return str(node.attrs["name"])
        if node.op == "Choose":
            condition = self._resolved(node.attrs["condition"])
            return self._names[id(node.inputs[0 if condition else 1])]
        sources = tuple(self._names[id(source)] for source in node.inputs)
        attrs = {name: self._attribute(node, value) for name, value in node.attrs.items()}
        signature = repr((node.op, sources, sorted(attrs.items())))
        if signature not in self._known:
            name = self._free_name(node.op)
            self.operations.append(HostNode(node.op, name, sources, attrs))
            self._known[signature] = name
        return self._known[signature]

    def _free_name(self, op: str) -> str:
        number = len(self.operations)
        while (name := f"{op}_{number}") in self._taken:
            number += 1
        self._taken.add(name)
        return name

    def _attribute(self, node: Node, value: Any) -> Any:
        if isinstance(value, Pending):
            return self._resolved(value)
        if isinstance(value, Vocabulary):
            content = value.content(self.results[self.key(value.measure)])
            return self._asset(content, value.filename, _column_names(value.measure.source), value.where)
        if isinstance(value, tuple):
            content = "".join(f"{token}\n" for token in value).encode("utf-8", "surrogateescape")
            return self._asset(content, None, _column_names(node), node.where)
        return value

    def _resolved(self, pending: Pending) -> Any:
        return pending.resolve(self.results[self.key(pending.measure)])

    def _asset(self, content: bytes, filename: str | None, columns: list[str], where: str | None) -> str:
        """Return the name of the asset of that content, named by the user or after columns."""
        taken = {name.lower(): name for name in self.assets}
        if filename is not None:
            other = taken.get(filename.lower())
            if other is not None and (other != filename or self.assets[other] != content):
                raise misuse(
                    "two vocabularies have one file name",
                    where=where,
                    received=repr(filename),
                    fix="give each its own vocab_filename",
                )
            self.assets[filename] = content
            return filename
        base = re.sub(r"[^A-Za-z0-9_-]", "_", "_".join(["vocabulary", *columns]))[:100]
        number = 1
        while True:
            name = f"{base}.txt" if number == 1 else f"{base}_{number}.txt"
            if self.assets.get(taken.get(name.lower(), "")) == content:
                return taken[name.lower()]
            if name.lower() not in taken and name.lower() not in self._reserved:
                self.assets[name] = content
                return name
            number += 1


def _vocabulary(node: Node) -> Vocabulary | None:
    value = node.attrs.get("asset")
    return value if isinstance(value, Vocabulary) else None


def _column_names(node: Node) -> list[str]:
    return [str(part.attrs["name"]) for part in in_order([node]) if part.op == "Input"]
