"""Values of a program that is being written: a node's output with the shape that JAX knows it by.

A value may be stored smaller than it is. TensorFlow's elementwise ops broadcast by themselves, so that what JAX
spells out, a bias repeated for every row, stays the bias until an op needs it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.saved_model.graph_writing.functions import Ref

Dimension: TypeAlias = Any
"""A length: an int, or an expression of symbols as `jax.export` has it."""

Shape: TypeAlias = tuple[Dimension, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An array of the program.

    Args:
        dtype: Its dtype.
        shape: Its shape.
        stored: The shape in which it is there, which broadcasts to `shape`.
        ref: The tensor that holds it; None for a constant that is not written yet.
        known: Its content as far as stored, where that does not depend on any input.
    """

    dtype: np.dtype[Any]
    shape: Shape
    stored: Shape
    ref: Ref | None
    known: np.ndarray[Any, Any] | None = None


class NotPlainError(Exception):
    """There is no plain op for an equation; the message says why."""


def constant(array: Any, shape: Sequence[Dimension] | None = None) -> Value:
    """Return a value that is known now, broadcast to `shape`."""
    known = np.asarray(array)
    return Value(known.dtype, known.shape if shape is None else tuple(shape), known.shape, None, known)


def is_static(shape: Sequence[Dimension]) -> bool:
    """Return whether every length is a number."""
    return all(isinstance(size, int) for size in shape)


def same(one: Dimension, other: Dimension) -> bool:
    """Return whether two lengths are certainly equal."""
    if isinstance(one, int) or isinstance(other, int):
        return isinstance(one, int) and isinstance(other, int) and one == other
    return str(one) == str(other)


def same_shape(one: Sequence[Dimension], other: Sequence[Dimension]) -> bool:
    """Return whether two shapes are certainly equal."""
    return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))


def product(sizes: Sequence[Dimension]) -> Dimension:
    """Return how many elements there are."""
    total: Dimension = 1
    for size in sizes:
        total = total * size
    return total


def is_one(size: Dimension) -> bool:
    """Return whether a length is the number one."""
    return isinstance(size, int) and size == 1


def without_leading_ones(shape: Sequence[Dimension]) -> Shape:
    """Return a shape without the ones in front, which broadcasting adds by itself."""
    start = 0
    while start < len(shape) and is_one(shape[start]):
        start += 1
    return tuple(shape[start:])


def plain_shape(shape: Sequence[Dimension]) -> Shape:
    """Return a shape with Python's integers where it has numbers."""
    return tuple(int(size) if isinstance(size, (int, np.integer)) else size for size in shape)


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape that arrays which broadcast to one shape have together."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if not is_one(size)), 1) for sizes in zip(*padded, strict=True))


DTYPES = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
)
"""The dtypes that TensorFlow's kernels take."""


def is_float(dtype: np.dtype[Any]) -> bool:
    """Return whether values of a dtype are real numbers with a fraction."""
    return dtype.kind == "f" or dtype.name == "bfloat16"
