"""What a row costs is counted from products and convolutions, in loops as often as they run."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from mainstay.saved_model.cost import multiplications

W = np.ones((4, 3), np.float32)
KERNEL = np.ones((3, 3, 4, 2), np.float32)


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        (lambda x: x @ W, "batch, 4", 12),
        (lambda x: jax.jit(lambda y: y @ W)(x), "batch, 4", 12),
        (lambda x: lax.scan(lambda h, _: (h @ W @ W.T, None), x, None, length=5)[0], "batch, 4", 5 * 24),
        (lambda x: lax.cond(x.sum() > 0, lambda y: y @ W, lambda y: (y * 2) @ W, x), "batch, 4", 24),
        (lambda x: jnp.tanh(x), "batch, 4", 0),
        (
            lambda x: lax.conv_general_dilated(x, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
            "batch, 8, 8, 4",
            8 * 8 * 2 * 3 * 3 * 4,
        ),
    ],
)
def test_multiplications_are_counted_per_row(function: Callable[..., Any], shape: str, expected: float) -> None:
    spec = jax.ShapeDtypeStruct(export.symbolic_shape(shape), np.float32)
    assert multiplications(jax.jit(function).trace(spec).jaxpr) == expected
