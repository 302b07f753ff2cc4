"""The host graph: an ordered list of host operations as plain data, and the program that runs it.

A graph names operations of the closed registry only. It never holds Python code, so that loading one cannot run
any, and the same graph gives bit-identical results in training, offline and in a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.core import FormatError, TensorSpec, TransformError
from mainstay.hostops.columns import Column, Values, as_column
from mainstay.hostops.registry import HostOp, Kernel, lookup

GRAPH_VERSION = 1


@dataclass(frozen=True, slots=True)
class HostInput:
    """A raw column that a graph reads.

    Args:
        spec: Its name, dtype and shape `[batch]`. Timestamps are of dtype ``string`` at this border.
        optional: Whether rows may lack it; a required input with a missing value is an error.
    """

    spec: TensorSpec
    optional: bool = False


@dataclass(frozen=True, slots=True)
class HostNode:
    """One operation of a graph.

    Args:
        op: The operation's name in the registry.
        name: The name of the value that it makes, unique in the graph.
        inputs: The names of the values that it takes: inputs of the graph or earlier nodes.
        attrs: Its attributes, plain JSON values; an asset is named by its file name.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


class HostGraph:
    """An executable graph of host operations.

    Args:
        inputs: The raw columns that it reads.
        nodes: The operations, each after those that it takes values from.
        outputs: The value to give out under each output's name, in order.
        assets: The content of each asset file that an operation's attributes name.

    Raises:
        TransformError: A node names an unknown operation or value, or its attributes do not fit.

    Example:
        >>> graph = HostGraph(
        ...     [HostInput(TensorSpec([None], "float64", "x"))],
        ...     [HostNode("Cast", "y", ("x",), {"dtype": "float32"})],
        ...     {"y": "y"},
        ... )
        >>> graph({"x": [1.5, 2.0]})
        {'y': array([1.5, 2. ], dtype=float32)}
    """

    def __init__(
        self,
        inputs: tuple[HostInput, ...] | list[HostInput],
        nodes: tuple[HostNode, ...] | list[HostNode],
        outputs: Mapping[str, str],
        assets: Mapping[str, bytes] | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.nodes = tuple(nodes)
        self.outputs = dict(outputs)
        self.assets = dict(assets or {})
        self._slots = {item.spec.name: index for index, item in enumerate(self.inputs)}
        dtypes = [item.spec.dtype for item in self.inputs]
        self._program: list[tuple[Kernel, tuple[int, ...]]] = []
        for node in self.nodes:
            op, slots = lookup(node.op), self._resolve(node)
            self._program.append((self._bind(op, node), slots))
            dtypes.append(op.result(tuple(dtypes[slot] for slot in slots), node.attrs))
            if node.name in self._slots:
                raise TransformError("two values of a host graph have one name", where=f"$.nodes.{node.name}")
            self._slots[node.name] = len(self._slots)
        unknown = [value for value in self.outputs.values() if value not in self._slots]
        if unknown:
            raise TransformError("a host graph gives out a value that it does not make", received=unknown[0])
        self._outputs = [(name, self._slots[value]) for name, value in self.outputs.items()]
        self.output_specs = tuple(TensorSpec([None], dtypes[slot], name) for name, slot in self._outputs)

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The specs of the raw columns that the graph reads."""
        return tuple(item.spec for item in self.inputs)

    def _resolve(self, node: HostNode) -> tuple[int, ...]:
        missing = [name for name in node.inputs if name not in self._slots]
        if missing:
            raise TransformError(
                "a host operation takes a value that no earlier one makes",
                where=f"$.nodes.{node.name}",
                received=missing[0],
            )
        return tuple(self._slots[name] for name in node.inputs)

    def _bind(self, op: HostOp, node: HostNode) -> Kernel:
        try:
            return op.bind(node.attrs, self.assets)
        except (KeyError, TypeError, ValueError) as error:
            raise TransformError(
                "the attributes of a host operation do not fit",
                where=f"$.nodes.{node.name}",
                expected=f"what {op.name} version {op.version} takes",
                received=f"{type(error).__name__}: {error}",
            ) from error

    def columns(self, values: Mapping[str, Any]) -> list[Column]:
        """Return the graph's inputs as columns, checked: all there, of the right dtype, of one length.

        Args:
            values: An array-like or `Column` by input name; an optional input may be left out, names that the
                graph does not read are ignored.

        Raises:
            TransformError: An input lacks, has the wrong dtype or length, or misses values though required.
        """
        length = next((len(values[i.spec.name]) for i in self.inputs if i.spec.name in values), 0)
        return [self._input(item, values.get(item.spec.name), length) for item in self.inputs]

    def _input(self, item: HostInput, value: Any, length: int) -> Column:
        name, where = item.spec.name, f"$.{item.spec.name}"
        if value is None:
            if not item.optional:
                raise TransformError("an input is not there", where=where, expected=f"a column named {name!r}")
            blank = np.full(length, "", object) if item.spec.dtype == "string" else np.zeros(length, item.spec.dtype)
            return Column(blank, np.ones(length, bool))
        try:
            column = as_column(value, item.spec.dtype)
        except TransformError as error:
            raise TransformError(
                error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix
            ) from error
        if len(column) != length:
            raise TransformError(
                "the inputs differ in length", where=where, expected=f"{length} rows", received=f"{len(column)} rows"
            )
        if column.missing is not None and not item.optional and bool(column.missing.any()):
            row = int(np.argmax(column.missing))
            raise TransformError(
                "a required input has a missing value",
                where=f"{where}[{row}]",
                expected=f"a {item.spec.dtype} in every row, as in the training data",
                received="nothing",
            )
        return column

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Values]:
        """Run the graph on one chunk.

        Args:
            values: See `columns`.

        Returns:
            The outputs by name, each `[rows]` of its dtype in `output_specs`.
        """
        return self.run(self.columns(values))

    def run(self, columns: list[Column]) -> dict[str, Values]:
        """Run the graph on columns in the order of `inputs` that the caller has checked already."""
        slots = list(columns)
        for kernel, sources in self._program:
            slots.append(kernel(*[slots[source] for source in sources]))
        return {name: slots[slot].values for name, slot in self._outputs}

    def to_json(self) -> dict[str, Any]:
        """Return the graph as a JSON object; the assets' content travels beside it."""
        return {
            "version": GRAPH_VERSION,
            "inputs": [{**item.spec.to_json(), "optional": item.optional} for item in self.inputs],
            "nodes": [
                {
                    "op": node.op,
                    "version": lookup(node.op).version,
                    "name": node.name,
                    "inputs": list(node.inputs),
                    "attrs": dict(node.attrs),
                }
                for node in self.nodes
            ],
            "outputs": [[name, value] for name, value in self.outputs.items()],
            "assets": sorted(self.assets),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], assets: Mapping[str, bytes]) -> HostGraph:
        """Return the graph that `to_json` wrote.

        Args:
            value: The JSON object.
            assets: The content of its assets by file name.

        Raises:
            FormatError: The version of the graph or of an operation is unknown, or a key is not as specified.
            TransformError: The graph is inconsistent.
        """
        if not isinstance(value, Mapping) or value.get("version") != GRAPH_VERSION:
            raise FormatError(
                "unknown version of a host graph",
                where="$.version",
                expected=GRAPH_VERSION,
                received=value.get("version") if isinstance(value, Mapping) else type(value).__name__,
                fix="load it with a newer Mainstay",
            )
        try:
            inputs = [HostInput(TensorSpec.from_json(item), bool(item["optional"])) for item in value["inputs"]]
            nodes = [HostNode(n["op"], n["name"], tuple(n["inputs"]), dict(n["attrs"])) for n in value["nodes"]]
            versions = [(node["op"], node["version"]) for node in value["nodes"]]
            outputs = dict(value["outputs"])
            needed = {name: assets[name] for name in value["assets"]}
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                "a host graph is not as specified", received=f"{type(error).__name__}: {error}"
            ) from error
        for name, version in versions:
            if version != lookup(name).version:
                raise FormatError(
                    f"unknown version of the host operation {name}",
                    expected=lookup(name).version,
                    received=version,
                    fix="load it with a newer Mainstay",
                )
        return cls(inputs, nodes, outputs, needed)
