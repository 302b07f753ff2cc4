"""Keras layers train to the same numbers with the kernels and without them."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mainstay.keras as keras
from mainstay.framework import GradientTape, install_kernels, plain_kernels

install_kernels()
layers = keras.layers

IMAGE = (4, 8, 8, 3)
SEQUENCE = (4, 7, 6)

CASES = {
    "Conv2D": (lambda: layers.Conv2D(4, 3, padding="same", activation="relu"), IMAGE),
    "Conv2D-1x1": (lambda: layers.Conv2D(4, 1, strides=2), IMAGE),
    "Conv1D": (lambda: layers.Conv1D(4, 3, dilation_rate=2), SEQUENCE),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGE),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(5, 3, padding="same"), IMAGE),
    "MaxPooling2D": (lambda: layers.MaxPooling2D(), IMAGE),
    "AveragePooling2D": (lambda: layers.AveragePooling2D(3, 2, "same"), IMAGE),
    "BatchNormalization": (lambda: layers.BatchNormalization(), IMAGE),
    "LSTM": (lambda: layers.LSTM(5, return_sequences=True), SEQUENCE),
    "LSTM-large": (lambda: layers.LSTM(256, return_sequences=True), SEQUENCE),
    "LSTM-last": (lambda: layers.LSTM(256, use_bias=False), SEQUENCE),
    "LSTM-both-ways": (lambda: layers.Bidirectional(layers.LSTM(256, return_sequences=True)), SEQUENCE),
    "GRU": (lambda: layers.GRU(5), SEQUENCE),
    "MultiHeadAttention": (lambda: Attention(), SEQUENCE),
}


class Attention(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = layers.MultiHeadAttention(2, 4)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.inner(x, x, use_causal_mask=True, training=training)


def has_training(layer: Any) -> bool:
    return "training" in inspect.signature(layer.call).parameters


def trained(layer: Any, x: jax.Array) -> Any:
    """The output, the new state and the gradients of one training step."""

    def loss(variables: Any, x: jax.Array) -> Any:
        options = {"training": True} if has_training(layer) else {}
        output, state = layer.stateless_call(variables, layer.non_trainable_variables, x, **options)
        return jnp.sum(jnp.cos(output)), (output, state)

    variables = [variable.value for variable in layer.trainable_variables]
    compiled = jax.jit(
        jax.value_and_grad(loss, (0, 1), has_aux=True), compiler_options={"xla_backend_optimization_level": 0}
    )
    return compiled(variables, x)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_trains_to_the_same_numbers(name: str) -> None:
    make, shape = CASES[name]
    keras.utils.set_random_seed(1)
    layer = make()
    x = jnp.asarray(np.random.default_rng(2).standard_normal(shape).astype(np.float32))
    layer(x)
    ours = trained(layer, x)
    with plain_kernels():
        plain = trained(layer, x)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_whole_model_fits_to_the_same_weights() -> None:
    x = np.random.default_rng(3).standard_normal((16, 12, 12, 1)).astype(np.float32)
    y = np.arange(16) % 3

    def fitted() -> list[np.ndarray]:
        keras.utils.set_random_seed(4)
        model = keras.Sequential(
            [
                keras.Input((12, 12, 1)),
                layers.Conv2D(4, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.SeparableConv2D(6, 3, padding="same"),
                layers.BatchNormalization(),
                layers.Dropout(0.3),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        return [np.asarray(weight) for weight in model.get_weights()]

    ours = fitted()
    with plain_kernels():
        plain = fitted()
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_nested_tapes_go_through_the_kernels() -> None:
    layer = layers.DepthwiseConv2D(3)
    x = jnp.asarray(np.random.default_rng(5).standard_normal((1, 5, 5, 2)).astype(np.float32))
    layer(x)

    def second() -> Any:
        with GradientTape() as outer:
            outer.watch(x)
            with GradientTape() as inner:
                inner.watch(x)
                value = jnp.sum(jnp.sin(layer(x)))
            gradient = jnp.sum(inner.gradient(value, x) ** 2)
        return outer.gradient(gradient, x)

    ours = second()
    with plain_kernels():
        np.testing.assert_allclose(ours, second(), rtol=1e-4, atol=1e-5)
