"""The initial values of variables: the same bits as Keras', in few compiled programs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainstay as tf
from mainstay import keras
from mainstay.framework import install_kernels, plain_kernels

install_kernels()

SHAPES = [(), (1,), (7,), (0,), (13, 11), (3, 3, 1, 32), (128, 10), (600, 500)]
INITIALIZERS: dict[str, dict[str, Any]] = {
    "glorot_uniform": {},
    "he_normal": {},
    "lecun_uniform": {},
    "RandomNormal": {"mean": 0.3, "stddev": 0.02},
    "TruncatedNormal": {"mean": -0.1, "stddev": 1.7},
    "RandomUniform": {"minval": -3.0, "maxval": 0.7},
    "orthogonal": {},
    "zeros": {},
    "ones": {},
}


def initialized_variable(name: str, shape: Any, dtype: str, seed: int) -> Any:
    settings = {} if name in ("zeros", "ones") else {"seed": seed}
    initializer = type(keras.initializers.get(name))(**INITIALIZERS[name], **settings)
    return keras.Variable(initializer, shape=shape, dtype=dtype, trainable=False)


def initialized(name: str, shape: Any, dtype: str, seed: int) -> Any:
    return initialized_variable(name, shape, dtype, seed).value


def assert_the_same(name: str, shape: Any, dtype: str, seed: int) -> None:
    ours = initialized(name, shape, dtype, seed)
    with plain_kernels():
        plain = initialized(name, shape, dtype, seed)
    assert (ours.dtype, ours.shape, ours.weak_type) == (plain.dtype, plain.shape, plain.weak_type)
    assert ours.sharding == plain.sharding
    assert ours.committed == plain.committed
    assert np.asarray(ours).tobytes() == np.asarray(plain).tobytes()


@contextlib.contextmanager
def compiled_programs() -> Iterator[list[str]]:
    """Gather the names of what XLA compiles."""
    names: list[str] = []

    def note(event: str, duration: float, **about: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(about.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name != "orthogonal"])
def test_initial_values_are_those_of_keras_to_the_last_bit(name: str, shape: Any) -> None:
    assert_the_same(name, shape, "float32", 3)


@settings(max_examples=15)
@given(st.integers(0, 2**31 - 1), st.sampled_from(["glorot_uniform", "RandomNormal", "TruncatedNormal"]))
def test_every_seed_gives_the_bits_of_keras(seed: int, name: str) -> None:
    assert_the_same(name, (13, 11), "float32", seed)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "bool", "uint8"])
def test_other_dtypes_are_those_of_keras(dtype: str) -> None:
    names = ("zeros", "ones", "glorot_uniform", "RandomNormal") if "float" in dtype else ("zeros", "ones")
    for name in names:
        assert_the_same(name, (3, 4), dtype, 5)


def test_an_initializer_of_several_operations_is_that_of_keras() -> None:
    assert_the_same("orthogonal", (6, 4), "float32", 9)


def test_a_model_has_the_weights_of_keras() -> None:
    def weights() -> list[Any]:
        keras.utils.set_random_seed(11)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7), keras.layers.Dense(3)])
        model.compile(keras.optimizers.Adam())
        model.optimizer.build(model.trainable_variables)
        return [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]

    ours = weights()
    with plain_kernels():
        plain = weights()
    assert [value.tobytes() for value in ours] == [value.tobytes() for value in plain]


def test_variables_of_new_shapes_compile_nothing() -> None:
    for name in ("zeros", "ones", "glorot_uniform"):
        initialized(name, (2, 3), "float32", 1)
    with compiled_programs() as programs:
        for name in ("zeros", "ones", "glorot_uniform"):
            initialized(name, (17, 19), "float32", 1)
        assert programs == []
        with plain_kernels():
            initialized("glorot_uniform", (17, 19), "float32", 1)
        assert programs != []


def test_numbers_drawn_outside_of_a_variable_are_keras_own() -> None:
    initialized("glorot_uniform", (2, 3), "float32", 1)
    with compiled_programs() as programs:
        keras.random.uniform((23, 29), seed=1)
    assert len(programs) == 1


def test_a_variable_made_in_a_compiled_initializer_or_a_tape_has_the_same_values() -> None:
    def drawn() -> Any:
        return keras.initializers.GlorotUniform(seed=2)((4, 5))

    expected = drawn()
    assert jnp.array_equal(initialized("glorot_uniform", (4, 5), "float32", 2), expected)
    with tf.GradientTape():
        assert jnp.array_equal(initialized("glorot_uniform", (4, 5), "float32", 2), expected)

    class Traced(keras.initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return jax.jit(drawn)()

    np.testing.assert_allclose(keras.Variable(Traced(), shape=(4, 5)).numpy(), expected, rtol=1e-6)


def test_variables_that_a_function_creates_compile_nothing_of_their_own() -> None:
    made: list[Any] = []

    def create(x: Any) -> Any:
        if not made:
            names = ("zeros", "ones", "glorot_uniform")
            made.extend(initialized_variable(name, (21, 23), "float32", 6) for name in names)
        return x + made[0][0, 0] + made[2][0, 0]

    initialized("glorot_uniform", (2, 3), "float32", 1)
    with compiled_programs() as programs:
        tf.function(create)(jnp.float32(1))
    assert not any("broadcast" in name or "uniform" in name for name in programs)
    expected = initialized("glorot_uniform", (21, 23), "float32", 6)
    assert made[2].numpy().tobytes() == np.asarray(expected).tobytes()


def test_a_small_variable_does_not_hold_the_memory_of_the_numbers_drawn_with_it() -> None:
    rows: list[Any] = []
    put = jax.device_put

    def noted(value: Any) -> Any:
        rows.append(value if value.base is None else value.base)
        return put(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "device_put", noted)
        initialized("glorot_uniform", (2, 3), "float32", 1)
        initialized("RandomNormal", (2, 3), "float32", 1)
    assert [row.size for row in rows] == [6, 6]


def test_an_initial_value_can_be_donated() -> None:
    variable = keras.Variable("zeros", shape=(64, 64))
    doubled = jax.jit(lambda x: x + 1, donate_argnums=0)(variable.value)
    assert float(doubled.sum()) == 64 * 64


def test_another_generator_of_jax_is_used_as_it_is() -> None:
    with jax.threefry_partitionable(False):
        assert_the_same("glorot_uniform", (5, 3), "float32", 4)


@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("int32", "int32"), ("bfloat16", "float32")], ids=str)
def test_a_quotient_is_that_of_keras_and_one_program(dtypes: Any) -> None:
    values = [jnp.asarray(item, dtype) for item, dtype in zip(([1, 0, 7, -2], [3, 0, 0, 9]), dtypes, strict=True)]
    with plain_kernels():
        plain = keras.ops.divide_no_nan(*values)
    with compiled_programs() as programs:
        ours = keras.ops.divide_no_nan(*values)
    assert len(programs) <= 1
    assert ours.dtype == plain.dtype
    assert np.asarray(ours).tobytes() == np.asarray(plain).tobytes()
    assert float(keras.ops.divide_no_nan(3.0, 0)) == 0


def test_the_result_of_a_metric_is_that_of_keras() -> None:
    metric = keras.metrics.Mean()
    assert float(metric.result()) == 0
    metric.update_state([1.0, 2.0, 4.0])
    ours = metric.result()
    with plain_kernels():
        assert np.asarray(metric.result()).tobytes() == np.asarray(ours).tobytes()
