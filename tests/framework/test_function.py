"""`function` traces once per kind of arguments, finds its state, and behaves as Python and TensorFlow users expect."""

import copy
import enum
import functools
import gc
import weakref
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay import keras
from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.framework import Function, GradientTape, function, run_functions_eagerly

ONES = np.ones((2, 3), "float32")
Pair = namedtuple("Pair", ["left", "right"])


class Mode(enum.Enum):
    ADD = 1
    MULTIPLY = 2


@dataclass
class Batch:
    features: Any
    scale: float


@dataclass(frozen=True)
class Settings:
    rate: float


def test_the_decorator_works_with_and_without_parentheses_and_as_a_call() -> None:
    @function
    def one(x):
        return x + 1

    @function(reduce_retracing=True)
    def two(x):
        return x + 2

    three = function(lambda x: x + 3)
    assert [float(step(np.float32(1))) for step in (one, two, three)] == [2, 3, 4]
    assert isinstance(one, Function)
    assert one.__name__ == "one"
    assert one.python_function(1) == 2


def test_partials_and_callable_objects_are_functions_too() -> None:
    class Scale:
        def __call__(self, x):
            return x * 3

    assert float(function(functools.partial(lambda a, x: a * x, 2.0))(np.float32(4))) == 8
    assert float(function(Scale())(np.float32(4))) == 12
    assert float(function(function(lambda x: x))(np.float32(4))) == 4


def test_class_and_static_methods_work_in_either_order_of_decorators() -> None:
    class Model:
        rate = 2.0

        @classmethod
        @function
        def inner(cls, x):
            return x * cls.rate

        @function
        @classmethod
        def outer(cls, x):
            return x * cls.rate

        @staticmethod
        @function
        def still(x):
            return x * 5

        @function
        @staticmethod
        def still_too(x):
            return x * 5

    x = np.float32(3)
    assert [float(f(x)) for f in (Model.inner, Model.outer, Model.still, Model.still_too)] == [6, 6, 15, 15]
    assert [float(f(x)) for f in (Model().inner, Model().outer, Model().still_too)] == [6, 6, 15]


def test_each_object_has_functions_of_its_own_and_is_not_kept_alive_by_them() -> None:
    class Step:
        def __init__(self, rate):
            self.rate = rate
            self.variable = None

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

        @function
        def step(self, x):
            if self.variable is None:
                self.variable = keras.Variable(self.rate)
            return self.variable * x

    first, second = Step(2.0), Step(3.0)
    assert (float(first.step(np.float32(1))), float(second.step(np.float32(1)))) == (2, 3)
    assert first.step is first.step
    shallow, deep = copy.copy(first), copy.deepcopy(second)
    shallow.rate, shallow.variable = 7.0, None
    assert float(shallow.step(np.float32(1))) == 7
    assert float(deep.step(np.float32(1))) == 3
    assert float(first.step(np.float32(1))) == 2
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None


def test_an_object_without_a_dict_can_have_a_function_too() -> None:
    @dataclass(frozen=True, slots=True)
    class Step:
        rate: float

        @function
        def __call__(self, x):
            return x * self.rate

    assert [float(Step(rate)(np.float32(2))) for rate in (2.0, 3.0)] == [4, 6]


def test_generators_coroutines_and_things_that_cannot_be_called_are_refused() -> None:
    def generator():
        yield 1

    async def coroutine():
        return 1

    for wrong in (generator, coroutine, 3):
        with pytest.raises(ArgumentError):
            function(wrong)


def test_arrays_share_a_trace_by_shape_and_dtype_and_python_values_by_value() -> None:
    traces = []

    @function
    def scale(x, by=2, mode=Mode.MULTIPLY):
        traces.append((x.shape, by, mode))
        return x * by if mode is Mode.MULTIPLY else x + by

    assert scale(ONES).tolist() == (ONES * 2).tolist()
    for call in (
        lambda: scale(jnp.ones((2, 3))),
        lambda: scale(x=ONES * 2),
        lambda: scale(ONES, 2),
        lambda: scale(ONES, by=2),
        lambda: scale(mode=Mode.MULTIPLY, x=ONES),
    ):
        call()
    assert len(traces) == scale.experimental_get_tracing_count() <= 2
    count = len(traces)
    assert scale(ONES, 3).tolist() == (ONES * 3).tolist()
    assert scale(ONES, 2, Mode.ADD).tolist() == (ONES + 2).tolist()
    scale(ONES[:1])
    assert scale(ONES, 2.0).dtype == "float32"
    assert len(traces) == count + 4


def test_equal_python_values_of_different_types_are_different_arguments() -> None:
    kind = function(lambda value: type(value).__name__)
    assert [kind(value) for value in (1, 1.0, True, "1", None)] == ["int", "float", "bool", "str", "NoneType"]
    sign = function(lambda value: str(value))
    assert (sign(0.0), sign(-0.0), sign(float("nan"))) == ("0.0", "-0.0", "nan")
    sign(float("nan"))
    assert sign.experimental_get_tracing_count() == 3


def test_equal_values_made_of_different_types_are_different_arguments() -> None:
    @dataclass(frozen=True)
    class Rate:
        value: Any

    scaled = function(lambda rate, x: x * rate.value)
    assert [scaled(Rate(value), np.int32(3)).dtype.name for value in (1, 1.0, 1)] == ["int32", "float32", "int32"]
    first = function(lambda values, x: x * min(values))
    assert [first(frozenset([value]), np.int32(3)).dtype.name for value in (1.0, 1)] == ["float32", "int32"]
    assert scaled.experimental_get_tracing_count() == first.experimental_get_tracing_count() == 2


def test_a_weakly_typed_array_keeps_its_weak_type() -> None:
    add = function(lambda x: x + np.ones((), "float16"))
    assert add(jnp.asarray(1.0)).dtype == (jnp.asarray(1.0) + np.ones((), "float16")).dtype
    assert add(jnp.ones((), "float32")).dtype == "float32"


def test_structures_go_in_and_come_out_with_their_types_and_the_order_of_their_keys() -> None:
    for value in (
        {"z": ONES, "a": [ONES, (ONES, None)]},
        Pair(ONES, {"k": ONES}),
        [ONES],
        (ONES, ONES),
        [Batch({"z": ONES, "a": 1}, 2.0)],
        (),
        None,
        OrderedDict(z=ONES, a=ONES),
    ):

        @function
        def same(value):
            assert not isinstance(value, dict) or list(value) == ["z", "a"]
            return value

        out = same(value)
        assert type(out) is type(value)
        assert described(out) == described(value)


LEAVES = st.just(ONES) | st.sampled_from([None, 1, 0.5, "text", True, Mode.ADD])
STRUCTURES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("zyxabc"), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Batch, inner, inner)
    ),
    max_leaves=6,
)


def described(value: Any) -> Any:
    """A structure as something that `==` compares: its types, the order of its keys, its numbers."""
    if isinstance(value, dict):
        return "dict", [(key, described(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [described(item) for item in value]
    if isinstance(value, Batch):
        return Batch, described(value.features), described(value.scale)
    return value.tolist() if isinstance(value, (np.ndarray, jax.Array)) else (type(value), value)


@settings(max_examples=40)
@given(STRUCTURES)
def test_any_structure_goes_through_a_function_unchanged(value: Any) -> None:
    inside = []
    same = function(lambda value: inside.append(type(value)) or value)
    for _ in range(2):
        assert described(same(value)) == described(value)
    assert len(inside) == 1


def test_a_dataclass_with_arrays_is_a_structure_and_one_without_is_a_value() -> None:
    traces = []

    @function
    def scaled(batch, settings):
        traces.append(1)
        return Batch(batch.features * batch.scale * settings.rate, batch.scale)

    out = scaled(Batch(ONES, 2.0), Settings(0.5))
    scaled(Batch(ONES * 5, 2.0), Settings(0.5))
    assert len(traces) == 1
    assert isinstance(out, Batch)
    assert (out.features.tolist(), out.scale) == (ONES.tolist(), 2.0)
    scaled(Batch(ONES, 3.0), Settings(0.5))
    scaled(Batch(ONES, 3.0), Settings(0.25))
    assert len(traces) == 3


def test_python_values_among_the_results_come_back_as_they_are() -> None:
    marker = object()
    mixed = function(lambda x: {"x": x, "text": "t", "none": None, "marker": marker, "number": 3})
    for _ in range(2):
        out = mixed(np.float32(1))
        assert out["marker"] is marker
        assert (float(out["x"]), out["text"], out["none"], out["number"]) == (1.0, "t", None, 3)


def test_arguments_that_cannot_be_compared_are_refused_with_their_path() -> None:
    keep = function(lambda x: None)
    with pytest.raises(ArgumentError, match=r"x\['a'\]\[1\]") as caught:
        keep({"a": [1, {1, 2}]})
    assert "set" in str(caught.value)
    with pytest.raises(ArgumentError, match="text"):
        keep(np.array(["a", "b"]))
    with pytest.raises(TypeError, match=r"<lambda>\(\): missing a required argument: 'x'"):
        keep()


def test_an_array_with_swapped_bytes_is_refused_with_a_way_out() -> None:
    double = function(lambda pixels: pixels * 2)
    swapped = np.ones(2, ">f4")
    with pytest.raises(ArgumentError, match=r"pixels.*\n.*>f4") as caught:
        double(swapped)
    assert "newbyteorder" in str(caught.value)
    assert double(swapped.astype(swapped.dtype.newbyteorder("="))).tolist() == [2, 2]


def test_other_objects_are_compared_by_identity_and_forgotten_with_the_object() -> None:
    class Plain:
        value = 1

    read = function(lambda thing, x: thing.value * x)
    first, second = Plain(), Plain()
    second.value = 2
    assert [float(read(thing, np.float32(3))) for thing in (first, second, first)] == [3, 6, 3]
    assert read.experimental_get_tracing_count() == 2
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    assert len(read._programs) == 1
    assert len(read._by_call) == 1


def test_a_concrete_function_is_forgotten_with_the_object_it_was_traced_for() -> None:
    class Plain:
        value = 1

    read = function(lambda thing, x: thing.value * x)
    thing = Plain()
    assert float(read.get_concrete_function(thing, TensorSpec((), "float32"))(thing, np.float32(3))) == 3
    del thing
    gc.collect()
    assert not read._programs


def test_variables_are_arguments_by_identity() -> None:
    a, b = keras.Variable(1.0), keras.Variable(2.0)

    @function
    def bump(variable, by):
        variable.assign_add(by)

    for _ in range(2):
        bump(a, np.float32(1))
        bump(b, np.float32(10))
    assert (float(a.value), float(b.value)) == (3, 22)
    assert bump.experimental_get_tracing_count() == 2


def test_a_symbolic_keras_tensor_goes_through() -> None:
    double = function(lambda x: keras.ops.multiply(x, 2.0))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, double(inputs))
    assert np.asarray(model(ONES)).tolist() == (ONES * 2).tolist()


def test_side_effects_of_python_happen_while_tracing_and_then_no_more() -> None:
    seen = []

    @function
    def noisy(x):
        seen.append(x.shape)
        assert x.shape[0] < 3, "asserted while tracing"
        return x

    for _ in range(3):
        noisy(ONES)
    assert seen == [(2, 3)]
    with pytest.raises(AssertionError, match="asserted while tracing"):
        noisy(np.ones((4, 3), "float32"))


def test_functions_inside_functions_are_one_program() -> None:
    v = keras.Variable(0.0)

    @function
    def inner(x):
        v.assign_add(x)
        return v * 2

    @function
    def outer(x):
        inner(x)
        return inner(x) + v

    assert float(outer(np.float32(1))) == 6
    assert float(v.value) == 2
    assert inner.experimental_get_tracing_count() == 0
    assert float(inner(np.float32(1))) == 6


def test_a_recursion_ends_on_a_python_value_and_one_that_cannot_end_is_said_to() -> None:
    @function
    def power(x, n):
        return x if n == 0 else x * power(x, n - 1)

    assert float(power(np.float32(2), 5)) == 64

    @function(autograph=False)
    def ping(x):
        return pong(x)

    @function(autograph=False)
    def pong(x):
        return ping(x)

    with pytest.raises(ModelError, match="without end") as caught:
        ping(np.float32(2))
    assert "ping → pong" in str(caught.value) or "pong → ping" in str(caught.value)


def test_run_functions_eagerly_runs_plain_python() -> None:
    seen = []
    step = function(lambda x: seen.append(float(x)) or x)
    run_functions_eagerly(True)
    try:
        step(np.float32(1))
        step(np.float32(2))
    finally:
        run_functions_eagerly(False)
    assert seen == [1.0, 2.0]
    assert step.experimental_get_tracing_count() == 0


def test_a_function_is_differentiable_under_an_eager_tape_and_inside_jax() -> None:
    w = keras.Variable(np.arange(3, dtype="float32"))
    loss = function(lambda x: keras.ops.sum(w * x) ** 2)
    x = jnp.ones(3)
    for _ in range(2):
        with GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        by_w, by_x = tape.gradient(value, [w, x])
        assert by_w.tolist() == [6.0, 6.0, 6.0]
        assert by_x.tolist() == [0.0, 6.0, 12.0]
    assert jax.grad(loss)(x).tolist() == [0.0, 6.0, 12.0]
    assert float(jax.jit(loss)(x)) == 9
    assert jax.vmap(loss)(jnp.stack([x, x * 2])).tolist() == [9, 36]


def test_a_function_that_assigns_may_run_under_a_tape_but_not_inside_a_transformation() -> None:
    count, w = keras.Variable(0.0), keras.Variable(2.0)

    @function
    def step(x):
        count.assign_add(x * w)
        return w * x

    with GradientTape() as tape:
        y = step(jnp.float32(3)) ** 2
    assert float(tape.gradient(y, w)) == 36
    assert float(count.value) == 6
    with pytest.raises(ModelError, match="transformation"):
        jax.grad(step)(jnp.float32(3))
    assert float(count.value) == 6


def test_keras_settings_are_part_of_what_a_trace_is_for() -> None:
    kind = function(lambda: keras.layers.Dense(1).compute_dtype)
    assert kind() == "float32"
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert kind() == "bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert kind() == "float32"
    with jax.enable_x64(True):
        wide = function(lambda x: x * 2)
        assert wide(np.ones(2)).dtype == "float64"
    assert wide(np.ones(2)).dtype == "float32"
    assert wide.experimental_get_tracing_count() == 2
