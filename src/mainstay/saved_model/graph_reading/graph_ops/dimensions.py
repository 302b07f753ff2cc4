"""Shape arithmetic: what operations do with sizes that are expressions of symbolic dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.values import Size, Value, is_symbolic


def on_device(value: Value, dtype: Any) -> Any:
    """Return a value as an array of JAX's; the sizes in a tensor of expressions become values of the program."""
    if is_symbolic(value):
        items = [jnp.asarray(item, dtype) for item in value.ravel().tolist()]
        return jnp.stack(items).reshape(value.shape)
    return jnp.asarray(value)


def product(sizes: Sequence[Size]) -> Size:
    """Return the product of sizes.

    Example:
        >>> product([2, 3])
        6
    """
    result: Size = 1
    for size in sizes:
        result = result * size
    return result


def scalar_size(size: Size, dtype: Any) -> np.ndarray[Any, Any]:
    """Return a size as a tensor without axes: of `dtype`, or of objects where it is symbolic."""
    if isinstance(size, int | np.integer):
        return np.asarray(size, dtype)
    result = np.empty((), object)
    result[()] = size
    return result
