"""Inputs that reach the edges, and the shapes at which cases are traced."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from tests.interop.saved_models.plain.graphs import Case

RNG = np.random.default_rng(7)
EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-8, 1e8, 3.4e38], np.float32)
INTEGERS = {
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
}
FLOATS = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def integers(low: int, high: int, *shape: int, dtype: Any = np.int32) -> np.ndarray:
    return RNG.integers(low, high, shape).astype(dtype)


def rows(
    name: str, function: Callable[..., Any], *arrays: np.ndarray, tolerance: float = 1e-5, x64: bool = False
) -> Case:
    """A case whose arrays have a symbolic first axis, also run with an empty batch."""
    texts = [", ".join(["batch", *map(str, array.shape[1:])]) + "," for array in arrays]
    return Case(name, function, [list(arrays), [array[:0] for array in arrays]], texts, tolerance, x64)


def free(name: str, function: Callable[..., Any], *arrays: np.ndarray, tolerance: float = 1e-5) -> Case:
    """A case whose arrays have symbolic first and second axes, run at two sizes."""
    texts = [", ".join(["batch", "n1", *map(str, array.shape[2:])]) for array in arrays]
    return Case(
        name, function, [list(arrays), [array[:2, : (array.shape[1] + 1) // 2] for array in arrays]], texts, tolerance
    )
