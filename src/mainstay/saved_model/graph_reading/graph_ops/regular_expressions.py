"""Regular expressions of RE2, as Arrow has them; strings are UTF-8, and bytes that are not match no character."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, flat, refused, scalar_string, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value

_GROUP = re.compile(r"\\(.)", re.S)


@graph_op("StaticRegexReplace", kind="host")
def static_replace(node: OpNode, text: Value) -> Value:
    """Replace what matches the pattern in an attribute."""
    return _replaced(node, text, node.attr("pattern", b""), node.attr("rewrite", b""))


@graph_op("RegexReplace", kind="host")
def replace(node: OpNode, text: Value, pattern: Value, rewrite: Value) -> Value:
    """Replace what matches a pattern."""
    return _replaced(node, text, scalar_string(node, pattern, "pattern"), scalar_string(node, rewrite, "rewrite"))


@graph_op("StaticRegexFullMatch", kind="host")
def static_full_match(node: OpNode, text: Value) -> Value:
    """Tell which strings match the pattern in an attribute from end to end."""
    return _matched(node, text, node.attr("pattern", b""))


@graph_op("RegexFullMatch", kind="host")
def full_match(node: OpNode, text: Value, pattern: Value) -> Value:
    """Tell which strings match a pattern from end to end."""
    return _matched(node, text, scalar_string(node, pattern, "pattern"))


def _column(text: Value) -> pa.Array:
    # Arrow checks no string here that it is only told to be UTF-8, as RE2 needs none.
    return pa.array(flat(text), pa.large_binary()).view(pa.large_utf8())


def _spelled(node: OpNode, text: bytes, name: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise refused(node, f"{name} is not UTF-8", received=text) from error


def _checked(node: OpNode, pattern: bytes) -> str:
    """Return a pattern that RE2 takes by itself, so that it can be put into a larger one.

    Raises:
        RequestError: RE2 does not take it.
    """
    spelled = _spelled(node, pattern, "the pattern")
    try:
        pc.match_substring_regex(pa.array([""]), spelled)
    except pa.ArrowException as error:
        raise refused(node, "a regular expression is invalid", received=f"{spelled!r}: {error}") from error
    is_open = spelled.rfind(r"\Q") > spelled.rfind(r"\E")
    return spelled + r"\E" if is_open else spelled


def _matched(node: OpNode, text: Value, pattern: bytes) -> Array:
    whole = rf"\A(?:{_checked(node, pattern)})\z"
    found = pc.match_substring_regex(_column(text), whole)
    return np.asarray(found.to_numpy(zero_copy_only=False), bool).reshape(np.shape(text))


def _replaced(node: OpNode, text: Value, pattern: bytes, rewrite: bytes) -> Array:
    checked, replacement = _checked(node, pattern), _spelled(node, rewrite, "the rewrite")
    most = -1
    if not node.attr("replace_global", True):
        if re.search(r"\\[89]", replacement) is None:
            # What comes before the first match is part of this one, which cannot come twice.
            checked, replacement = rf"\A(\C*?)({checked})", r"\1" + _GROUP.sub(_two_further, replacement)
        else:
            most = 1
    try:
        found = pc.replace_substring_regex(
            _column(text), pattern=checked, replacement=replacement, max_replacements=most
        )
    except pa.ArrowException as error:
        raise refused(node, "a rewrite does not fit its pattern", received=f"{replacement!r}: {error}") from error
    return strings(found.view(pa.large_binary()).to_pylist(), np.shape(text))


def _two_further(group: re.Match[str]) -> str:
    return rf"\{int(group[1]) + 2}" if group[1].isascii() and group[1].isdigit() else group[0]
