"""Runs one op as a graph would: attributes have their defaults, and numbers have 64 bits where they say so."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

from mainstay.core import FormatError
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
            if argument.type_attr is not None and (kind := kind_of(value)) is not None:
                attrs[argument.type_attr] = kind
        elif rest and argument.type_attr is not None:
            attrs[argument.type_attr] = kind_of(rest[0])
            rest.clear()
    attrs |= attributes
    outputs: tuple[Any, ...] = ()
    with contextlib.suppress(FormatError):
        outputs = facts.output_kinds(attrs)
    return op.run(OpNode("a/node", name, attrs, outputs), *inputs)


def kind_of(value: Any) -> Any:
    """The dtype of a tensor; None where it is none, or of sizes that are symbolic."""
    if not hasattr(value, "dtype"):
        return None
    if value.dtype != object:
        return np.dtype(value.dtype)
    return "string" if all(isinstance(each, bytes) for each in np.ravel(value)) else None


def words(*texts: str | bytes) -> np.ndarray:
    """A vector of strings."""
    array = np.empty(len(texts), object)
    array[:] = [text.encode() if isinstance(text, str) else text for text in texts]
    return array


@pytest.fixture
def run() -> Callable[..., Any]:
    """`run(op, *inputs, **attributes)` computes an op."""
    return compute


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """64-bit numbers, as graphs are computed."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def text() -> Callable[..., Any]:
    """`text(*strings)` is a vector of strings."""
    return words
