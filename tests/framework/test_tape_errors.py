"""What a tape refuses, and what it says."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import ArgumentError, ModelError
from mainstay.framework import GradientTape, Variable, function, stop_gradient

X = jnp.array([1.0, 2.0])


def loop(x):
    return jax.lax.while_loop(lambda state: state[0] < 3, lambda state: (state[0] + 1, state[1] * x), (0, x))[1].sum()


def line_of(fun) -> int:
    return inspect.getsourcelines(fun)[1]


def test_a_tape_that_was_used_up_says_what_to_do() -> None:
    with GradientTape() as tape:
        tape.watch(X)
        y = X * X
    tape.gradient(y, X)
    for ask in (tape.gradient, tape.jacobian, tape.batch_jacobian):
        with pytest.raises(ArgumentError, match="one set of gradients") as error:
            ask(y, X)
        assert "persistent=True" in str(error.value.fix)
    with pytest.raises(ArgumentError, match="one set of gradients"), tape:
        pass


def test_an_open_tape_cannot_be_entered_again() -> None:
    with GradientTape(persistent=True) as tape:
        with pytest.raises(ArgumentError, match="recording already"), tape:
            pass
        tape.watch(X)
        y = X * 2.0
    assert tape.gradient(y, X).shape == (2,)


def test_tapes_must_be_closed_innermost_first() -> None:
    outer, inner = GradientTape(), GradientTape()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(ArgumentError, match="innermost context first"):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    outer.__exit__(None, None, None)
    with GradientTape() as tape:
        tape.watch(X)
        y = X * 3.0
    assert tape.gradient(y, X).tolist() == [3.0, 3.0]


def test_an_exception_inside_the_context_leaves_no_tape_behind() -> None:
    with pytest.raises(ZeroDivisionError), GradientTape() as tape:
        tape.watch(X)
        _ = 1 / 0
    with GradientTape(persistent=True) as after:
        after.watch(X)
        y = X * 3.0
    assert after.gradient(y, X).tolist() == [3.0, 3.0]


def test_stop_recording_outside_of_the_context_is_refused() -> None:
    with pytest.raises(ArgumentError, match="not recording"), GradientTape().stop_recording():
        pass


@pytest.mark.parametrize("value", [np.ones(2), 1.0, "text", None])
def test_only_arrays_and_variables_are_watched(value) -> None:
    with GradientTape() as tape, pytest.raises(ArgumentError, match="watches arrays and variables"):
        tape.watch([X, value])


def test_an_unknown_way_to_treat_unconnected_sources_is_refused() -> None:
    with GradientTape() as tape:
        y = Variable(1.0) * 2.0
    with pytest.raises(ArgumentError, match="'ones'"):
        tape.gradient(y, X, unconnected_gradients="ones")


@pytest.mark.parametrize(
    ("given", "message"), [([X, X], "one output gradient for each target"), (jnp.ones(3), "the shape of its target")]
)
def test_output_gradients_must_fit_the_targets(given, message) -> None:
    with GradientTape() as tape:
        tape.watch(X)
        y = X * X
    with pytest.raises(ArgumentError, match=message):
        tape.gradient(y, X, output_gradients=given)


def test_a_target_must_be_an_array() -> None:
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = X * X
    with pytest.raises(ArgumentError, match="must be one array"):
        tape.jacobian([y], X)
    with pytest.raises(ArgumentError, match="must be one array"):
        tape.batch_jacobian(y, [X])
    with pytest.raises(ArgumentError, match="a target is an array or a variable"):
        tape.gradient(3.0, X)
    with pytest.raises(ArgumentError, match="a source is an array or a variable"):
        tape.gradient(y, "x")


def test_a_batch_jacobian_needs_one_batch_size() -> None:
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = jnp.concatenate([X, X])
    with pytest.raises(ArgumentError, match=r"\(4,\), a source of shape \(2,\)"):
        tape.batch_jacobian(y, X)
    with pytest.raises(ArgumentError, match="the same batch"):
        tape.batch_jacobian(jnp.sum(y), X)


def test_a_while_loop_on_the_way_is_refused_with_the_users_line() -> None:
    with GradientTape() as tape:
        tape.watch(X)
        y = loop(X) * 2.0
    with pytest.raises(ModelError, match="number of turns") as error:
        tape.gradient(y, X)
    assert error.value.where == f"{__file__}:{line_of(loop) + 1}"
    assert "maximum_iterations" in error.value.fix


def test_a_while_loop_in_a_jitted_function_is_refused_too() -> None:
    program = jax.jit(loop)
    with GradientTape() as tape:
        tape.watch(X)
        y = program(X)
    with pytest.raises(ModelError, match="number of turns") as error:
        tape.gradient(y, X)
    assert str(error.value.where).startswith(__file__)

    @function
    def step(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = loop(x)
        return tape.gradient(y, x)

    with pytest.raises(ModelError, match="number of turns"):
        step(X)


def test_a_while_loop_that_the_gradient_does_not_need_is_no_fault() -> None:
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = X.sum() * 2.0 + stop_gradient(loop(X))
        unused = loop(X)
    assert tape.gradient(y, X).tolist() == [2.0, 2.0]
    assert unused.shape == ()
    program = jax.jit(lambda x: x.sum() * 2.0 + jax.lax.stop_gradient(loop(x)))
    with GradientTape() as tape:
        tape.watch(X)
        y = program(X)
    assert tape.gradient(y, X).tolist() == [2.0, 2.0]


def test_a_value_tracked_deep_inside_a_loop_is_not_lost_in_silence() -> None:
    def run(x):
        k = x * 2.0
        body = jax.jit(lambda a: a * k)
        return jax.lax.scan(lambda carry, _: (body(carry), None), x, length=2)[0].sum()

    with GradientTape() as tape:
        tape.watch(X)
        y = run(X)
    with pytest.raises(ModelError, match="closes over") as error:
        tape.gradient(y, X)
    assert "argument" in error.value.fix


def on_the_host(x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


@pytest.mark.parametrize("fun", [on_the_host, jax.jit(on_the_host)], ids=["eager", "jitted"])
def test_an_operation_without_a_derivative_is_a_fault_only_if_a_gradient_needs_it(fun) -> None:
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = fun(X)
        z = X * 2.0 + stop_gradient(y)
    assert tape.gradient(z, X).tolist() == [2.0, 2.0]
    with pytest.raises(ModelError, match="an operation that has none") as error:
        tape.gradient(y, X)
    assert "custom_gradient" in error.value.fix


def test_what_a_function_prints_is_printed_once(capfd) -> None:
    @jax.jit
    def f(x):
        jax.debug.print("seen {}", x)
        return jnp.sin(x)

    with GradientTape() as tape:
        tape.watch(X)
        y = f(X)
    tape.gradient(y, X)
    jax.effects_barrier()
    assert capfd.readouterr().out.count("seen") == 1
