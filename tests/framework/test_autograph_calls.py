"""What converted code calls is converted too: functions, methods, Keras objects; and variables are state."""

import functools
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.framework import GradientTape, Variable, function
from mainstay.framework.autograph import convert, set_loop_options

ROW = np.ones((1, 3), "float32")
SCALE = 2.0


def sign(x):
    if x > 0:
        return SCALE
    return -SCALE


class Doubled:
    """A class with a private name, a base class call and `__call__`."""

    __factor = 2

    def scaled(self, x):
        if x > 0:
            return x * self.__factor
        return -x

    def __call__(self, x):
        return sign(x)


class Quadrupled(Doubled):
    def scaled(self, x):
        if x > 1:
            return super().scaled(x) * 2
        return super().scaled(x)


class Gate(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(3, kernel_initializer="ones")

    def build(self, shape):
        self.inner.build(shape)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x, training=False):
        if keras.ops.sum(x) > 0:
            return self.inner(x)
        return self.inner(x) * 2


@pytest.fixture
def gate() -> Gate:
    layer = Gate()
    layer.build((1, 3))
    return layer


def test_a_converted_function_keeps_its_signature_closure_and_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    factor = 3

    def scaled(x, *, by: float = 1.0, **more: float) -> float:
        """Scales."""
        return x * by * factor if x > 0 else SCALE

    converted = convert(scaled)
    assert converted.__name__ == "scaled"
    assert converted.__doc__ == "Scales."
    assert converted.__kwdefaults__ == {"by": 1.0}
    assert converted.__wrapped__ is scaled
    assert convert(converted) is converted
    assert converted(2.0) == 6.0
    factor = 5
    assert converted(2.0) == 10.0
    monkeypatch.setitem(globals(), "SCALE", 7.0)
    assert converted(-2.0) == 7.0


@pytest.mark.parametrize("x", [2.0, -2.0])
def test_callables_of_every_kind_are_converted(x: float) -> None:
    def wrapped(inner):
        @functools.wraps(inner)
        def wrapper(*args):
            return inner(*args)

        return wrapper

    def program(x):
        values = [sign(x), functools.partial(sign, x)(), Doubled()(x), wrapped(sign)(x), function(sign)(x)]
        return sum(values) + Quadrupled().scaled(x) + (lambda y: y if y > 0 else -y)(x)

    wanted = 5 * sign(x) + Quadrupled().scaled(x) + abs(x)
    assert float(jax.jit(convert(program))(x)) == wanted
    assert float(jax.jit(convert(Quadrupled().scaled))(x)) == Quadrupled().scaled(x)
    assert float(jax.jit(convert(Doubled()))(x)) == sign(x)
    assert float(jax.jit(convert(functools.partial(sign)))(x)) == sign(x)
    assert float(jax.jit(convert(function(sign)))(x)) == sign(x)


def test_functions_handed_to_jax_and_keras_are_converted() -> None:
    def program(x):
        mapped = keras.ops.map(sign, x)
        return jax.vmap(sign)(x), mapped, list(map(sign, x)), jax.grad(lambda y: y * y if y > 0 else y)(x[0])

    vmapped, mapped, listed, gradient = jax.jit(convert(program))(jnp.array([3.0, -1.0]))
    assert vmapped.tolist() == mapped.tolist() == [float(item) for item in listed] == [2.0, -2.0]
    assert float(gradient) == 6.0


def test_several_lambdas_of_one_line_are_told_apart() -> None:
    pair = (lambda x: 1 if x > 0 else 2), (lambda x: 3 if x > 0 else 4)
    assert [int(jax.jit(convert(item))(1)) for item in pair] == [1, 3]


def test_variables_are_state_of_branches_and_loops() -> None:
    first, second = Variable(1.0), Variable(0.0)

    @function
    def branch(x):
        if x > 0:
            first.assign_add(x)
        else:
            second.assign(first * 2)
        return first + second

    assert [float(branch(jnp.float32(x))) for x in (2, -1)] == [3.0, 9.0]

    @function
    def loop(n, limit):
        for _ in range(n):
            first.assign_add(1.0)
            second.assign(first * 2)
        while first < limit:
            first.assign(first * 2)
        return first.value

    assert float(loop(jnp.int32(3), jnp.float32(20))) == 24.0
    assert float(second.value) == 12.0


def test_training_in_a_loop_over_a_tensor_equals_python() -> None:
    def trained(compiled: bool) -> tuple[Any, ...]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5, seed=3)])
        optimizer, metric = keras.optimizers.Adam(0.1), keras.metrics.Mean()

        def steps(x, n):
            total = 0.0
            for i in range(n):
                with GradientTape() as tape:
                    loss = keras.ops.mean(keras.ops.square(model(x, training=True) - 3.0))
                if i != 2:
                    optimizer.apply_gradients(
                        zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
                    )
                metric.update_state(loss)
                total += loss
            return total, metric.result()

        results = function(steps)(ROW, jnp.int32(4)) if compiled else steps(ROW, 4)
        return (*map(float, results), int(optimizer.iterations), *map(np.asarray, model.get_weights()))

    for plain, compiled in zip(trained(False), trained(True), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-5)


def test_a_tape_sees_through_branches_and_loops() -> None:
    weight = Variable([1.0, 2.0])

    @function
    def gradients(x):
        with GradientTape(persistent=True) as tape:
            branch = keras.ops.sum(weight * weight) if x[0] > 0 else keras.ops.sum(weight)
            loop = 0.0
            for row in x:
                loop += keras.ops.sum(weight * row)
            bounded = x[0]
            tape.watch(bounded)
            power = bounded
            while power < 10:
                set_loop_options(maximum_iterations=8)
                power = power * bounded
        return tape.gradient(branch, weight), tape.gradient(loop, weight), tape.gradient(power, bounded)

    branch, loop, power = gradients(jnp.array([2.0, 1.0]))
    assert branch.tolist() == [2.0, 4.0]
    assert loop.tolist() == [3.0, 3.0]
    assert float(power) == 4 * 2.0**3


def test_layers_of_the_users_are_converted_within_any_model(gate: Gate) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="ones"), gate])
    dense = keras.layers.Dense(3, kernel_initializer="ones", activation=lambda x: x if keras.ops.sum(x) > 0 else x * 0)
    dense.build((1, 3))
    run = function(lambda x: (gate(x), model(x), dense(x)))
    for x, wanted in ((ROW, (3, 9, 3)), (-ROW, (-6, -18, 0))):
        assert [int(item[0, 0]) for item in run(jnp.asarray(x))] == list(wanted)
    assert "call" not in vars(gate)
    assert "_autograph_replaced" not in vars(gate)


def test_losses_and_metrics_of_the_users_are_converted() -> None:
    class Doubling(keras.losses.Loss):
        def call(self, y_true, y_pred):
            error = keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
            if keras.ops.sum(error) > 1:
                return error * 2
            return error

    class Positive(keras.metrics.Metric):
        def __init__(self):
            super().__init__()
            self.total = self.add_weight(shape=(), initializer="zeros")

        def update_state(self, value):
            if value > 0:
                self.total.assign_add(value)

        def result(self):
            return self.total.value

    loss, metric = Doubling(), Positive()

    @function
    def run(x):
        metric.update_state(keras.ops.sum(x))
        return loss(x, x * 3), metric(-keras.ops.sum(x))

    results = run(ROW)
    assert [float(item) for item in results] == [4.0, 3.0]


def test_a_layer_may_be_called_by_other_threads_meanwhile(gate: Gate) -> None:
    run, failures = function(lambda x: gate(x)), []

    def call(compiled: bool) -> None:
        try:
            for _ in range(3):
                result = (convert(lambda x: gate(x)) if compiled else gate)(ROW)
                np.testing.assert_allclose(result, ROW * 3)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=call, args=(number % 2 == 0,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    np.testing.assert_allclose(run(ROW), ROW * 3)
    assert "call" not in vars(gate)


def test_random_numbers_in_a_loop_differ_from_round_to_round() -> None:
    seeds = keras.random.SeedGenerator(3)

    @function
    def draw(n):
        first, last = 0.0, 0.0
        for i in range(n):
            last = keras.random.uniform((), seed=seeds)
            if i == 0:
                first = last
        return first, last

    first, last = draw(jnp.int32(3))
    assert float(first) != float(last)


def test_control_flow_of_a_layer_works_in_a_functional_model_and_in_fit() -> None:
    def halved_if_small(y_true, y_pred):
        error = keras.ops.mean(keras.ops.square(y_true - y_pred))
        if error < 1000:
            return error / 2
        return error

    class Plain(keras.layers.Layer):
        """Keras builds it by tracing its call."""

        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(2, kernel_initializer="ones")

        def call(self, x):
            if keras.ops.sum(x) > 0:
                return self.inner(x)
            return self.inner(x) * 2

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Plain()(inputs))
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=halved_if_small)
    rows = np.repeat(ROW, 4, axis=0)
    history = model.fit(rows, np.zeros((4, 2), "float32"), epochs=1, verbose=0)
    assert history.history["loss"] == [4.5]
    assert model.predict(-rows, verbose=0)[0, 0] == -6.0
    assert np.asarray(model(rows))[0, 0] == 3.0


def test_variables_that_a_layer_assigns_in_a_branch_are_kept_by_fit() -> None:
    class Counting(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.drop = keras.layers.Dropout(0.5, seed=1)

        def call(self, x, training=False):
            if keras.ops.sum(x) > 0:
                self.count.assign_add(1.0)
                x = self.drop(x, training=training)
            for _ in keras.ops.arange(3):
                self.count.assign_add(10.0)
            return x

    inputs, counting = keras.Input((3,)), Counting()
    model = keras.Model(inputs, keras.layers.Dense(1)(counting(inputs)))
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=4, epochs=1, verbose=0)
    assert float(counting.count.value) == 62.0


def test_control_flow_of_a_model_class_works_in_fit() -> None:
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(1, kernel_initializer="ones")

        def call(self, x):
            if keras.ops.sum(x) > 0:
                return self.inner(x)
            return self.inner(x) * 2

    model = Model()
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    rows = np.repeat(ROW, 4, axis=0)
    assert model.fit(rows, np.zeros((4, 1)), epochs=1, verbose=0).history["loss"] == [9.0]
    assert model.evaluate(-rows, np.zeros((4, 1)), verbose=0) == 36.0
    assert model.predict(-rows, verbose=0)[0, 0] == -6.0


class Named:
    """A class whose method names it."""

    step = 3

    def counted(self, x):
        if x > 0:
            x = x + Named.step
        return x


class NamedAgain(Named):
    def counted(self, x):
        if x > 10:
            return x
        return super(NamedAgain, self).counted(x) * 2  # noqa: UP008  (as older programs write it)


def test_a_method_may_name_its_own_class() -> None:
    assert int(function(NamedAgain().counted)(jnp.int32(1))) == 8

    class Local:
        step = 5

        def counted(self, x):
            return x + Local.step if x > 0 else x

    assert int(function(Local().counted)(jnp.int32(1))) == 6


def test_a_nested_function_keeps_its_docstring() -> None:
    def outer(x):
        def inner(y):
            """Doubles."""
            if y:
                return 2 * y
            return y

        return inner.__doc__, inner(x)

    assert convert(outer)(2) == ("Doubles.", 4)


def test_jumps_leave_a_block_with_exception_groups() -> None:
    def first_good(numbers):
        found = None
        for number in numbers:
            try:
                if number < 0:
                    raise ExceptionGroup("negative", [ValueError(number)])
                if number > 0:
                    found = number
                    break
            except* ValueError:
                found = "skipped"
        return found

    for numbers in ([], [0, 5, 7], [-1, 0]):
        assert convert(first_good)(numbers) == first_good(numbers)
