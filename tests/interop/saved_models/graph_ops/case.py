"""What a case of an operation is: its inputs and attributes by name, for real TensorFlow and for Mainstay."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """An operation with inputs and attributes.

    Args:
        op: The operation.
        values: Inputs (arrays, or lists of them) and attributes by their names.
        known: The inputs that are known before a program runs, such as shapes.
        rtol: The relative tolerance for floats.
        atol: The absolute tolerance for floats.
        derive: The name of a function of `derived` that makes what is compared of the results.
        modes: Where Mainstay computes it: ``numpy``, ``jit``.
        fails: Whether TensorFlow refuses it.
    """

    op: str
    values: dict[str, Any] = field(default_factory=dict)
    known: tuple[str, ...] = ()
    rtol: float = 1e-5
    atol: float = 1e-6
    derive: str | None = None
    modes: tuple[str, ...] = ("numpy", "jit")
    fails: bool = False


CASES: list[Case] = []


def case(op: str, known: str = "", **values: Any) -> None:
    """Add a case; names of options start with an underscore."""
    options = {name[1:]: values.pop(name) for name in list(values) if name.startswith("_")}
    CASES.append(Case(op, values, tuple(known.split()), **options))


def floats(*shape: int, seed: int = 0, dtype: Any = np.float32, low: float = -3, high: float = 3) -> np.ndarray:
    """Uniform numbers."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(dtype)


def integers(*shape: int, seed: int = 0, dtype: Any = np.int32, low: int = -9, high: int = 10) -> np.ndarray:
    """Uniform integers."""
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def complexes(*shape: int, seed: int = 0, dtype: Any = np.complex64) -> np.ndarray:
    """Complex numbers."""
    return (floats(*shape, seed=seed, dtype=np.float64) + 1j * floats(*shape, seed=seed + 1)).astype(dtype)


def i32(*numbers: Any) -> np.ndarray:
    """A vector of int32; of no axes for one number in no list."""
    return np.array(numbers[0] if len(numbers) == 1 else numbers, np.int32)


def i64(*numbers: Any) -> np.ndarray:
    """A vector of int64; of no axes for one number in no list."""
    return np.array(numbers[0] if len(numbers) == 1 else numbers, np.int64)


def f32(*numbers: Any) -> np.ndarray:
    """A vector of float32; of no axes for one number in no list."""
    return np.array(numbers[0] if len(numbers) == 1 else numbers, np.float32)


def uneven(width: int, dtype: Any = np.float32) -> np.ndarray:
    """Numbers with all that is special: zeros of both signs, halves, infinities and NaN."""
    special = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-30, 1e30, np.inf, -np.inf, np.nan]
    return np.resize(np.array(special, dtype), width)


def words(*texts: str | bytes) -> np.ndarray:
    """A vector of strings."""
    array = np.empty(len(texts), object)
    array[:] = [text.encode() if isinstance(text, str) else text for text in texts]
    return array
