"""What a model sees: the outputs of a host graph as numeric and categorical features, packed for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import TransformError
from mainstay.hostops import HostGraph, HostNode

Array = np.ndarray[Any, Any]


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
        TransformError: An output is a string, which no model can take, or its name cannot be one of Keras.
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
                size = assets[node.attrs["asset"]].count(b"\n")
                buckets = int(node.attrs.get("num_oov_buckets", 0))
                return Feature(name, "int32", size + max(buckets, 1), 0 if buckets else -1)
            case "Bucketize":
                return Feature(name, "int32", len(node.attrs["boundaries"]) + 1)
            case "StringToHashBucketFast":
                return Feature(name, "int32", int(node.attrs["num_buckets"]))
            case "Cast":
                node = nodes.get(node.inputs[0])
            case _:
                break
    return Feature(name, "float32")


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
