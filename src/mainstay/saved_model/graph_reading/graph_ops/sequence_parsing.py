"""Serialized tf.SequenceExamples to tensors: the context as that of examples, and lists of features step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mainstay import io
from mainstay.core import MainstayError
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, flat, strings
from mainstay.saved_model.graph_reading.graph_ops.parsing import (
    Features,
    columned,
    first_row,
    located,
    named,
    plain_dtype,
    plain_values,
)
from mainstay.saved_model.graph_reading.graph_ops.ragged import row_ids
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value


@dataclass(frozen=True)
class _Lists:
    """The lists of features that are parsed.

    Args:
        sparse: The names of those that become sparse tensors of three axes.
        dense: The names of those that become arrays.
        ragged: The names of those that become ragged tensors.
        optional: Which arrays may be missing in an example.
    """

    sparse: Sequence[str]
    dense: Sequence[str]
    ragged: Sequence[str]
    optional: Sequence[bool]

    def specifications(self, node: OpNode) -> list[dict[str, Any]]:
        """Return what the parser wants: of sparse, of dense, and of ragged lists."""
        found: list[dict[str, Any]] = [{}, {}]
        kinds = node.attr("feature_list_sparse_types", ())
        found[0] |= {key: io.RaggedFeature(plain_dtype(kind)) for key, kind in zip(self.sparse, kinds, strict=True)}
        shapes, kinds = node.attr("feature_list_dense_shapes", ()), node.attr("feature_list_dense_types", ())
        for key, kind, shape, optional in zip(self.dense, kinds, shapes, self.optional, strict=True):
            found[1][key] = io.FixedLenSequenceFeature(shape, plain_dtype(kind), allow_missing=optional)
        kinds = node.attr("feature_list_ragged_value_types", ())
        found.append({key: io.RaggedFeature(plain_dtype(kind)) for key, kind in zip(self.ragged, kinds, strict=True)})
        return found


def _parsed(node: OpNode, serialized: Value, context: Features, lists: _Lists) -> tuple[Any, ...]:
    """Return the context as `Features` gives it, and the columns of sparse, dense and ragged lists with lengths."""
    records = strings(flat(serialized))
    try:
        columns = io.parse_example(records, context.specifications())
        parts = []
        for specifications in lists.specifications(node):
            parts.append(io.parse_sequence_example(records, None, specifications) if specifications else ({}, {}, {}))
    except MainstayError as error:
        raise located(node, error) from error
    return context.outputs(columns), parts


def _sparse_steps(column: Any) -> list[Array]:
    """Return a list of features as a sparse tensor: examples, steps, values."""
    outer, inner = np.asarray(column.row_splits, np.int64), np.asarray(column.values.row_splits, np.int64)
    step = row_ids(inner)
    example = row_ids(outer)
    at_step = np.arange(len(example)) - outer[:-1][example]
    places = np.stack([example[step], at_step[step], np.arange(len(step)) - inner[:-1][step]], axis=1)
    sizes = [len(outer) - 1, np.diff(outer).max(initial=0), np.diff(inner).max(initial=0)]
    return [places, plain_values(column.flat_values), np.array(sizes, np.int64)]


def _ragged_steps(column: Any, kind: Any) -> list[Array]:
    inner = column.values.row_splits
    return [plain_values(column.flat_values), column.row_splits.astype(kind), np.asarray(inner).astype(kind)]


def _single(sparse: Sequence[Sequence[Array]]) -> list[list[Array]]:
    return [[places[:, 1:], values, sizes[1:]] for places, values, sizes in sparse]


def _context(node: OpNode, keys: Sequence[Sequence[str]], defaults: Sequence[Value]) -> Features:
    return Features(
        keys[0],
        node.attr("context_sparse_types", ()),
        keys[1],
        [np.asarray(default) for default in defaults],
        node.attr("context_dense_shapes", ()),
        keys[2] if len(keys) > 2 else (),
        node.attr("context_ragged_value_types", ()),
        node.attr("context_ragged_split_types", ()),
    )


@graph_op("ParseSequenceExample", kind="host")
def parse(node: OpNode, serialized: Value, names: Value, *defaults: Value) -> tuple[Value, ...]:
    """Parse a vector of sequence examples."""
    del names
    kinds = ("context_sparse", "context_dense", "feature_list_sparse", "feature_list_dense")
    keys = [named(node, node.attr(f"{kind}_keys", ())) for kind in kinds]
    optional = set(named(node, node.attr("feature_list_dense_missing_assumed_empty", ())))
    lists = _Lists(keys[2], keys[3], (), [key in optional for key in keys[3]])
    context, parts = _parsed(node, serialized, _context(node, keys[:2], defaults), lists)
    return (
        *columned(context[0], 3),
        *context[1],
        *columned([_sparse_steps(parts[0][1][key]) for key in lists.sparse], 3),
        *(plain_values(parts[1][1][key]) for key in lists.dense),
        *(parts[1][2][key] for key in lists.dense),
    )


@graph_op("ParseSequenceExampleV2", kind="host")
def parse_v2(node: OpNode, serialized: Value, names: Value, *given: Value) -> tuple[Value, ...]:
    """Parse a vector of sequence examples, or one of them."""
    del names
    keys = [named(node, flat(each)) for each in given[:6]]
    lists = _Lists(keys[3], keys[4], keys[5], flat(given[6]))
    context, parts = _parsed(node, serialized, _context(node, keys[:3], given[7:]), lists)
    sparse, dense, ragged = context
    sparse_lists = [_sparse_steps(parts[0][1][key]) for key in lists.sparse]
    dense_lists = [plain_values(parts[1][1][key]) for key in lists.dense]
    lengths = [parts[1][2][key] for key in lists.dense]
    kinds = node.attr("feature_list_ragged_split_types", ())
    ragged_lists = [_ragged_steps(parts[2][1][key], kind) for key, kind in zip(lists.ragged, kinds, strict=True)]
    if not np.ndim(serialized):
        sparse, sparse_lists = _single(sparse), _single(sparse_lists)
        dense, dense_lists = [first_row(each) for each in dense], [first_row(each) for each in dense_lists]
        lengths = [first_row(each) for each in lengths]
        ragged = [[values, splits[:0]] for values, splits in ragged]
        ragged_lists = [[values, outer[:0], inner] for values, outer, inner in ragged_lists]
    return (
        *columned(sparse, 3),
        *dense,
        *columned(ragged, 2),
        *columned(sparse_lists, 3),
        *dense_lists,
        *lengths,
        *columned(ragged_lists, 3),
    )


@graph_op("ParseSingleSequenceExample", kind="host")
def parse_single(node: OpNode, serialized: Value, missing: Value, *given: Value) -> tuple[Value, ...]:
    """Parse one sequence example."""
    counts = [
        node.attr(name, 0)
        for name in ("Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse", "Nfeature_list_dense")
    ]
    ends = np.cumsum([0, *counts]).tolist()
    keys = [named(node, [flat(key)[0] for key in given[start:stop]]) for start, stop in pairwise(ends)]
    optional = set(named(node, flat(missing)))
    lists = _Lists(keys[2], keys[3], (), [key in optional for key in keys[3]])
    defaults = given[ends[-1] : ends[-1] + counts[1]]
    context, parts = _parsed(node, serialized, _context(node, keys[:2], defaults), lists)
    return (
        *columned(_single(context[0]), 3),
        *map(first_row, context[1]),
        *columned(_single([_sparse_steps(parts[0][1][key]) for key in lists.sparse]), 3),
        *(first_row(plain_values(parts[1][1][key])) for key in lists.dense),
    )
