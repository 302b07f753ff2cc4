"""Which ops of a graph are not read here, by node, before anything is tried."""

from __future__ import annotations

from collections.abc import Iterable

from mainstay.saved_model.foreign import UnsupportedOp
from mainstay.saved_model.graph_reading.control_flow import CONTROL_FLOW
from mainstay.saved_model.graph_reading.graph import ARGUMENT, Graph
from mainstay.saved_model.graph_reading.graph_ops.registry import implementation
from mainstay.saved_model.graph_reading.library import Library, called_functions
from mainstay.saved_model.graph_reading.resources import HANDLES


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
