"""NumPy arrays on their way to JAX: they become ours, and integers that JAX would change unsaid are refused."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from mainstay.core import ArgumentError


def owned(value: Any) -> Any:
    """Return a value that its caller cannot change any more: a copy of a NumPy array, and anything else as it is.

    XLA reads a NumPy array where it lies, and may do so after the call has returned, when the caller fills it anew.

    Raises:
        ArgumentError: It holds integers that JAX would change.
    """
    if not isinstance(value, np.ndarray):
        return value
    _refuse_wide_integers(value)
    return value.copy()


def _refuse_wide_integers(array: np.ndarray[Any, Any]) -> None:
    """Refuse an array of 64-bit integers that JAX would wrap around to 32 bits."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or not array.size:
        return
    held: np.dtype[Any] = jax.dtypes.canonicalize_dtype(array.dtype)
    if held == array.dtype:
        return
    limits = np.iinfo(held)
    least, most = array.min(), array.max()
    if least < limits.min or most > limits.max:
        raise ArgumentError(
            f"integers of 64 bits do not fit into the {limits.dtype} that JAX holds them as",
            expected=f"{limits.min} to {limits.max}",
            received=int(most if most > limits.max else least),
            fix='hash or number them first, or call jax.config.update("jax_enable_x64", True) at the start',
        )
