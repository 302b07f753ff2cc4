"""Activation functions of neural networks, their gradients, and losses on logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value

SELU_SCALE = 1.0507009873554804934193349852946
SELU_SCALE_ALPHA = 1.7580993408473768599402175208123


def selu(x: Any) -> Any:
    """Return the scaled exponential linear unit, with TensorFlow's constants."""
    return jnp.where(x < 0, SELU_SCALE_ALPHA * jnp.expm1(jnp.minimum(x, 0)), SELU_SCALE * x).astype(x.dtype)


def _relu6(x: Any) -> Any:
    return jnp.minimum(jnp.maximum(x, jnp.zeros((), x.dtype)), jnp.asarray(6, x.dtype))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "Relu": lambda x: jnp.maximum(x, jnp.zeros((), x.dtype)),
    "Relu6": _relu6,
    "Elu": jax.nn.elu,
    "Selu": selu,
    "Tanh": jnp.tanh,
    "Sigmoid": jax.nn.sigmoid,
    "Softplus": jax.nn.softplus,
    "Softsign": jax.nn.soft_sign,
    "GeluApproximate": lambda x: jax.nn.gelu(x, approximate=True),
    "GeluExact": lambda x: jax.nn.gelu(x, approximate=False),
}
"""The functions by the names that fused operations give them."""


def _register(name: str) -> None:
    function = ACTIVATIONS[name]

    @graph_op(name)
    def activation(_node: OpNode, x: Value) -> Value:
        """Apply an activation function to each element."""
        return function(jnp.asarray(x))


for _name in ("Relu", "Relu6", "Elu", "Selu", "Softplus", "Softsign"):
    _register(_name)


@graph_op("LeakyRelu")
def leaky_relu(node: OpNode, x: Value) -> Value:
    """Return positive elements as they are, and others times `alpha`."""
    x = jnp.asarray(x)
    return jnp.where(x > 0, x, x * jnp.asarray(node.attr("alpha", 0.2), x.dtype))


@graph_op("Softmax")
def softmax(_node: OpNode, x: Value) -> Value:
    """Return probabilities in proportion to the exponentials, along the last axis."""
    x = jnp.asarray(x)
    return _with_precision(x, lambda wide: jax.nn.softmax(wide, -1))


@graph_op("LogSoftmax")
def log_softmax(_node: OpNode, x: Value) -> Value:
    """Return the logarithms of `Softmax`."""
    x = jnp.asarray(x)
    return _with_precision(x, lambda wide: jax.nn.log_softmax(wide, -1))


def _with_precision(x: Any, function: Callable[[Any], Any]) -> Any:
    """Compute narrow floats in float32."""
    if x.dtype.itemsize < 4:
        return function(x.astype(jnp.float32)).astype(x.dtype)
    return function(x)


@graph_op("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(_node: OpNode, logits: Value, labels: Value) -> Value:
    """Return the cross entropy of each row with label probabilities, and its gradient."""
    logits, labels = jnp.broadcast_arrays(jnp.asarray(logits), jnp.asarray(labels))
    logarithms = jax.nn.log_softmax(logits, -1)
    return jnp.sum(-labels * logarithms, -1), jnp.exp(logarithms) - labels


@graph_op("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(_node: OpNode, logits: Value, labels: Value) -> Value:
    """Return the cross entropy of each row with the class that is its label, and its gradient."""
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    logarithms = jax.nn.log_softmax(logits, -1)
    chosen = labels[:, None] == jnp.arange(logits.shape[-1]).astype(labels.dtype)
    inside = (labels >= 0) & (labels < logits.shape[-1])
    nothing = jnp.asarray(jnp.nan, logits.dtype)
    loss = -jnp.sum(jnp.where(chosen, logarithms, 0), -1)
    gradient = jnp.exp(logarithms) - chosen.astype(logits.dtype)
    return jnp.where(inside, loss, nothing), jnp.where(inside[:, None], gradient, nothing)


_GRADIENTS: dict[str, Callable[[Any, Any], Any]] = {
    # The gradient first; then the argument, or the result for functions whose derivative follows from it.
    "ReluGrad": lambda gradient, x: jnp.where(x > 0, gradient, 0),
    "Relu6Grad": lambda gradient, x: jnp.where((x > 0) & (x < 6), gradient, 0),
    "EluGrad": lambda gradient, y: jnp.where(y < 0, gradient * (y + 1), gradient),
    "SeluGrad": lambda gradient, y: jnp.where(y < 0, gradient * (y + SELU_SCALE_ALPHA), gradient * SELU_SCALE),
    "SoftplusGrad": lambda gradient, x: gradient * jax.nn.sigmoid(x),
    "SoftsignGrad": lambda gradient, x: gradient / jnp.square(1 + jnp.abs(x)),
}


def _register_gradient(name: str) -> None:
    function = _GRADIENTS[name]

    @graph_op(name)
    def gradient(_node: OpNode, first: Value, second: Value) -> Value:
        """Return the gradient of an activation function."""
        first = jnp.asarray(first)
        return function(first, jnp.asarray(second)).astype(first.dtype)


for _name in _GRADIENTS:
    _register_gradient(_name)


@graph_op("LeakyReluGrad")
def leaky_relu_grad(node: OpNode, gradient: Value, x: Value) -> Value:
    """Return the gradient of `LeakyRelu`."""
    gradient = jnp.asarray(gradient)
    return jnp.where(x > 0, gradient, gradient * jnp.asarray(node.attr("alpha", 0.2), gradient.dtype))
