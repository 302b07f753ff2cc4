"""Strings cut, joined and measured, byte by byte where TensorFlow's ops work on bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import (
    Array,
    check_bytes,
    flat,
    mapped,
    refused,
    scalar_string,
    strings,
)
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_TRAILING = bytes(range(0x80, 0xC0))


@graph_op("StringLower", kind="host")
def lower(node: OpNode, text: Value) -> Value:
    """Make letters small: those of ASCII, or all that Unicode has where the encoding is UTF-8."""
    return mapped(_cased(node, bytes.lower, str.lower), text)


@graph_op("StringUpper", kind="host")
def upper(node: OpNode, text: Value) -> Value:
    """Make letters large: those of ASCII, or all that Unicode has where the encoding is UTF-8."""
    return mapped(_cased(node, bytes.upper, str.upper), text)


def _cased(node: OpNode, ascii_case: Callable[[bytes], bytes], case: Callable[[str], str]) -> Callable[[bytes], bytes]:
    encoding = node.text("encoding")
    if encoding not in ("", "utf-8"):
        raise refused(node, "no such encoding", expected="'' or 'utf-8'", received=encoding)
    if not encoding:
        return ascii_case

    def cased(text: bytes) -> bytes:
        text = text.partition(b"\0")[0]  # TensorFlow reads a string of C here.
        return ascii_case(text) if text.isascii() else case(text.decode("utf-8", "replace")).encode()

    return cased


@graph_op("StringStrip", kind="host")
def strip(_: OpNode, text: Value) -> Value:
    """Cut off the white space of ASCII at both ends."""
    return mapped(bytes.strip, text)


def unit_of(node: OpNode) -> str:
    """Return in what an op counts: ``BYTE`` or ``UTF8_CHAR``."""
    unit = node.text("unit")
    if unit not in ("BYTE", "UTF8_CHAR"):
        raise refused(node, "no such unit", expected="BYTE or UTF8_CHAR", received=unit)
    return unit


@graph_op("StringLength", kind="host")
def length(node: OpNode, text: Value) -> Value:
    """Count the bytes, or those that begin a character of UTF-8."""
    elements = flat(text)
    if unit_of(node) == "UTF8_CHAR":
        elements = [element.translate(None, _TRAILING) for element in elements]
    return np.fromiter(map(len, elements), np.int32, len(elements)).reshape(np.shape(text))


@graph_op("StringJoin", kind="host")
def join(node: OpNode, *parts: Value) -> Value:
    """Join the strings of several arrays; those of no axes go with every element of the others."""
    shapes = {np.shape(part) for part in parts if np.ndim(part)}
    if len(shapes) > 1:
        raise refused(node, "the arrays differ in shape", received=[list(np.shape(part)) for part in parts])
    shape = shapes.pop() if shapes else ()
    separator, count = node.attr("separator", b""), int(np.prod(shape))
    columns = [flat(part) if np.ndim(part) or not shape else flat(part) * count for part in parts]
    return strings(map(separator.join, zip(*columns, strict=True)), shape) if parts else strings([b""], ())


@graph_op("Substr", kind="host")
def substring(node: OpNode, text: Value, start: Value, size: Value) -> Value:
    """Take a part of each string, by where it begins (from the end if negative) and how long it is at most."""
    if np.shape(start) != np.shape(size):
        raise refused(node, "pos and len differ in shape", received=f"{np.shape(start)} and {np.shape(size)}")
    try:
        text, start, size = np.broadcast_arrays(np.asarray(text), start, size)
    except ValueError as error:
        raise refused(node, "the arrays cannot be broadcast", received=error) from error
    cut = _cut_characters if unit_of(node) == "UTF8_CHAR" else _cut_bytes
    rows = zip(flat(text), flat(start), flat(size), strict=True)
    return strings([cut(node, *row) for row in rows], text.shape)


def _cut_bytes(node: OpNode, text: bytes, start: int, size: int) -> bytes:
    if not -len(text) <= start <= len(text):
        raise refused(node, f"there is no position {start}", received=f"a string of {len(text)} bytes")
    start = start + len(text) if start < 0 else start
    return text[start:] if size < 0 else text[start : start + size]


def _cut_characters(node: OpNode, text: bytes, start: int, size: int) -> bytes:
    begins = np.flatnonzero((np.frombuffer(text, np.uint8) & 0xC0) != 0x80)
    if not -len(begins) <= start <= len(begins):
        raise refused(node, f"there is no position {start}", received=f"a string of {len(begins)} characters")
    start = start + len(begins) if start < 0 else start
    bounds = [*begins.tolist(), len(text)]
    if start == 0:
        bounds[0] = 0
    stop = min(start + max(size, 0), len(begins))
    return text[bounds[start] : bounds[stop]]


@graph_op("StringSplit", kind="host")
def split(node: OpNode, text: Value, delimiter: Value) -> tuple[Value, ...]:
    """Split strings at every byte of a set, or into bytes where that is empty; a sparse tensor of two axes."""
    delimiters, skips_empty = scalar_string(node, delimiter, "delimiter"), node.attr("skip_empty", True)
    if len(delimiters) > 1:
        first = delimiters[:1]
        together = bytes.maketrans(delimiters, first * len(delimiters))
    parts: list[list[bytes]] = []
    for element in flat(text):
        if not element:
            found = []
        elif not delimiters:
            found = [element[at : at + 1] for at in range(len(element))]
        elif len(delimiters) == 1:
            found = element.split(delimiters)
        else:
            found = element.translate(together).split(first)
            found = _originals(element, found)
        parts.append([part for part in found if part] if skips_empty else found)
    return _sparse_rows(parts)


def _originals(text: bytes, parts: list[bytes]) -> list[bytes]:
    """Return the parts of a text that have the sizes of `parts`, one byte apart."""
    at, found = 0, []
    for part in parts:
        found.append(text[at : at + len(part)])
        at += len(part) + 1
    return found


@graph_op("StringSplitV2", kind="host")
def split_v2(node: OpNode, text: Value, separator: Value) -> tuple[Value, ...]:
    """Split strings as Python does, at a separator or at white space; a sparse tensor of two axes."""
    between, most = scalar_string(node, separator, "sep"), node.attr("maxsplit", -1)
    return _sparse_rows([_split_as_python(element, between, most) for element in flat(text)])


def _split_as_python(text: bytes, separator: bytes, most: int) -> list[bytes]:
    if most == 0:
        return [text]
    if separator:
        return text.split(separator, most)
    parts = text.split(None, most)
    # TensorFlow hands on what follows the last split, be it empty.
    return [*parts, b""] if len(parts) == most else parts


def _sparse_rows(rows: list[list[bytes]]) -> tuple[Array, Array, Array]:
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    row = np.repeat(np.arange(len(rows)), counts)
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = strings(part for parts in rows for part in parts)
    return np.stack([row, column], axis=1), values, np.array([len(rows), counts.max(initial=0)], np.int64)


@graph_op("ReduceJoin", kind="host")
def reduce_join(node: OpNode, text: Value, axes: Value) -> Value:
    """Join the strings along axes, those of the first axis that is given next to each other."""
    text = np.asarray(text)
    order = [axis + text.ndim if axis < 0 else axis for axis in flat(axes)]
    if any(not 0 <= axis < text.ndim for axis in order) or len(set(order)) < len(order):
        raise refused(node, "no such axes", expected=f"axes of {text.ndim}, each once", received=flat(axes))
    separator = node.attr("separator", b"")
    order.reverse()
    kept = [axis for axis in range(text.ndim) if axis not in order]
    outer, inner = tuple(text.shape[axis] for axis in kept), int(np.prod([text.shape[axis] for axis in order]))
    if not order:
        return text
    rows = text.transpose(kept + order).reshape(int(np.prod(outer)), inner)
    shape = tuple(1 if axis in order else size for axis, size in enumerate(text.shape))
    return strings(map(separator.join, rows.tolist()), shape if node.attr("keep_dims", False) else outer)


@graph_op("UnsortedSegmentJoin", kind="host")
def segment_join(node: OpNode, text: Value, segments: Value, count: Value) -> Value:
    """Join the strings of each segment; a separator stands behind a string that is not empty, as TensorFlow has it."""
    text, segments, number = np.asarray(text), np.asarray(segments), int(flat(count)[0])
    if text.shape[: segments.ndim] != segments.shape or number < 0:
        raise refused(node, "segments do not fit the strings", expected=list(text.shape), received=list(segments.shape))
    if segments.size and (segments.max() >= number or segments.min() < 0):
        raise refused(node, "no such segment", expected=f"0 to {number - 1}", received=[segments.min(), segments.max()])
    inner = text.shape[segments.ndim :]
    width = int(np.prod(inner))
    check_bytes(node, number * width * 8)
    found: list[list[bytes]] = [[] for _ in range(number * width)]
    for segment, row in zip(segments.ravel().tolist(), text.reshape(segments.size, width).tolist(), strict=True):
        for column, part in enumerate(row):
            joined = found[segment * width + column]
            if joined or part:
                joined.append(part)
    return strings(map(node.attr("separator", b"").join, found), (number, *inner))
