"""Models of every kind train on several devices as on one: convolutions, recurrence, attention, mixed precision."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from mainstay import keras
from mainstay.distribute import MirroredStrategy

RNG = np.random.default_rng(1)
IMAGES = RNG.random((16, 8, 8, 3), dtype="float32")
TOKENS = RNG.integers(0, 50, (16, 6)).astype("int32")
LABELS = RNG.integers(0, 3, 16).astype("int32")
layers = keras.layers


def convolutions() -> Any:
    inputs = keras.Input((8, 8, 3))
    hidden = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    hidden = layers.Activation("relu")(layers.BatchNormalization()(hidden))
    hidden = layers.MaxPooling2D()(layers.DepthwiseConv2D(3, padding="same")(hidden))
    hidden = layers.SpatialDropout2D(0.2)(layers.GaussianNoise(0.1)(layers.Conv2D(8, 1)(hidden)))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(hidden)))


def recurrence() -> Any:
    inputs = keras.Input((6,), dtype="int32")
    hidden = layers.LSTM(8)(layers.Embedding(50, 8, mask_zero=True)(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))


def attention() -> Any:
    inputs = keras.Input((6,), dtype="int32")
    tokens = layers.Embedding(50, 8)(inputs)
    hidden = layers.LayerNormalization()(tokens + layers.MultiHeadAttention(2, 4, dropout=0.1)(tokens, tokens))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling1D()(hidden)))


def trained(make: Callable[[], Any], x: np.ndarray, strategy: MirroredStrategy | None) -> tuple[Any, ...]:
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        keras.utils.set_random_seed(11)
        model = make()
        model.compile(keras.optimizers.SGD(0.1, clipnorm=1.0), "sparse_categorical_crossentropy")
    losses = [model.train_on_batch(x, LABELS) for _ in range(3)]
    return losses, [np.asarray(v.value) for v in model.weights]


@pytest.mark.parametrize(("make", "x"), [(convolutions, IMAGES), (recurrence, TOKENS), (attention, TOKENS)])
def test_a_model_trains_as_on_one_device(make: Callable[[], Any], x: np.ndarray) -> None:
    wanted, found = trained(make, x, None), trained(make, x, MirroredStrategy([f"cpu:{i}" for i in range(4)]))
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)
    scale = max(float(np.abs(array).max()) for array in wanted[1] if array.dtype.kind == "f")
    for ours, theirs in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * scale)


def test_in_double_precision_adam_differs_by_the_rounding_of_doubles() -> None:
    def train(count: int) -> list[np.ndarray]:
        with MirroredStrategy([f"cpu:{i}" for i in range(count)]).scope():
            keras.utils.set_random_seed(11)
            model = keras.Sequential([keras.Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
            model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(IMAGES[:, 0, 0], LABELS, batch_size=8, epochs=10, verbose=0)
        return [np.asarray(variable.value) for variable in model.weights]

    with jax.enable_x64(True):
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        try:
            for one, several in zip(train(1), train(8), strict=True):
                assert one.dtype == "float64"
                np.testing.assert_allclose(several, one, rtol=0, atol=1e-14)
        finally:
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")


def test_mixed_precision_keeps_its_loss_scale_on_every_device() -> None:
    strategy = MirroredStrategy()
    with strategy.scope():
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy")
        finally:
            keras.config.set_dtype_policy("float32")
    history = model.fit(IMAGES, LABELS, batch_size=16, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert strategy.placement is not None
    assert all(strategy.placement.holds(variable) for variable in model.optimizer.variables)
