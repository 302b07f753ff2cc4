"""The host prefix: the host calls of exported functions as one host graph in front of the XLA program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.core import ModelError, TensorSpec
from mainstay.data.exporting import Call, Computation, Device, Hosted, Raw, Symbol
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.io import FixedLenFeature

NUMBERS = ("bool", "int32", "int64", "float32", "float64")


@dataclass
class _Parts:
    """A host graph that is being put together."""

    raw: Mapping[int, TensorSpec]
    inputs: dict[str, HostInput] = field(default_factory=dict)
    nodes: list[HostNode] = field(default_factory=list)
    assets: dict[str, bytes] = field(default_factory=dict)
    values: dict[Symbol, str] = field(default_factory=dict)

    def source(self, symbol: Symbol, wanted: TensorSpec, *, optional: bool) -> str:
        """Return the name of the value of a symbol; a raw one becomes an input of the graph."""
        if isinstance(symbol, Raw):
            name = self.raw[symbol.leaf].name
            item = HostInput(TensorSpec(wanted.shape, wanted.dtype, name), optional)
            if self.inputs.setdefault(name, item) != item:
                raise ModelError("a raw input is read in two ways", where=name, received=wanted.dtype)
            return name
        return self.value(symbol)

    def value(self, symbol: Symbol) -> str:
        """Return the name of a value that a host operation makes."""
        if symbol not in self.values:
            raise ModelError(
                "a value that is needed in front of the model is made by no host operation",
                received="a list, a sequence or a sparse feature, or a default of several values",
                fix="parse it as a FixedLenFeature, or export what comes after it: preprocessing(since=…)",
            )
        return self.values[symbol]


def host_prefix(
    found: Computation, needed: set[Symbol], raw: Mapping[int, TensorSpec], leaves: Sequence[Symbol]
) -> tuple[HostGraph | None, dict[Symbol, TensorSpec]]:
    """Return the host graph of the calls that are needed, and the inputs of the device behind it.

    Args:
        found: The computation.
        needed: What of it is needed.
        raw: The spec of each raw leaf, as batches with its name as an input.
        leaves: What is wanted in the end.

    Raises:
        ModelError: A host function is not registered for serving, or a value has a dtype that none of them has.
    """
    border = _border(found, needed, leaves)
    if not any(isinstance(symbol, Hosted) for symbol in needed):
        return None, {symbol: raw[symbol.leaf] for symbol in border if isinstance(symbol, Raw)}
    parts = _Parts(raw)
    for number, call in enumerate(found.calls):
        if any(isinstance(symbol, Hosted) and symbol.call == number for symbol in needed):
            _add(parts, number, call)
    outputs: dict[str, str] = {}
    names: dict[Symbol, str] = {}
    for symbol in border:
        if isinstance(symbol, Raw):
            spec = raw[symbol.leaf]
            if spec.dtype not in NUMBERS:
                raise ModelError(
                    "beside host functions, a raw input has a dtype that they do not have",
                    where=spec.name,
                    expected=", ".join(NUMBERS),
                    received=spec.dtype,
                )
            parts.source(symbol, spec, optional=False)
        value = raw[symbol.leaf].name if isinstance(symbol, Raw) else parts.value(symbol)
        name = value.rsplit("/", 1)[-1]
        names[symbol] = name if name not in outputs else value
        outputs[names[symbol]] = value
    graph = HostGraph(list(parts.inputs.values()), parts.nodes, outputs, parts.assets).prune(outputs)
    specs = {spec.name: spec for spec in graph.output_specs}
    return graph, {symbol: specs[name] for symbol, name in names.items()}


def _border(found: Computation, needed: set[Symbol], leaves: Sequence[Symbol]) -> list[Symbol]:
    """Return the raw values and host results that the device takes, in one order."""
    taken = {symbol for symbol in leaves if isinstance(symbol, (Raw, Hosted))}
    for symbol in needed:
        if isinstance(symbol, Device):
            taken |= {s for s in found.stages[symbol.stage].needs([symbol.result]) if isinstance(s, (Raw, Hosted))}
    return sorted(taken, key=lambda symbol: (type(symbol).__name__ != "Raw", str(symbol)))


def _add(parts: _Parts, number: int, call: Call) -> None:
    function = call.made.call.function
    graph = getattr(function.one, "__self__", None)
    if function.name in ("parse_single_example", "parse_example"):
        _add_features(parts, number, call)
        return
    if function.name == "decode_raw":
        _add_raw(parts, number, call)
        return
    if not isinstance(graph, HostGraph):
        raise ModelError(
            "a host function cannot be put into the model",
            where=function.name,
            expected="a host graph, parse_example, parse_single_example or decode_raw",
            received=f"{function.name}, which has no operation that a server runs",
            fix="export what comes after it: preprocessing(since=…), with this call in a map of its own before",
        )
    _add_graph(parts, number, call, graph)


def _arguments(call: Call, *names: str) -> dict[str, Any]:
    """Return the arguments of a call by name."""
    found = dict(zip(names, call.made.call.args, strict=False))
    return {**found, **call.made.call.kwargs}


_TEXT = TensorSpec([None], "string", "")


def _add_features(parts: _Parts, number: int, call: Call) -> None:
    given = _arguments(call, "serialized", "features")
    source = parts.source(call.columns[given["serialized"].index], _TEXT, optional=False)
    features = given["features"]
    for result, key in enumerate(sorted(features if isinstance(features, Mapping) else ())):
        feature = features[key]
        if not isinstance(feature, FixedLenFeature):
            # It is refused only where the model needs it.
            continue
        dtype = getattr(feature.dtype, "name", feature.dtype)
        dtype = "string" if str(dtype) == "object" else str(dtype)
        default = feature.default_value
        default = default.decode() if isinstance(default, bytes) else default
        if default is not None and not isinstance(default, (int, float, str)):
            continue
        shape = [feature.shape] if isinstance(feature.shape, int) else list(feature.shape)
        attrs = {"key": key, "dtype": dtype, "shape": shape, "default_value": default}
        name = f"{number}/{key}"
        parts.nodes.append(HostNode("ParseExample", name, (source,), attrs))
        parts.values[Hosted(number, result)] = name


def _add_raw(parts: _Parts, number: int, call: Call) -> None:
    given = _arguments(call, "input_bytes", "out_type", "little_endian")
    source = parts.source(call.columns[given["input_bytes"].index], _TEXT, optional=False)
    dtype = np.dtype(getattr(given["out_type"], "name", given["out_type"])).name
    name = f"{number}/{source.rsplit('/', 1)[-1]}"
    attrs = {"dtype": dtype, "shape": [call.width], "little_endian": given.get("little_endian", True)}
    parts.nodes.append(HostNode("DecodeRaw", name, (source,), attrs))
    parts.values[Hosted(number, 0)] = name


def _add_graph(parts: _Parts, number: int, call: Call, graph: HostGraph) -> None:
    given = call.made.call.args[0]
    names: dict[str, str] = {}
    for item in graph.inputs:
        name = item.spec.name
        if name not in given:
            raise ModelError("an optional input of a host graph is never there", where=name, fix="give it to the graph")
        symbol = call.columns[given[name].index]
        names[name] = parts.source(symbol, item.spec, optional=item.optional)
    for node in graph.nodes:
        names[node.name] = f"{number}/{node.name}"
        inputs = tuple(names[name] for name in node.inputs)
        parts.nodes.append(HostNode(node.op, names[node.name], inputs, node.attrs))
    for name, content in graph.assets.items():
        if parts.assets.setdefault(name, content) != content:
            raise ModelError("two host graphs have different assets of one name", where=name)
    for result, name in enumerate(sorted(graph.outputs)):
        parts.values[Hosted(number, result)] = names[graph.outputs[name]]
