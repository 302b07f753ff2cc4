"""The registry of ops: which function computes an op of TensorFlow, and whether XLA can trace it.

An implementation takes its node and the values of the node's inputs, and returns one value, or a tuple where the op
has several outputs or none::

    @graph_op("AddV2", "Add")
    def add(node: OpNode, x: Value, y: Value) -> Value: ...

Values are NumPy arrays (strings: object arrays of `bytes`), JAX arrays or tracers, and resources as the objects of
`values`. Where all inputs are NumPy arrays the result should be too (`values.backend_of`), so that shapes stay known
while XLA traces. Where an op needs the *value* of an input to know a shape, it says so by `values.integers` or
`values.known`: these raise `ValueNeededError` for a tracer, and so does any attempt of JAX to make one concrete; the
node then runs outside of XLA, with the value at hand.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

from mainstay.core import FormatError
from mainstay.saved_model.graphs.dtypes import Kind

OpKind: TypeAlias = Literal["device", "host", "either"]
"""``device``: JAX can trace it, and NumPy inputs work too. ``host``: NumPy alone: strings, tables, shapes that depend
on values. ``either``: it only hands values on, so it runs wherever they are, strings and resources included."""

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OpNode:
    """A node of a graph, as an implementation sees it.

    Args:
        name: Its path, for messages.
        op: Its op.
        attrs: Its attributes as `graphs.attributes.read_attribute` gives them, defaults filled in.
        outputs: The dtype of each of its outputs, or ``"string"``, ``"resource"``, ``"variant"``.
    """

    name: str
    op: str
    attrs: Mapping[str, Any]
    outputs: tuple[Kind, ...]

    def attr(self, name: str, default: Any = None) -> Any:
        """Return the value of an attribute: a number, `bytes`, dtype, tuple, array, or `default` if it has none."""
        value = self.attrs.get(name)
        return default if value is None else value

    def text(self, name: str) -> str:
        """Return the value of a string attribute as text, such as ``SAME``.

        Raises:
            FormatError: There is no such attribute, or it is no text.
        """
        value = self.attrs.get(name)
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                value = "bytes that are no UTF-8"
        raise FormatError(f"{self.op} lacks a string attribute", where=self.name, expected=name, received=value)

    def dtype(self, name: str) -> Any:
        """Return the NumPy dtype in an attribute; object for strings.

        Raises:
            FormatError: There is no such attribute, or it is no dtype.
        """
        import numpy as np

        value = self.attrs.get(name)
        if isinstance(value, np.dtype):
            return value
        if value == "string":
            return np.dtype(object)
        raise FormatError(f"{self.op} lacks a dtype", where=self.name, expected=name, received=value)


@dataclass(frozen=True, slots=True)
class GraphOp:
    """The implementation of an op.

    Args:
        run: Computes a node: ``run(node, *inputs)``.
        kind: Where it may run.
        effect: Whether it changes something other than its outputs, so that it is never left out.
    """

    run: Callable[..., Any]
    kind: OpKind
    effect: bool


_OPS: dict[str, GraphOp] = {}


def graph_op(*names: str, kind: OpKind = "device", effect: bool = False) -> Callable[[_F], _F]:
    """Register the implementation of ops.

    Args:
        names: The ops that the function computes.
        kind: Where it may run.
        effect: Whether it changes something other than its outputs.

    Example:
    """

    def register(function: _F) -> _F:
        for name in names:
            _OPS[name] = GraphOp(function, kind, effect)
        return function

    return register


@cache
def _load() -> None:
    package = importlib.import_module(__package__)
    for module in sorted(each.name for each in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"{__package__}.{module}")


def implementation(op: str) -> GraphOp | None:
    """Return what computes an op, or None for an op that is not read here."""
    _load()
    return _OPS.get(op)


def implemented_ops() -> dict[str, GraphOp]:
    """Return every op that has an implementation, by name in order."""
    _load()
    return dict(sorted(_OPS.items()))
