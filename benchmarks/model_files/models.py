"""The models, in Keras 3 whichever backend it has, with statistics and weights that are not those of a fresh model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def mlp(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((784,), name="x"), layers.Dense(512, "relu"), layers.Dense(512, "relu"), layers.Dense(10)]
    )


def bert(keras: Any) -> Any:
    """Return an encoder of 4 layers of 256 over 128 tokens."""
    layers = keras.layers
    ids = keras.Input((128,), dtype="int32", name="ids")
    x = layers.Embedding(8000, 256)(ids)
    for _ in range(4):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(8, 32)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(256)(layers.Dense(1024, "gelu")(x)))
    return keras.Model(ids, layers.Dense(3)(x[:, 0]))


def mobilenet(keras: Any) -> Any:
    return keras.applications.MobileNetV2(weights=None, classifier_activation=None)


def resnet50(keras: Any) -> Any:
    return keras.applications.ResNet50(weights=None, classifier_activation=None)


def embedding(keras: Any) -> Any:
    """Return a table of 1 GB with a small head."""
    layers = keras.layers
    ids = keras.Input((16,), dtype="int32", name="ids")
    return keras.Model(ids, layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Embedding(4_000_000, 64)(ids))))


MODELS: dict[str, Callable[[Any], Any]] = {
    "mlp": mlp,
    "bert": bert,
    "mobilenet": mobilenet,
    "resnet50": resnet50,
    "embedding": embedding,
}


def build(name: str, keras: Any) -> Any:
    """Return a model whose weights are the same whichever backend Keras has.

    Batch normalisations have statistics, for with fresh ones deep models give constants.
    """
    model = MODELS[name](keras)
    random = np.random.default_rng(1)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = layer.gamma.shape
            scale, variance = random.uniform(0.8, 1.6, size), random.uniform(0.3, 1.0, size)
            layer.set_weights([scale, random.normal(0, 0.2, size), random.normal(0, 0.2, size), variance])
            continue
        for weight in layer.weights:
            if len(weight.shape) > 1:
                spread = np.float32(np.prod(weight.shape[:-1]) ** -0.5)
                weight.assign(random.standard_normal(weight.shape, np.float32) * spread)
    return model


def batch(name: str, rows: int) -> Any:
    """Return an input of so many rows."""
    random = np.random.default_rng(2)
    if name in ("bert", "embedding"):
        most, length = (8000, 128) if name == "bert" else (4_000_000, 16)
        return random.integers(0, most, (rows, length)).astype(np.int32)
    shape = (784,) if name == "mlp" else (224, 224, 3)
    return random.uniform(-1, 1, (rows, *shape)).astype(np.float32)
