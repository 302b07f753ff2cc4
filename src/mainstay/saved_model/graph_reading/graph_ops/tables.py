"""Lookup tables: filled from tensors and from the text files of a model, and looked up on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import DataError, FormatError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import AssetPath, Table, Value

_LINE_NUMBER = -1
_WHOLE_LINE = -2


def _table(node: OpNode, value: Value) -> Table:
    if not isinstance(value, Table):
        raise ModelError("an op wants a table", where=node.name, received=type(value).__name__)
    return value


def _content(node: OpNode, table: Value) -> dict[Any, Any]:
    content = _table(node, table).content
    if content is None:
        raise ModelError("a table is read before it is filled", where=node.name, received=_table(node, table).name)
    return content


def _filled(node: OpNode, table: Value, keys: list[Any], values: list[Any]) -> None:
    """Fill a table that does not change afterwards: a key has one value."""
    content: dict[Any, Any] = {}
    for key, value in zip(keys, values, strict=True):
        if content.setdefault(key, value) != value:
            raise DataError(
                "a key of a table has two values", where=node.name, expected=content[key], received=f"{key!r}: {value}"
            )
    target = _table(node, table)
    target.content, target.cache = content, None


@graph_op("InitializeTable", "InitializeTableV2", kind="host", effect=True)
def initialize(node: OpNode, table: Value, keys: Value, values: Value) -> tuple[Value, ...]:
    """Fill a table from two tensors."""
    if _table(node, table).content is None:
        _filled(node, table, np.ravel(keys).tolist(), np.ravel(values).tolist())
    return ()


@graph_op("LookupTableImport", "LookupTableImportV2", kind="host", effect=True)
def import_entries(node: OpNode, table: Value, keys: Value, values: Value) -> tuple[Value, ...]:
    """Replace what a table holds."""
    target = _table(node, table)
    flat = np.ravel(keys).tolist()
    rows = list(values) if np.ndim(values) > np.ndim(keys) else np.ravel(values).tolist()
    target.content, target.cache = dict(zip(flat, rows, strict=True)), None
    return ()


@graph_op("InitializeTableFromTextFile", "InitializeTableFromTextFileV2", kind="host", effect=True)
def initialize_from_file(node: OpNode, table: Value, file: Value) -> tuple[Value, ...]:
    """Fill a table from the lines of a text file that belongs to the model."""
    target = _table(node, table)
    if target.content is not None:
        return ()
    path = np.ravel(file).tolist()[0] if np.size(file) else b""
    if not isinstance(path, AssetPath):
        raise FormatError(
            "a table wants a file that does not belong to the model",
            where=node.name,
            expected="one of its assets",
            received=path,
        )
    with open(path, "rb") as stream:
        lines = stream.read().split(b"\n")
    lines = [line.removesuffix(b"\r") for line in (lines[:-1] if lines[-1] == b"" else lines)]
    offset, size = node.attr("offset", 0), node.attr("vocab_size", -1)
    lines = lines[offset : None if size < 0 else offset + size]
    columns = {}
    for name, kind in (("key_index", target.key_kind), ("value_index", target.value_kind)):
        columns[name] = _column(node, lines, node.attr(name), kind)
    _filled(node, table, columns["key_index"], columns["value_index"])
    return ()


def _column(node: OpNode, lines: list[bytes], index: int, kind: Any) -> list[Any]:
    if index == _LINE_NUMBER:
        return list(range(len(lines)))
    if index == _WHOLE_LINE:
        parts = lines
    else:
        delimiter = node.attr("delimiter", b"\t")
        try:
            parts = [line.split(delimiter)[index] for line in lines]
        except IndexError as error:
            raise DataError("a line of a table has too few columns", where=node.name, expected=index + 1) from error
    if kind == "string":
        return parts
    try:
        return [np.dtype(kind).type(part.decode().strip()).item() for part in parts]
    except (ValueError, OverflowError) as error:
        raise DataError("a line of a table is no number", where=node.name, received=error) from error


@graph_op("LookupTableFind", "LookupTableFindV2", kind="host")
def find(node: OpNode, table: Value, keys: Value, default: Value) -> Value:
    """Look keys up."""
    content = _content(node, table)
    flat = np.ravel(keys).tolist()
    if np.ndim(default):
        rows = [np.asarray(content.get(key, default)) for key in flat]
        return np.stack(rows).reshape(np.shape(keys) + np.shape(default))
    missing = np.asarray(default).item()
    kind = node.outputs[0]
    found = np.empty(len(flat), kind if isinstance(kind, np.dtype) else object)
    found[:] = [content.get(key, missing) for key in flat]
    return found.reshape(np.shape(keys))


@graph_op("LookupTableSize", "LookupTableSizeV2", kind="host")
def size(node: OpNode, table: Value) -> Value:
    """Return how many keys a table has."""
    return np.array(len(_content(node, table)), np.int64)
