"""A module finds the variables in its attributes, however deep they lie, and trains like any model."""

import copy

import numpy as np
import pytest

import mainstay as tf
from mainstay.core import ArgumentError


class Dense(tf.Module):
    def __init__(self, inputs: int, outputs: int, name: str | None = None) -> None:
        super().__init__(name)
        self.w = tf.Variable(np.full((inputs, outputs), 0.5, np.float32), name="w")
        self.b = tf.Variable(np.zeros(outputs, np.float32), name="b")

    def __call__(self, x):
        return x @ self.w + self.b


class Network(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = tf.Variable(0, trainable=False, name="steps")
        self.layers = [Dense(3, 4), Dense(4, 1)]
        self.more = {2: (tf.Variable(1.0, name="scale"),), "a": None}

    @tf.function
    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.more[2][0]

    @tf.function
    def train(self, x, y):
        with tf.GradientTape() as tape:
            loss = tf.ops.mean((self(x) - y) ** 2)
        for variable, gradient in zip(
            self.trainable_variables, tape.gradient(loss, self.trainable_variables), strict=True
        ):
            variable.assign_sub(0.01 * gradient)
        self.steps.assign_add(1)
        return loss


def names(variables) -> list[str]:
    return [variable.name for variable in variables]


def test_variables_are_found_in_structures_and_below() -> None:
    network = Network()
    assert names(network.variables) == ["scale", "steps", "b", "w", "b", "w"]
    assert names(network.trainable_variables) == ["scale", "b", "w", "b", "w"]
    assert names(network.non_trainable_variables) == ["steps"]
    assert network.submodules == tuple(network.layers)


def test_what_is_assigned_or_deleted_later_counts() -> None:
    network = Network()
    del network.more
    network.late = tf.Variable(0.0, name="late")
    assert names(network.variables)[:2] == ["late", "steps"]
    network.layers.pop()
    assert len(network.variables) == 4


def test_shared_parts_and_circles_count_once() -> None:
    outer, inner = tf.Module(), tf.Module()
    outer.a = outer.b = [inner, inner]
    inner.parent = outer
    inner.v = inner.w = tf.Variable(1.0)
    assert outer.submodules == (inner,)
    assert inner.submodules == (outer,)
    assert len(outer.variables) == len(inner.variables) == 1


def test_layers_of_keras_bring_their_variables() -> None:
    module = tf.Module()
    module.normalization = tf.keras.layers.BatchNormalization()
    module.normalization.build((None, 2))
    module.frozen = tf.keras.layers.Dense(1)
    module.frozen.build((None, 2))
    module.frozen.trainable = False
    assert module.submodules == (module.frozen, module.normalization)
    assert names(module.variables) == ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]
    assert names(module.trainable_variables) == ["gamma", "beta"]
    assert names(module.non_trainable_variables) == ["kernel", "bias", "moving_mean", "moving_variance"]


def test_a_module_trains_in_a_compiled_step() -> None:
    network = Network()
    x = np.float32([[1, 2, 3], [0, 1, 0]])
    y = 2 * x.sum(1, keepdims=True)
    losses = [float(network.train(x, y)) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert int(network.steps.value) == 20
    assert network(x).shape == (2, 1)


def test_an_optimizer_of_keras_trains_a_module() -> None:
    network = Network()
    x = np.float32([[1, 2, 3]])
    optimizer = tf.keras.optimizers.SGD(0.1)
    before = [np.array(variable) for variable in network.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.ops.mean(network(x) ** 2)
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    assert all((old != np.array(new)).any() for old, new in zip(before, network.trainable_variables, strict=True))


def test_variables_that_the_first_call_makes_are_found() -> None:
    class Lazy(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = None

        @tf.function
        def __call__(self, x):
            if self.w is None:
                self.w = tf.Variable(np.ones(x.shape[-1], np.float32))
            return x * self.w

    lazy = Lazy()
    assert lazy.variables == ()
    assert lazy(tf.constant([2.0, 3.0])).tolist() == [2.0, 3.0]
    assert lazy.trainable_variables == (lazy.w,)


def test_a_copy_has_variables_of_its_own() -> None:
    network = Network()
    x = np.float32([[1, 2, 3]])
    expected = float(network(x)[0, 0])
    twin = copy.deepcopy(network)
    twin.more[2][0].assign(0.0)
    assert float(twin(x)[0, 0]) == 0.0
    assert float(network(x)[0, 0]) == expected


def test_names_come_from_the_class_unless_given() -> None:
    class MyHTTPLayer2D(tf.Module):
        def __init__(self) -> None:
            """Leave the name to the class."""

    assert MyHTTPLayer2D().name == "my_http_layer2_d"
    assert MyHTTPLayer2D().variables == ()
    assert Dense(1, 1, name="first").name == "first"
    with pytest.raises(ArgumentError, match="the name of a module is a Python identifier"):
        tf.Module(name="not one")


def test_a_name_scope_leads_the_paths_of_variables() -> None:
    class Scoped(tf.Module):
        @tf.Module.with_name_scope
        def build(self):
            """Make the variable."""
            self.v = tf.Variable(0.0, name="v")
            return self

    module = Scoped(name="outer").build()
    assert module.v.path == "outer/v"
    assert Scoped.build.__doc__ == "Make the variable."
    with module.name_scope:
        assert Scoped(name="inner").build().v.path == "outer/inner/v"
