"""Keras' built-in layers at inference, and whole models of its applications, as cases for real TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mainstay import keras
from mainstay.framework import plain_kernels
from tests.interop.saved_models.plain.graphs import Case

L = keras.layers
RNG = np.random.default_rng(11)

Layers = dict[str, Callable[..., Any]]


def model_case(
    name: str, inputs: list[Any], outputs: list[Any], shapes: list[str], *, tolerance: float = 1e-5, sizes: Any = None
) -> Case:
    """A model's inference, with random weights: statistics of batches included."""
    model = keras.Model(inputs, outputs)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    split = len(model.trainable_variables)
    weights = [randomized(variable) for variable in variables]

    def function(*arrays: Any) -> Any:
        given = arrays[: len(weights)]
        with plain_kernels():
            made, _ = model.stateless_call(
                list(given[:split]), list(given[split:]), list(arrays[len(weights) :]), training=False
            )
        return made

    arrays = [example(tensor, sizes) for tensor in model.inputs]
    texts = [*(None for _ in weights), *shapes]
    return Case(name, function, [[*weights, *arrays]], texts, tolerance)


def randomized(variable: Any) -> np.ndarray:
    """A weight with content: what was initialised to one number gets different ones."""
    value = np.asarray(variable.value)
    if value.dtype.kind != "f" or value.size == 0 or np.ptp(value) > 0:
        return value
    if "variance" in variable.path or "gamma" in variable.path or "scale" in variable.path:
        return RNG.uniform(0.6, 1.5, value.shape).astype(value.dtype)
    return RNG.normal(0, 0.2, value.shape).astype(value.dtype)


def example(tensor: Any, sizes: Any) -> np.ndarray:
    """An input for a model."""
    free = iter(sizes or [3, 6, 6, 6])
    shape = [next(free) if size is None else size for size in tensor.shape]
    if "int" in str(tensor.dtype):
        return RNG.integers(0, 5, shape).astype(tensor.dtype)
    return RNG.normal(size=shape).astype(tensor.dtype)


def layer_group(name: str, layers: Layers, specs: list[tuple[tuple[Any, ...], str]], symbols: list[str]) -> Case:
    """Several layers on the same inputs, as one case."""
    inputs = [keras.Input(shape, dtype=dtype) for shape, dtype in specs]
    outputs: list[Any] = []
    for make in layers.values():
        made = make(*inputs)
        outputs += list(made) if isinstance(made, (list, tuple)) else [made]
    return model_case(name, inputs, outputs, symbols)


def groups() -> dict[str, tuple[Layers, list[tuple[tuple[Any, ...], str]], list[str]]]:
    """For each group its layers, the shapes and dtypes of its inputs, and their symbols."""
    flat: Layers = {
        "Dense": lambda x: L.Dense(3, "relu")(x),
        "EinsumDense": lambda x: L.EinsumDense("ab,bc->ac", output_shape=(5,), bias_axes="c")(x),
        "Dropout": lambda x: L.Dropout(0.5)(x),
        "AlphaDropout": lambda x: L.AlphaDropout(0.5)(x),
        "GaussianDropout": lambda x: L.GaussianDropout(0.5)(x),
        "GaussianNoise": lambda x: L.GaussianNoise(0.5)(x),
        "ActivityRegularization": lambda x: L.ActivityRegularization(0.5)(x),
        "Identity": lambda x: L.Identity()(x),
        "Lambda": lambda x: L.Lambda(lambda t: t * 2)(x),
        "RepeatVector": lambda x: L.RepeatVector(3)(x),
        "Reshape": lambda x: L.Reshape((2, -1))(x),
        "Flatten": lambda x: L.Flatten()(x),
        "Rescaling": lambda x: L.Rescaling(0.1, 2.0)(x),
        "Discretization": lambda x: L.Discretization([-1.0, 0.0, 0.5])(x),
        "Normalization": lambda x: L.Normalization(mean=np.arange(8.0), variance=np.arange(1.0, 9.0))(x),
        "SpectralNormalization": lambda x: L.SpectralNormalization(L.Dense(3))(x),
        "UnitNormalization": lambda x: L.UnitNormalization()(x),
        "ELU": lambda x: L.ELU()(x),
        "LeakyReLU": lambda x: L.LeakyReLU()(x),
        "PReLU": lambda x: L.PReLU()(x),
        "ReLU": lambda x: L.ReLU(2.0, 0.1, 0.2)(x),
        "Softmax": lambda x: L.Softmax()(x),
    }
    activations = [
        "relu",
        "relu6",
        "elu",
        "selu",
        "gelu",
        "silu",
        "softplus",
        "softsign",
        "sigmoid",
        "hard_sigmoid",
        "hard_silu",
        "tanh",
        "mish",
        "leaky_relu",
        "softmax",
        "log_softmax",
        "exponential",
        "linear",
        "celu",
        "glu",
        "hard_shrink",
        "hard_tanh",
        "log_sigmoid",
        "soft_shrink",
        "sparse_plus",
        "sparsemax",
        "squareplus",
        "tanh_shrink",
        "sparse_sigmoid",
    ]
    for word in activations:
        flat[f"Activation {word}"] = lambda x, word=word: L.Activation(word)(x)
    merging: Layers = {
        name: lambda x, y, name=name: getattr(L, name)()([x, y])
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    }
    merging |= {
        "Dot": lambda x, y: L.Dot(1)([x, y]),
        "Dot normalised": lambda x, y: L.Dot((2, 2), normalize=True)([x, y]),
        "Attention": lambda x, y: L.Attention(use_scale=True)([x, y]),
        "Attention causal": lambda x, y: L.Attention()([x, y], use_causal_mask=True),
        "AdditiveAttention": lambda x, y: L.AdditiveAttention()([x, y]),
        "MultiHeadAttention cross": lambda x, y: L.MultiHeadAttention(2, 4)(x, y),
    }
    sequences: Layers = {
        "LayerNormalization": lambda x: L.LayerNormalization()(x),
        "BatchNormalization": lambda x: L.BatchNormalization()(x),
        "RMSNormalization": lambda x: L.RMSNormalization()(x),
        "GroupNormalization": lambda x: L.GroupNormalization(2)(x),
        "MultiHeadAttention": lambda x: L.MultiHeadAttention(2, 4)(x, x),
        "MultiHeadAttention causal": lambda x: L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True),
        "GroupQueryAttention": lambda x: L.GroupQueryAttention(4, 4, 2)(x, x),
        "Permute": lambda x: L.Permute((2, 1))(x),
        "Masking": lambda x: L.Masking()(x),
        "SpatialDropout1D": lambda x: L.SpatialDropout1D(0.5)(x),
        "GlobalMaxPooling1D": lambda x: L.GlobalMaxPooling1D()(x),
        "GlobalAveragePooling1D": lambda x: L.GlobalAveragePooling1D()(x),
        "Conv1D": lambda x: L.Conv1D(5, 3, padding="same", activation="relu")(x),
        "Conv1D causal": lambda x: L.Conv1D(5, 3, padding="causal")(x),
        "ZeroPadding1D": lambda x: L.ZeroPadding1D(2)(x),
        "UpSampling1D": lambda x: L.UpSampling1D(2)(x),
        "EinsumDense": lambda x: L.EinsumDense("abc,cd->abd", output_shape=(None, 5))(x),
    }
    fixed: Layers = {
        "TimeDistributed": lambda x: L.TimeDistributed(L.Dense(3))(x),
        "SeparableConv1D": lambda x: L.SeparableConv1D(4, 3, strides=2, padding="same")(x),
        "DepthwiseConv1D": lambda x: L.DepthwiseConv1D(3, depth_multiplier=2)(x),
        "Conv1D dilated": lambda x: L.Conv1D(4, 3, dilation_rate=2)(x),
        "Conv1DTranspose": lambda x: L.Conv1DTranspose(4, 3, strides=2, padding="same")(x),
        "MaxPooling1D": lambda x: L.MaxPooling1D(2, padding="same")(x),
        "AveragePooling1D": lambda x: L.AveragePooling1D(2, padding="same")(x),
        "AdaptiveAveragePooling1D": lambda x: L.AdaptiveAveragePooling1D(3)(x),
        "AdaptiveMaxPooling1D": lambda x: L.AdaptiveMaxPooling1D(3)(x),
        "Cropping1D": lambda x: L.Cropping1D((1, 2))(x),
    }
    recurrent: Layers = {}
    for name in ("GRU", "LSTM", "SimpleRNN"):
        layer = getattr(L, name)
        recurrent[name] = lambda x, layer=layer: layer(4, return_sequences=True)(x)
        recurrent[f"{name} last"] = lambda x, layer=layer: layer(4, return_state=True)(x)
        recurrent[f"{name} masked"] = lambda x, layer=layer: layer(4, return_sequences=True)(L.Masking()(x))
        recurrent[f"Bidirectional {name}"] = lambda x, layer=layer: L.Bidirectional(layer(4, return_sequences=True))(x)
        recurrent[f"Bidirectional {name} masked"] = lambda x, layer=layer: L.Bidirectional(layer(4))(L.Masking()(x))
    recurrent["GRU before"] = lambda x: L.GRU(4, reset_after=False, go_backwards=True)(x)
    cells: Layers = {
        "RNN, StackedRNNCells, GRUCell, LSTMCell, SimpleRNNCell": lambda x: L.RNN(
            L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(4), L.SimpleRNNCell(2)])
        )(x),
        "GRU unrolled": lambda x: L.GRU(4, unroll=True)(x),
    }
    pictures: Layers = {
        "Conv2D": lambda x: L.Conv2D(6, 3, padding="same", activation="relu")(x),
        "Conv2D strided": lambda x: L.Conv2D(6, 3, strides=2, padding="same")(x),
        "Conv2D dilated": lambda x: L.Conv2D(6, 3, dilation_rate=2)(x),
        "Conv2D grouped": lambda x: L.Conv2D(6, 3, groups=2)(x),
        "Conv2DTranspose": lambda x: L.Conv2DTranspose(4, 3, strides=2, padding="same")(x),
        "Conv2DTranspose valid": lambda x: L.Conv2DTranspose(4, 3, strides=2)(x),
        "SeparableConv2D": lambda x: L.SeparableConv2D(4, 3, strides=2, padding="same")(x),
        "DepthwiseConv2D": lambda x: L.DepthwiseConv2D(3, depth_multiplier=2)(x),
        "DepthwiseConv2D dilated": lambda x: L.DepthwiseConv2D(3, dilation_rate=2)(x),
        "MaxPooling2D": lambda x: L.MaxPooling2D(2)(x),
        "MaxPooling2D same": lambda x: L.MaxPooling2D(3, 2, padding="same")(x),
        "AveragePooling2D": lambda x: L.AveragePooling2D(2)(x),
        "AveragePooling2D same": lambda x: L.AveragePooling2D(3, 2, padding="same")(x),
        "AdaptiveAveragePooling2D": lambda x: L.AdaptiveAveragePooling2D(3)(x),
        "AdaptiveMaxPooling2D": lambda x: L.AdaptiveMaxPooling2D(3)(x),
        "GlobalMaxPooling2D": lambda x: L.GlobalMaxPooling2D()(x),
        "GlobalAveragePooling2D": lambda x: L.GlobalAveragePooling2D()(x),
        "BatchNormalization": lambda x: L.BatchNormalization()(x),
        "LayerNormalization": lambda x: L.LayerNormalization()(x),
        "GroupNormalization": lambda x: L.GroupNormalization(2)(x),
        "SpatialDropout2D": lambda x: L.SpatialDropout2D(0.5)(x),
        "Cropping2D": lambda x: L.Cropping2D(((1, 2), (0, 1)))(x),
        "ZeroPadding2D": lambda x: L.ZeroPadding2D(((1, 2), (0, 1)))(x),
        "UpSampling2D": lambda x: L.UpSampling2D(2)(x),
        "UpSampling2D bilinear": lambda x: L.UpSampling2D(2, interpolation="bilinear")(x),
        "CenterCrop": lambda x: L.CenterCrop(4, 5)(x),
        "Resizing": lambda x: L.Resizing(5, 9)(x),
        "Resizing bicubic": lambda x: L.Resizing(5, 9, interpolation="bicubic")(x),
        "Resizing nearest": lambda x: L.Resizing(5, 9, interpolation="nearest")(x),
        "Resizing lanczos5": lambda x: L.Resizing(12, 9, interpolation="lanczos5")(x),
        "Resizing keeping the aspect": lambda x: L.Resizing(5, 9, crop_to_aspect_ratio=True)(x),
        "RandomCrop": lambda x: L.RandomCrop(4, 5)(x),
        "Solarization": lambda x: L.Solarization(value_range=(-3, 3))(x),
        "Flatten": lambda x: L.Flatten()(x),
    }
    volumes: Layers = {
        "Conv3D": lambda x: L.Conv3D(4, 2, padding="same", strides=2)(x),
        "Conv3DTranspose": lambda x: L.Conv3DTranspose(4, 2, strides=2)(x),
        "MaxPooling3D": lambda x: L.MaxPooling3D(2)(x),
        "AveragePooling3D": lambda x: L.AveragePooling3D(2, padding="same")(x),
        "AdaptiveAveragePooling3D": lambda x: L.AdaptiveAveragePooling3D(2)(x),
        "AdaptiveMaxPooling3D": lambda x: L.AdaptiveMaxPooling3D(2)(x),
        "GlobalMaxPooling3D": lambda x: L.GlobalMaxPooling3D()(x),
        "GlobalAveragePooling3D": lambda x: L.GlobalAveragePooling3D()(x),
        "SpatialDropout3D": lambda x: L.SpatialDropout3D(0.5)(x),
        "Cropping3D": lambda x: L.Cropping3D(1)(x),
        "ZeroPadding3D": lambda x: L.ZeroPadding3D(1)(x),
        "UpSampling3D": lambda x: L.UpSampling3D(2)(x),
    }
    films: Layers = {
        "ConvLSTM1D": lambda x: L.ConvLSTM1D(2, 3)(L.Reshape((3, 5, 8))(x)),
        "ConvLSTM2D": lambda x: L.ConvLSTM2D(2, 3)(x),
        "ConvLSTM3D": lambda x: L.ConvLSTM3D(2, 2)(L.Reshape((3, 5, 2, 2, 2))(x)),
    }
    words: Layers = {
        "Embedding": lambda i: L.Embedding(10, 4)(i),
        "ReversibleEmbedding": lambda i: L.ReversibleEmbedding(10, 4)(i),
        "Embedding masked, LSTM": lambda i: L.LSTM(3)(L.Embedding(10, 4, mask_zero=True)(i)),
        "Embedding masked, attention": lambda i: (lambda e: L.MultiHeadAttention(2, 4)(e, e))(
            L.Embedding(10, 4, mask_zero=True)(i)
        ),
        "Embedding masked, mean": lambda i: L.GlobalAveragePooling1D()(L.Embedding(10, 4, mask_zero=True)(i)),
    }
    categories: Layers = {
        f"CategoryEncoding {mode}": lambda i, mode=mode: L.CategoryEncoding(5, mode)(i)
        for mode in ("multi_hot", "count")
    }
    categories["CategoryEncoding one_hot"] = lambda i: L.CategoryEncoding(5, "one_hot")(i[:, :1])
    sounds: Layers = {
        "MelSpectrogram": lambda x: L.MelSpectrogram(fft_length=128, sequence_stride=64, num_mel_bins=16)(x),
        "STFTSpectrogram": lambda x: L.STFTSpectrogram(
            frame_length=64, frame_step=32, fft_length=64, expand_dims=False
        )(x[..., None]),
    }
    random = [
        "AugMix",
        "AutoContrast",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "CutMix",
        "RandAugment",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomZoom",
    ]
    arguments: dict[str, Any] = {
        "RandomBrightness": (0.2,),
        "RandomColorDegeneration": (0.2,),
        "RandomContrast": (0.2,),
        "RandomHue": (0.2,),
        "RandomPosterization": (4,),
        "RandomRotation": (0.2,),
        "RandomSaturation": (0.2,),
        "RandomSharpness": (0.2,),
        "RandomTranslation": (0.2, 0.2),
        "RandomZoom": (0.2,),
    }
    augmenting: Layers = {
        name: lambda x, name=name: getattr(L, name)(*arguments.get(name, ()))(x) for name in random if hasattr(L, name)
    }
    augmenting["Pipeline"] = lambda x: L.Pipeline([L.RandomFlip(), L.Rescaling(0.5)])(x)
    number = "float32"
    return {
        "flat": (flat, [((8,), number)], ["batch, 8"]),
        "merging": (merging, [((5, 4), number), ((5, 4), number)], ["batch, 5, 4", "batch, 5, 4"]),
        "sequences": (sequences, [((None, 8), number)], ["batch, n1, 8"]),
        "fixed": (fixed, [((9, 4), number)], ["batch, 9, 4"]),
        "recurrent": (recurrent, [((None, 3), number)], ["batch, n1, 3"]),
        "cells": (cells, [((5, 3), number)], ["batch, 5, 3"]),
        "pictures": (pictures, [((8, 8, 4), number)], ["batch, 8, 8, 4"]),
        "volumes": (volumes, [((6, 5, 4, 2), number)], ["batch, 6, 5, 4, 2"]),
        "films": (films, [((3, 5, 4, 2), number)], ["batch, 3, 5, 4, 2"]),
        "words": (words, [((None,), "int32")], ["batch, n1"]),
        "categories": (categories, [((4,), "int32")], ["batch, 4"]),
        "sounds": (sounds, [((512,), number)], ["batch, 512"]),
        "augmenting": (augmenting, [((8, 8, 3), number)], ["batch, 8, 8, 3"]),
    }


def layer_cases() -> list[Case]:
    """One case for each group."""
    keras.utils.set_random_seed(3)
    return [layer_group(f"layers_{name}", *group) for name, group in groups().items()]


WITHOUT_TENSORS = frozenset(
    [
        "FlaxLayer",
        "HashedCrossing",
        "Hashing",
        "InputLayer",
        "IntegerLookup",
        "JaxLayer",
        "Layer",
        "MaxNumBoundingBoxes",
        "StringLookup",
        "TFSMLayer",
        "TextVectorization",
        "TorchModuleWrapper",
        "Wrapper",
    ]
)
"""Layers that wrap other frameworks, are bases of layers, or take strings and tables, which is for host graphs."""

NOT_TRACEABLE = frozenset(["MixUp", "Equalization"])
"""Keras cannot trace the one for a symbolic batch, nor use the other in a Functional model."""


def encoder(tokens: Any) -> Any:
    """A small model of the form of BERT."""
    mask = keras.ops.not_equal(tokens, 0)
    positions = keras.ops.cumsum(keras.ops.ones_like(tokens), axis=1) - 1
    x = L.Embedding(50, 16)(tokens) + L.Embedding(64, 16)(positions)
    x = L.LayerNormalization(epsilon=1e-12)(x)
    for _ in range(2):
        attended = L.MultiHeadAttention(2, 8)(x, x, attention_mask=mask[:, None, :])
        x = L.LayerNormalization(epsilon=1e-12)(x + attended)
        inner = L.Dense(16)(L.Dense(32, lambda t: keras.activations.gelu(t, approximate=False))(x))
        x = L.LayerNormalization(epsilon=1e-12)(x + inner)
    return [x, L.Dense(3, "softmax")(L.Dense(16, "tanh")(x[:, 0]))]


APPLICATIONS = ("MobileNetV2", "MobileNetV3Small", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "encoder")


def application_cases(names: tuple[str, ...] = APPLICATIONS) -> list[Case]:
    """Models of `keras.applications` on small pictures, and an encoder of text."""
    keras.utils.set_random_seed(4)
    plain: dict[str, Any] = {"input_shape": (32, 32, 3), "classes": 7, "classifier_activation": None}
    found = []
    for name in names:
        if name == "encoder":
            tokens = keras.Input((None,), dtype="int32")
            found.append(model_case("model_encoder", [tokens], encoder(tokens), ["batch, n1"], sizes=[3, 7]))
            continue
        further = {"alpha": 0.35} if name == "MobileNetV2" else {}
        model = getattr(keras.applications, name)(weights=None, **plain, **further)
        found.append(model_case(f"model_{name}", model.inputs, [model.outputs[0]], ["batch, 32, 32, 3"]))
    return found
