"""Serialized tf.Examples to try a signature with: made from what its graph parses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import message_class
from mainstay.saved_model.graph_reading.evaluation import take
from mainstay.saved_model.graph_reading.graph_ops.parsing import PARSERS, Features, example_features

if TYPE_CHECKING:
    from mainstay.saved_model.graph_reading.graph import Source
    from mainstay.saved_model.graph_reading.programs import Program

_PASSING = ("Identity", "ExpandDims", "Reshape", "Squeeze", "StopGradient")
"""Ops that hand on the strings of their first input."""

_ANY = -1
"""Stands for any number of values. Every row gets another: where rows are padded to the longest, that shows."""


def parsed_arguments(program: Program) -> dict[int, list[Features]]:
    """Return what is parsed of each argument that is serialized tf.Examples, by its index."""
    graph, constants = program.graph, program.constants
    places = {node: index for index, node in enumerate(graph.arguments)}
    found: dict[int, list[Features]] = {}
    for node in graph.nodes:
        if node.op.op not in PARSERS or not node.inputs:
            continue
        argument = places.get(_origin(program, node.inputs[0]))
        if argument is not None and all(source[0] in constants for source in node.inputs[1:]):
            given = [take(constants, source) for source in node.inputs[1:]]
            found.setdefault(argument, []).append(example_features(node.op, given))
    return found


def _origin(program: Program, source: Source) -> int:
    """Return the node whose strings arrive at a place."""
    index = source[0]
    while program.graph.nodes[index].op.op in _PASSING and program.graph.nodes[index].inputs:
        index = program.graph.nodes[index].inputs[0][0]
    return index


def made_up_examples(features: list[Features], count: int) -> np.ndarray[Any, Any]:
    """Return so many serialized examples, which differ and have every feature."""
    random = np.random.default_rng(count)
    kinds = _kinds(features)
    texts = np.empty(count, object)
    for row in range(count):
        example = message_class("tensorflow.Example")()
        for name, (kind, stated) in sorted(kinds.items()):
            size = 1 + row if stated == _ANY else stated
            feature = example.features.feature[name]
            if kind == "string":
                feature.bytes_list.value.extend([b"a%d" % (row % 3)] * size)
            elif np.dtype(kind).kind in "iub":
                feature.int64_list.value.extend(random.integers(0, 2, size).tolist())
            else:
                feature.float_list.value.extend(random.normal(size=size).tolist())
        texts[row] = example.SerializeToString(deterministic=True)
    return texts


def _kinds(features: list[Features]) -> Mapping[str, tuple[Any, int]]:
    """Return the dtype and the number of values of each feature, which may be `_ANY`."""
    kinds: dict[str, tuple[Any, int]] = {}
    for item in features:
        open_ones = zip((*item.sparse, *item.ragged), (*item.sparse_kinds, *item.ragged_kinds), strict=True)
        kinds |= {name: (kind, _ANY) for name, kind in open_ones}
        for name, default, shape in zip(item.dense, item.defaults, item.shapes, strict=True):
            sizes = [1 if axis in (None, -1) else axis for axis in shape or ()]
            kinds[name] = ("string" if default.dtype.kind == "O" else default.dtype), math.prod(sizes)
    return kinds
