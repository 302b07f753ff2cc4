"""N-grams of strings in rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.byte_strings import flat, refused, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.unicode_text import check_splits
from mainstay.saved_model.graph_reading.graph_ops.values import Value


@graph_op("StringNGrams", kind="host")
def string_ngrams(node: OpNode, data: Value, splits: Value) -> tuple[Value, ...]:
    """Return the n-grams of each row, widths one after the other, with strings beside the ends."""
    tokens, bounds = flat(data), flat(splits)
    widths, most = node.attr("ngram_widths", ()), node.attr("pad_width", 0)
    if not bounds:
        return strings([]), np.zeros(0, node.dtype("Tsplits"))
    check_splits(node, bounds, len(tokens))
    if any(width < 1 for width in widths):
        raise refused(node, "n-grams have at least one word", received=widths)
    found: list[bytes] = []
    ends = [0]
    for start, stop in pairwise(bounds):
        row = tokens[start:stop]
        made = [gram for width in widths for gram in _grams(node, row, width, _padding(width, most))]
        if not made and row and node.attr("preserve_short_sequences", False):
            made = _grams(node, row, len(row) + 2 * max(most, 0), max(most, 0))
        found += made
        ends.append(len(found))
    return strings(found), np.array(ends, node.dtype("Tsplits"))


def _padding(width: int, most: int) -> int:
    return width - 1 if most < 0 else min(most, width - 1)


def _grams(node: OpNode, row: list[bytes], width: int, padding: int) -> list[bytes]:
    count = len(row) + 2 * padding - width + 1
    if count <= 0:
        return []
    padded = [node.attr("left_pad", b"")] * padding + row + [node.attr("right_pad", b"")] * padding
    separator = node.attr("separator", b"")
    return [separator.join(padded[at : at + width]) for at in range(count)]
