"""Which variable, table and asset each handle of the main graph stands for.

A model of TensorFlow 2 says it by its object graph: a function lists the objects that it captured, in the order of its
last arguments. For all else the graph that restores the model is read: what it assigns to a handle is the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import FormatError
from mainstay.saved_model.folder import refuse_outside
from mainstay.saved_model.graph_reading.checkpoints import Checkpoint, parse_slice
from mainstay.saved_model.graph_reading.graph import CALLS, Graph, NamedNode, Source, parse_reference
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, implementation
from mainstay.saved_model.graph_reading.graph_ops.values import AssetPath, Value, Variable
from mainstay.saved_model.graph_reading.library import FunctionBody
from mainstay.saved_model.graph_reading.meta_graphs import MetaGraph, asset_path
from mainstay.saved_model.graph_reading.objects import ObjectGraph
from mainstay.saved_model.graph_reading.resources import HANDLES, VARIABLES, Resources
from mainstay.saved_model.graphs.attributes import FunctionAttr

_ASSIGN = ("AssignVariableOp", "Assign")
_PASSING = ("Identity", "RefIdentity", "Reshape", "EnsureShape")


def open_checkpoint(folder: Path, map_file: Callable[[Path], memoryview]) -> Checkpoint | None:
    """Return the tensors of a SavedModel, or None for a model without variables."""
    prefix = folder / "variables" / "variables"
    refuse_outside(folder, prefix.parent)
    return Checkpoint(prefix, map_file) if Path(f"{prefix}.index").is_file() else None


def put_assets(meta: MetaGraph) -> None:
    """Give the constants of the main graph that hold the paths of assets the paths where these lie now.

    Raises:
        FormatError: An asset is missing, or its constant is.
    """
    for asset in meta.asset_files():
        name, _ = parse_reference(asset.tensor_info.name)
        node = meta.nodes.get(name)
        path = asset_path(meta.folder, asset.filename)
        if node is None:
            raise FormatError("an asset belongs to a node that is not there", where=asset.filename, received=name)
        op = OpNode(node.op.name, "Const", {**node.op.attrs, "value": asset_value(path)}, node.op.outputs)
        meta.nodes[name] = NamedNode(op, (), node.controls)


def asset_value(path: Path) -> np.ndarray[Any, Any]:
    """Return the path of an asset as the scalar string of a graph."""
    value = np.empty((), object)
    value[()] = AssetPath(str(path).encode())
    return value


def bind_captures(meta: MetaGraph, objects: ObjectGraph, resources: Resources) -> dict[int, str]:
    """Bind the handles that functions of the object graph captured.

    Returns:
        The name of the node in the main graph for the number of each object that is no variable.

    Raises:
        FormatError: A function captured more than it takes.
    """
    handles: dict[int, str] = {}
    for node in meta.nodes.values():
        function = _called(node)
        if function is None or function not in objects.functions:
            continue
        bound = list(objects.functions[function].bound_inputs)
        if len(bound) > len(node.inputs):
            raise FormatError("a function captures more than it takes", where=node.op.name, received=len(bound))
        for number, (source, _) in zip(bound, node.inputs[len(node.inputs) - len(bound) :], strict=True):
            handle = meta.nodes[source].op
            if number in objects.variables and handle.op in VARIABLES:
                if objects.variables[number].is_initialized:
                    resources.bind(handle, objects.variables[number])
            else:
                handles.setdefault(number, source)
    return handles


def _called(node: NamedNode) -> str | None:
    function = node.op.attrs.get("f")
    return function.name if node.op.op in CALLS and isinstance(function, FunctionAttr) else None


def bind_restored(meta: MetaGraph, checkpoint: Checkpoint | None, resources: Resources) -> None:
    """Bind the handles that the graph which restores the model fills, and fill the tables that it fills.

    Raises:
        FormatError: It restores what is not stored.
    """
    target = meta.message.saver_def.restore_op_name.partition(":")[0]
    unbound = any(not resources.is_bound(node) for node in _handles(meta))
    mutable = any(node.op.op.startswith("Mutable") for node in meta.nodes.values())
    if checkpoint is None or target not in meta.nodes or not (unbound or mutable):
        return
    body = FunctionBody("restore", meta.nodes, (), (), (target,))
    graph = meta.library.ordered(meta.library.prepared(body, everything=False))
    for node in graph.nodes:
        inputs = node.inputs
        if node.op.op in _ASSIGN and len(inputs) == 2:
            handle = _followed(graph, inputs[0])
            stored = _restored(graph, inputs[1], checkpoint)
            if handle.op in VARIABLES and stored is not None and not resources.is_bound(handle):
                key, load = stored
                resources.bind(handle, Variable(key, load=load))
        elif node.op.op.startswith("LookupTableImport") and len(inputs) == 3:
            _import_table(graph, node.op, inputs, checkpoint, resources)


def _followed(graph: Graph, source: Source) -> OpNode:
    node = graph.nodes[source[0]]
    while node.op.op in _PASSING and node.inputs:
        node = graph.nodes[node.inputs[0][0]]
    return node.op


def _restored(graph: Graph, source: Source, checkpoint: Checkpoint) -> tuple[str, Callable[[], Value]] | None:
    """Return the name of what `RestoreV2` reads for a value, and what reads it."""
    node = graph.nodes[source[0]]
    while node.op.op in _PASSING and node.inputs:
        source = node.inputs[0]
        node = graph.nodes[source[0]]
    if node.op.op != "RestoreV2" or len(node.inputs) != 3:
        return None
    names = _constant(graph, node.inputs[1])
    parts = _constant(graph, node.inputs[2])
    if max(source[1] + 1, 0) > min(len(names), len(parts)):
        raise FormatError("a weight is restored that has no name", where=node.op.name, received=source[1])
    key = names[source[1]].decode("utf-8", "replace")
    extents = parse_slice(parts[source[1]].decode("utf-8", "replace"), key)
    if key not in checkpoint:
        return None
    return key, lambda: checkpoint.read(key, extents)


def _constant(graph: Graph, source: Source) -> np.ndarray[Any, Any]:
    op = _followed(graph, source)
    value = op.attrs.get("value")
    if op.op != "Const" or not isinstance(value, np.ndarray) or value.dtype != object:
        raise FormatError("the names of the weights are not constant", where=op.name, received=op.op)
    return value.reshape(-1)


def _import_table(
    graph: Graph, node: OpNode, inputs: tuple[Source, ...], checkpoint: Checkpoint, resources: Resources
) -> None:
    handle = _followed(graph, inputs[0])
    stored = [_restored(graph, source, checkpoint) for source in inputs[1:]]
    known = implementation(node.op)
    if handle.op in HANDLES and known is not None and None not in stored:
        known.run(node, resources.handle(handle), *(each[1]() for each in stored if each is not None))


def bind_named(meta: MetaGraph, checkpoint: Checkpoint | None, objects: ObjectGraph, resources: Resources) -> None:
    """Bind what is left by name: that of a variable in the object graph, or of a tensor in the checkpoint."""
    bound = set(resources.variables())
    named = {
        objects.nodes[number].variable.name: variable
        for number, variable in objects.variables.items()
        if variable not in bound
    }
    for node in _handles(meta):
        if resources.is_bound(node):
            continue
        shared = (node.attrs.get("shared_name") or b"").decode("utf-8", "replace") or node.name
        variable = next((named[name] for name in (shared, node.name) if name in named), None)
        if variable is not None and variable.is_initialized:
            resources.bind(node, variable)
        elif checkpoint is not None and shared in checkpoint:
            resources.bind(node, Variable(shared, load=lambda name=shared: checkpoint.read(name)))  # type: ignore[misc]


def _handles(meta: MetaGraph) -> Iterator[OpNode]:
    for node in meta.nodes.values():
        if node.op.op in VARIABLES:
            yield node.op
