"""The registry of lowerings: how each host operation becomes nodes of a TensorFlow graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.saved_model.graph_writing.captures import Captures
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.graph_writing.model_graph import ModelGraph
from mainstay.saved_model.graphs.dtypes import Kind


@dataclass(frozen=True, slots=True)
class HostValue:
    """A column in a graph.

    Args:
        ref: Its values, `[batch, …]`; a constant is a scalar.
        missing: Where a value is missing, `[batch]` bool; None where none ever is.
    """

    ref: Ref
    missing: Ref | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where a lowering writes: the function, the model around it and the node that it is for.

    Args:
        captures: What the function holds on to.
        model: The model.
        name: The host operation.
        attrs: The attributes of the host node.
        dtype: The dtype of its result.
        shape: The shape of its result; a scalar where all it takes are constants.
        inputs: What it takes, masks included.
    """

    captures: Captures
    model: ModelGraph
    name: str
    attrs: Mapping[str, Any]
    dtype: Kind
    shape: tuple[int | None, ...]
    inputs: tuple[HostValue, ...]

    @property
    def builder(self) -> FunctionBuilder:
        """The function."""
        return self.captures.builder

    def op(self, op: str, *inputs: Ref, dtype: Any = None, shape: Any = "widest", **attrs: Any) -> Ref:
        """Add a node with one output, of the host node's dtype and its widest input's shape unless others are named."""
        kind = self.dtype if dtype is None else dtype
        widest = max((ref.shape or () for ref in inputs), key=len)
        return self.builder.one(op, inputs, kind, widest if shape == "widest" else shape, **attrs)

    def constant(self, value: Any, dtype: Any = None) -> Ref:
        """Return a scalar constant, by default of the dtype of the node's first input."""
        if isinstance(value, (str, bytes)):
            return self.builder.constant(np.array(value.encode() if isinstance(value, str) else value, object))
        kind = self.inputs[0].ref.dtype if dtype is None else dtype
        return self.builder.constant(np.array(value, kind))

    def cast(self, ref: Ref, dtype: Any) -> Ref:
        """Return numbers in another dtype."""
        return ref if ref.dtype == np.dtype(dtype) else self.builder.one("Cast", [ref], dtype, ref.shape)

    def check(self, condition: Ref, message: str, shown: Ref) -> None:
        """Add a check that ends a run where it does not hold.

        Args:
            condition: What must be true, `[batch]` bool.
            message: What is wrong otherwise.
            shown: What the message shows.
        """
        axes = self.builder.constant(np.arange(len(condition.shape or ()), dtype=np.int32))
        every = self.builder.one("All", [condition, axes], np.bool_, ())
        self.builder.op("Assert", [every, self.constant(message), shown], [], stateful=True)


Lowering: TypeAlias = Callable[..., Ref]
"""Takes the site and the values of the node's inputs, and returns those of its result."""

LOWERINGS: dict[str, Lowering] = {}


def lowers(*ops: str) -> Callable[[Lowering], Lowering]:
    """Register the lowering of host operations."""

    def add(lowering: Lowering) -> Lowering:
        LOWERINGS.update(dict.fromkeys(ops, lowering))
        return lowering

    return add
