"""Host graphs in a TensorFlow graph: raw columns to device inputs, and results to answers, missing values kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mainstay.core import ModelError
from mainstay.hostops import HostGraph, HostNode, missing_rule, result_dtype
from mainstay.saved_model.graph_writing.captures import Captures
from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.graph_writing.host_ops import lookups, strings, times  # noqa: F401
from mainstay.saved_model.graph_writing.host_ops.numbers import never
from mainstay.saved_model.graph_writing.host_ops.records import parse_features, parsed_together
from mainstay.saved_model.graph_writing.host_ops.registry import LOWERINGS, HostValue, Site
from mainstay.saved_model.graph_writing.model_graph import ModelGraph

_BLANK = {"string": b"", "float32": np.nan, "float64": np.nan}
"""What stands in an answer where a value is missing."""


def unwritable(graph: HostGraph) -> tuple[str, ...]:
    """Return the operations of a host graph that have no form in TensorFlow."""
    return tuple(sorted({node.op for node in graph.nodes if node.op not in LOWERINGS}))


def emit_host_graph(
    captures: Captures, model: ModelGraph, graph: HostGraph, values: Mapping[str, HostValue]
) -> dict[str, Ref]:
    """Add a host graph to a function and return its outputs by name.

    Args:
        captures: What the function holds on to.
        model: The model, for its tables.
        graph: The host graph.
        values: Its inputs by name.
    """
    made = {item.spec.name: values[item.spec.name] for item in graph.inputs}
    parsed: dict[str, Ref] = {}
    for node in graph.nodes:
        inputs = tuple(made[name] for name in node.inputs)
        site = Site(captures, model, node.op, node.attrs, _dtype(node, inputs), _shape(node, inputs), inputs)
        if node.op not in LOWERINGS:
            raise ModelError("a host operation has no form in TensorFlow", where=node.name, received=node.op)
        if node.op == "ParseExample" and node.name not in parsed:
            together = parsed_together(node, [each for each in graph.nodes if each.name not in parsed])
            refs = parse_features(captures.builder, inputs[0].ref, [each.attrs for each in together])
            parsed |= {each.name: ref for each, ref in zip(together, refs, strict=True)}
        result = parsed.get(node.name) or LOWERINGS[node.op](site, *(value.ref for value in inputs))
        made[node.name] = HostValue(result, _mask(site))
    return {spec.name: _shown(captures, made[graph.outputs[spec.name]], spec.dtype) for spec in graph.output_specs}


def _dtype(node: HostNode, inputs: Sequence[HostValue]) -> str:
    names = tuple(value.ref.dtype if isinstance(value.ref.dtype, str) else value.ref.dtype.name for value in inputs)
    return result_dtype(node.op, names, node.attrs)


def _shape(node: HostNode, inputs: Sequence[HostValue]) -> tuple[int | None, ...]:
    """Return the shape of a node's result: that of its widest input, less an axis or with those of an attribute."""
    widest: tuple[int | None, ...] = max((value.ref.shape or () for value in inputs), key=len, default=())
    if node.op == "ArgMax":
        return widest[:-1]
    return (*widest, *node.attrs["shape"]) if "shape" in node.attrs else widest


def _mask(site: Site) -> Ref | None:
    """Return where the result of a node is missing."""
    rule = missing_rule(site.name)
    masks = [value.missing for value in site.inputs]
    if rule == "never" or not any(masks):
        return None
    if rule == "fill":
        first, second = masks
        return None if first is None or second is None else site.op("LogicalAnd", first, second, dtype=bool)
    if rule == "select" and any(masks[1:]):
        condition = site.inputs[0].ref
        branches = [never(site, condition) if mask is None else mask for mask in masks[1:]]
        masks = [masks[0], site.op("SelectV2", condition, *branches, dtype=bool)]
    found = [mask for mask in masks if mask is not None]
    result = found[0]
    for mask in found[1:]:
        if mask.text != result.text:
            result = site.op("LogicalOr", result, mask, dtype=bool)
    return result


def _shown(captures: Captures, value: HostValue, dtype: str) -> Ref:
    if value.missing is None:
        return value.ref
    blank = np.array(_BLANK[dtype], object if dtype == "string" else dtype)
    inputs = [value.missing, captures.builder.constant(blank), value.ref]
    return captures.builder.one("SelectV2", inputs, value.ref.dtype, value.ref.shape)
