"""The page of ops that are read is what the registry holds."""

import imported_ops

from mainstay.saved_model.graph_reading.graph_ops.registry import implemented_ops
from mainstay.saved_model.graphs.definitions import definition


def test_the_page_of_ops_is_what_the_registry_holds() -> None:
    assert imported_ops.TARGET.read_text() == imported_ops.page(), "run: python tools/imported_ops.py"


def test_at_least_three_hundred_ops_are_read_and_all_are_ones_of_tensorflow() -> None:
    ops = implemented_ops()
    assert len(ops) >= 300
    assert [name for name in ops if definition(name) is None] == []
