"""Serving functions: what a signature does to a request, before it is saved.

A serving function is an ordered host prefix, one pure JAX function whose weights are arguments, and an ordered host
suffix; each part may be absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mainstay.core import ArgumentError, TensorSpec
from mainstay.hostops import HostGraph
from mainstay.saved_model.manifest import METHODS

if TYPE_CHECKING:
    import jax

Arrays: TypeAlias = "Mapping[str, jax.Array]"
PureFunction: TypeAlias = Callable[[Arrays, Arrays], Arrays]

DEVICE_DTYPES = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
"""What a dtype becomes on the device, which computes in 32 bits; the others stay as they are."""


def device_dtype(dtype: str) -> str:
    """Return the dtype in which the device holds values of `dtype`."""
    return DEVICE_DTYPES.get(dtype, dtype)


@dataclass(frozen=True, eq=False)
class ServingFunction:
    """What one signature does to a request.

    Args:
        function: A pure JAX function ``(weights, inputs) -> outputs``, each a mapping by name. None for the host prefix
            alone.
        inputs: The inputs of `function`; axes that are None may have any length. A 64-bit dtype is narrowed to 32 bits
            on the way to the device, integers with a range check.
        weights: The weights that `function` takes, by name. They are stored once and passed as arguments.
        prefix: Turns raw columns into the device inputs, which are matched by name. Without it, a request carries
            the device inputs themselves.
        suffix: Turns outputs of `function`, matched by name, into the answers. Without it they are the answers.
        tolerance: How far an answer may be from its sealed one, relative to ``max(1, |answer|)``. Integers and
            strings must be equal.
        rows: Whether the first axis of every input, which is None, and of every output is the batch, whose rows do not
            depend on each other: batches are then padded, split and put together. Without it the function runs on just
            the arrays that it is given. None finds it out, as far as it can be proven from the function.
        frozen: The names of the weights that training does not change.
        method: What TensorFlow Serving uses the signature for: ``predict``, ``classify`` or ``regress``.

    Raises:
        ArgumentError: The parts do not fit together.

    Example:
        >>> import numpy as np
        >>> double = ServingFunction(
        ...     lambda weights, inputs: {"y": weights["w"] * inputs["x"]},
        ...     (TensorSpec([None], "float32", "x"),),
        ...     {"w": np.float32(2.0)},
        ... )
    """

    function: PureFunction | None
    inputs: tuple[TensorSpec, ...] = ()
    weights: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    prefix: HostGraph | None = None
    suffix: HostGraph | None = None
    tolerance: float = 1e-6
    rows: bool | None = True
    method: str = "predict"
    frozen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if not 0.0 <= self.tolerance < 1.0:
            raise ArgumentError("a tolerance is a small number", expected="0 to 1", received=self.tolerance)
        if self.method not in METHODS:
            raise ArgumentError("unknown method of a signature", expected=", ".join(METHODS), received=self.method)
        if self.function is None:
            if self.prefix is None or self.suffix is not None or self.inputs or self.weights:
                raise ArgumentError(
                    "a serving function without a function is a host prefix alone",
                    expected="a prefix, and no inputs, weights or suffix",
                    fix="pass a function, or only a prefix",
                )
            return
        self._check_inputs()
        if self.prefix is not None:
            object.__setattr__(self, "prefix", _pruned(self.prefix, self.inputs))

    def _check_inputs(self) -> None:
        names = [spec.name for spec in self.inputs]
        if (self.rows and not names) or len(set(names)) != len(names) or "" in names:
            raise ArgumentError("the inputs of a serving function need unique names", received=names)
        for spec in self.inputs:
            if spec.dtype == "string":
                raise ArgumentError(
                    "an input cannot go to the device",
                    where=spec.name,
                    expected="numbers or booleans",
                    received=spec,
                    fix="turn strings into numbers in the host prefix",
                )
            if self.rows and (not spec.shape or spec.shape[0] is not None):
                raise ArgumentError(
                    "an input cannot go to the device in batches",
                    where=spec.name,
                    expected="a first axis, the batch, that is None",
                    received=spec,
                    fix="pass rows=False where the first axis is no batch",
                )
        if self.rows is False and (self.prefix is not None or self.suffix is not None):
            raise ArgumentError("host graphs work on rows", received="rows=False", fix="leave prefix and suffix out")


def _pruned(prefix: HostGraph, inputs: tuple[TensorSpec, ...]) -> HostGraph:
    """Return the part of a prefix that makes the device inputs: one made for training also prepares the label."""
    missing = [spec.name for spec in inputs if spec.name not in prefix.outputs]
    if missing:
        raise ArgumentError(
            "the host prefix does not make an input of the function",
            expected=f"an output named {missing[0]!r}",
            received=", ".join(prefix.outputs),
        )
    pruned = prefix.prune([spec.name for spec in inputs])
    for wanted, made in zip(inputs, pruned.output_specs, strict=True):
        if not fits(made, wanted):
            raise ArgumentError(
                "the host prefix makes an input of the function in another form",
                where=wanted.name,
                expected=wanted,
                received=made,
                fix="cast it in the prefix, or change the input's spec",
            )
    return pruned


def fits(made: TensorSpec, wanted: TensorSpec) -> bool:
    """Return whether a value can stand for another: the same kind of number, and axes that do not contradict."""
    axes = zip(made.shape, wanted.shape, strict=False)
    return (
        _kind(made.dtype) == _kind(wanted.dtype)
        and len(made.shape) == len(wanted.shape)
        and all(have is None or want in (None, have) for have, want in axes)
    )


def _kind(dtype: str) -> str:
    return dtype.rstrip("0123456789").removeprefix("u").removeprefix("b")
