"""Records in a request: serialised tf.Examples and strings of bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.hostops import HostNode, decode_constant
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.graph_writing.host_ops.registry import Site, lowers


@lowers("ParseExample")
def _parse(site: Site, serialized: Ref) -> Ref:
    (feature,) = parse_features(site.builder, serialized, [site.attrs])
    return feature


def parse_features(builder: FunctionBuilder, serialized: Ref, features: Sequence[Mapping[str, Any]]) -> tuple[Ref, ...]:
    """Add one parsing of serialised tf.Examples, and return its features in order.

    Args:
        builder: The function that it is part of.
        serialized: The examples.
        features: For each feature the attributes of its host node; no two have the same key.
    """
    kinds = ["string" if feature["dtype"] == "string" else np.dtype(feature["dtype"]) for feature in features]
    none = builder.constant(np.empty(0, object))
    keys = np.empty(len(features), object)
    keys[:] = [feature["key"].encode() for feature in features]
    shapes = [tuple(feature["shape"]) for feature in features]
    defaults = [builder.constant(_default(feature)) for feature in features]
    outputs = [(kind, (*(serialized.shape or ()), *shape)) for kind, shape in zip(kinds, shapes, strict=True)]
    attrs = {
        "num_sparse": 0,
        "sparse_types": [],
        "ragged_value_types": [],
        "ragged_split_types": [],
        "dense_shapes": shapes,
        "Tdense": kinds,
    }
    return builder.op(
        "ParseExampleV2", [serialized, none, none, builder.constant(keys), none, *defaults], outputs, attrs=attrs
    )


def _default(feature: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Return what a feature is where an example has none of it; nothing where that is refused."""
    dtype, shape = feature["dtype"], tuple(feature["shape"])
    blank = np.empty(0, object if dtype == "string" else dtype)
    if feature["default_value"] is None:
        return blank
    value = decode_constant(feature["default_value"], dtype)
    filled = np.empty(math.prod(shape), blank.dtype)
    filled[:] = value.encode() if isinstance(value, str) else value
    return filled.reshape(shape)


def parsed_together(node: HostNode, nodes: Sequence[HostNode]) -> list[HostNode]:
    """Return the nodes that one parsing serves: those that read features of the same examples, each key once."""
    found = {node.attrs["key"]: node}
    for other in nodes:
        if other.op == node.op and other.inputs == node.inputs:
            found.setdefault(other.attrs["key"], other)
    return list(found.values())


@lowers("DecodeRaw")
def _decode(site: Site, x: Ref) -> Ref:
    shape = tuple(site.attrs["shape"])
    flat = (*(x.shape or ()), math.prod(shape))
    numbers = site.op("DecodeRaw", x, shape=flat, little_endian=site.attrs["little_endian"], out_type=site.dtype)
    return site.op("Reshape", numbers, site.builder.constant(np.array([-1, *shape], np.int32)), shape=site.shape)
