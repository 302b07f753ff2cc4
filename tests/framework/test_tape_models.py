"""The gradients of a tape equal those of `jax.grad` on small models of every kind, eager and compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.framework import GradientTape, function

layers, ops = keras.layers, keras.ops
BATCH = 4


def mlp():
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu")(inputs)
    x = layers.Dense(8, activation="gelu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(3, kernel_regularizer="l2")(x))


def cnn():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu", padding="same")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same")(layers.MaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def attention():
    inputs = keras.Input((5, 8))
    x = layers.LayerNormalization()(inputs + layers.MultiHeadAttention(2, 4)(inputs, inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def lstm():
    inputs = keras.Input((5, 3))
    x = layers.GRU(4)(layers.LSTM(4, return_sequences=True)(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


def embedding():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Flatten()(layers.Embedding(10, 4)(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


MODELS = {"mlp": mlp, "cnn": cnn, "attention": attention, "lstm": lstm, "embedding": embedding}


@pytest.fixture(params=MODELS)
def case(request):
    """A model, a batch and the labels."""
    keras.utils.set_random_seed(3)
    model = MODELS[request.param]()
    generator = np.random.default_rng(0)
    [shape] = [tensor.shape[1:] for tensor in model.inputs]
    inputs = generator.normal(size=(BATCH, *shape)).astype("float32")
    if request.param == "embedding":
        inputs = generator.integers(0, 10, (BATCH, *shape))
    return model, inputs, generator.integers(0, 3, BATCH)


def loss_of(model, inputs, labels):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, model(inputs, training=True))
    return loss + sum(model.losses)


def by_grad(model, inputs, labels):
    values = [variable.value for variable in model.trainable_variables]

    def loss(values):
        with keras.StatelessScope(state_mapping=list(zip(model.trainable_variables, values, strict=True))):
            return loss_of(model, inputs, labels)

    return jax.jit(jax.grad(loss))(values)


def by_tape(model, inputs, labels):
    with GradientTape() as tape:
        loss = loss_of(model, inputs, labels)
    return tape.gradient(loss, model.trainable_variables)


def assert_at_ulp_scale(actual, expected):
    """As near as two orders of summation of float32 numbers are: relative to the largest gradient of the model."""
    scale = max(float(jnp.abs(gradient).max()) for gradient in expected)
    for first, second in zip(actual, expected, strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=8 * np.finfo(np.float32).eps * scale)


def test_an_eager_and_a_compiled_tape_agree_with_grad(case) -> None:
    model, inputs, labels = case
    expected = by_grad(model, inputs, labels)
    assert_at_ulp_scale(by_tape(model, inputs, labels), expected)
    assert_at_ulp_scale(function(lambda: by_tape(model, inputs, labels))(), expected)


def test_mixed_precision_gives_gradients_in_the_variables_dtype() -> None:
    layer = layers.Dense(3, dtype="mixed_bfloat16")
    inputs = np.ones((2, 4), "float32")
    with GradientTape() as tape:
        outputs = layer(inputs)
        loss = ops.sum(ops.cast(outputs, "float32"))
    assert outputs.dtype == "bfloat16"
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert [str(gradient.dtype) for gradient in gradients] == ["float32", "float32"]
    np.testing.assert_allclose(gradients[0], np.full((4, 3), 2.0))


def test_a_training_loop_learns_eagerly() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dropout(0.1), layers.Dense(1)])
    optimizer = keras.optimizers.Adam(0.05)
    inputs = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    losses = []
    for _ in range(12):
        with GradientTape() as tape:
            loss = ops.mean((model(inputs, training=True)[:, 0] - inputs.sum(1)) ** 2)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
