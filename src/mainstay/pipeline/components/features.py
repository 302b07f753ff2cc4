"""What a model sees: the outputs of a host graph as numeric and categorical features, packed for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import TransformError
from mainstay.hostops import HostGraph, HostNode

Array = np.ndarray[Any, Any]

MAX_GAP = 1000
"""How many ids may lie unused between a vocabulary and the id for unknown tokens."""


@dataclass(frozen=True)
class Feature:
    """One feature of a model.

    Args:
        name: The output of the host graph.
        dtype: ``float32`` for numbers, ``int32`` for categories.
        num_ids: How many ids a category has, 0 for numbers.
        min_id: The smallest id, -1 where unknown tokens have no bucket of their own, else 0.
    """

    name: str
    dtype: str
    num_ids: int = 0
    min_id: int = 0

    @property
    def categorical(self) -> bool:
        """Whether the feature is a category."""
        return self.num_ids > 0


def features_of(graph: HostGraph) -> tuple[Feature, ...]:
    """Return the features that a host graph makes: ids of vocabularies, buckets and hashes are categories.

    Raises:
        TransformError: An output is a string, which no model can take, its name cannot be one of Keras, or the id
            of unknown tokens lies far outside of a vocabulary.
    """
    nodes = {node.name: node for node in graph.nodes}
    return tuple(
        _feature(spec.name, spec.dtype, nodes.get(graph.outputs[spec.name]), nodes, graph.assets)
        for spec in graph.output_specs
    )


def _feature(
    name: str, dtype: str, node: HostNode | None, nodes: Mapping[str, HostNode], assets: Mapping[str, bytes]
) -> Feature:
    if "/" in name or not name:
        raise TransformError(
            "the name of a feature has a slash, or is empty", expected="a name for Keras", received=repr(name)
        )
    if dtype == "string":
        raise TransformError(
            "a model cannot take a feature of strings",
            where=f"$.{name}",
            fix="turn it into ids with compute_and_apply_vocabulary or hash_strings",
        )
    while node is not None and dtype.startswith("int"):
        match node.op:
            case "LookupTableFindV2":
                return _vocabulary(name, node, assets[node.attrs["asset"]].count(b"\n"))
            case "Bucketize":
                return Feature(name, "int32", len(node.attrs["boundaries"]) + 1)
            case "StringToHashBucketFast":
                return Feature(name, "int32", int(node.attrs["num_buckets"]))
            case "Cast":
                node = nodes.get(node.inputs[0])
            case _:
                break
    return Feature(name, "float32")


def _vocabulary(name: str, node: HostNode, size: int) -> Feature:
    buckets = int(node.attrs.get("num_oov_buckets", 0))
    if buckets:
        return Feature(name, "int32", size + buckets)
    default = int(node.attrs.get("default_value", -1))
    first, last = min(default, 0), max(default, size - 1)
    if last - first > 2 * size + MAX_GAP:
        raise TransformError(
            "the id for unknown tokens is far from the vocabulary",
            where=f"$.{name}",
            expected=f"a default_value near 0 to {size - 1}",
            received=default,
            fix="use the default, -1, or num_oov_buckets",
        )
    return Feature(name, "int32", last - first + 1, first)


def with_casts(graph: HostGraph) -> HostGraph:
    """Return the graph with every output that is a number for the model, but no float, cast to float32.

    Training and serving then take the same values from the same graph.
    """
    dtypes = {spec.name: spec.dtype for spec in graph.output_specs}
    taken = {node.name for node in graph.nodes} | {item.spec.name for item in graph.inputs}
    nodes, outputs = list(graph.nodes), dict(graph.outputs)
    for feature in features_of(graph):
        if feature.categorical or dtypes[feature.name].startswith("float"):
            continue
        name = f"{feature.name}_float32"
        while name in taken:
            name += "_"
        taken.add(name)
        nodes.append(HostNode("Cast", name, (outputs[feature.name],), {"dtype": "float32"}))
        outputs[feature.name] = name
    return HostGraph(graph.inputs, nodes, outputs, graph.assets)


def require_numbers(features: Sequence[Feature], numbers: Array, *, reference: str) -> None:
    """Check that no packed number is NaN, which would make every weight NaN.

    Raises:
        TransformError: One is; the message names the feature.
    """
    bad = np.flatnonzero(np.isnan(numbers).any(axis=0))
    if len(bad):
        name = [feature.name for feature in features if not feature.categorical][bad[0]]
        raise TransformError(
            f"the feature {name!r} is missing or not a number in some rows",
            where=reference,
            expected="a number in every row",
            received=f"NaN in {int(np.isnan(numbers[:, bad[0]]).sum()):,} of the first {len(numbers):,} rows",
            fix="fill it with tft.fill_missing, and tft.where(tft.is_nan(x), 0.0, x)",
        )


def pack(features: Sequence[Feature], columns: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the features of a chunk as two matrices, numbers `[rows, n]` float32 and ids `[rows, m]` int32.

    Args:
        features: The features in order.
        columns: The outputs of the host graph, `[rows]` each.
    """
    rows = len(next(iter(columns.values()))) if columns else 0
    groups = []
    for categorical, dtype in ((False, np.float32), (True, np.int32)):
        chosen = [feature for feature in features if feature.categorical == categorical]
        matrix = np.empty((rows, len(chosen)), dtype)
        for place, feature in enumerate(chosen):
            matrix[:, place] = columns[feature.name]
        groups.append(matrix)
    return groups[0], groups[1]


def unpack(features: Sequence[Feature], numbers: Any, ids: Any) -> dict[str, Any]:
    """Return the columns of `pack`'s matrices by feature name; works on arrays and on tensors being traced."""
    places = {False: 0, True: 0}
    columns = {}
    for feature in features:
        place = places[feature.categorical]
        columns[feature.name] = (ids if feature.categorical else numbers)[:, place]
        places[feature.categorical] += 1
    return columns
