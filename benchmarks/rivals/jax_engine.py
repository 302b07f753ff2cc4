"""JAX by hand: a jitted step whose parameters and Adam slots are donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rivals.cases import Case, batches, data
from rivals.jax_models import build
from rivals.worker import Clock


def alone(inputs: tuple[Any, ...]) -> Any:
    return inputs[0] if len(inputs) == 1 else inputs


class Engine:
    def __init__(self, case: Case, *, compiled: bool = True) -> None:
        self.case, self.random = case, np.random.default_rng(2)
        self.inputs, self.labels = data(case)
        self.resident = jax.device_put([(alone(inputs), labels) for inputs, labels in batches(case)])
        weights, state, apply = build(case)
        self.apply = in_bfloat16(apply) if case.mixed else apply
        slots = jax.tree.map(jnp.zeros_like, (weights, weights))
        self.trained = (weights, state, *slots, jnp.zeros((), jnp.int32), jax.random.key(0))
        self.train = jax.jit(partial(train_step, self.apply), donate_argnums=0)
        self.weights, self.state = jax.tree.map(jnp.copy, (weights, state))
        self.infer = jax.jit(lambda weights, state, inputs: self.apply(weights, state, inputs)[0])

    def parameters(self, task: str) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.weights))

    def flops(self) -> float:
        """Return the floating-point operations of a training step, counted before XLA optimizes it."""
        return float(self.train.lower(self.trained, *self.resident[0]).cost_analysis()["flops"])

    def fit(self, clock: Clock, epochs: int) -> None:
        clock.start()
        for _ in range(epochs):
            total = jnp.zeros(())
            for rows in self.random.permutation(len(self.labels)).reshape(-1, self.case.batch):
                inputs = alone(tuple(item[rows] for item in self.inputs))
                self.trained, loss = self.train(self.trained, inputs, self.labels[rows])
                total += loss
            float(total)
        clock.stop()

    def step(self, clock: Clock, steps: int) -> None:
        clock.start()
        for index in range(steps):
            self.trained, loss = self.train(self.trained, *self.resident[index % len(self.resident)])
        float(loss)
        clock.stop()

    def predict(self, clock: Clock, passes: int) -> None:
        clock.start()
        for _ in range(passes):
            answers = []
            for start in range(0, len(self.labels), self.case.batch):
                inputs = alone(tuple(item[start : start + self.case.batch] for item in self.inputs))
                answers.append(self.infer(self.weights, self.state, inputs))
            np.concatenate(answers)
        clock.stop()

    def call(self, clock: Clock, calls: int) -> None:
        clock.start()
        for index in range(calls):
            answer = self.infer(self.weights, self.state, self.resident[index % len(self.resident)][0])
        answer.block_until_ready()
        clock.stop()


def in_bfloat16(apply: Any) -> Any:
    """Compute in bfloat16 from float32 weights."""

    def narrow(value: jax.Array) -> jax.Array:
        return value.astype(jnp.bfloat16) if jnp.issubdtype(value.dtype, jnp.floating) else value

    def applied(weights: Any, state: Any, inputs: Any, key: Any = None) -> tuple[jax.Array, Any]:
        logits, after = apply(jax.tree.map(narrow, weights), state, jax.tree.map(narrow, inputs), key)
        return logits.astype(jnp.float32), after

    return applied


def train_step(apply: Any, trained: Any, inputs: Any, labels: jax.Array) -> tuple[Any, jax.Array]:
    weights, state, means, squares, count, key = trained
    key, used = jax.random.split(key)

    def lost(weights: Any) -> tuple[jax.Array, Any]:
        logits, after = apply(weights, state, inputs, used)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -chosen.mean(), after

    (loss, state), gradients = jax.value_and_grad(lost, has_aux=True)(weights)
    count += 1
    rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    means = jax.tree.map(lambda mean, gradient: mean + 0.1 * (gradient - mean), means, gradients)
    squares = jax.tree.map(lambda square, grad: square + 0.001 * (grad * grad - square), squares, gradients)
    weights = jax.tree.map(
        lambda weight, mean, square: weight - rate * mean / (jnp.sqrt(square) + 1e-7), weights, means, squares
    )
    return (weights, state, means, squares, count, key), loss
