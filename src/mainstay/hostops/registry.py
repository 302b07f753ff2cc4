"""The registry of host operations: closed, versioned, without a way for an artifact to add to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mainstay.core import TransformError
from mainstay.hostops.attributes import Attr

Kernel = Callable[..., Any]
"""Takes the values of an operation's inputs and returns those that it makes.

Values are NumPy arrays `[rows]`, or `Words` where the dtype is ``string``. A constant comes with one row and
broadcasts. Kernels are pure: they keep no state and never write into what they take.
"""

MissingRule = Literal["any", "never", "fill", "select"]
ShapeRule = Literal["same", "rows", "last", "attrs"]


@dataclass(frozen=True, slots=True)
class Site:
    """Where an operation is bound to a graph: what its kernel may depend on.

    Args:
        attrs: The checked attributes, with defaults filled in.
        dtypes: The dtypes of the inputs.
        assets: The content of the asset files.
        where: The place for errors about a value, such as ``$.pickup_time``.
    """

    attrs: Mapping[str, Any]
    dtypes: tuple[str, ...]
    assets: Mapping[str, bytes]
    where: str


@dataclass(frozen=True, slots=True)
class HostOp:
    """An operation: its name and version, what it takes and gives, and how it becomes a kernel.

    Args:
        name: TensorFlow's op name where TensorFlow has the op.
        version: Raised whenever a result changes for any input.
        result: Gives the dtype of the result from those of the inputs and the attributes; raises
            `TransformError` where they do not fit.
        bind: Makes the kernel.
        attrs: How each attribute is checked.
        missing: Where the result is missing: where ``any`` input is, ``never``, where the input and its
            ``fill`` both are, or as the branch that a ``select`` takes.
        reads_missing: Whether the kernel also takes the masks of its inputs, after the values.
        shape: Whether the shape stays the ``same``, only `[rows]` is taken, the ``last`` axis goes away, or `[rows]`
            gets the axes that the attribute ``shape`` names.
        settle: Puts checked attributes that depend on each other into their JSON form; None where none do.
    """

    name: str
    version: int
    result: Callable[[tuple[str, ...], Mapping[str, Any]], str]
    bind: Callable[[Site], Kernel]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    missing: MissingRule = "any"
    reads_missing: bool = False
    shape: ShapeRule = "same"
    settle: Callable[[dict[str, Any]], dict[str, Any]] | None = None


_OPS: dict[str, HostOp] = {}


def register(op: HostOp) -> None:
    """Add an operation; only modules of this room do so, while they are imported."""
    if op.name in _OPS:
        raise TransformError("a host operation is registered twice", received=op.name)
    _OPS[op.name] = op


def always(kernel: Callable[..., Any]) -> Callable[[Site], Kernel]:
    """Return the binder of an operation whose kernel depends on nothing."""
    return lambda site: kernel


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


def op_version(name: str) -> int:
    """Return the version of an operation that this release runs; see `lookup`."""
    return lookup(name).version


def result_dtype(name: str, dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    """Return the dtype that an operation gives.

    Args:
        name: The operation.
        dtypes: The dtypes of its inputs.
        attrs: Those attributes that a dtype can depend on.

    Raises:
        TransformError: There is no such operation, or it does not take these dtypes.
    """
    return lookup(name).result(dtypes, attrs)


def can_miss(name: str, inputs: Sequence[bool]) -> bool:
    """Return whether the result of an operation can have missing values, given whether each input can."""
    rule = lookup(name).missing
    return rule != "never" and (all(inputs) if rule == "fill" else any(inputs))


def missing_rule(name: str) -> MissingRule:
    """Return where the result of an operation is missing, see `HostOp`, for those who write graphs in another form."""
    return lookup(name).missing
