"""Variables are made as TensorFlow's, and are Keras' own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError, ModelError
from mainstay.framework import GradientTape, Variable, function


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (3, None, "int32"),
        (3.0, None, "float32"),
        (True, None, "bool"),
        (np.ones(2), None, "float32"),
        (np.arange(2), None, "int32"),
        (1, "float32", "float32"),
        (jnp.ones(2), "bfloat16", "bfloat16"),
        (lambda: np.ones((2, 3), "float16"), None, "float16"),
    ],
)
def test_dtypes_follow_the_documented_rules(value, dtype, expected) -> None:
    v = Variable(value, dtype=dtype)
    assert v.dtype == expected
    assert v.value.dtype == expected
    assert isinstance(v, keras.Variable)


def test_a_variable_has_a_name_and_a_path() -> None:
    assert Variable(1.0, name="scale").path == "scale"
    v = Variable(1.0, name="block/scale")
    assert (v.name, v.path) == ("scale", "block/scale")
    with keras.name_scope("outer"):
        assert Variable(1.0, name="block/scale").path == "outer/block/scale"
    assert Variable(1.0).name


def test_assignments_change_the_value() -> None:
    v = Variable([1.0, 2.0])
    before = v.read_value()
    v.assign([3.0, 4.0])
    v.assign_add([1.0, 1.0])
    v.assign_sub(jnp.ones(2) * 2.0)
    assert v.numpy().tolist() == [2.0, 3.0]
    assert before.tolist() == [1.0, 2.0]
    copy = v.numpy()
    copy[:] = 0.0
    assert v.numpy().tolist() == [2.0, 3.0]


def test_a_variable_stands_where_an_array_may_stand() -> None:
    v = Variable([[1.0, 2.0], [3.0, 4.0]])
    s = Variable(2.0)
    n = Variable(1)
    results = [v + 1, 1 - v, v * v * v, v @ v, v[0], -v, v > 2, v == 1.0, v**2, 2.0**v, v / s, abs(v)]
    assert all(isinstance(result, jax.Array) for result in results)
    assert (float(s), int(n), bool(s), complex(s), len(v), [10, 20][n]) == (2.0, 1, True, 2 + 0j, 2, 20)
    assert [row.tolist() for row in v] == [[1.0, 2.0], [3.0, 4.0]]
    assert np.asarray(v).dtype == "float32"
    assert np.asarray(v, "float64").sum() == 10.0
    assert float(keras.ops.sum(v)) == 10.0


def test_the_initial_value_is_copied() -> None:
    array = jnp.ones(3)
    v, w = Variable(array), None
    assert v.value is not array
    w = Variable(v)
    v.assign_add(jnp.ones(3))
    assert w.numpy().tolist() == [1.0, 1.0, 1.0]
    with GradientTape() as tape:
        tape.watch(array)
        y = Variable(array) * array
    assert tape.gradient(y, array).tolist() == [1.0, 1.0, 1.0]


def test_a_variable_is_trainable_unless_told_otherwise() -> None:
    assert Variable(1.0).trainable
    assert not Variable(1.0, trainable=False).trainable


def test_a_constraint_is_applied_by_the_optimiser() -> None:
    v = Variable([0.1], constraint=keras.constraints.NonNeg())
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply_gradients([(jnp.ones(1), v)])
    assert v.numpy().tolist() == [0.0]


def test_layers_and_optimisers_take_a_variable() -> None:
    class Scale(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.factor = Variable(2.0, name="factor")

        def call(self, x):
            return x * self.factor

    layer = Scale()
    assert [v is layer.factor for v in layer.trainable_variables] == [True]
    optimizer = keras.optimizers.Adam(0.1)
    with GradientTape() as tape:
        loss = keras.ops.sum(layer(np.ones(3, "float32")))
    gradients = tape.gradient(loss, layer.trainable_variables)
    optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))
    assert float(layer.factor) == pytest.approx(1.9)


def test_mixed_precision_leaves_a_variable_of_ones_own_alone() -> None:
    class Scale(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")
            self.factor = Variable(2.0)

        def call(self, x):
            return keras.ops.cast(self.factor.value, "float32")

    assert Scale()(np.ones(1, "float32")).dtype == "float32"


def test_a_variable_may_be_made_inside_of_a_function_once() -> None:
    made = []

    @function
    def count(step):
        if not made:
            made.append(Variable(lambda: jnp.zeros(2), name="count"))
        return made[0].assign_add(step)

    count(jnp.ones(2))
    count(jnp.ones(2))
    assert made[0].numpy().tolist() == [2.0, 2.0]


def test_a_variable_cannot_start_from_a_traced_value() -> None:
    with pytest.raises(ArgumentError, match="being traced") as error:
        jax.jit(lambda x: Variable(x).value)(1.0)
    assert "lambda" in error.value.fix


def test_a_variable_made_under_jit_holds_numbers() -> None:
    made = []
    jax.jit(lambda x: made.append(Variable([1.0, 2.0])) or x)(1.0)
    assert made[0].numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("value", ["text", None, [[1], [2, 3]], 2**40])
def test_what_is_no_number_is_refused(value) -> None:
    with pytest.raises(ArgumentError):
        Variable(value)


def test_a_shape_is_checked() -> None:
    assert Variable([1.0, 2.0], shape=(2,)).shape == (2,)
    with pytest.raises(ArgumentError, match="another shape"):
        Variable([1.0, 2.0], shape=(3,))
    with pytest.raises(ValueError, match="shape"):
        Variable([1.0, 2.0]).assign([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("zeros_like", ()),
        ("ones_like", ()),
        ("full_like", (2.0,)),
        ("amax", ()),
        ("any", ()),
        ("count_nonzero", ()),
        ("outer", (np.ones(2),)),
        ("nan_to_num", ()),
        ("elu", ()),
        ("unstack", ()),
        ("top_k", (1,)),
        ("pinv", ()),
    ],
)
def test_functions_of_keras_take_variables_as_they_take_arrays(name, arguments) -> None:
    v = Variable([[1.0, 2.0], [3.0, -1.0]])
    of_keras = keras.Variable(v.value)
    expected = jax.tree.leaves(getattr(keras.ops, name)(v.value, *arguments))
    for variable in (v, of_keras):
        for call in (getattr(keras.ops, name), function(getattr(keras.ops, name))):
            for one, other in zip(jax.tree.leaves(call(variable, *arguments)), expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-6)


def test_variables_are_stacked_as_arrays_are() -> None:
    v, w = Variable([1.0, 2.0]), Variable([3.0, 4.0])
    assert keras.ops.hstack([v, w]).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert keras.ops.vstack((v, w)).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_numpy_array_on_the_left_of_a_variable_takes_part_in_gradients() -> None:
    v, rows = Variable([[1.0], [2.0]]), np.array([[3.0, 4.0]], "float32")

    def gradient():
        with GradientTape() as tape:
            y = rows @ v
        return tape.gradient(y, v)

    assert gradient().tolist() == function(gradient)().tolist() == [[3.0], [4.0]]
    assert isinstance(rows.T * v, jax.Array)


def test_arrays_give_their_numbers_to_numpy_as_tensors_do() -> None:
    array = function(lambda: keras.ops.ones(2))()
    numbers = array.numpy()
    numbers[0] = 5.0
    assert type(numbers) is np.ndarray
    assert array.numpy().tolist() == [1.0, 1.0]
    with pytest.raises(ModelError, match="a NumPy array is asked of a traced value"):
        function(lambda x: x.numpy())(array)
