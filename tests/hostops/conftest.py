"""What the tests of host operations share: one operation run on rows, as a graph of its own."""

from typing import Any

import pytest

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode


def run_op(
    op: str,
    *columns: tuple[str, Any],
    attrs: dict[str, Any] | None = None,
    assets: dict[str, bytes] | None = None,
    optional: bool = False,
) -> Any:
    """Run one operation on columns given as (dtype, values) and return its rows."""
    inputs = [HostInput(TensorSpec([None], dtype, f"x{i}"), optional) for i, (dtype, _) in enumerate(columns)]
    node = HostNode(op, "y", tuple(item.spec.name for item in inputs), attrs or {})
    graph = HostGraph(inputs, [node], {"y": "y"}, assets)
    return graph({f"x{i}": values for i, (_, values) in enumerate(columns)})["y"]


@pytest.fixture(name="run_op")
def run_op_fixture() -> Any:
    """One operation run on columns given as (dtype, values)."""
    return run_op
