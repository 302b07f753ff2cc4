"""Whatever is composed of the operations below, a tape gives what `jax.grad` gives."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.framework import GradientTape

N = 3


def running(carry, row):
    return jnp.tanh(carry + row), carry


def normalised(row):
    return row / (1.0 + row @ row)


# All map a [3, 3] array to one, and stay within moderate values, so that any of them may follow any other.
UNARY = [
    jnp.tanh,
    jnp.sin,
    jax.nn.relu,
    jax.nn.softplus,
    jax.nn.softmax,
    jax.nn.gelu,
    jnp.transpose,
    lambda a: a.reshape(9)[::-1].reshape(N, N),
    lambda a: jnp.roll(a, 1, axis=0),
    lambda a: jnp.where(a > 0.1, a, 0.5 * a),
    lambda a: jnp.clip(a, -0.8, 0.9),
    lambda a: jnp.concatenate([a[1:], a[:1]]),
    lambda a: jnp.sort(a, axis=1),
    lambda a: jnp.broadcast_to(a.mean(axis=1, keepdims=True), (N, N)),
    lambda a: a[jnp.array([2, 0, 0])],
    lambda a: a.at[0].set(0.3),
    lambda a: jnp.broadcast_to(jnp.max(a, axis=0), (N, N)),
    lambda a: jax.lax.scan(running, a[0], a)[1],
    lambda a: jax.lax.cond(a[0, 0] > 0, jnp.sin, jnp.cos, a),
    lambda a: jax.vmap(normalised)(a),
    jax.jit(lambda a: jnp.tanh(a @ a)),
    jax.lax.stop_gradient,
]
BINARY = [jnp.add, jnp.subtract, jnp.multiply, jnp.minimum, jnp.hypot, lambda a, b: jnp.tanh(a @ b)]

steps = st.lists(
    st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=6,
)
arrays = st.integers(0, 2**16).map(lambda seed: np.random.default_rng(seed).uniform(-1, 1, (2, N, N)))


def composed(steps, x, y):
    """Run a program of steps, each on any of the earlier values."""
    values = [x, y]
    for operation, first, second in steps:
        a, b = values[first % len(values)], values[second % len(values)]
        values.append(UNARY[operation](a) if operation < len(UNARY) else BINARY[operation - len(UNARY)](a, b))
    return jnp.sum(values[-1] * jnp.arange(1.0, 10.0).reshape(N, N) / 9)


def by_tape(steps, x, y):
    with GradientTape() as tape:
        tape.watch([x, y])
        result = composed(steps, x, y)
    return tape.gradient(result, [x, y], unconnected_gradients="zero")


def assert_near(actual, expected, eps):
    scale = max(1.0, *(float(jnp.abs(e).max()) for e in expected))
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype
        np.testing.assert_allclose(np.asarray(a, "float64"), np.asarray(e, "float64"), rtol=0, atol=32 * eps * scale)


@settings(max_examples=25)
@given(steps=steps, values=arrays)
def test_a_tape_agrees_with_grad_on_any_program(steps, values) -> None:
    x, y = jnp.asarray(values, "float32")
    expected = jax.grad(lambda x, y: composed(steps, x, y), (0, 1))(x, y)
    assert_near(by_tape(steps, x, y), expected, np.finfo("float32").eps)


@settings(max_examples=10)
@given(steps=steps, values=arrays)
def test_a_tape_under_jit_agrees_with_the_eager_tape(steps, values) -> None:
    x, y = jnp.asarray(values, "float32")
    compiled = jax.jit(lambda x, y: by_tape(steps, x, y))(x, y)
    assert_near(compiled, by_tape(steps, x, y), np.finfo("float32").eps)


@settings(max_examples=10)
@given(steps=steps, values=arrays)
def test_half_precision_keeps_its_dtype(steps, values) -> None:
    x, y = jnp.asarray(values, "bfloat16")
    for gradient, value in zip(by_tape(steps, x, y), (x, y), strict=True):
        assert (gradient.dtype, gradient.shape) == (value.dtype, value.shape)


@settings(max_examples=10)
@given(steps=steps, values=arrays)
def test_nested_tapes_agree_with_grad_of_grad(steps, values) -> None:
    x, y = jnp.asarray(values, "float32")

    def first(x):
        return jnp.sum(jax.grad(lambda x: composed(steps, x, y))(x) ** 2)

    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            result = composed(steps, x, y)
        gradient = inner.gradient(result, x, unconnected_gradients="zero")
        total = jnp.sum(gradient**2)
    second = outer.gradient(total, x, unconnected_gradients="zero")
    assert_near([second], [jax.grad(first)(x)], np.finfo("float32").eps)
