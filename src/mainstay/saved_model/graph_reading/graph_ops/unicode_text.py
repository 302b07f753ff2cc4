"""Strings of many encodings to code points and back, with TensorFlow's three ways to treat what is malformed."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, flat, refused, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_READ = re.compile(
    r"utf-?(8|16|32)([-_]?(be|le))?|us-?ascii|ascii|latin-?1|iso-?8859-?\d+|windows-?\d+|cp-?\d+|ibm-?\d+|koi8-[ru]"
    r"|shift[-_]jis|euc[-_](jp|kr)|gb(2312|k|18030)|big5|mac-?roman|tis-?620|iso-2022-(jp|kr)"
)
_WRITTEN = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}


@dataclass(frozen=True)
class _Rules:
    """What becomes of what is malformed: an error, nothing, or a character."""

    node: OpNode
    errors: str
    replacement: int
    replaces_controls: bool

    def applied(self, points: Array, wrong: Array) -> tuple[Array, Array]:
        """Return the code points as they are handed on, and which of the old ones those are."""
        if self.replaces_controls:
            wrong = wrong | (points <= 0x1F)
        if not wrong.any():
            return points, np.ones(len(points), bool)
        if self.errors == "strict":
            raise refused(self.node, "a string is malformed", received=f"at character {int(np.argmax(wrong))}")
        if self.errors == "ignore":
            return points[~wrong], ~wrong
        return np.where(wrong, np.int32(self.replacement), points), np.ones(len(points), bool)


def _rules(node: OpNode) -> _Rules:
    errors, replacement = node.text("errors"), node.attr("replacement_char", 0xFFFD)
    if errors not in ("strict", "replace", "ignore"):
        raise refused(node, "no such rule for errors", expected="strict, replace or ignore", received=errors)
    if not 0 <= replacement <= 0x10FFFF:
        raise refused(node, "the replacement is no character", received=replacement)
    return _Rules(node, errors, replacement, node.attr("replace_control_characters", False))


def _codec(node: OpNode) -> str:
    name = node.text("input_encoding")
    spelled = _WRITTEN.get(name, name).lower()
    try:
        if _READ.fullmatch(spelled) is None:
            raise LookupError
        return codecs.lookup(spelled.replace("windows-", "cp").replace("ibm-", "cp")).name
    except LookupError as error:
        raise refused(node, "no such encoding", expected="such as UTF-8 or UTF-16-BE", received=name) from error


def _output(node: OpNode) -> str:
    name = node.text("output_encoding")
    if name not in _WRITTEN:
        raise refused(node, "no such encoding", expected=" or ".join(_WRITTEN), received=name)
    return _WRITTEN[name]


def _pieces(text: bytes, codec: str) -> Iterator[tuple[str | None, int]]:
    """Yield the parts of a string that are well formed, and None for each sequence that is not, with their bytes."""
    at = 0
    while at < len(text):
        try:
            yield text[at:].decode(codec), len(text) - at
            return
        except UnicodeDecodeError as error:
            if error.start:
                yield text[at : at + error.start].decode(codec), error.start
            yield None, error.end - error.start
            at += error.end


def _points_of(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4").astype(np.int32)


def _decoded(text: bytes, codec: str) -> tuple[Array, Array, Array]:
    """Return the code points of a string, which of them stand for what is malformed, and where their bytes begin."""
    if codec in ("utf-8", "ascii") and text.isascii():
        plain = np.frombuffer(text, np.uint8).astype(np.int32)
        return plain, np.zeros(len(plain), bool), np.arange(len(plain))
    points: list[Array] = []
    wrong: list[Array] = []
    sizes: list[Array] = []
    for piece, size in _pieces(text, codec):
        found = np.array([0xFFFD], np.int32) if piece is None else _points_of(piece)
        points.append(found)
        wrong.append(np.full(len(found), piece is None))
        sizes.append(np.array([size]) if piece is None else _sizes(piece, found, codec))
    if not points:
        return np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.int64)
    every = np.concatenate(sizes)
    return np.concatenate(points), np.concatenate(wrong), np.cumsum(every) - every


def _sizes(text: str, points: Array, codec: str) -> Array:
    if codec == "utf-8":
        return 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    if codec.startswith("utf-32"):
        return np.full(len(points), 4)
    if codec.startswith("utf-16"):
        return np.where(points > 0xFFFF, 4, 2)
    return np.array([len(letter.encode(codec)) for letter in text])


def _well_formed(elements: list[bytes]) -> tuple[Array, Array, Array] | None:
    """Return the bounds of strings in UTF-8, their code points, and where the bytes of these begin, all at once.

    Returns:
        None if one of the strings is malformed.
    """
    joined = b"".join(elements)
    lengths = np.fromiter(map(len, elements), np.int64, len(elements))
    ends = np.cumsum(lengths)
    leads = (np.frombuffer(joined, np.uint8) & 0xC0) != 0x80
    begins = ends - lengths
    if not leads[begins[lengths > 0]].all():
        return None
    try:
        points = _points_of(joined.decode())
    except UnicodeDecodeError:
        return None
    before = np.concatenate([[0], np.cumsum(leads)])
    splits = np.concatenate([[0], before[ends]])
    return splits, points, np.flatnonzero(leads) - np.repeat(begins, np.diff(splits))


@graph_op("UnicodeDecode", kind="host")
def decode(node: OpNode, text: Value) -> tuple[Value, ...]:
    """Return the code points of strings as rows: where the rows begin, and the code points."""
    return decode_with_offsets(node, text)[:2]


@graph_op("UnicodeDecodeWithOffsets", kind="host")
def decode_with_offsets(node: OpNode, text: Value) -> tuple[Value, ...]:
    """Return the code points of strings as rows, and the byte that each begins at."""
    codec, rules = _codec(node), _rules(node)
    whole = _well_formed(flat(text)) if codec == "utf-8" else None
    if whole is not None and not (rules.replaces_controls and (whole[1] <= 0x1F).any()):
        return whole[0].astype(node.dtype("Tsplits")), whole[1], whole[2]
    rows, starts = [], []
    for element in flat(text):
        points, wrong, begins = _decoded(element, codec)
        points, kept = rules.applied(points, wrong)
        rows.append(points)
        starts.append(begins[kept])
    splits = np.zeros(len(rows) + 1, node.dtype("Tsplits"))
    np.cumsum([len(row) for row in rows], out=splits[1:])
    joined = np.concatenate(rows) if rows else np.zeros(0)
    return splits, joined.astype(np.int32), (np.concatenate(starts) if rows else np.zeros(0)).astype(np.int64)


@graph_op("UnicodeTranscode", kind="host")
def transcode(node: OpNode, text: Value) -> Value:
    """Return strings in another encoding."""
    codec, target, rules = _codec(node), _output(node), _rules(node)
    keeps = codec == target == "utf-8" and not rules.replaces_controls

    def changed(element: bytes) -> bytes:
        if keeps and element.isascii():
            return element
        points, wrong, _ = _decoded(element, codec)
        return _encoded(rules.applied(points, wrong)[0], target)

    return strings(map(changed, flat(text)), np.shape(text))


@graph_op("UnicodeEncode", kind="host")
def encode(node: OpNode, points: Value, splits: Value) -> Value:
    """Return rows of code points as strings."""
    target, rules = _output(node), _rules(node)
    points, bounds = np.asarray(points).ravel(), flat(splits)
    check_splits(node, bounds, len(points))
    wrong = (points < 0) | (points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))
    rows = pairwise(bounds)
    return strings(_encoded(rules.applied(points[start:stop], wrong[start:stop])[0], target) for start, stop in rows)


def _encoded(points: Array, codec: str) -> bytes:
    text = np.asarray(points, "<i4").tobytes().decode("utf-32-le", "surrogatepass")
    return text.encode(codec, "replace")


def check_splits(node: OpNode, bounds: list[int], count: int) -> None:
    """Check the bounds of rows.

    Raises:
        RequestError: They do not begin at 0, decrease, or do not end with the number of values.
    """
    if not bounds or bounds[0] != 0 or bounds[-1] != count or any(a > b for a, b in pairwise(bounds)):
        raise refused(node, "splits do not fit", expected=f"from 0 up to {count}", received=bounds[:8])
