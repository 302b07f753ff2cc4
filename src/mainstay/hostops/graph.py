"""The host graph: an ordered list of host operations as plain data, and the program that runs it.

A graph names operations of the closed registry only. It never holds Python code, so that loading one cannot run
any, and the same graph gives bit-identical results in training, offline and in a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import TransformError
from mainstay.hostops.columns import Column, Values
from mainstay.hostops.elements import of_element, of_elements
from mainstay.hostops.graph_json import graph_from_json, graph_to_json
from mainstay.hostops.program import HostInput, HostNode, Program
from mainstay.hostops.signatures import FLOATS
from mainstay.hostops.words import Words, object_array
from mainstay.io import HostFunction, current_stage

Array = np.ndarray[Any, Any]


class HostGraph:
    """An executable graph of host operations.

    Where an output of floats misses a value it gives out NaN, and an output of strings ``""``; an output of
    another dtype that could miss one is refused when the graph is made. Every NaN comes out with the same bits.

    Args:
        inputs: The raw columns that it reads.
        nodes: The operations, each after those that it takes values from.
        outputs: The value to give out under each output's name, in order.
        assets: The content of each asset file that an operation's attributes name.

    Attributes:
        output_specs: The specs of the outputs, in order.

    Raises:
        TransformError: A node names an unknown operation or value, its attributes or dtypes do not fit, or an
            output of integers or booleans can have missing values.

    Example:
        >>> from mainstay.core import TensorSpec
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
        self.outputs = dict(outputs)
        self._program = Program(self.inputs, nodes, self.outputs, assets or {})
        self.assets = {name: bytes(content) for name, content in (assets or {}).items()}
        self.nodes = self._program.nodes
        self.output_specs = self._program.output_specs
        self._output_dtypes = [spec.dtype for spec in self.output_specs]
        for spec in self.output_specs:
            if spec.name in self._program.may_miss and spec.dtype not in (*FLOATS, "string"):
                raise TransformError(
                    "an output can have missing values, and its dtype has nothing to show that with",
                    where=f"$.outputs.{spec.name}",
                    expected="a value in every row",
                    received=f"{spec.dtype} that depends on an optional input",
                    fix="fill it with fill_missing",
                )

    @property
    def input_specs(self) -> tuple[Any, ...]:
        """The specs of the raw columns that the graph reads."""
        return tuple(item.spec for item in self.inputs)

    def prune(self, outputs: Iterable[str]) -> HostGraph:
        """Return the graph of some of the outputs, with the inputs, nodes and assets that these need.

        Args:
            outputs: The names of the outputs to keep, in the order that is wanted.

        Raises:
            TransformError: The graph has no output of that name.
        """
        names = list(outputs)
        unknown = [name for name in names if name not in self.outputs]
        if unknown:
            raise TransformError(
                "a host graph has no such output", expected=f"some of {', '.join(self.outputs)}", received=unknown[0]
            )
        needed = {self.outputs[name] for name in names}
        nodes: list[HostNode] = []
        for node in reversed(self.nodes):
            if node.name in needed:
                nodes.append(node)
                needed.update(node.inputs)
        assets = {node.attrs["asset"]: self.assets[node.attrs["asset"]] for node in nodes if "asset" in node.attrs}
        inputs = [item for item in self.inputs if item.spec.name in needed]
        return HostGraph(inputs, nodes[::-1], {name: self.outputs[name] for name in names}, assets)

    def columns(self, values: Mapping[str, Any] | pa.RecordBatch) -> list[Column]:
        """Return the graph's inputs as columns, checked: all there, of the right dtype, of one length.

        Args:
            values: An array-like or `Column` by input name, or a record batch; an optional input may be left
                out, names that the graph does not read are ignored.

        Raises:
            TransformError: An input lacks, has the wrong dtype or length, or misses values though required.
        """
        if isinstance(values, pa.RecordBatch):
            rows, values = values.num_rows, dict(zip(values.schema.names, values.columns, strict=True))
        else:
            rows = None
        columns: list[Column | None] = []
        for item in self.inputs:
            value = values.get(item.spec.name)
            column = None if value is None else self._checked(item, value, rows)
            if column is not None:
                rows = len(column)
            columns.append(column)
        return [
            _blank(item, rows or 0) if column is None else column
            for item, column in zip(self.inputs, columns, strict=True)
        ]

    def _checked(self, item: HostInput, value: Any, rows: int | None) -> Column:
        column = item.column(value)
        values, name = column.values, item.spec.name
        if rows is not None and len(values) != rows:
            raise TransformError(
                "the inputs differ in length",
                where=f"$.{name}",
                expected=f"{rows} rows",
                received=f"{len(values)} rows",
            )
        if isinstance(values, np.ndarray) and values.dtype.kind == "M" and name not in self._program.reads_times:
            raise TransformError(
                "an input has times where strings are wanted",
                where=f"$.{name}",
                expected="strings",
                received="datetime64",
                fix="format the times as the training data has them",
            )
        return column

    def __call__(self, values: Mapping[str, Any] | pa.RecordBatch) -> dict[str, Values]:
        """Run the graph on one chunk.

        Args:
            values: See `columns`.

        Returns:
            The outputs by name, each `[rows]` of its dtype in `output_specs`; strings as an object array.
        """
        stage = current_stage()
        if stage is not None:
            called = HostFunction("HostGraph", self._of_element, self._of_elements, takes_rows=False)
            result: dict[str, Values] = stage.call(called, (values,), {})
            return result
        return self.run(self.columns(values))

    def _of_element(self, values: Mapping[str, Any]) -> dict[str, Values]:
        return of_element(self, values)

    def _of_elements(self, values: Mapping[str, Any]) -> dict[str, Values]:
        return of_elements(self, values)

    def run(self, columns: list[Column]) -> dict[str, Values]:
        """Run the graph on columns in the order of `inputs` that the caller has checked already."""
        given = self._program.execute(columns)
        return {
            name: _shown(values, missing, dtype)
            for (name, values, missing), dtype in zip(given, self._output_dtypes, strict=True)
        }

    def to_json(self) -> dict[str, Any]:
        """Return the graph as a JSON object; the assets' content travels beside it."""
        return graph_to_json(self.inputs, self.nodes, self.outputs, self.assets)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], assets: Mapping[str, bytes]) -> HostGraph:
        """Return the graph that `to_json` wrote.

        Args:
            value: The JSON object.
            assets: The content of its assets by file name; others are ignored.

        Raises:
            FormatError: The version of the graph or of an operation is unknown, or a key is not as specified.
            TransformError: The graph is inconsistent.
        """
        return cls(*graph_from_json(value, assets))


def _blank(item: HostInput, rows: int) -> Column:
    """Return the column of an input that was left out."""
    if not item.optional:
        name = item.spec.name
        raise TransformError("an input is not there", where=f"$.{name}", expected=f"a column named {name!r}")
    values = object_array([""] * rows) if item.spec.dtype == "string" else np.zeros(rows, item.spec.dtype)
    return Column(values, np.ones(rows, bool))


def _shown(values: Any, missing: Array | None, dtype: str) -> Values:
    """Return an output as it is given out: missing values as NaN or ``""``, every NaN with the same bits."""
    if isinstance(values, Words):
        rows = values.to_numpy()
        return rows if missing is None else np.where(missing, "", rows)
    if dtype not in FLOATS:
        return values
    if values.size == 1 and missing is None:
        number = values.item()
        return values if number == number else np.full(values.shape, np.nan, dtype)
    absent = np.isnan(values) if missing is None else np.isnan(values) | missing
    # Looking for a byte is several times faster than `any()` on the few rows of a request.
    return np.where(absent, np.array(np.nan, dtype), values) if b"\x01" in absent.tobytes() else values
