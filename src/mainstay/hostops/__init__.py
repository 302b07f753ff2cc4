"""Host operations: the closed, versioned set of vectorised functions that run before and after the XLA program."""

from mainstay.hostops import arithmetic as _arithmetic  # noqa: F401  (registers operations)
from mainstay.hostops.columns import Column, Values, as_column, column_from_arrow, columns_from_batch
from mainstay.hostops.graph import GRAPH_VERSION, HostGraph, HostInput, HostNode
from mainstay.hostops.registry import op_names

__all__ = [
    "GRAPH_VERSION",
    "Column",
    "HostGraph",
    "HostInput",
    "HostNode",
    "Values",
    "as_column",
    "column_from_arrow",
    "columns_from_batch",
    "op_names",
]
