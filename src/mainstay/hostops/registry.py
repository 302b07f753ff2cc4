"""The registry of host operations: closed, versioned, without a way for an artifact to add to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mainstay.core import TransformError
from mainstay.hostops.columns import Column

Kernel = Callable[..., Column]
"""Takes the columns of an operation's inputs and returns the column that it makes."""

Attrs = Mapping[str, Any]
Binder = Callable[[Attrs, Mapping[str, bytes]], Kernel]


@dataclass(frozen=True, slots=True)
class HostOp:
    """An operation: its name and version, how attributes become a kernel, and the dtype of the result.

    Args:
        name: TensorFlow's op name where TensorFlow has the op.
        version: Raised whenever a result changes for any input.
        bind: Makes the kernel from the attributes and the assets' content.
        result: Gives the dtype of the result from those of the inputs and the attributes.
    """

    name: str
    version: int
    bind: Binder
    result: Callable[[tuple[str, ...], Attrs], str]


_OPS: dict[str, HostOp] = {}


def register(op: HostOp) -> None:
    """Add an operation; only modules of this room do so, while they are imported."""
    if op.name in _OPS:
        raise TransformError("a host operation is registered twice", received=op.name)
    _OPS[op.name] = op


def lookup(name: str) -> HostOp:
    """Return the operation of that name.

    Raises:
        TransformError: There is none.
    """
    if name not in _OPS:
        raise TransformError(
            "unknown host operation",
            expected=f"one of {', '.join(sorted(_OPS))}",
            received=name,
            fix="load the model with a newer Mainstay, or build the feature from registered operations",
        )
    return _OPS[name]


def op_names() -> tuple[str, ...]:
    """Return the names of all operations, sorted."""
    return tuple(sorted(_OPS))
