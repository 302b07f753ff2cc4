"""The JSON form of a host graph, as `docs/formats/host-graph.md` has it; one from a stranger may hold anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mainstay.core import ArgumentError, FormatError, TensorSpec
from mainstay.hostops.program import HostInput, HostNode
from mainstay.hostops.registry import op_names, op_version

GRAPH_VERSION = 1
"""The version of the JSON form: raised when a reader of an older one could misread it."""

_GRAPH_KEYS = frozenset({"version", "inputs", "nodes", "outputs", "assets"})
_INPUT_KEYS = frozenset({"name", "dtype", "shape", "optional"})
_NODE_KEYS = frozenset({"op", "version", "name", "inputs", "attrs"})


def graph_to_json(
    inputs: Sequence[HostInput], nodes: Sequence[HostNode], outputs: Mapping[str, str], assets: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return a graph as a JSON object."""
    return {
        "version": GRAPH_VERSION,
        "inputs": [{**item.spec.to_json(), "optional": item.optional} for item in inputs],
        "nodes": [
            {
                "op": node.op,
                "version": op_version(node.op),
                "name": node.name,
                "inputs": list(node.inputs),
                "attrs": dict(node.attrs),
            }
            for node in nodes
        ],
        "outputs": [[name, value] for name, value in outputs.items()],
        "assets": sorted(assets),
    }


def graph_from_json(
    value: Any, assets: Mapping[str, bytes]
) -> tuple[list[HostInput], list[HostNode], dict[str, str], dict[str, bytes]]:
    """Return the inputs, nodes, outputs and assets of a graph in JSON form.

    Raises:
        FormatError: The version of the graph or of an operation is unknown, or a key is not as specified.
    """
    version = value.get("version") if isinstance(value, Mapping) else type(value).__name__
    if type(version) is not int or version != GRAPH_VERSION:
        raise FormatError(
            "unknown version of a host graph",
            where="$.version",
            expected=GRAPH_VERSION,
            received=repr(version),
            fix="load it with a newer Mainstay",
        )
    _check_keys(value, _GRAPH_KEYS, "$")
    inputs = [_input(item, f"$.inputs[{i}]") for i, item in enumerate(_list(value["inputs"], "$.inputs"))]
    nodes = [_node(item, f"$.nodes[{i}]") for i, item in enumerate(_list(value["nodes"], "$.nodes"))]
    outputs: dict[str, str] = {}
    for i, item in enumerate(_list(value["outputs"], "$.outputs")):
        pair = [_string(part, f"$.outputs[{i}]") for part in _list(item, f"$.outputs[{i}]")]
        if len(pair) != 2 or pair[0] in outputs:
            raise _fault(f"$.outputs[{i}]", "a name that no other output has, and the value's name", item)
        outputs[pair[0]] = pair[1]
    needed: dict[str, bytes] = {}
    for i, item in enumerate(_list(value["assets"], "$.assets")):
        name = _string(item, f"$.assets[{i}]")
        if name in needed or name not in assets:
            raise _fault(f"$.assets[{i}]", "the name of an asset that is there, once", name)
        needed[name] = assets[name]
    return inputs, nodes, outputs, needed


def _input(item: Any, where: str) -> HostInput:
    _check_keys(item, _INPUT_KEYS, where)
    shape = _list(item["shape"], f"{where}.shape")
    if any(axis is not None and (type(axis) is not int or axis < 0) for axis in shape):
        raise _fault(f"{where}.shape", "a list of null or lengths", shape)
    if type(item["optional"]) is not bool:
        raise _fault(f"{where}.optional", "true or false", item["optional"])
    try:
        spec = TensorSpec(shape, _string(item["dtype"], f"{where}.dtype"), _string(item["name"], f"{where}.name"))
    except ArgumentError as error:
        raise _fault(where, error.expected, error.received) from None
    return HostInput(spec, item["optional"])


def _node(item: Any, where: str) -> HostNode:
    _check_keys(item, _NODE_KEYS, where)
    op = _string(item["op"], f"{where}.op")
    if op not in op_names():
        raise FormatError(
            "unknown host operation",
            where=f"{where}.op",
            expected=f"one of {', '.join(op_names())}",
            received=repr(op),
            fix="load it with a newer Mainstay",
        )
    version = item["version"]
    if type(version) is not int or version != op_version(op):
        raise FormatError(
            f"unknown version of the host operation {op}",
            where=f"{where}.version",
            expected=op_version(op),
            received=repr(version),
            fix="load it with a newer Mainstay",
        )
    sources = _list(item["inputs"], f"{where}.inputs")
    if not isinstance(item["attrs"], Mapping):
        raise _fault(f"{where}.attrs", "an object", item["attrs"])
    return HostNode(
        op,
        _string(item["name"], f"{where}.name"),
        tuple(_string(source, f"{where}.inputs[{i}]") for i, source in enumerate(sources)),
        dict(item["attrs"]),
    )


def _check_keys(value: Any, keys: frozenset[str], where: str) -> None:
    if not isinstance(value, Mapping) or set(value) != keys:
        received = ", ".join(sorted(map(repr, value))) if isinstance(value, Mapping) else type(value).__name__
        raise _fault(where, f"an object with the keys {', '.join(sorted(keys))}", received)


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise _fault(where, "a list", type(value).__name__)
    return value


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _fault(where, "a string", repr(value))
    return value


def _fault(where: str, expected: object, received: object) -> FormatError:
    return FormatError("a host graph is not as specified", where=where, expected=expected, received=received)
