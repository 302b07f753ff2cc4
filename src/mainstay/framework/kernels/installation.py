"""Puts the rewritten kernels behind Keras' layers and operations; the one file of kernels that touches `keras.src`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
from keras.src import backend
from keras.src.backend.jax.random import jax_draw_seed

from mainstay.framework.kernels.attention import attention_with
from mainstay.framework.kernels.contractions import einsum_with
from mainstay.framework.kernels.convolution import conv_with
from mainstay.framework.kernels.depthwise import depthwise_with
from mainstay.framework.kernels.dropout import dropout_with
from mainstay.framework.kernels.initial import filled_with, initialization_with, normal_with, uniform_with
from mainstay.framework.kernels.normalization import moments_with
from mainstay.framework.kernels.pooling import average_pool, max_pool, pooled
from mainstay.framework.kernels.products import matmul_with
from mainstay.framework.kernels.quotient import divide_no_nan_with
from mainstay.framework.kernels.recurrent import lstm_with
from mainstay.framework.kernels.softmax import softmax_with
from mainstay.framework.kernels.sorting import sort_with

_CONV = ("inputs", "kernel", "strides", "padding", "data_format", "dilation_rate")
_ATTENTION = (
    "query",
    "key",
    "value",
    "bias",
    "mask",
    "scale",
    "is_causal",
    "flash_attention",
    "attn_logits_soft_cap",
)
_LSTM = (
    "inputs",
    "initial_state_h",
    "initial_state_c",
    "mask",
    "kernel",
    "recurrent_kernel",
    "bias",
    "activation",
    "recurrent_activation",
    "return_sequences",
    "go_backwards",
    "unroll",
)
_NORMAL = ("shape", "mean", "stddev", "dtype", "seed")
_POOL = ("inputs", "pool_size", "strides", "padding", "data_format")
_image_format = keras.config.image_data_format
_float = keras.config.floatx

Replacement = tuple[ModuleType | type, str, tuple[str, ...], Callable[[Callable[..., Any]], Callable[..., Any]]]
"""A module or class of Keras, the name of a function in it, its parameters, and what makes ours from Keras' own."""

REPLACEMENTS: tuple[Replacement, ...] = (
    (backend.nn, "conv", _CONV, lambda plain: conv_with(plain, _image_format)),
    (backend.nn, "depthwise_conv", _CONV, lambda plain: depthwise_with(plain, _image_format)),
    (backend.nn, "max_pool", _POOL, lambda plain: pooled(plain, max_pool, _image_format)),
    (backend.nn, "average_pool", _POOL, lambda plain: pooled(plain, average_pool, _image_format)),
    (backend.nn, "dot_product_attention", _ATTENTION, attention_with),
    (backend.nn, "softmax", ("x", "axis"), softmax_with),
    (backend.numpy, "einsum", ("subscripts", "operands", "kwargs"), einsum_with),
    (backend.numpy, "matmul", ("x1", "x2"), matmul_with),
    (
        backend.numpy,
        "divide_no_nan",
        ("x1", "x2"),
        lambda plain: divide_no_nan_with(plain, backend.convert_to_tensor),
    ),
    (backend.numpy, "sort", ("x", "axis"), sort_with),
    (backend, "lstm", _LSTM, lambda plain: lstm_with(plain, keras.activations.tanh, keras.activations.sigmoid)),
    (backend.nn, "moments", ("x", "axes", "keepdims", "synchronized"), moments_with),
    (
        backend.random,
        "dropout",
        ("inputs", "rate", "noise_shape", "seed"),
        lambda plain: dropout_with(plain, jax_draw_seed),
    ),
    (backend.Variable, "_initialize_with_initializer", ("self", "initializer"), initialization_with),
    (backend.numpy, "zeros", ("shape", "dtype"), lambda plain: filled_with(plain, 0, _float)),
    (backend.numpy, "ones", ("shape", "dtype"), lambda plain: filled_with(plain, 1, _float)),
    (
        backend.random,
        "uniform",
        ("shape", "minval", "maxval", "dtype", "seed"),
        lambda plain: uniform_with(plain, jax_draw_seed, _float),
    ),
    (backend.random, "normal", _NORMAL, lambda plain: normal_with(plain, jax_draw_seed, _float, truncated=False)),
    (
        backend.random,
        "truncated_normal",
        _NORMAL,
        lambda plain: normal_with(plain, jax_draw_seed, _float, truncated=True),
    ),
)

_left_alone: set[str] = set()


def install_kernels() -> None:
    """Put the rewritten kernels behind Keras' layers and operations; a second call does nothing.

    A function of Keras whose parameters are not the expected ones is left as it is, with one warning.
    """
    for module, name, parameters, rewrite in REPLACEMENTS:
        plain = getattr(module, name, None)
        full_name = f"{module.__name__}.{name}"
        if full_name in _left_alone or getattr(plain, "plain_kernel", None) is not None:
            continue
        if plain is None or tuple(inspect.signature(plain).parameters) != parameters:
            _left_alone.add(full_name)
            warnings.warn(
                f"Keras {keras.__version__} defines {full_name} differently from what Mainstay knows; "
                "it is used as it is, which is right but slower on a CPU",
                stacklevel=2,
            )
            continue
        ours: Any = rewrite(plain)
        ours.plain_kernel = plain
        setattr(module, name, ours)
