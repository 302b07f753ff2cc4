"""Serialized tf.Examples to dense, sparse and ragged tensors, by the parser of the io room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay import io
from mainstay.core import MainstayError
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import Array, flat, refused, strings
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value

Columns = Mapping[str, Any]


def named(node: OpNode, keys: Sequence[bytes]) -> list[str]:
    """Return the names of features.

    Raises:
        RequestError: One is not UTF-8, as all names of a tf.Example are.
    """
    try:
        return [key.decode() for key in keys]
    except UnicodeDecodeError as error:
        raise refused(node, "the name of a feature is not UTF-8", received=keys) from error


def plain_dtype(kind: Any) -> Any:
    """Return the NumPy dtype of a kind."""
    return np.dtype(object) if kind == "string" else kind


@dataclass(frozen=True)
class Features:
    """What is parsed: features by name, as sparse tensors, arrays and ragged tensors.

    Args:
        sparse: The names of those that become sparse tensors.
        sparse_kinds: Their dtypes.
        dense: The names of those that become arrays.
        defaults: The default of each array; one without elements where every example must have the feature.
        shapes: The shape of each array in one example; -1 or None as the first axis for any length.
        ragged: The names of those that become ragged tensors.
        ragged_kinds: Their dtypes.
        splits: The dtypes of their splits.
    """

    sparse: Sequence[str]
    sparse_kinds: Sequence[Any]
    dense: Sequence[str]
    defaults: Sequence[Array]
    shapes: Sequence[Any]
    ragged: Sequence[str] = ()
    ragged_kinds: Sequence[Any] = ()
    splits: Sequence[Any] = ()

    def specifications(self) -> dict[str, Any]:
        """Return what the parser wants."""
        found: dict[str, Any] = {}
        for key, kind in zip((*self.sparse, *self.ragged), (*self.sparse_kinds, *self.ragged_kinds), strict=True):
            found[key] = io.RaggedFeature(plain_dtype(kind))
        for key, default, shape in zip(self.dense, self.defaults, self.shapes, strict=True):
            if shape and shape[0] in (None, -1):
                filler = flat(default)[0] if default.size else None
                found[key] = io.FixedLenSequenceFeature(shape[1:], default.dtype, True, filler)
            else:
                found[key] = io.FixedLenFeature(shape, default.dtype, default if default.size else None)
        return found

    def outputs(self, columns: Columns) -> tuple[list[list[Array]], list[Array], list[list[Array]]]:
        """Return the sparse tensors, the arrays and the ragged tensors of parsed columns."""
        sparse = [_as_sparse(columns[key]) for key in self.sparse]
        ragged = [_as_ragged(columns[key], kind) for key, kind in zip(self.ragged, self.splits, strict=True)]
        return sparse, [plain_values(columns[key]) for key in self.dense], ragged


def plain_values(column: Any) -> Array:
    """Return an array of NumPy for a column, which may be Arrow's for strings."""
    return column if isinstance(column, np.ndarray) else io.to_objects(column)


def _as_sparse(column: Any) -> list[Array]:
    splits = np.asarray(column.row_splits, np.int64)
    lengths = np.diff(splits)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.stack([rows, np.arange(len(rows)) - splits[:-1][rows]], axis=1)
    return [places, plain_values(column.flat_values), np.array([len(lengths), lengths.max(initial=0)], np.int64)]


def _as_ragged(column: Any, kind: Any) -> list[Array]:
    return [plain_values(column.flat_values), np.asarray(column.row_splits).astype(kind)]


PARSERS = ("ParseExample", "ParseExampleV2", "ParseSingleExample")
"""The ops that parse tf.Examples, which are their first input."""


def example_features(node: OpNode, given: Sequence[Value]) -> Features:
    """Return what an op of `PARSERS` parses.

    Args:
        node: The op.
        given: Its inputs behind the examples.
    """
    if node.op == "ParseSingleExample":
        sparse, dense, defaults = node.attr("sparse_keys", ()), node.attr("dense_keys", ()), given
    elif node.op == "ParseExample":
        first, last = node.attr("Nsparse", 0) + 1, node.attr("Nsparse", 0) + node.attr("Ndense", 0) + 1
        sparse, dense = ([flat(key)[0] for key in keys] for keys in (given[1:first], given[first:last]))
        defaults = given[last:]
    else:
        sparse, dense, ragged = (named(node, flat(keys)) for keys in given[1:4])
        return Features(
            sparse,
            node.attr("sparse_types", ()),
            dense,
            [np.asarray(default) for default in given[4:]],
            node.attr("dense_shapes", ()),
            ragged,
            node.attr("ragged_value_types", ()),
            node.attr("ragged_split_types", ()),
        )
    return Features(
        named(node, sparse),
        node.attr("sparse_types", ()),
        named(node, dense),
        [np.asarray(default) for default in defaults],
        node.attr("dense_shapes", ()),
    )


def parsed(node: OpNode, serialized: Sequence[bytes], features: Features) -> Any:
    """Parse examples.

    Raises:
        DataError: One is malformed, or lacks a feature; `where` names the node, the record and the feature.
    """
    try:
        columns = io.parse_example(strings(serialized), features.specifications())
    except MainstayError as error:
        raise located(node, error) from error
    return features.outputs(columns)


def located(node: OpNode, error: MainstayError) -> MainstayError:
    """Return an error that names the node too."""
    where = f"{node.name} ({node.op})" + (f", {error.where}" if error.where else "")
    return type(error)(error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix)


def columned(triples: Sequence[Sequence[Array]], parts: int) -> list[Array]:
    """Return tensors of several parts as ops list them: all first parts, then all second parts, and so on."""
    return [triple[part] for part in range(parts) for triple in triples]


@graph_op("ParseExampleV2", kind="host")
def parse_example_v2(node: OpNode, serialized: Value, *given: Value) -> tuple[Value, ...]:
    """Parse a vector of examples, or one example."""
    found = parsed(node, flat(serialized), example_features(node, given))
    if np.ndim(serialized):
        return *columned(found[0], 3), *found[1], *columned(found[2], 2)
    return _of_one(*found)


def _of_one(sparse: Any, dense: Any, ragged: Any) -> tuple[Value, ...]:
    """Return the tensors of one example, which have no axis of examples."""
    single = [[places[:, 1:], values, sizes[1:]] for places, values, sizes in sparse]
    whole = [[values, splits[:0]] for values, splits in ragged]
    return *columned(single, 3), *map(first_row, dense), *columned(whole, 2)


def first_row(array: Array) -> Array:
    """Return the one row of an array; of strings as an array too."""
    return array.reshape(array.shape[1:])


@graph_op("ParseExample", kind="host")
def parse_example(node: OpNode, serialized: Value, *given: Value) -> tuple[Value, ...]:
    """Parse a vector of examples."""
    sparse, dense, _ = parsed(node, flat(serialized), example_features(node, given))
    return *columned(sparse, 3), *dense


@graph_op("ParseSingleExample", kind="host")
def parse_single_example(node: OpNode, serialized: Value, *defaults: Value) -> tuple[Value, ...]:
    """Parse one example."""
    features = example_features(node, defaults)
    if np.ndim(serialized):
        raise refused(node, "this op parses one example", received=f"shape {list(np.shape(serialized))}")
    return _of_one(*parsed(node, flat(serialized), features))
