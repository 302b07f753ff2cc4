"""Lookup tables: filled from tensors and from the text files of a model, and looked up on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.core import FormatError, ModelError
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import (
    Array,
    damaged,
    flat,
    refused,
    scalar_string,
    strings,
)
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.string_formats import parser_of
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


def _pairs(node: OpNode, keys: Value, values: Value) -> tuple[list[Any], list[Any]]:
    """Return keys and their values one by one; a value may be an array.

    Raises:
        RequestError: There is not a value for each key.
    """
    keys, values = np.asarray(keys), np.asarray(values)
    if values.shape[: keys.ndim] != keys.shape:
        raise refused(node, "there is not a value for each key", expected=keys.shape, received=values.shape)
    inner = values.shape[keys.ndim :]
    return flat(keys), list(values.reshape(keys.size, *inner)) if inner else flat(values)


def _filled(node: OpNode, table: Table, keys: Sequence[Any], values: Sequence[Any]) -> None:
    """Fill a table that does not change afterwards: a key has one value."""
    content = dict(zip(keys, values, strict=True))
    if len(content) < len(keys):
        content = {}
        for key, value in zip(keys, values, strict=True):
            if content.setdefault(key, value) != value:
                raise damaged(node, "a key of a table has two values", expected=content[key], received=(key, value))
    table.content, table.cache = content, None


@graph_op("InitializeTable", "InitializeTableV2", kind="host", effect=True)
def initialize(node: OpNode, table: Value, keys: Value, values: Value) -> tuple[Value, ...]:
    """Fill a table from two tensors."""
    if _table(node, table).content is None:
        _filled(node, _table(node, table), *_pairs(node, keys, values))
    return ()


@graph_op("InitializeTableFromTextFile", "InitializeTableFromTextFileV2", kind="host", effect=True)
def initialize_from_file(node: OpNode, table: Value, file: Value) -> tuple[Value, ...]:
    """Fill a table from the lines of a text file that belongs to the model."""
    target = _table(node, table)
    if target.content is not None:
        return ()
    scalar_string(node, file, "filename")
    path = flat(file)[0]
    if not isinstance(path, AssetPath):
        raise FormatError(
            "a table wants a file that does not belong to the model",
            where=node.name,
            expected="one of its assets",
            received=path,
        )
    with open(path, "rb") as stream:
        lines = stream.read().replace(b"\r", b"").split(b"\n")
    lines = _wanted_lines(node, lines[:-1] if lines[-1] == b"" else lines)
    delimiter = node.attr("delimiter", b"\t")
    if len(delimiter) != 1:
        raise refused(node, "the delimiter is one character", received=delimiter)
    indices = node.attr("key_index", _WHOLE_LINE), node.attr("value_index", _WHOLE_LINE)
    rows = [line.split(delimiter) for line in lines] if max(indices) >= 0 else []
    for number, row in enumerate(rows):
        if len(row) <= max(indices):
            raise damaged(node, f"line {number + 1} of a table has too few columns", expected=max(indices) + 1)
    keys = _column(node, lines, rows, indices[0], target.key_kind)
    _filled(node, target, keys, _column(node, lines, rows, indices[1], target.value_kind))
    return ()


def _wanted_lines(node: OpNode, lines: list[bytes]) -> list[bytes]:
    size = node.attr("vocab_size", -1)
    if size > len(lines):
        raise damaged(node, "the file of a table has too few lines", expected=size, received=len(lines))
    lines = lines[:size] if size > 0 else lines
    if b"" in lines or not lines:
        raise damaged(node, "the file of a table has an empty line", received=f"line {len(lines) and lines.index(b'')}")
    return lines


def _column(node: OpNode, lines: list[bytes], rows: list[list[bytes]], index: int, kind: Any) -> list[Any]:
    if index == _LINE_NUMBER:
        start = node.attr("offset", 0)
        return list(range(start, start + len(lines)))
    if index < _WHOLE_LINE:
        raise refused(node, "no such column", received=index)
    parts = lines if index == _WHOLE_LINE else [row[index] for row in rows]
    if kind == "string":
        return parts
    numbers = list(map(parser_of(np.dtype(kind)), parts))
    if None in numbers:
        at = numbers.index(None)
        raise damaged(node, f"line {at + 1} of a table is no number", expected=np.dtype(kind), received=parts[at])
    values: list[Any] = np.array(numbers, kind).tolist()
    return values


@graph_op("LookupTableFind", "LookupTableFindV2", kind="host")
def find(node: OpNode, table: Value, keys: Value, default: Value) -> Value:
    """Look keys up; the default is one value for all keys, or one for each."""
    content, keys, default = _content(node, table), np.asarray(keys), np.asarray(default)
    kind = node.outputs[0]
    dtype = kind if isinstance(kind, np.dtype) else np.dtype(object)
    elements = flat(keys)
    found: list[Any]
    first = next(iter(content.values()), None)
    inner = np.shape(first) if isinstance(first, np.ndarray) else ()
    is_each = keys.ndim > 0 and default.shape[: keys.ndim] == keys.shape
    if default.shape == inner or (not content and not is_each):
        inner = default.shape
        missing = default if inner else flat(default)[0]
        found = [content.get(key, missing) for key in elements]
    elif is_each:
        inner = default.shape[keys.ndim :]
        each = list(default.reshape(keys.size, *inner)) if inner else flat(default)
        found = [content.get(key, missing) for key, missing in zip(elements, each, strict=True)]
    else:
        expected = f"{list(inner)} or {[*keys.shape, *inner]}"
        raise refused(node, "the default does not fit", expected=expected, received=list(default.shape))
    if inner:
        return np.array(found, dtype).reshape(*keys.shape, *inner)
    return strings(found, keys.shape) if dtype.kind == "O" else np.array(found, dtype).reshape(keys.shape)


@graph_op("LookupTableSize", "LookupTableSizeV2", kind="host")
def size(node: OpNode, table: Value) -> Value:
    """Return how many keys a table has."""
    return np.array(len(_content(node, table)), np.int64)


@graph_op("LookupTableExport", "LookupTableExportV2", kind="host")
def export(node: OpNode, table: Value) -> tuple[Value, ...]:
    """Return all keys and values of a table."""
    content = _content(node, table)
    return _exported(list(content), node.outputs[0]), _exported(list(content.values()), node.outputs[1])


def _exported(elements: list[Any], kind: Any) -> Array:
    return np.array(elements, kind) if isinstance(kind, np.dtype) else strings(elements)


@graph_op("LookupTableImport", "LookupTableImportV2", kind="host", effect=True)
def import_entries(node: OpNode, table: Value, keys: Value, values: Value) -> tuple[Value, ...]:
    """Replace what a table holds."""
    target = _table(node, table)
    target.content, target.cache = dict(zip(*_pairs(node, keys, values), strict=True)), None
    return ()


@graph_op("LookupTableInsert", "LookupTableInsertV2", kind="host", effect=True)
def insert(node: OpNode, table: Value, keys: Value, values: Value) -> tuple[Value, ...]:
    """Add keys to a table, or give them other values."""
    target = _table(node, table)
    target.content, target.cache = (
        {**_content(node, table), **dict(zip(*_pairs(node, keys, values), strict=True))},
        None,
    )
    return ()


@graph_op("LookupTableRemoveV2", kind="host", effect=True)
def remove(node: OpNode, table: Value, keys: Value) -> tuple[Value, ...]:
    """Take keys out of a table."""
    target, gone = _table(node, table), set(flat(keys))
    content = _content(node, table)
    target.content, target.cache = {key: value for key, value in content.items() if key not in gone}, None
    return ()
