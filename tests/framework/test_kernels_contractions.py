"""`einsum` with a matrix gives what Keras' own gives; other equations are Keras' own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.framework import install_kernels, plain_kernels

install_kernels()


def noise(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def program(equation: str, *operands: Any) -> str:
    return str(jax.make_jaxpr(lambda *items: keras.ops.einsum(equation, *items))(*operands))


def derivatives(equation: str, x: jax.Array, matrix: jax.Array) -> Any:
    def loss(x: jax.Array, matrix: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(keras.ops.einsum(equation, x, matrix)))

    def twice(x: jax.Array, matrix: jax.Array) -> jax.Array:
        return sum(jnp.sum(jnp.cos(item)) for item in jax.grad(loss, (0, 1))(x, matrix))

    moved = jax.jvp(loss, (x, matrix), (jnp.cos(x), jnp.cos(matrix)))
    return jax.value_and_grad(loss, (0, 1))(x, matrix), moved, jax.grad(twice, (0, 1))(x, matrix)


@pytest.mark.parametrize(
    ("equation", "shape"), [("abc,cd->abd", (2, 3, 4)), ("a b c d , d z -> a b c z", (2, 1, 3, 4))], ids=str
)
def test_a_contraction_with_a_matrix_equals_keras_own(equation: str, shape: Any) -> None:
    operands = noise(1, *shape), noise(2, 4, 5)
    assert "reshape" in program(equation, *operands)
    ours = derivatives(equation, *operands)
    batched = jax.vmap(lambda x: keras.ops.einsum(equation, x, operands[1]))(noise(3, 2, *shape))
    with plain_kernels():
        plain = derivatives(equation, *operands)
        expected = jax.vmap(lambda x: keras.ops.einsum(equation, x, operands[1]))(noise(3, 2, *shape))
    for one, other in zip(jax.tree.leaves((ours, batched)), jax.tree.leaves((plain, expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ab,bc->ac", ((3, 4), (4, 5))),
        ("abc,cde->abde", ((2, 3, 4), (4, 2, 3))),
        ("abc,dc->abd", ((2, 3, 4), (5, 4))),
        ("abc,cd->adb", ((2, 3, 4), (4, 5))),
        ("abb,bd->abd", ((2, 3, 3), (3, 5))),
        ("abc,ca->aba", ((2, 3, 4), (4, 2))),
        ("...c,cd->...d", ((2, 3, 4), (4, 5))),
        ("abc,cd->abd", ((2, 3, 1), (4, 5))),
        ("abc,cd->abd", ((0, 3, 4), (4, 5))),
    ],
    ids=str,
)
def test_other_contractions_are_keras_own(equation: str, shapes: Any) -> None:
    operands = [noise(4, *shape) for shape in shapes]

    def outcome() -> str:
        try:
            return program(equation, *operands)
        except (TypeError, ValueError) as error:
            return str(error)

    ours = outcome()
    with plain_kernels():
        assert outcome() == ours


def test_short_floats_and_layers_are_as_in_keras() -> None:
    short = noise(5, 2, 3, 4).astype(jnp.bfloat16), noise(6, 4, 5).astype(jnp.bfloat16)
    ours = program("abc,cd->abd", *short)
    with plain_kernels():
        assert program("abc,cd->abd", *short) == ours
    layer = keras.layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")
    x = noise(7, 2, 3, 4)
    output = layer(x)
    with plain_kernels():
        np.testing.assert_allclose(output, layer(x), rtol=2e-5, atol=2e-5)
