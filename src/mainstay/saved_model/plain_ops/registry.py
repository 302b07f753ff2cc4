"""The registry of lowerings: for each of JAX's primitives the function that writes it as plain ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from mainstay.saved_model.plain_ops.values import Shape, Value


@dataclass(frozen=True, slots=True)
class Aval:
    """The dtype and the shape of a result."""

    dtype: np.dtype[Any]
    shape: Shape


@dataclass(frozen=True, slots=True)
class Equation:
    """One step of a program.

    Args:
        name: The name of its primitive.
        params: The parameters of its primitive.
        outputs: What its results look like.
        needed: Which of its results something depends on.
        gelu: Whether it is the `erfc` of a GELU, see `patterns`.
    """

    name: str
    params: Mapping[str, Any]
    outputs: tuple[Aval, ...]
    needed: tuple[bool, ...]
    gelu: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its first result."""
        return self.outputs[0].dtype

    @property
    def shape(self) -> Shape:
        """The shape of its first result."""
        return self.outputs[0].shape


Lowering: TypeAlias = "Callable[..., Value | Sequence[Value]]"
_Written = TypeVar("_Written", bound=Callable[..., Any])

_LOWERINGS: dict[str, Lowering] = {}


def lowering(*primitives: str) -> Callable[[_Written], _Written]:
    """Register a function ``(graph, equation, *inputs)`` as what writes these primitives."""

    def register(function: _Written) -> _Written:
        for name in primitives:
            _LOWERINGS[name] = function
        return function

    return register


def find(primitive: str) -> Lowering | None:
    """Return what writes a primitive, or None."""
    return _LOWERINGS.get(primitive)


def registered() -> tuple[str, ...]:
    """Return the names of all primitives that are registered so far."""
    return tuple(sorted(_LOWERINGS))
