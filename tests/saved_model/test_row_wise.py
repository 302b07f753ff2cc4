"""Row-wise functions are proven to be so; functions that mix rows are never."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from mainstay.saved_model.row_wise import batch_axes

KERNEL = np.ones((4, 3), np.float32)
IMAGE = np.ones((3, 3, 4, 2), np.float32)


def axes(function: Callable[..., Any], shape: str = "batch, 4", dtype: Any = np.float32) -> list[int | None] | None:
    spec = jax.ShapeDtypeStruct(export.symbolic_shape(shape), dtype)
    return batch_axes(jax.jit(function).trace(spec).jaxpr, [0])


def recurrent(x: Any) -> Any:
    return lax.scan(lambda h, t: (jnp.tanh(h + t), h), jnp.zeros(x.shape[0]), x.T)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: jax.nn.softmax(x @ KERNEL), [0]),
        (lambda x: x.T, [1]),
        (lambda x: x.sum(1), [0]),
        (lambda x: x.reshape(x.shape[0], 2, 2), [0]),
        (lambda x: jnp.concatenate([x, x * 2], 1)[:, 1:5], [0]),
        (lambda x: jnp.pad(x, ((0, 0), (1, 1))), [0]),
        (lambda x: lax.top_k(x, 2), [0, 0]),
        (lambda x: jnp.sort(x, 1)[:, ::-1], [0]),
        (lambda x: jnp.argmax(x, 1), [0]),
        (lambda x: jnp.where(jnp.signbit(x), x, 0.0), [0]),
        (lambda x: jnp.cumsum(x, 1), [0]),
        (lambda x: jnp.asarray(KERNEL)[x.astype(int)], [0]),
        (lambda x: jax.nn.one_hot(jnp.argmax(x, 1), 4), [0]),
        (lambda x: jnp.einsum("bi,bj->bij", x, x), [0]),
        (lambda x: jnp.zeros((x.shape[0], 2)) + x[:, :2], [0]),
        (lambda x: jax.vmap(lambda row: jnp.where(row > 0, row, -row))(x), [0]),
        (lambda x: jax.nn.gelu(x, approximate=False), [0]),
        (recurrent, [0, 1]),
        (lambda x: lax.fori_loop(0, 3, lambda _, v: v * 2, x), [0]),
        (lambda x: lax.cond(True, lambda v: v, lambda v: -v, x), [0]),
    ],
)
def test_a_function_that_keeps_rows_apart_is_proven(function: Callable[..., Any], expected: list[int]) -> None:
    assert axes(function) == expected


def test_convolutions_and_pooling_keep_images_apart() -> None:
    def network(x: Any) -> Any:
        y = lax.conv_general_dilated(x, IMAGE, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        y = lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return y.mean((1, 2))

    assert axes(network, "batch, 8, 8, 4") == [0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - x.mean(0),
        lambda x: x.mean(),
        lambda x: x[::-1],
        lambda x: x[1:],
        lambda x: jnp.cumsum(x, 0),
        lambda x: jnp.sort(x, 0),
        lambda x: x @ x.T,
        lambda x: x[:, None] - x[None, :],
        lambda x: x.reshape(-1),
        lambda x: jnp.concatenate([x, x]),
        lambda x: x + jnp.arange(x.shape[0])[:, None],
        lambda x: x / x.shape[0],
        lambda x: x[jnp.argsort(x[:, 0])],
        lambda x: jax.random.uniform(jax.random.key(0), x.shape),
        lambda x: lax.while_loop(lambda v: (v < 9).all(), lambda v: v + 1, x),
        lambda x: lax.cond(x.sum() > 0, lambda v: v, lambda v: -v, x),
        lambda x: x.at[0].set(1.0),
        lambda x: jnp.zeros((x.shape[0], x.shape[0])) + x.sum(1),
        lambda x: x[:, :, None] * jnp.ones((1, 1, x.shape[0])),
        lambda x: lax.scan(lambda h, t: (h + t, h), jnp.zeros(4), x)[1],
    ],
)
def test_a_function_that_mixes_rows_is_never_proven(function: Callable[..., Any]) -> None:
    found = axes(function)
    assert found is None or any(axis != 0 for axis in found)
