"""Ops that hand on what they are given, and those that only wait for others."""

from __future__ import annotations

import numpy as np

from mainstay.core import RequestError
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value


@graph_op(
    "Identity",
    "RefIdentity",
    "Snapshot",
    "StopGradient",
    "PreventGradient",
    "CheckNumerics",
    "CheckNumericsV2",
    "DebugIdentity",
    "DebugIdentityV2",
    "Print",
    "PlaceholderWithDefault",
    "GuaranteeConst",
    "LoopCond",
    "NextIteration",
    "RefNextIteration",
    kind="either",
)
def identity(_: OpNode, value: Value, *others: Value) -> Value:
    """Return the first input."""
    del others
    return value


@graph_op("IdentityN", kind="either")
def identity_n(_: OpNode, *values: Value) -> tuple[Value, ...]:
    """Return all inputs."""
    return values


@graph_op("Switch", "RefSwitch", kind="either")
def switch(_: OpNode, value: Value, condition: Value) -> tuple[Value, ...]:
    """Return the value on both sides: what only one side may read has been cut out as a branch before."""
    del condition
    return value, value


@graph_op("NoOp", "ControlTrigger", "Assert", "PrintV2", "DisableCopyOnRead", kind="either")
def nothing(_: OpNode, *values: Value) -> tuple[Value, ...]:
    """Return nothing; the checks of a graph are not made, and it prints nothing."""
    del values
    return ()


@graph_op("Placeholder", "PlaceholderV2", kind="either")
def placeholder(node: OpNode) -> Value:
    """Refuse: what has to be fed was not."""
    raise RequestError("an input of the graph is not fed", where=node.name, expected=f"a value for {node.name}")


@graph_op("FakeParam", kind="either")
def fake_param(node: OpNode) -> Value:
    """Return zeros: a branch that does not give a value gives this one, which nothing reads."""
    shape = tuple(axis or 0 for axis in node.attr("shape") or ())
    kind = node.attr("dtype")
    return np.zeros(shape, kind if isinstance(kind, np.dtype) else object)
