"""`input_signature` and concrete functions: what they accept, what they refuse, and what they say of themselves."""

from collections import namedtuple
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
from mainstay.framework import ConcreteFunction, GradientTape, Variable, function

ROWS = TensorSpec([None, 3], "float32")
Pair = namedtuple("Pair", ["left", "right"])


def doubled(x):
    return x * 2


def test_any_length_is_accepted_where_the_spec_says_none() -> None:
    double = function(doubled, input_signature=[ROWS])
    for rows in (1, 5, 5, 0):
        assert double(np.ones((rows, 3), "float32")).shape == (rows, 3)
    assert double.experimental_get_tracing_count() == 3


@pytest.mark.parametrize(
    ("spec", "value", "dtype"),
    [
        (ROWS, [[1, 2, 3.0]], "float32"),
        (ROWS, ((1, 2, 3),), "float32"),
        (ROWS, np.ones((2, 3)), "float32"),
        (TensorSpec([], "int32"), 3, "int32"),
        (TensorSpec([], "float32"), 3, "float32"),
        (TensorSpec([], "bool"), True, "bool"),
        (TensorSpec([None], "int32"), np.ones(2, "int64"), "int32"),
        (TensorSpec([None], "float32"), [], "float32"),
        (TensorSpec([None], "int64"), jnp.ones(2, "int32"), "int32"),
        (TensorSpec([None], "int64"), [1, 2], "int32"),
        (TensorSpec([None], "float64"), np.ones(2), "float32"),
        (TensorSpec([], "bfloat16"), 1.5, "bfloat16"),
        (TensorSpec([None], "float16"), [1, 2], "float16"),
    ],
)
def test_python_values_and_wider_numpy_arrays_are_converted(spec, value, dtype) -> None:
    same = function(lambda x: x, input_signature=[spec])
    for _ in range(2):
        assert same(value).dtype == dtype


@pytest.mark.parametrize(
    ("spec", "value", "expected", "received"),
    [
        (ROWS, np.ones((2, 4), "float32"), "float32[None,3]", "float32[2,4]"),
        (ROWS, np.ones(3, "float32"), "float32[None,3]", "float32[3]"),
        (ROWS, jnp.ones((2, 3), "float16"), "float32[None,3]", "float16[2,3]"),
        (ROWS, np.ones((2, 3), "int32"), "float32[None,3]", "int32[2,3]"),
        (TensorSpec([], "int32"), 1.5, "int32[]", "float64[]"),
        (TensorSpec([], "int32"), True, "int32[]", "bool[]"),
        (TensorSpec([], "int8"), 300, "int8[]", "int64[]"),
        (ROWS, [[1, 2, 3], [4]], "float32[None,3]", "a list of 2"),
        (ROWS, "text", "float32[None,3]", ""),
        (ROWS, None, "float32[None,3]", ""),
        ({"a": [ROWS]}, {"a": [[1.0]]}, "float32[None,3]", "float32[1]"),
        ({"a": [ROWS]}, {"b": [ROWS]}, "a dict with the keys ['a']", "a dict with the keys ['b']"),
        ([ROWS, ROWS], [[[1, 2, 3]]], "a list of 2", "a list of 1"),
        ({"a": ROWS}, np.ones((1, 3)), "a dict with the keys ['a']", "float64[1,3]"),
    ],
)
def test_what_does_not_fit_a_spec_is_refused_with_its_path(spec, value, expected, received) -> None:
    same = function(lambda x: x, input_signature=[spec])
    with pytest.raises(ArgumentError) as caught:
        same(value)
    text = str(caught.value)
    assert text.startswith("x")
    assert f"expected: {expected}" in text
    assert f"received: {received}" in text


def test_the_path_of_a_fault_leads_into_the_structure() -> None:
    total = function(lambda batch: batch["a"][0], input_signature=[{"a": [ROWS]}])
    assert total({"a": [[[1, 2, 3]]]}).shape == (1, 3)
    with pytest.raises(ArgumentError, match=r"^x?batch\['a'\]\[0\]: .*shape"):
        total({"a": [np.ones((2, 4), "float32")]})


def test_a_signature_covers_positional_named_and_default_arguments() -> None:
    @function(input_signature=[ROWS, TensorSpec([], "float32")])
    def scale(x, by, power=2):
        return (x * by) ** power

    x = np.ones((2, 3), "float32")
    for call in (lambda: scale(x, 2.0), lambda: scale(x, by=2.0), lambda: scale(by=np.float32(2), x=x)):
        assert float(call()[0, 0]) == 4
    assert scale.experimental_get_tracing_count() == 1
    assert float(scale(x, 2.0, 3)[0, 0]) == 8
    with pytest.raises(TypeError, match="missing a required argument: 'by'"):
        scale(x)
    with pytest.raises(ArgumentError, match="is an array"):
        scale(x, 2.0, np.ones(3))
    many = function(lambda *xs: sum(xs), input_signature=[TensorSpec([])] * 2)
    assert float(many(1.0, 2.0)) == 3
    with pytest.raises(ArgumentError, match="missing"):
        many(1.0)


@pytest.mark.parametrize(
    ("func", "signature"),
    [
        (doubled, [ROWS, ROWS]),
        (lambda x, y: x, [ROWS]),
        (lambda x, *, y: x, [ROWS]),
        (doubled, ROWS),
        (doubled, ["float32"]),
        (doubled, [{"a": 3}]),
    ],
)
def test_a_signature_that_does_not_fit_the_function_is_refused_at_once(func, signature) -> None:
    with pytest.raises(ArgumentError, match="input_signature"):
        function(func, input_signature=signature)


def test_a_signature_holds_inside_another_function_too() -> None:
    double = function(doubled, input_signature=[ROWS])
    outer = function(lambda x: double(x))
    assert outer(np.ones((2, 3), "float32")).shape == (2, 3)
    with pytest.raises(ArgumentError, match=r"received: float32\[4\]"):
        outer(np.ones(4, "float32"))


def test_a_variable_may_be_given_for_a_spec() -> None:
    v = keras.Variable(np.ones((2, 3), "float32"))
    square = function(lambda x: (x * x).sum(), input_signature=[ROWS])
    assert float(square(v)) == 6
    v.assign(v * 2)
    assert float(square(v)) == 24
    with GradientTape() as tape:
        y = square(v)
    assert np.asarray(tape.gradient(y, v)).tolist() == [[4.0] * 3] * 2


def test_a_method_with_a_signature_leaves_self_out_of_it() -> None:
    class Module:
        @function(input_signature=[ROWS])
        def serve(self, x):
            return x + 1

    module = Module()
    assert module.serve([[1, 2, 3]]).tolist() == [[2, 3, 4]]
    assert module.serve.get_concrete_function().structured_outputs == TensorSpec([None, 3])


def test_a_concrete_function_is_traced_without_running_and_says_what_it_is() -> None:
    v, held, runs = keras.Variable(2.0, name="rate"), jnp.ones(3), []

    @function
    def step(x, scale, training=False):
        runs.append(1)
        v.assign_add(1.0)
        return {"y": x * v + held * scale["by"], "training": training}

    concrete = step.get_concrete_function(TensorSpec([2, 3], "float32", "x"), {"by": np.float32(1)}, training=True)
    assert isinstance(concrete, ConcreteFunction)
    assert (len(runs), float(v.value)) == (1, 2)
    args, kwargs = concrete.structured_input_signature
    assert args == (TensorSpec([2, 3], "float32", "x"), {"by": TensorSpec([])}, True)
    assert kwargs == {}
    assert concrete.structured_outputs == {"y": TensorSpec([2, 3]), "training": True}
    assert [item.path for item in concrete.variables] == ["rate"]
    assert concrete.trainable_variables == concrete.variables
    assert any(item is held for item in concrete.captured_inputs)
    assert concrete.name == "step"
    assert "stablehlo.multiply" in concrete.as_text()
    assert "stablehlo.multiply" in concrete.lower().as_text()
    assert concrete.lower().compile() is not None
    assert repr(concrete) == "<ConcreteFunction step(x=float32[2,3], scale['by']=float32[], training=True)>"
    out = concrete(np.ones((2, 3), "float32"), {"by": 5.0})
    assert (out["y"].tolist(), out["training"], float(v.value)) == ([[8.0] * 3] * 2, True, 3)
    assert len(runs) == 1
    assert step.pretty_printed_concrete_signatures() == "step(float32[2,3], float32[])"


def test_a_concrete_function_of_64_bits_holds_what_jax_holds() -> None:
    concrete = function(doubled, input_signature=[TensorSpec([2], "int64")]).get_concrete_function()
    assert concrete.structured_outputs == TensorSpec([2], "int32")
    assert concrete(np.array([1, 2])).tolist() == [2, 4]


def test_a_concrete_function_refuses_arguments_of_another_kind() -> None:
    concrete = function(lambda x, n=2: x * n).get_concrete_function(TensorSpec([2, 3]), 3)
    x = np.ones((2, 3), "float32")
    assert float(concrete(x)[0, 0]) == float(concrete(x, 3)[0, 0]) == 3
    with pytest.raises(ArgumentError, match=r"n: .*another value"):
        concrete(x, 4)
    with pytest.raises(ArgumentError, match=r"x: .*shape"):
        concrete(x[:1])
    with pytest.raises(ArgumentError, match="x: an argument is missing"):
        concrete()
    with pytest.raises(ArgumentError, match="structure"):
        concrete([x])


def test_a_concrete_function_with_open_lengths_is_traced_with_symbols_and_compiled_per_length() -> None:
    layer = keras.layers.Dense(2)

    @function
    def serve(batch):
        return layer(batch["x"]) * batch["w"][:, None]

    concrete = serve.get_concrete_function({"x": TensorSpec([None, 3]), "w": TensorSpec([None])})
    assert concrete.structured_outputs == TensorSpec([None, 2])
    assert "?x3" in concrete.as_text()
    for rows in (1, 4):
        assert concrete({"x": np.ones((rows, 3), "float32"), "w": np.ones(rows, "float32")}).shape == (rows, 2)
    with pytest.raises(ArgumentError, match="open lengths"):
        concrete.lower()
    with pytest.raises(ArgumentError, match=r"batch\['x'\]"):
        concrete({"x": np.ones((2, 4), "float32"), "w": np.ones(2, "float32")})


def test_a_function_that_needs_the_length_cannot_be_concrete_without_it() -> None:
    spread = function(lambda x: jnp.ones(int(x.shape[0])) * x)
    with pytest.raises(ModelError, match="every length") as caught:
        spread.get_concrete_function(TensorSpec([None]))
    assert "fix:" in str(caught.value)
    assert spread(np.ones(2, "float32")).shape == (2,)


def test_a_concrete_function_is_shared_with_calls_of_the_same_kind() -> None:
    double = function(doubled)
    double(np.ones((2, 3), "float32"))
    double.get_concrete_function(TensorSpec([2, 3]))
    double.get_concrete_function(jnp.ones((2, 3)))
    double(jnp.ones((2, 3)))
    assert double.experimental_get_tracing_count() <= 2


@dataclass
class Batch:
    x: Any
    scale: float


def test_specs_may_stand_in_dataclasses_and_named_tuples() -> None:
    scaled = function(lambda batch, pair: batch.x * batch.scale + pair.left)
    concrete = scaled.get_concrete_function(Batch(TensorSpec([3]), 2.0), Pair(TensorSpec([3]), None))
    assert concrete(Batch(np.ones(3), 2.0), Pair(np.ones(3), None)).tolist() == [3, 3, 3]


@settings(max_examples=30)
@given(
    shape=st.lists(st.integers(0, 2), max_size=3),
    spec_shape=st.lists(st.none() | st.integers(0, 2), max_size=3),
    dtype=st.sampled_from(["float32", "int32", "bool"]),
    spec_dtype=st.sampled_from(["float32", "int32", "bool"]),
)
def test_a_jax_array_passes_exactly_when_its_dtype_and_lengths_are_those_of_the_spec(
    shape, spec_shape, dtype, spec_dtype
) -> None:
    same = function(lambda x: 0, input_signature=[TensorSpec(spec_shape, spec_dtype)])
    fits = (
        dtype == spec_dtype
        and len(shape) == len(spec_shape)
        and all(wanted in (None, got) for wanted, got in zip(spec_shape, shape, strict=True))
    )
    value = jax.numpy.zeros(shape, dtype)
    if fits:
        assert same(value) == 0
    else:
        with pytest.raises(ArgumentError, match=r"^x: "):
            same(value)


def test_a_function_knows_the_concrete_ones_it_has_given_each_once() -> None:
    @function
    def double(x):
        return x * 2

    first = double.get_concrete_function(TensorSpec([None, 3]))
    assert double.get_concrete_function(TensorSpec([None, 3])) is first
    second = double.get_concrete_function(TensorSpec([2]))
    assert double.concrete_functions == (first, second)
    assert double.input_signature is None


def test_a_concrete_function_runs_on_other_values_of_its_variables_and_changes_none() -> None:
    variable = Variable(2.0)

    @function
    def add(x, step=1.0):
        variable.assign_add(step)
        return x + variable

    concrete = add.get_concrete_function(TensorSpec([None]))
    assert concrete.written == (variable,)
    (parameter, spec), (_, step) = concrete.parameters.values()
    assert (parameter.name, spec.shape, step) == ("x", (None,), 1.0)
    result, values = concrete.stateless([np.float32(10.0)], {"x": np.ones(2, "float32"), "step": 1.0})
    assert np.asarray(result).tolist() == [12.0, 12.0]
    assert [float(value) for value in values] == [11.0]
    assert float(variable) == 2.0
