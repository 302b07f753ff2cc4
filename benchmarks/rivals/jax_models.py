"""The models in JAX by hand: pure functions of parameters, state and a key. They show what Keras costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rivals.cases import Case

Tree = dict[str, Any]


def build(case: Case) -> tuple[Tree, Tree, Callable[..., tuple[jax.Array, Tree]]]:
    """Return parameters, state and `apply(parameters, state, inputs, key)`; without a key it infers."""
    init, apply = {
        "mlp": (mlp_weights, mlp),
        "cnn": (cnn_weights, cnn),
        "resnet": (resnet_weights, resnet),
        "resnet50": (resnet50_weights, resnet50),
        "wide_deep": (wide_deep_weights, wide_deep),
        "transformer": (transformer_weights, transformer),
        "lstm": (lstm_weights, lstm),
    }[case.architecture]
    parameters, state = init(Weights(), case.classes, case.sizes)

    def applied(parameters: Tree, state: Tree, inputs: Any, key: Any = None) -> tuple[jax.Array, Tree]:
        return apply(parameters, state, inputs, key, case.sizes)

    return parameters, state, applied


class Weights:
    """Draws seeded weights."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(1)

    def normal(self, *shape: int, scale: float | None = None) -> jax.Array:
        scale = scale if scale is not None else float(np.sqrt(2.0 / np.prod(shape[:-1])))
        return jnp.asarray(self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def dense(self, before: int, after: int) -> Tree:
        return {"kernel": self.normal(before, after), "bias": jnp.zeros(after)}

    def norm(self, width: int) -> Tree:
        return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}


def dense(layer: Tree, value: jax.Array) -> jax.Array:
    return value @ layer["kernel"] + layer["bias"]


def dropped(value: jax.Array, rate: float, key: Any, fold: int = 0) -> jax.Array:
    if key is None:
        return value
    keep = jax.random.bernoulli(jax.random.fold_in(key, fold), 1 - rate, value.shape)
    return jnp.where(keep, value / (1 - rate), 0.0)


def conv(kernel: jax.Array, value: jax.Array, padding: str = "SAME", strides: int = 1) -> jax.Array:
    return jax.lax.conv_general_dilated(
        value, kernel, (strides, strides), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def pooled(value: jax.Array, size: int = 2, padding: str = "VALID") -> jax.Array:
    return jax.lax.reduce_window(value, -jnp.inf, jax.lax.max, (1, size, size, 1), (1, 2, 2, 1), padding)


def mlp_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    hidden = weights.dense(sizes["inputs"], sizes["hidden"])
    return {"hidden": hidden, "head": weights.dense(sizes["hidden"], classes)}, {}


def mlp(weights: Tree, state: Tree, image: jax.Array, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    hidden = dropped(jax.nn.relu(dense(weights["hidden"], image)), sizes["dropout"], key)
    return dense(weights["head"], hidden), state


def cnn_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    first, second = sizes["filters"]
    left = ((sizes["side"] - 2) // 2 - 2) // 2
    return {
        "first": {"kernel": weights.normal(3, 3, 1, first), "bias": jnp.zeros(first)},
        "second": {"kernel": weights.normal(3, 3, first, second), "bias": jnp.zeros(second)},
        "head": weights.dense(left * left * second, classes),
    }, {}


def cnn(weights: Tree, state: Tree, value: jax.Array, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    for name in ("first", "second"):
        value = pooled(jax.nn.relu(conv(weights[name]["kernel"], value, "VALID") + weights[name]["bias"]))
    return dense(weights["head"], dropped(value.reshape(len(value), -1), sizes["dropout"], key)), state


def resnet_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    few, many = sizes["filters"]
    shapes = {
        "stem": (3, 3, 3, few),
        "a1": (3, 3, few, few),
        "a2": (3, 3, few, few),
        "short": (1, 1, few, many),
        "b1": (3, 3, few, many),
        "b2": (3, 3, many, many),
    }
    parameters, state = normalized_convolutions(weights, shapes)
    return parameters | {"head": weights.dense(many, classes)}, state


def normalized_convolutions(weights: Weights, shapes: dict[str, tuple[int, ...]]) -> tuple[Tree, Tree]:
    parameters = {name: {"kernel": weights.normal(*shape)} | weights.norm(shape[-1]) for name, shape in shapes.items()}
    return parameters, {name: (jnp.zeros(shape[-1]), jnp.ones(shape[-1])) for name, shape in shapes.items()}


def convolver(weights: Tree, state: Tree, after: Tree, *, training: bool) -> Callable[..., jax.Array]:
    """Return a convolution with batch normalization by name, which leaves its new state in `after`."""

    def convolved(name: str, value: jax.Array, strides: int = 1) -> jax.Array:
        layer = weights[name]
        value = conv(layer["kernel"], value, strides=strides)
        mean, variance = state[name]
        if training:
            wide = value.astype(jnp.float32)
            old, (mean, variance) = state[name], (wide.mean((0, 1, 2)), wide.var((0, 1, 2)))
            after[name] = (0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * variance)
        scale = layer["scale"] * jax.lax.rsqrt(variance + 1e-5)
        return (value * scale + (layer["bias"] - mean * scale)).astype(value.dtype)

    return convolved


def resnet(weights: Tree, state: Tree, value: jax.Array, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    after: Tree = {}
    convolved = convolver(weights, state, after, training=key is not None)
    value = jax.nn.relu(convolved("stem", value))
    value = jax.nn.relu(value + convolved("a2", jax.nn.relu(convolved("a1", value))))
    value = jax.nn.relu(convolved("short", value, 2) + convolved("b2", jax.nn.relu(convolved("b1", value, 2))))
    return dense(weights["head"], value.mean((1, 2))), after


def resnet50_blocks(sizes: Tree) -> Iterator[tuple[str, int, int]]:
    """Give the name, the channels and the strides of each block."""
    for stage, count in enumerate(sizes["blocks"]):
        for index in range(count):
            yield f"{stage}.{index}", sizes["width"] * 2**stage, 2 if stage and not index else 1


def resnet50_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    before = sizes["width"]
    shapes = {"stem": (7, 7, 3, before)}
    for name, channels, _ in resnet50_blocks(sizes):
        if name.endswith(".0"):
            shapes[f"{name} short"] = (1, 1, before, 4 * channels)
        shapes[f"{name} first"] = (1, 1, before, channels)
        shapes[f"{name} middle"] = (3, 3, channels, channels)
        shapes[f"{name} last"] = (1, 1, channels, 4 * channels)
        before = 4 * channels
    parameters, state = normalized_convolutions(weights, shapes)
    return parameters | {"head": weights.dense(before, classes)}, state


def resnet50(weights: Tree, state: Tree, value: jax.Array, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    after: Tree = {}
    convolved = convolver(weights, state, after, training=key is not None)
    value = pooled(jax.nn.relu(convolved("stem", value, 2)), 3, "SAME")
    for name, _, strides in resnet50_blocks(sizes):
        short = convolved(f"{name} short", value, strides) if name.endswith(".0") else value
        value = jax.nn.relu(convolved(f"{name} first", value))
        value = jax.nn.relu(convolved(f"{name} middle", value, strides))
        value = jax.nn.relu(short + convolved(f"{name} last", value))
    return dense(weights["head"], value.mean((1, 2))), after


def wide_deep_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    vocabulary, width = sizes["vocabulary"], sizes["embedding"]
    widths = (sizes["features"] * width + sizes["numbers"], *sizes["hidden"], classes)
    return {
        "wide": [weights.normal(vocabulary, classes, scale=0.05) for _ in range(sizes["features"])],
        "deep": [weights.normal(vocabulary, width, scale=0.05) for _ in range(sizes["features"])],
        "layers": [weights.dense(before, after) for before, after in pairwise(widths)],
    }, {}


def wide_deep(weights: Tree, state: Tree, inputs: Any, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    ids, numbers = inputs
    value = jnp.concatenate([table[ids[:, i]] for i, table in enumerate(weights["deep"])] + [numbers], axis=1)
    for layer in weights["layers"][:-1]:
        value = jax.nn.relu(dense(layer, value))
    return sum(table[ids[:, i]] for i, table in enumerate(weights["wide"])) + dense(weights["layers"][-1], value), state


def transformer_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    width, inner = sizes["width"], sizes["inner"]
    return {
        "tokens": weights.normal(sizes["vocabulary"], width, scale=0.05),
        "positions": weights.normal(sizes["length"], width, scale=0.05),
        "head": weights.dense(width, classes),
        "layers": [
            {
                "norms": [weights.norm(width), weights.norm(width)],
                "qkv": weights.dense(width, 3 * width),
                "out": weights.dense(width, width),
                "wide": weights.dense(width, inner),
                "narrow": weights.dense(inner, width),
            }
            for _ in range(sizes["layers"])
        ],
    }, {}


def normalized(layer: Tree, value: jax.Array) -> jax.Array:
    wide = value.astype(jnp.float32)
    mean = wide.mean(-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(-1, keepdims=True)
    return ((wide - mean) * jax.lax.rsqrt(variance + 1e-5) * layer["scale"] + layer["bias"]).astype(value.dtype)


def transformer(weights: Tree, state: Tree, tokens: jax.Array, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    value, heads, rate = weights["tokens"][tokens] + weights["positions"], sizes["heads"], sizes["dropout"]
    batch, length, width = value.shape
    for index, layer in enumerate(weights["layers"]):
        qkv = dense(layer["qkv"], normalized(layer["norms"][0], value)).reshape(batch, length, 3, heads, -1)
        scores = jnp.einsum("bqhd,bkhd->bhqk", qkv[:, :, 0], qkv[:, :, 1]) / np.sqrt(width // heads)
        shares = dropped(jax.nn.softmax(scores), rate, key, 4 * index)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, qkv[:, :, 2]).reshape(batch, length, width)
        value = value + dropped(dense(layer["out"], mixed), rate, key, 4 * index + 1)
        hidden = jax.nn.gelu(dense(layer["wide"], normalized(layer["norms"][1], value)), approximate=False)
        hidden = dropped(hidden, rate, key, 4 * index + 2)
        value = value + dropped(dense(layer["narrow"], hidden), rate, key, 4 * index + 3)
    return dense(weights["head"], value.mean(1)), state


def lstm_weights(weights: Weights, classes: int, sizes: Tree) -> tuple[Tree, Tree]:
    width, units = sizes["embedding"], sizes["units"]
    return {
        "tokens": weights.normal(sizes["vocabulary"], width, scale=0.05),
        "inputs": weights.dense(width, 4 * units),
        "recurrent": weights.normal(units, 4 * units),
        "head": weights.dense(units, classes),
    }, {}


def lstm(weights: Tree, state: Tree, tokens: jax.Array, key: Any, sizes: Tree) -> tuple[jax.Array, Tree]:
    gates = dense(weights["inputs"], weights["tokens"][tokens]).transpose(1, 0, 2)

    def step(carry: Any, gate: jax.Array) -> tuple[Any, None]:
        hidden, cell = carry
        enter, forget, new, leave = jnp.split(gate + hidden @ weights["recurrent"], 4, axis=1)
        cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(new)
        return (jax.nn.sigmoid(leave) * jnp.tanh(cell), cell), None

    start = jnp.zeros((len(tokens), sizes["units"]))
    (hidden, _), _ = jax.lax.scan(step, (start, start), gates)
    return dense(weights["head"], hidden), state
