"""The quotient that results of metrics are, as one compiled program instead of one for each of its operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from mainstay.framework.jax_internals import runs_eagerly
from mainstay.framework.kernels.switch import kernels_enabled


def divide_no_nan_with(plain: Callable[..., Any], as_array: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return Keras' `divide_no_nan`; where it is executed at once, its operations are compiled together."""
    together = jax.jit(plain)

    def divide_no_nan(x1: Any, x2: Any) -> Any:
        if not (kernels_enabled() and runs_eagerly()):
            return plain(x1, x2)
        return together(as_array(x1), as_array(x2))

    return divide_no_nan
