"""What a call of `mainstay.function` costs beyond a hand-written `jax.jit` step with donated state.

    python benchmarks/function_overhead.py            # 30 interleaved rounds
    python benchmarks/function_overhead.py --rounds 100

Each row is the same computation twice: once as a function over Keras variables that nobody lists, once as a pure
function of a list of arrays that `jax.jit` donates and the caller carries from step to step. The two take turns within
each round, and the ratio is that of their medians. The target is 1.5.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import mainstay as tf

Step = Callable[[], object]


def counters(number: int) -> tuple[Step, Step]:
    """Return steps that add a number to some scalars: next to no work, so that the call is what is measured."""
    x = jnp.float32(1)
    variables = [tf.Variable(float(index)) for index in range(number)]

    @tf.function
    def step(x):
        for variable in variables:
            variable.assign_add(x)
        return x + 1

    @partial(jax.jit, donate_argnums=0)
    def raw(state, x):
        return [value + x for value in state], x + 1

    state = [jnp.float32(index) for index in range(number)]

    def by_hand():
        nonlocal state
        state, result = raw(state, x)
        return result

    return lambda: step(x), by_hand


def perceptron(batch_size: int) -> tuple[Step, Step]:
    """Return training steps of a 784-64-10 perceptron with momentum, MNIST-sized."""
    rng = np.random.default_rng(0)
    x, y = rng.random((batch_size, 784), dtype="float32"), rng.integers(0, 10, batch_size)
    model = tf.keras.Sequential([tf.keras.Input((784,)), tf.keras.layers.Dense(64, "relu"), tf.keras.layers.Dense(10)])
    loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tf.keras.optimizers.SGD(1e-3, momentum=0.9)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    def loss_of(weights, x, y):
        hidden = jax.nn.relu(x @ weights[0] + weights[1])
        logits = jax.nn.log_softmax(hidden @ weights[2] + weights[3])
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def raw(weights, momenta, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
        momenta = [0.9 * m - 1e-3 * g for m, g in zip(momenta, gradients, strict=True)]
        return [w + m for w, m in zip(weights, momenta, strict=True)], momenta, loss

    weights = [jnp.copy(variable.value) for variable in model.trainable_variables]
    momenta = [jnp.zeros_like(value) for value in weights]

    def by_hand():
        nonlocal weights, momenta
        weights, momenta, loss = raw(weights, momenta, x, y)
        return loss

    return lambda: step(x, y), by_hand


CASES = {
    "0 variables": partial(counters, 0),
    "1 variable": partial(counters, 1),
    "10 variables": partial(counters, 10),
    "100 variables": partial(counters, 100),
    "perceptron, batch 32": partial(perceptron, 32),
    "perceptron, batch 512": partial(perceptron, 512),
}


def microseconds(step: Step, calls: int) -> float:
    """Return the time of one call: the dispatch of many, with the wait for the last one."""
    start = time.perf_counter()
    for _ in range(calls):
        result = step()
    jax.block_until_ready(result)
    return (time.perf_counter() - start) / calls * 1e6


def first_call(step: Step) -> float:
    """Return the milliseconds of a first call: trace, compilation and one run."""
    return microseconds(step, 1) / 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=300, help="calls in a row, in each round")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {jax.devices()[0].device_kind}, jax {jax.__version__}")
    print(f"{'':24}{'function':>12}{'jax.jit':>12}{'ratio':>8}{'first call, function and jax.jit':>36}")
    for name, make in CASES.items():
        steps = make()
        first = [first_call(step) for step in steps]
        times: list[list[float]] = [[], []]
        for turn in range(options.rounds):
            for index in (0, 1) if turn % 2 == 0 else (1, 0):
                times[index].append(microseconds(steps[index], options.calls))
        ours, raw = (statistics.median(values) for values in times)
        start = f"{first[0]:.0f} ms, {first[1]:.0f} ms"
        print(f"{name:24}{ours:9.1f} µs{raw:9.1f} µs{ours / raw:8.2f}{start:>36}")


if __name__ == "__main__":
    main()
