"""A function's state: variables found while tracing, buffers given to XLA and never to the cost of anybody."""

import gc
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ModelError
from mainstay.framework import GradientTape, function

ONE = np.float32(1)


def variable(value: float = 0.0) -> keras.Variable:
    return keras.Variable(np.float32(value))


def test_variables_are_found_read_and_assigned_without_being_listed() -> None:
    a, b, c = variable(1), variable(10), variable(100)

    @function
    def step(x):
        a.assign_add(x)
        c.assign(a * 2)
        return b + a

    assert [float(step(ONE)) for _ in range(3)] == [12, 13, 14]
    assert [float(v.value) for v in (a, b, c)] == [4, 10, 8]
    b.assign(20.0)
    assert float(step(ONE)) == 25
    assert step.experimental_get_tracing_count() == 1


def test_a_variable_made_of_a_python_number_does_not_compile_twice() -> None:
    v = keras.Variable(0.0)
    step = function(lambda x: v.assign_add(x))
    for _ in range(3):
        step(ONE)
    (program,) = step._programs.values()
    assert program._compiled._cache_size() == 1


def test_a_value_that_somebody_holds_survives_the_next_step() -> None:
    v = keras.Variable(jnp.arange(4.0))
    held = [v.value]

    @function
    def step():
        v.assign_add(jnp.ones(4))

    for _ in range(3):
        step()
        held.append(v.value)
    views = [np.asarray(v.value), np.from_dlpack(v.value), jax.device_put(v.value), v.value.addressable_data(0)]
    step()
    assert [float(value[0]) for value in held] == [0, 1, 2, 3]
    assert [np.asarray(view).tolist() for view in views] == [[3, 4, 5, 6]] * 4
    assert float(v.value[0]) == 4


@pytest.mark.parametrize("size", [3, 4096])
def test_the_numpy_array_that_a_variable_came_from_stays_as_it_was(size: int) -> None:
    source = np.zeros(size, "float32")
    v = keras.Variable(source)

    @function
    def step(x):
        v.assign(v + x)
        return v

    out = [step(source + 1) for _ in range(3)]
    assert not source.any()
    assert [float(value[0]) for value in out] == [1, 2, 3]


def aligned(size: int) -> np.ndarray:
    """Return zeros that begin where JAX takes a NumPy array as it lies in memory."""
    whole = np.zeros(size + 16, np.float32)
    first = -whole.ctypes.data % 64 // 4
    return whole[first : first + size]


def test_an_array_may_be_filled_anew_as_soon_as_the_step_has_returned() -> None:
    total, square = variable(), jnp.ones((400, 400)) / 400

    @function
    def step(x):
        late = square
        for _ in range(6):
            late = late @ square
        total.assign_add(keras.ops.sum(x) + 0 * keras.ops.sum(late))
        return keras.ops.sum(x)

    @function
    def pure(x):
        late = square
        for _ in range(6):
            late = late @ square
        return keras.ops.sum(x) + 0 * keras.ops.sum(late)

    batch, found = aligned(256), []
    for number in range(1, 4):
        for compiled in (step, pure):
            batch[:] = number
            found.append(compiled(batch))
            batch[:] = 99
    assert [float(item) for item in found] == [256, 256, 512, 512, 768, 768]
    assert float(total.value) == 256 * 6


def test_an_array_that_was_assigned_may_be_filled_anew() -> None:
    v, array = keras.Variable(np.ones(1 << 16, np.float32)), aligned(1 << 16)
    v.assign(array)
    array[:] = 5
    assert float(v.value.max()) == 0


def test_an_array_that_keras_converted_may_be_filled_anew() -> None:
    array = aligned(400 * 400).reshape(400, 400)
    layer = keras.layers.Dense(400, kernel_initializer="ones", use_bias=False)
    layer.build((None, 400))
    functions = [lambda x: keras.ops.convert_to_tensor(x, "float32"), layer, keras.ops.relu, keras.ops.sum]
    wanted = [take(np.ones((400, 400), np.float32)) for take in functions]
    found = []
    for take in functions:
        array[:] = 1
        found.append(take(array))
        array[:] = 99
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_variables_may_share_one_buffer() -> None:
    shared = jnp.zeros(3)
    a, b = keras.Variable(shared), keras.Variable(shared)
    assert a.value is b.value

    @function
    def step():
        a.assign_add(jnp.ones(3))

    @function
    def both():
        a.assign_add(jnp.ones(3))
        b.assign_add(jnp.ones(3))

    step()
    assert (float(a.value[0]), float(b.value[0]), float(shared[0])) == (1, 0, 0)
    b.assign(a.value)
    both()
    assert (float(a.value[0]), float(b.value[0])) == (2, 2)

    @function
    def equal(x):
        a.assign(x)
        b.assign(x)

    equal(jnp.ones(3))
    both()
    both()
    assert (float(a.value[0]), float(b.value[0])) == (3, 3)


def test_the_value_of_a_variable_may_be_an_argument_of_the_step_that_changes_it() -> None:
    v = keras.Variable(jnp.ones(3))

    @function
    def step(x):
        v.assign_add(x)
        return x * 1

    for expected in (2, 4, 8):
        assert float(step(v.value)[0]) * 2 == expected == float(v.value[0])


def test_an_array_that_was_the_value_of_a_variable_stays_a_constant() -> None:
    v = keras.Variable(jnp.ones(3))
    captured = v.value

    @function
    def step():
        v.assign_add(captured)
        return captured + 0

    assert [float(step()[0]) for _ in range(3)] == [1, 1, 1]
    assert float(v.value[0]) == 4


def test_an_old_value_can_be_returned_while_the_variable_moves_on() -> None:
    v = keras.Variable(jnp.ones(3))

    @function
    def step():
        old = v.value
        v.assign_add(jnp.ones(3))
        return old, v

    results = [step() for _ in range(3)]
    assert [(float(old[0]), float(new[0])) for old, new in results] == [(1, 2), (2, 3), (3, 4)]


def test_a_variable_that_is_returned_is_its_value() -> None:
    v = variable(3)
    out = function(lambda: {"v": v})()["v"]
    assert isinstance(out, jax.Array)
    assert float(out) == 3


def test_a_tape_keeps_the_values_that_it_recorded() -> None:
    v = variable(3)
    step = function(lambda: v.assign_add(ONE))
    with GradientTape() as tape:
        y = v * v
    step()
    step()
    assert float(tape.gradient(y, v)) == 6


def test_layers_and_optimizers_are_built_in_the_first_call_in_one_trace() -> None:
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(4, activation="relu")
            self.out = keras.layers.Dense(1)

        def call(self, x):
            return self.out(self.hidden(x))

    keras.utils.set_random_seed(0)
    model, made = Network(), []

    @function
    def step(x):
        if not made:
            made.append(keras.optimizers.Adam(0.05))
        with GradientTape() as tape:
            loss = keras.ops.mean((model(x) - 1) ** 2)
        made[0].apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    losses = [float(step(np.ones((4, 3), "float32"))) for _ in range(6)]
    assert losses[-1] < losses[0]
    assert step.experimental_get_tracing_count() == 1
    assert int(made[0].iterations.value) == 6
    assert all(isinstance(v.value, jax.Array) and not isinstance(v.value, jax.core.Tracer) for v in made[0].variables)


def test_a_variable_made_on_a_later_call_is_an_error_that_names_it() -> None:
    kept = []

    @function
    def step(x):
        while len(kept) < len(x):
            kept.append(keras.Variable(1.0, name=f"weight_{len(kept)}"))
        return kept[-1] * x

    step(np.ones(1, "float32"))
    step(np.ones(1, "float32"))
    with pytest.raises(ModelError, match="only supports variables that are created on its first call") as caught:
        step(np.ones(2, "float32"))
    assert "weight_1" in str(caught.value)
    assert caught.traceback[-1].name == "step"
    kept[1:] = [keras.Variable(5.0)]
    assert float(step(np.ones(2, "float32"))[0]) == 5


def test_a_variable_made_on_every_call_is_an_error_on_the_first() -> None:
    @function
    def step(x):
        v = keras.Variable(1.0, name="lost")
        v.assign_add(x)
        return v

    with pytest.raises(ModelError, match="lost"):
        step(ONE)


def test_the_initial_value_of_a_variable_cannot_depend_on_an_argument() -> None:
    kept = []

    @function
    def step(x):
        kept.append(keras.Variable(x * 2))
        return kept[0] * x

    with pytest.raises(ModelError, match="initial value"):
        step(ONE)


def test_a_failed_first_trace_leaves_usable_variables_and_a_usable_function() -> None:
    layer, fail = keras.layers.Dense(2), [True]

    @function
    def step(x):
        y = layer(x)
        if fail:
            raise KeyError("no such feature")
        return y

    with pytest.raises(KeyError):
        step(np.ones((1, 3), "float32"))
    fail.clear()
    assert step(np.ones((1, 3), "float32")).shape == (1, 2)
    assert np.asarray(layer.kernel.value).shape == (3, 2)


def test_unseeded_random_numbers_differ_between_calls_and_repeat_after_a_seed() -> None:
    draw = function(lambda: keras.random.uniform((3,)))
    dropout = function(lambda x: keras.random.dropout(x, 0.5))
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        runs.append([draw().tolist(), draw().tolist(), dropout(np.ones(64, "float32")).tolist()])
        runs[-1].append(dropout(np.ones(64, "float32")).tolist())
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]
    assert runs[0][2] != runs[0][3]
    keras.utils.set_random_seed(1)
    assert keras.random.uniform((3,)).tolist() == runs[0][0]


def test_a_dropout_layer_draws_a_new_mask_on_every_call() -> None:
    layer = keras.layers.Dropout(0.5, seed=3)
    masked = function(lambda x: layer(x, training=True))
    eager = keras.layers.Dropout(0.5, seed=3)
    x = np.ones(64, "float32")
    masks = [masked(x).tolist() for _ in range(2)]
    assert masks[0] != masks[1]
    assert masks == [eager(x, training=True).tolist() for _ in range(2)]


def test_metrics_statistics_and_losses_of_layers_are_state_like_any_other() -> None:
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(gamma_regularizer="l2")(inputs)
    model = keras.Model(inputs, keras.layers.ActivityRegularization(l2=0.1)(x))
    twin = keras.models.clone_model(model)
    twin.compile(keras.optimizers.SGD(0.0))
    mean = keras.metrics.Mean()

    @function
    def step(batch):
        model(batch, training=True)
        loss = sum(model.losses)
        mean.update_state(loss)
        return loss

    data = np.random.default_rng(0).random((3, 8, 4), dtype="float32")
    losses = [float(step(batch)) for batch in data]
    assert np.isclose(float(mean.result()), np.mean(losses))
    np.testing.assert_allclose(losses, [twin.train_on_batch(batch) for batch in data], rtol=1e-5)
    for ours, theirs in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
    mean.reset_state()
    assert float(mean.result()) == 0


OPTIMIZERS = {
    "a schedule and an average": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9, use_ema=True, ema_overwrite_frequency=2
    ),
    "accumulated gradients": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2, clipnorm=1.0),
    "a scaled loss": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05)),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_compiled_step_trains_as_keras_own_loop_does(kind: str) -> None:
    x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")

    def start():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "tanh")])
        return model, OPTIMIZERS[kind]()

    model, optimizer = start()

    @function
    def step(x, y):
        with GradientTape() as tape:
            loss = optimizer.scale_loss(keras.ops.mean((model(x) - y) ** 2))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    twin, theirs = start()
    twin.compile(theirs, "mse")
    for _ in range(5):
        step(x, y)
        twin.train_on_batch(x, y)
    pairs = zip((*model.weights, *optimizer.variables), (*twin.weights, *theirs.variables), strict=True)
    for ours, expected in pairs:
        np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=2e-5, atol=1e-6)


def test_a_change_of_the_learning_rate_needs_no_trace() -> None:
    v, optimizer = variable(1), keras.optimizers.SGD(0.5)
    step = function(lambda: optimizer.apply([v * 0 + 1], [v]))
    step()
    optimizer.learning_rate = 0.25
    step()
    assert float(v.value) == 0.25
    assert step.experimental_get_tracing_count() == 1


def test_mixed_precision_reads_variables_in_the_compute_dtype_and_keeps_them_in_theirs() -> None:
    layer = keras.layers.Dense(2, dtype="mixed_bfloat16")
    layer.build((None, 3))

    @function
    def step(x):
        with GradientTape() as tape:
            y = layer(x)
            loss = keras.ops.sum(y)
        return y, tape.gradient(loss, layer.kernel)

    y, gradient = step(np.ones((2, 3), "float32"))
    assert (y.dtype, gradient.dtype, layer.kernel.value.dtype) == ("bfloat16", "float32", "float32")

    class Traced(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 2), initializer="ones")

        @function
        def call(self, x):
            return keras.ops.matmul(x, self.kernel)

    traced = Traced(dtype="mixed_bfloat16")
    assert [traced(np.ones((2, 3), "float32")).dtype for _ in range(2)] == ["bfloat16"] * 2
    assert traced.call(np.ones((2, 3), "float32")).dtype == "float32"


def test_a_model_with_a_compiled_call_trains_with_fit() -> None:
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        @function
        def call(self, x, training=False):
            return self.dense(x)

    model = Network()
    model.compile("sgd", "mse")
    x = np.ones((8, 3), "float32")
    losses = model.fit(x, np.zeros((8, 1)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.allclose(model(x), model.predict(x, verbose=0))


def test_threads_that_share_variables_lose_no_update() -> None:
    v, reads = keras.Variable(jnp.zeros(64)), []

    @function
    def add(x):
        v.assign_add(x)
        return v * 1

    read = function(lambda: v + 0)
    add(np.zeros(64, "float32"))
    errors = []

    def work():
        try:
            for _ in range(100):
                add(np.ones(64, "float32"))
                reads.append(read())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert np.asarray(v.value).tolist() == [400.0] * 64
    assert all(len(set(np.asarray(value).tolist())) == 1 for value in reads)


def test_threads_that_call_a_new_function_at_once_trace_it_once() -> None:
    traces, barrier = [], threading.Barrier(4)

    @function
    def step(x):
        traces.append(1)
        return x * 2

    def work():
        barrier.wait()
        step(ONE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(traces) == 1


def test_an_error_raised_while_the_program_runs_leaves_the_variables_as_they_were() -> None:
    v, fail = keras.Variable(jnp.zeros(3)), [False]

    def check(x):
        if fail[0]:
            raise ValueError("the sensor is off")
        return x

    @function
    def step(x):
        v.assign_add(jax.pure_callback(check, jax.ShapeDtypeStruct((3,), "float32"), x + v))

    step(np.ones(3, "float32"))
    fail[0] = True
    with pytest.raises(ModelError, match="the sensor is off") as caught:
        step(np.ones(3, "float32"))
    assert len(str(caught.value)) < 300
    fail[0] = False
    assert v.numpy().tolist() == [1, 1, 1]
    step(np.ones(3, "float32"))
    assert v.numpy().tolist() == [3, 3, 3]


def test_an_interrupt_on_the_way_leaves_the_variables_with_values(monkeypatch: pytest.MonkeyPatch) -> None:
    v = keras.Variable(jnp.zeros(3))
    step = function(lambda: v.assign_add(jnp.ones(3)))
    step()
    program = next(iter(step._programs.values()))

    def interrupted(*values):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(program, "_compiled", interrupted)
        with pytest.raises(KeyboardInterrupt):
            step()
    step()
    assert v.numpy().tolist() == [2, 2, 2]


def test_a_variable_assigned_inside_a_loop_of_jax_is_an_error_that_names_it() -> None:
    v = keras.Variable(0.0, name="running")

    @function
    def step(x):
        def body(carry, item):
            v.assign_add(item)
            return carry, None

        jax.lax.scan(body, 0.0, x)

    with pytest.raises(ModelError, match="running"):
        step(np.ones(3, "float32"))


def test_a_variable_read_first_inside_a_loop_of_jax_is_still_read_once_for_all() -> None:
    v = variable(2)

    @function
    def step(x):
        _, inside = jax.lax.scan(lambda carry, item: (carry, item * v), 0.0, x)
        return inside.sum() + v

    assert float(step(np.ones(3, "float32"))) == 8
    v.assign(3.0)
    assert float(step(np.ones(3, "float32"))) == 12


def test_functions_leave_nothing_behind() -> None:
    def live() -> int:
        gc.collect()
        return len(jax.live_arrays())

    def once() -> None:
        v = keras.Variable(jnp.zeros(3))
        step = function(lambda x: v.assign_add(x))
        step(np.ones(3, "float32"))

    once()
    before = live()
    for _ in range(3):
        once()
    assert live() <= before
