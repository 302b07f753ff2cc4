"""Gradients that the user writes: TensorFlow's rules, under tapes, `jax.grad` and `function`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.framework import GradientTape, Variable, custom_gradient, function

X = jnp.array([1.0, -2.0])


@custom_gradient
def log1pexp(x):
    e = jnp.exp(x)

    def grad(upstream):
        return upstream * (1.0 - 1.0 / (1.0 + e))

    return jnp.log(1.0 + e), grad


@custom_gradient
def five_times(x):
    """Twice x, with a gradient that is not that of the operations."""
    return x * 2.0, lambda upstream: upstream * 5.0


def by_tape(fun, x):
    with GradientTape() as tape:
        tape.watch(x)
        y = fun(x)
    return tape.gradient(y, x)


def test_the_written_gradient_takes_the_place_of_the_operations() -> None:
    large = jnp.float32(100.0)
    with GradientTape() as tape:
        tape.watch(large)
        y = log1pexp(large)
    assert float(tape.gradient(y, large)) == 1.0
    assert float(jax.grad(log1pexp)(large)) == 1.0


def test_it_holds_under_every_transformation() -> None:
    expected = [5.0, 5.0]
    assert by_tape(five_times, X).tolist() == expected
    assert jax.jit(lambda x: by_tape(five_times, x))(X).tolist() == expected
    assert jax.vmap(jax.grad(five_times))(X).tolist() == expected
    assert jax.vmap(lambda x: by_tape(five_times, x))(X).tolist() == expected
    assert jax.grad(lambda x: jax.jit(five_times)(x).sum())(X).tolist() == expected
    assert by_tape(jax.jit(five_times), X).tolist() == expected
    assert function(lambda x: by_tape(five_times, x))(X).tolist() == expected
    assert by_tape(function(five_times), X).tolist() == expected
    assert five_times(X).tolist() == [2.0, -4.0]
    assert five_times.__doc__ == "Twice x, with a gradient that is not that of the operations."


def test_an_outer_tape_takes_the_written_gradient_too() -> None:
    with GradientTape() as outer:
        outer.watch(X)
        with GradientTape() as inner:
            inner.watch(X)
            y = five_times(X)
        first = inner.gradient(y, X)
        z = y + first
    assert outer.gradient(z, X).tolist() == [5.0, 5.0]
    assert float(jax.grad(lambda x: jax.value_and_grad(five_times)(x)[0])(1.0)) == 5.0


def test_higher_orders_go_through_the_operations_of_the_gradient() -> None:
    expected = jax.nn.sigmoid(1.0) * (1 - jax.nn.sigmoid(1.0))
    x = jnp.float32(1.0)
    with GradientTape() as outer:
        outer.watch(x)
        first = by_tape(log1pexp, x)
    np.testing.assert_allclose(outer.gradient(first, x), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(jax.grad(log1pexp))(x), expected, rtol=1e-6)


def test_a_gradient_may_have_a_gradient_of_its_own() -> None:
    @custom_gradient
    def f(x):
        def first(upstream):
            @custom_gradient
            def slope(unused):
                return 3.0 * x, lambda upstream: upstream * 7.0

            return upstream * slope(x)

        return x**2, first

    x = jnp.float32(2.0)
    with GradientTape() as outer:
        outer.watch(x)
        first = by_tape(f, x)
    assert float(first) == 6.0
    assert float(outer.gradient(first, x)) == 7.0


def test_variables_that_are_read_are_handed_to_the_gradient() -> None:
    v = Variable(2.0)

    @custom_gradient
    def scaled(x):
        def grad(upstream, variables):
            assert variables[0] is v
            return upstream * variables[0] * 10.0, [jnp.sum(upstream * x * 100.0)]

        return x * v, grad

    def step(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = scaled(x) * 3.0
        return tape.gradient(y, [x, v])

    for run in (step, function(step)):
        of_x, of_v = run(X)
        assert of_x.tolist() == [60.0, 60.0]
        assert float(of_v) == -300.0


def test_a_variable_among_the_arguments_is_an_argument() -> None:
    v = Variable(2.0)

    @custom_gradient
    def scaled(x, *, by):
        return x * by, lambda upstream: (upstream * 10.0, jnp.sum(upstream))

    with GradientTape() as tape:
        y = scaled(X, by=v)
    assert float(tape.gradient(y, v)) == 2.0


def test_several_results_and_structures_have_one_upstream_each() -> None:
    @custom_gradient
    def f(x, pair):
        def grad(of_sum, of_count, of_product):
            return of_sum * 2.0, [of_product * 3.0, None]

        return {"a": x + pair[0], "b": jnp.int32(3), "c": x * pair[1]}, grad

    with GradientTape() as tape:
        tape.watch(X)
        y = f(X, [X, X * 1.0])
        z = y["a"] + 10.0 * y["c"]
    assert y["b"] == 3
    assert tape.gradient(z, X).tolist() == [32.0, 32.0]


def test_a_gradient_that_does_not_take_the_variables_is_refused() -> None:
    v = Variable(2.0, name="scale")

    @custom_gradient
    def scaled(x):
        return x * v, lambda upstream: upstream

    with GradientTape(), pytest.raises(ArgumentError, match="scale"):
        scaled(X)
    assert scaled(X).tolist() == [2.0, -4.0]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x, "its result and a function"),
        (lambda x: (x, lambda upstream: (upstream, upstream)), "one gradient for each of the arguments"),
        (lambda x: (x, lambda upstream: jnp.ones(3)), "the shape of what it belongs to"),
    ],
)
def test_what_does_not_fit_is_refused(returned, message) -> None:
    with GradientTape() as tape, pytest.raises(ArgumentError, match=message):
        tape.watch(X)
        custom_gradient(returned)(X)
