"""The models in Keras 3: what a user writes, whichever package `keras` comes from."""

from __future__ import annotations

from typing import Any

from rivals.cases import Case


def build(case: Case, keras: Any) -> Any:
    """Return the model of a case, which gives logits."""
    return {
        "mlp": mlp,
        "cnn": cnn,
        "resnet": resnet,
        "resnet50": resnet50,
        "wide_deep": wide_deep,
        "transformer": transformer,
        "lstm": lstm,
    }[case.architecture](keras, case.classes, **case.sizes)


def mlp(keras: Any, classes: int, *, inputs: int, hidden: int, dropout: float) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            layers.Dense(hidden, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(classes),
        ]
    )


def cnn(keras: Any, classes: int, *, side: int, filters: tuple[int, int], dropout: float) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((side, side, 1)),
            layers.Conv2D(filters[0], 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(filters[1], 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(classes),
        ]
    )


def resnet(keras: Any, classes: int, *, side: int, filters: tuple[int, int]) -> Any:
    layers = keras.layers

    def convolved(value: Any, channels: int, kernel: int = 3, strides: int = 1) -> Any:
        value = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False)(value)
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(value)

    def block(value: Any, channels: int, strides: int) -> Any:
        short = value if strides == 1 else convolved(value, channels, 1, strides)
        value = layers.ReLU()(convolved(value, channels, 3, strides))
        return layers.ReLU()(layers.Add()([short, convolved(value, channels)]))

    image = keras.Input((side, side, 3))
    value = layers.ReLU()(convolved(image, filters[0]))
    value = block(block(value, filters[0], 1), filters[1], 2)
    return keras.Model(image, layers.Dense(classes)(layers.GlobalAveragePooling2D()(value)))


def resnet50(keras: Any, classes: int, *, side: int, width: int, blocks: tuple[int, ...]) -> Any:
    layers = keras.layers

    def convolved(value: Any, channels: int, kernel: int, strides: int = 1) -> Any:
        value = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False)(value)
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(value)

    image = keras.Input((side, side, 3))
    value = layers.ReLU()(convolved(image, width, 7, 2))
    value = layers.MaxPooling2D(3, 2, padding="same")(value)
    for stage, count in enumerate(blocks):
        channels = width * 2**stage
        for index in range(count):
            strides = 2 if stage and not index else 1
            short = value if index else convolved(value, 4 * channels, 1, strides)
            value = layers.ReLU()(convolved(value, channels, 1))
            value = layers.ReLU()(convolved(value, channels, 3, strides))
            value = layers.ReLU()(layers.Add()([short, convolved(value, 4 * channels, 1)]))
    return keras.Model(image, layers.Dense(classes, dtype="float32")(layers.GlobalAveragePooling2D()(value)))


def wide_deep(
    keras: Any, classes: int, *, features: int, vocabulary: int, embedding: int, numbers: int, hidden: tuple[int, ...]
) -> Any:
    layers = keras.layers
    ids, values = keras.Input((features,), dtype="int32"), keras.Input((numbers,))
    wide = [layers.Embedding(vocabulary, classes)(ids[:, index]) for index in range(features)]
    deep = [layers.Embedding(vocabulary, embedding)(ids[:, index]) for index in range(features)]
    value = layers.Concatenate()([*deep, values])
    for units in hidden:
        value = layers.Dense(units, activation="relu")(value)
    return keras.Model([ids, values], layers.Add()([*wide, layers.Dense(classes)(value)]))


def transformer(
    keras: Any,
    classes: int,
    *,
    layers: int,
    length: int,
    vocabulary: int,
    width: int,
    heads: int,
    inner: int,
    dropout: float,
) -> Any:
    kinds = keras.layers

    class Positions(kinds.Layer):
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(length, width), initializer="random_normal", name="table")

        def call(self, value: Any) -> Any:
            return value + self.table

    tokens = keras.Input((length,), dtype="int32")
    value = Positions()(kinds.Embedding(vocabulary, width)(tokens))
    for _ in range(layers):
        normal = kinds.LayerNormalization(epsilon=1e-5)(value)
        attended = kinds.MultiHeadAttention(heads, width // heads, dropout=dropout)(normal, normal)
        value = kinds.Add()([value, kinds.Dropout(dropout)(attended)])
        normal = kinds.LayerNormalization(epsilon=1e-5)(value)
        wide = kinds.Dropout(dropout)(kinds.Dense(inner, activation="gelu")(normal))
        value = kinds.Add()([value, kinds.Dropout(dropout)(kinds.Dense(width)(wide))])
    return keras.Model(tokens, kinds.Dense(classes)(kinds.GlobalAveragePooling1D()(value)))


def lstm(keras: Any, classes: int, *, length: int, vocabulary: int, embedding: int, units: int) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(vocabulary, embedding),
            layers.LSTM(units),
            layers.Dense(classes),
        ]
    )
