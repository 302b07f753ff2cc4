"""Host operations: the closed, versioned set of vectorised functions that run before and after the XLA program."""

from mainstay.hostops import arithmetic as _arithmetic  # noqa: F401  (registers operations)
from mainstay.hostops import logic as _logic  # noqa: F401
from mainstay.hostops import records as _records  # noqa: F401
from mainstay.hostops import strings as _strings  # noqa: F401
from mainstay.hostops import tables as _tables  # noqa: F401
from mainstay.hostops import times as _times  # noqa: F401
from mainstay.hostops.attributes import decode_constant
from mainstay.hostops.columns import Column, Values, as_column, column_from_arrow, columns_from_batch
from mainstay.hostops.farmhash import fingerprint64, fingerprints64
from mainstay.hostops.graph import HostGraph
from mainstay.hostops.graph_json import GRAPH_VERSION
from mainstay.hostops.program import HostInput, HostNode, Program
from mainstay.hostops.registry import can_miss, missing_rule, op_names, op_version, result_dtype

__all__ = [
    "GRAPH_VERSION",
    "Column",
    "HostGraph",
    "HostInput",
    "HostNode",
    "Program",
    "Values",
    "as_column",
    "can_miss",
    "column_from_arrow",
    "columns_from_batch",
    "decode_constant",
    "fingerprint64",
    "fingerprints64",
    "missing_rule",
    "op_names",
    "op_version",
    "result_dtype",
]
