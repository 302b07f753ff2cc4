"""Runs one op as a graph would: attributes have their defaults, and numbers have 64 bits where they say so."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, implementation
from mainstay.saved_model.graphs.definitions import definition


def compute(name: str, *inputs: Any, **attributes: Any) -> Any:
    """The result of an op; dtypes in attributes that follow from the inputs are filled in."""
    facts = definition(name)
    op = implementation(name)
    assert facts is not None
    assert op is not None
    attrs = dict(facts.defaults)
    rest = list(inputs)
    for argument in facts.inputs:
        if argument.number_attr is None and argument.type_list_attr is None and rest:
            value = rest.pop(0)
            if argument.type_attr is not None and hasattr(value, "dtype") and value.dtype != object:
                attrs[argument.type_attr] = np.dtype(value.dtype)
        elif rest and argument.type_attr is not None:
            attrs[argument.type_attr] = np.dtype(rest[0].dtype)
            rest.clear()
    attrs |= attributes
    return op.run(OpNode("a/node", name, attrs, ()), *inputs)


@pytest.fixture
def run() -> Callable[..., Any]:
    """`run(op, *inputs, **attributes)` computes an op."""
    return compute


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """64-bit numbers, as graphs are computed."""
    with jax.enable_x64(True):
        yield
