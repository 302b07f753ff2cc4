"""Lines of CSV to columns, with the rules of TensorFlow's `DecodeCSV`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import damaged, flat, refused, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.string_formats import parser_of
from mainstay.saved_model.graph_reading.graph_ops.values import Value


@graph_op("DecodeCSV", kind="host")
def decode_csv(node: OpNode, records: Value, *defaults: Value) -> tuple[Value, ...]:
    """Return one column for each default; one without a value is required."""
    delimiter, selected = node.attr("field_delim", b","), list(node.attr("select_cols", ()))
    if len(delimiter) != 1:
        raise refused(node, "the delimiter is one character", received=delimiter)
    if selected and (len(selected) != len(defaults) or selected != sorted(set(selected)) or selected[0] < 0):
        raise refused(node, "the selected columns do not fit", expected=f"{len(defaults)} rising", received=selected)
    lines = flat(records)
    rows = [_fields(node, line, delimiter) for line in lines]
    for number, row in enumerate(rows):
        if (not selected and len(row) != len(defaults)) or (selected and len(row) <= selected[-1]):
            expected = len(defaults) if not selected else f"more than {selected[-1]}"
            raise damaged(node, f"record {number} has another number of fields", expected=expected, received=len(row))
    places = selected or range(len(defaults))
    shape = np.shape(records)
    return tuple(
        _column(node, [row[place] for row in rows], np.asarray(default), place).reshape(shape)
        for place, default in zip(places, defaults, strict=True)
    )


def _column(node: OpNode, fields: list[bytes], default: Any, place: int) -> Any:
    absent = node.attr("na_value", b"")
    read: Callable[[bytes], Any] = bytes if default.dtype == object else parser_of(default.dtype)
    filler = flat(default)[0] if default.size else None
    values = []
    for number, field in enumerate(fields):
        if field in (b"", absent):
            if filler is None:
                raise damaged(node, f"field {place} is required but missing in record {number}")
            values.append(filler)
            continue
        value = read(field)
        if value is None:
            raise damaged(
                node, f"field {place} of record {number} is no number", expected=default.dtype.name, received=field
            )
        values.append(value)
    return strings(values) if default.dtype == object else np.array(values, default.dtype)


def _fields(node: OpNode, line: bytes, delimiter: bytes) -> list[bytes]:
    has_quotes = node.attr("use_quote_delim", True) and b'"' in line
    if not has_quotes and b"\n" not in line and b"\r" not in line:
        return line.split(delimiter) if line else []
    return list(_quoted_fields(node, line, delimiter[0], node.attr("use_quote_delim", True)))


def _quoted_fields(node: OpNode, line: bytes, delimiter: int, quotes: bool) -> list[bytes]:
    found, at, size = [], 0, len(line)
    while at < size:
        if line[at] in b"\r\n":
            at += 1
            continue
        if quotes and line[at] == ord('"'):
            field, at = _quoted(node, line, at + 1, delimiter)
        else:
            stop = line.find(delimiter, at)
            stop = size if stop < 0 else stop
            field, at = line[at:stop], stop + 1
            if b"\n" in field or b"\r" in field or (quotes and b'"' in field):
                raise damaged(node, "a field without quotes holds a quote or the end of a line", received=field)
        found.append(field)
    if line and line[-1] == delimiter:
        found.append(b"")
    return found


def _quoted(node: OpNode, line: bytes, at: int, delimiter: int) -> tuple[bytes, int]:
    """Return a field that begins behind a quote, and where the next one begins."""
    parts: list[bytes] = []
    while True:
        stop = line.find(b'"', at)
        if stop < 0:
            raise _unclosed(node, line)
        parts.append(line[at:stop])
        if stop + 1 == len(line) or line[stop + 1] == delimiter:
            return b"".join(parts), stop + 2
        if line[stop + 1] != ord('"'):
            raise _unclosed(node, line)
        parts.append(b'"')
        at = stop + 2


def _unclosed(node: OpNode, line: bytes) -> DataError:
    return damaged(node, "a quote inside of a field is doubled, and a field in quotes ends with one", received=line)
