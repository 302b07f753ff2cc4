"""What GradientTape records and gives: TensorFlow's semantics, eager and inside transformations."""

import gc
import threading
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.framework import GradientTape, UnconnectedGradients, Variable, function, stop_gradient

X = jnp.array([1.0, 2.0, 3.0])


def close(actual, expected, rtol=2e-6):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6), actual, expected)


def taped(fun, *arguments, **options):
    """The gradient of `fun` by a tape."""
    with GradientTape(**options) as tape:
        for argument in arguments:
            tape.watch(argument)
        target = fun(*arguments)
    return tape.gradient(target, list(arguments))


# What is watched


def test_a_watched_array_has_a_gradient() -> None:
    close(taped(lambda x: jnp.sum(x**3), X), [3 * X**2])


def test_an_array_that_is_not_watched_gives_none() -> None:
    with GradientTape() as tape:
        y = jnp.sum(X**2)
    assert tape.gradient(y, X) is None


def test_trainable_variables_are_watched_when_they_are_read() -> None:
    v, w = Variable(3.0), Variable(2.0)
    with GradientTape() as tape:
        y = v * v
    assert [item is v for item in tape.watched_variables()] == [True]
    gradients = tape.gradient(y, [v, w])
    assert float(gradients[0]) == 6.0
    assert gradients[1] is None


def test_a_variable_that_is_not_trainable_is_watched_on_request_only() -> None:
    v = Variable(3.0, trainable=False)
    with GradientTape() as tape:
        y = v * v
    assert tape.watched_variables() == ()
    assert tape.gradient(y, v) is None
    with GradientTape() as tape:
        tape.watch(v)
        y = v * v
    assert float(tape.gradient(y, v)) == 6.0


def test_reads_are_not_watched_if_the_tape_is_told_so() -> None:
    v, w = Variable(3.0), Variable(2.0)
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(v)
        y = v * w
    gradients = tape.gradient(y, {"v": v, "w": w})
    assert float(gradients["v"]) == 2.0
    assert gradients["w"] is None


def test_structures_are_watched_leaf_by_leaf() -> None:
    parts = {"a": X, "b": [X * 2, (X * 3,)]}
    with GradientTape() as tape:
        tape.watch(parts)
        y = jnp.sum(parts["a"] * parts["b"][0] * parts["b"][1][0])
    gradients = tape.gradient(y, parts)
    close(gradients, {"a": 6 * X**2, "b": [3 * X**2, (2 * X**2,)]})


def test_integers_are_not_watched_and_it_is_said() -> None:
    n = jnp.arange(3)
    with GradientTape() as tape:
        with pytest.warns(UserWarning, match="must be floating"):
            tape.watch(n)
        y = jnp.sum(n * 2.0)
    assert tape.gradient(y, n) is None


def test_a_target_of_an_integer_dtype_gives_none_and_it_is_said() -> None:
    with GradientTape() as tape:
        tape.watch(X)
        y = jnp.argmax(X)
    assert tape.gradient(y, X) is None
    with GradientTape(persistent=True) as tape:
        n = Variable(3)
        m = n * 2
    with pytest.warns(UserWarning, match="must be floating"):
        assert tape.gradient(n, n) is None
    assert tape.gradient(m, n) is None


def test_no_gradient_goes_through_integers() -> None:
    assert taped(lambda x: jnp.sum(x.astype("int32").astype("float32")), X) == [None]


def test_no_gradient_goes_through_stop_gradient() -> None:
    assert taped(lambda x: jnp.sum(stop_gradient(x * x)), X) == [None]
    assert taped(lambda x: jnp.sum(stop_gradient(x)), X) == [None]
    close(taped(lambda x: jnp.sum(x * stop_gradient(x)), X), [X])
    close(jax.jit(lambda x: taped(lambda x: jnp.sum(x * stop_gradient({"x": x})["x"]), x))(X), [X])


def test_a_conversion_to_numpy_cuts_the_gradient() -> None:
    assert taped(lambda x: jnp.sum(jnp.asarray(np.asarray(x))), X) == [None]
    close(taped(lambda x: jnp.sum(x) * float(x[1]), X), [jnp.full(3, 2.0)])


# Recording


def test_a_persistent_tape_gives_gradients_twice() -> None:
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = X * X
        z = y * y
    close(tape.gradient(z, X), 4 * X**3)
    close(tape.gradient(y, X), 2 * X)
    close(tape.gradient(z, y), 2 * X**2)


def test_nothing_is_recorded_while_recording_is_stopped() -> None:
    v = Variable(2.0)
    with GradientTape() as tape:
        tape.watch(X)
        with tape.stop_recording():
            y = jnp.sum(X * v)
        z = jnp.sum(X) + y
    assert tape.watched_variables() == ()
    close(tape.gradient(z, X), jnp.ones(3))


def test_reset_forgets_what_was_recorded() -> None:
    with GradientTape() as tape:
        tape.watch(X)
        y = jnp.sum(X * X)
        tape.reset()
        tape.watch(X)
        z = jnp.sum(X) * y
    close(tape.gradient(z, X), jnp.full(3, y))


def test_a_persistent_tape_can_be_entered_again() -> None:
    v = Variable(3.0)
    with GradientTape(persistent=True) as tape:
        y = v * v
    with tape:
        z = y * v
    assert float(tape.gradient(z, v)) == 27.0


def test_a_gradient_may_be_asked_for_inside_the_context() -> None:
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * v
        gradient = tape.gradient(y, v)
        z = gradient * v
    assert float(gradient) == 6.0
    assert float(z) == 18.0


def test_a_persistent_tape_records_its_own_gradient_inside_the_context() -> None:
    v = Variable(3.0)
    with GradientTape(persistent=True) as tape:
        first = tape.gradient(v * v * v, v)
    assert float(tape.gradient(first, v)) == 18.0


def test_a_tape_frees_what_it_recorded() -> None:
    def used_tape():
        x = jnp.ones(1000)
        with GradientTape() as tape:
            tape.watch(x)
            y = x * 2.0
            z = jnp.sum(y * jax.nn.relu(y))
            watched = weakref.ref(y)
        tape.gradient(z, x)
        return tape, watched

    _tape, watched = used_tape()
    gc.collect()
    assert watched() is None

    def dropped_tape():
        x = jnp.ones(1000)
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * 2.0
            tape.gradient(jnp.sum(y * y), x)
        return weakref.ref(y), weakref.ref(tape)

    references = dropped_tape()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_jitted_function_may_die_with_the_arrays_that_it_closes_over() -> None:
    def step():
        closed_over = jnp.arange(3.0) + 1.0
        program = jax.jit(lambda x: jnp.sum(x @ jnp.outer(closed_over, closed_over)))
        close(taped(program, X), [closed_over * 6.0])
        return weakref.ref(closed_over)

    reference = step()
    jax.clear_caches()
    gc.collect()
    assert reference() is None


def test_threads_have_their_own_tapes() -> None:
    v = Variable(2.0)
    found = {}
    barrier = threading.Barrier(2)

    def work(number):
        with GradientTape() as tape:
            barrier.wait()
            y = v * number
            barrier.wait()
        found[number] = (len(tape.watched_variables()), float(tape.gradient(y, v)))

    threads = [threading.Thread(target=work, args=(number,)) for number in (3.0, 5.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {3.0: (1, 3.0), 5.0: (1, 5.0)}


# Targets and sources


def test_several_targets_are_summed() -> None:
    v = Variable(3.0)
    with GradientTape() as tape:
        targets = [v * v, {"z": v * 2.0}]
    assert float(tape.gradient(targets, v)) == 8.0


def test_a_source_that_is_the_target_has_the_gradient_one() -> None:
    v = Variable(3.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = v * v
    close([tape.gradient(X, X), tape.gradient(v, v), tape.gradient([y, v], v)], [jnp.ones(3), 1.0, 7.0])
    unwatched = jnp.ones(2)
    close(tape.gradient(unwatched, unwatched), jnp.ones(2))


def test_output_gradients_weigh_the_targets() -> None:
    with GradientTape() as tape:
        tape.watch(X)
        y, z = X * X, X * 3.0
    weights = jnp.array([1.0, 0.0, 2.0])
    close(tape.gradient([y, z], X, output_gradients=[weights, None]), 2 * X * weights + 3.0)


def test_unconnected_sources_give_zeros_on_request() -> None:
    v = Variable(np.ones((2, 2), "float32"))
    for choice in ("zero", UnconnectedGradients.ZERO):
        with GradientTape() as tape:
            y = Variable(1.0) * 2.0
        close(tape.gradient(y, [v], unconnected_gradients=choice), [np.zeros((2, 2))])


def test_an_assignment_inside_the_context_is_no_operation() -> None:
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * v
        v.assign(y)
        z = v * v
    assert float(tape.gradient(z, v)) == 18.0


def test_a_variable_assigned_from_another_is_not_taken_for_it() -> None:
    v, w = Variable(3.0), Variable(0.0)
    w.assign(v.value)
    with GradientTape() as tape:
        y = v * w
    gradients = tape.gradient(y, [v, w])
    assert [float(gradient) for gradient in gradients] == [3.0, 3.0]


def test_the_values_of_a_stateless_scope_can_be_watched() -> None:
    v = Variable(3.0)
    value = jnp.float32(5.0)
    with keras.StatelessScope(state_mapping=[(v, value)]), GradientTape() as tape:
        tape.watch(value)
        y = v * v
    assert float(tape.gradient(y, value)) == 10.0
    with GradientTape() as tape:
        tape.watch(value)
        with keras.StatelessScope(state_mapping=[(v, value)]):
            y = v * v
    assert float(tape.gradient(y, value)) == 10.0


def test_a_variable_changed_by_assign_add_sums_its_reads() -> None:
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * v
        v.assign_add(1.0)
        y = y + 10.0 * v
    assert float(tape.gradient(y, v)) == 16.0


def test_a_value_that_a_program_hands_through_keeps_its_gradient() -> None:
    both = jax.jit(lambda x: (x, x * 2.0))
    close(taped(lambda x: jnp.sum(both(x)[0] * both(x)[1]), X), [4 * X])


# Inside and around JAX


def test_nested_tapes_give_the_second_derivative() -> None:
    v = Variable(3.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            z = v * v * v
        first = inner.gradient(z, v)
    assert float(first) == 27.0
    assert float(outer.gradient(first, v)) == 18.0


def test_three_nested_tapes_give_the_third_derivative() -> None:
    with GradientTape() as third:
        third.watch(X)
        with GradientTape() as second:
            second.watch(X)
            with GradientTape() as first:
                first.watch(X)
                y = jnp.sum(jnp.exp(X) * jax.nn.softplus(X))
            a = first.gradient(y, X)
        b = second.gradient(a, X)
    c = third.gradient(b, X)
    f = lambda x: jnp.exp(x) * jax.nn.softplus(x)  # noqa: E731
    close(c, jax.vmap(jax.grad(jax.grad(jax.grad(f))))(X), rtol=1e-5)


def inside(x):
    with GradientTape() as tape:
        tape.watch(x)
        y = jnp.sum(jnp.tanh(x) ** 2)
    return tape.gradient(y, x)


def test_a_tape_works_inside_transformations() -> None:
    reference = jax.grad(lambda x: jnp.sum(jnp.tanh(x) ** 2))
    rows = jnp.stack([X, X + 1.0])
    close(jax.jit(inside)(X), reference(X))
    close(jax.vmap(inside)(rows), jax.vmap(reference)(rows))
    close(jax.grad(lambda x: inside(x).sum())(X), jax.grad(lambda x: reference(x).sum())(X))
    close(jax.jvp(inside, (X,), (X,)), jax.jvp(reference, (X,), (X,)), rtol=1e-5)
    close(jax.lax.scan(lambda c, x: (c, inside(x)), 0.0, rows)[1], jax.vmap(reference)(rows))


def test_a_tape_works_inside_function() -> None:
    v = Variable([1.0, 2.0, 3.0])

    @function
    def gradient(x):
        with GradientTape() as tape:
            y = jax.numpy.sum(v * v * x)
        return tape.gradient(y, v)

    close([gradient(X), gradient(X + 1.0)], [2 * X * X, 2 * X * (X + 1.0)])


def test_a_function_is_differentiated_as_a_whole() -> None:
    v = Variable([1.0, 2.0, 3.0])

    @function
    def loss(x):
        return jnp.sum(v * v * x)

    for _ in range(2):
        with GradientTape() as tape:
            tape.watch(X)
            y = loss(X) * 2.0
        close(tape.gradient(y, [v, X]), [4 * X * X, 2 * X * X])


def test_transformations_work_inside_a_tape() -> None:
    def f(x):
        return jnp.sum(jax.vmap(lambda a: a * x[0])(x)) + jnp.sum(jax.grad(lambda a: jnp.sum(a**3))(x))

    close(taped(f, X), [jax.grad(f)(X)])


def test_a_jitted_function_may_close_over_a_tracked_value() -> None:
    def f(x):
        k = x * 3.0
        program = jax.jit(lambda a: a * k + jax.jit(lambda b: jnp.sum(b * k))(a))
        return jnp.sum(program(program(x)))

    close(taped(f, X), [jax.grad(f)(X)])


CUSTOM_VJP = jax.custom_vjp(jnp.sin)
CUSTOM_VJP.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * 7.0,))
CUSTOM_JVP = jax.custom_jvp(lambda x: x * 2.0)
CUSTOM_JVP.defjvp(lambda primals, tangents: (primals[0] * 2.0, tangents[0] * 5.0))


def scanned(x):
    w = x * 2.0
    carry, outputs = jax.lax.scan(lambda c, e: (c * e + w.sum(), jnp.tanh(c)), jnp.float32(1.0), x)
    return carry + outputs.sum()


def branches(x):
    return jax.lax.cond(x[0] > 0, lambda: (x**2).sum(), lambda: 0.0) + jnp.where(x > 1, x, 0.0).sum()


def looped(x):
    return jax.lax.fori_loop(0, 4, lambda _, a: jnp.sin(a) * x, x).sum()


def decomposed(x):
    factor = jax.lax.linalg.cholesky(jnp.outer(x, x) + jnp.eye(3))
    return jnp.sum(factor * x) + x[0] * x[-1] + jnp.sort(x)[1] + sum(x)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: CUSTOM_VJP(x).sum(),
        lambda x: CUSTOM_JVP(x).sum(),
        lambda x: jax.nn.relu(x - 2.0).sum() + jax.nn.gelu(x).sum() + jax.nn.relu6(x).sum(),
        lambda x: jax.nn.logsumexp(x) + jax.nn.softmax(x)[0] + jax.nn.silu(x).sum(),
        lambda x: jax.checkpoint(lambda a: jnp.sum(jnp.sin(a) * a))(x),
        lambda x: jax.jit(lambda a: jnp.tanh(jnp.outer(a, a) @ a) @ a)(x),
        lambda x: jnp.sum(jnp.cumsum(x) * jnp.fft.rfft(x).real.sum()),
        scanned,
        branches,
        looped,
        decomposed,
    ],
    ids=[
        "custom_vjp", "custom_jvp", "activations", "softmax", "remat", "jitted", "fourier",
        "scan", "cond", "for_loop", "linear_algebra",
    ],
)  # fmt: skip
def test_every_kind_of_operation_agrees_with_grad(fun) -> None:
    expected = [jax.grad(fun)(X)]
    close(taped(fun, X), expected, rtol=1e-5)
    close(taped(fun, X), expected, rtol=1e-5)
    close(jax.jit(lambda x: taped(fun, x))(X), expected, rtol=1e-5)


def test_a_users_rule_runs_each_time() -> None:
    factor = [1.0]

    @jax.custom_jvp
    def f(x):
        return x * factor[0]

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * factor[0]))
    results = []
    for factor[0] in (2.0, 3.0):
        results += taped(lambda x: jnp.sum(f(x)), X)
    close(results, [jnp.full(3, 2.0), jnp.full(3, 3.0)])


# Jacobians


def test_a_jacobian_has_the_shape_of_target_and_source() -> None:
    v = Variable(np.ones((3, 2), "float32"))
    with GradientTape() as tape:
        tape.watch(X)
        y = jnp.tanh(X @ v.value) * X[0]
    found = tape.jacobian(y, {"x": X, "v": v, "none": Variable(1.0)})
    f = lambda x, v: jnp.tanh(x @ v) * x[0]  # noqa: E731
    expected = jax.jacrev(f, (0, 1))(X, v.value)
    assert found["none"] is None
    close([found["x"], found["v"]], list(expected))


def test_unconnected_jacobians_are_zeros_on_request() -> None:
    v = Variable(np.ones((3, 2), "float32"))
    with GradientTape(persistent=True) as tape:
        tape.watch(X)
        y = X * 2.0
    assert tape.jacobian(y, v, unconnected_gradients="zero").shape == (3, 3, 2)
    assert tape.batch_jacobian(y, v) is None
    assert tape.batch_jacobian(y, v, unconnected_gradients="zero").shape == (3, 2)


def test_a_batch_jacobian_has_one_jacobian_for_each_row() -> None:
    rows = jnp.arange(15.0).reshape(5, 3) / 10.0
    weights = jnp.arange(12.0).reshape(3, 4) / 10.0

    def jacobian(rows):
        with GradientTape() as tape:
            tape.watch(rows)
            y = jnp.tanh(rows @ weights)
        return tape.batch_jacobian(y, rows)

    expected = jax.vmap(jax.jacrev(lambda row: jnp.tanh(row @ weights)))(rows)
    close([jacobian(rows), jax.jit(jacobian)(rows)], [expected, expected])


def test_a_hessian_comes_from_nested_tapes() -> None:
    f = lambda x: jnp.sum(jnp.sin(x) * x[0])  # noqa: E731
    with GradientTape() as outer:
        outer.watch(X)
        with GradientTape() as inner:
            inner.watch(X)
            y = f(X)
        first = inner.gradient(y, X)
    close(outer.jacobian(first, X), jax.hessian(f)(X), rtol=1e-5)


def test_a_variable_that_was_not_read_has_no_gradient_though_another_holds_its_value() -> None:
    unread, read = Variable(2.0), Variable(3.0)
    read.assign(unread.value)
    with GradientTape(persistent=True) as tape:
        y = 3.0 * read
    assert tape.gradient(y, unread) is None
    assert float(tape.gradient(y, read)) == 3.0
