"""Steps: the user's functions of one element, in order, and what they make of an element when called in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.data.structures import Structure
from mainstay.io import HostFunction, staged_calls


@dataclass(frozen=True, eq=False)
class Step:
    """A function of one element.

    Args:
        function: The function; a tuple is given to it as several arguments.
        is_filter: Whether it says which elements stay; else it makes new ones.
    """

    function: Callable[..., Any]
    is_filter: bool = False

    @property
    def name(self) -> str:
        """What it is called in reports and messages."""
        return f"{'filter' if self.is_filter else 'map'} {name_of(self.function)}"


def name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called in reports."""
    name = getattr(function, "__qualname__", None) or getattr(function, "name", None) or type(function).__name__
    return str(name).rsplit("<locals>.", 1)[-1]


def call(function: Callable[..., Any], element: Structure) -> Any:
    """Call a function as `tf.data` does: a tuple becomes several arguments, and a list that it returns a tuple."""
    result = function(*element) if type(element) is tuple else function(element)
    return tuple(result) if type(result) is list else result


class RowStage:
    """Makes the calls of host functions at once, each for one element."""

    def call(self, function: HostFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return what the call gives."""
        with staged_calls(None):
            return function.one(*args, **kwargs)


_ROW_STAGE = RowStage()


@contextmanager
def in_python(columns: Sequence[Any], *, wide: bool | None = None) -> Iterator[None]:
    """Let user's functions run on NumPy values: host functions take one element, and JAX keeps 64 bits.

    Args:
        columns: The columns that the values are taken from.
        wide: Whether JAX computes in 64 bits; None where that depends on whether a column has numbers of 64 bits.
    """
    if wide is None:
        wide = any(is_wide(column) for column in columns)
    # Small integers wrap around in TensorFlow without a word; NumPy would warn, though of scalars alone.
    with (
        staged_calls(_ROW_STAGE),
        scope(wide=wide) if "jax" in sys.modules else nullcontext(),
        np.errstate(over="ignore"),
    ):
        yield


@contextmanager
def scope(*, wide: bool) -> Iterator[None]:
    """Let JAX work on the CPU, in 32 or 64 bits, in this thread."""
    import jax

    with jax.enable_x64(wide), jax.default_device(cpu()):
        yield


def cpu() -> Any:
    """Return JAX' CPU; None where it was told to do without one."""
    import jax

    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


def is_number(column: Any) -> bool:
    """Return whether a column is one array of numbers or booleans, which JAX can take."""
    return isinstance(column, np.ndarray) and (column.dtype.kind in "biufc" or column.dtype.name == "bfloat16")


def is_wide(column: Any) -> bool:
    """Return whether a column has numbers of 64 bits."""
    return is_number(column) and column.dtype.name in ("int64", "uint64", "float64", "complex128")
