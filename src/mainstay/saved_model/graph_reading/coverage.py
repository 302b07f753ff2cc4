"""Which ops of a SavedModel are not read here, by node, before anything is tried."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mainstay.saved_model.graph_reading.control_flow import CONTROL_FLOW
from mainstay.saved_model.graph_reading.graph import ARGUMENT, Graph
from mainstay.saved_model.graph_reading.graph_ops.registry import implementation
from mainstay.saved_model.graph_reading.library import Library, called_functions
from mainstay.saved_model.graph_reading.resources import HANDLES


@dataclass(frozen=True, slots=True)
class UnsupportedOp:
    """An op that is not read here.

    Args:
        op: Its name.
        node: The path of the first node that has it.
        count: How many nodes have it.
    """

    op: str
    node: str
    count: int


def is_read(op: str) -> bool:
    """Return whether an op is read here."""
    return op in CONTROL_FLOW or op in HANDLES or op in (ARGUMENT, "Const") or implementation(op) is not None


def missing_ops(graphs: Iterable[Graph], library: Library) -> list[UnsupportedOp]:
    """Return the ops of graphs, and of the functions that they call, that are not read here, in order of their names.

    Args:
        graphs: The graphs.
        library: The functions.
    """
    found: dict[str, tuple[str, int]] = {}
    seen: set[str] = set()
    pending = list(graphs)
    while pending:
        graph = pending.pop()
        for node in graph.nodes:
            if not is_read(node.op.op):
                first, count = found.get(node.op.op, (node.op.name, 0))
                found[node.op.op] = first, count + 1
            for name in called_functions(node.op.op, node.op.attrs, {}):
                if name not in seen and node.op.op in CONTROL_FLOW:
                    seen.add(name)
                    pending.append(library.graph(name))
    return [UnsupportedOp(op, node, count) for op, (node, count) in sorted(found.items())]


def unsupported_ops(path: str | os.PathLike[str], *, tags: str | Iterable[str] | None = None) -> list[UnsupportedOp]:
    """Return the ops of a SavedModel's signatures that are not read here.

    Args:
        path: A SavedModel that TensorFlow wrote.
        tags: The tags of the graph; None for the only graph, or the one for serving if there are more.

    Returns:
        Each op with its first node and how many nodes have it, in order of the names; none if `load` can read it.

    Raises:
        ArtifactError: There is no SavedModel.
        FormatError: It is malformed.
    """
    from mainstay.saved_model.graph_reading.meta_graphs import read_meta_graph
    from mainstay.saved_model.graph_reading.model import initialiser
    from mainstay.saved_model.graph_reading.signatures import read_ports, signature_graph

    meta = read_meta_graph(Path(path), tags)
    graphs = [signature_graph(meta, name, *read_ports(meta, name)) for name in meta.signatures]
    first = initialiser(meta)
    return missing_ops([*graphs, *([first] if first else [])], meta.library)
