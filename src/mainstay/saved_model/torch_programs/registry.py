"""The registry of PyTorch's operators that are known: each a function of JAX arrays, numbers and lists.

Names are those of ATen, as they stand in an exported program: ``aten.addmm`` stands for all its overloads,
``aten.div.Tensor_mode`` for one of them. Arguments are ATen's, by position and by keyword; dtypes come as NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Operator = Callable[..., Any]

_OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Register a function under the names of operators."""

    def register(function: Operator) -> Operator:
        for name in names:
            _OPERATORS[name] = function
        return function

    return register


def find_operator(target: str) -> Operator | None:
    """Return the function of an operator such as ``aten.add.Tensor``: that of the overload, or of all overloads."""
    _load()
    return _OPERATORS.get(target) or _OPERATORS.get(target.rpartition(".")[0])


def operator_names() -> tuple[str, ...]:
    """Return the names of all operators that are known, sorted."""
    _load()
    return tuple(sorted(_OPERATORS))


def _load() -> None:
    """Import the modules that register operators; they need JAX."""
    from mainstay.saved_model.torch_programs import (  # noqa: F401
        creation,
        elementwise,
        indexing,
        layers,
        pooling,
        products,
        reductions,
        shapes,
    )
