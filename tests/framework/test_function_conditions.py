"""`keras.ops.cond` whose branches assign variables, compiled and eager."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.framework import GradientTape, function


@pytest.mark.parametrize("wrap", [function, lambda func: func], ids=["compiled", "eager"])
def test_the_branch_that_is_taken_assigns_and_the_other_does_not(wrap) -> None:
    ups, downs = keras.Variable(np.float32(0)), keras.Variable(np.float32(10))

    def up(x):
        ups.assign_add(x)
        return ups * 1

    def down(x):
        downs.assign_sub(x)
        downs.assign_sub(x)
        return downs * 1

    step = wrap(lambda x: keras.ops.cond(x > 0, lambda: up(x), lambda: down(-x)))
    assert [float(step(jnp.float32(x))) for x in (1, 2, -3)] == [1, 3, 4]
    assert (float(ups.value), float(downs.value)) == (3, 4)


def test_conditions_may_be_nested_and_differentiated() -> None:
    v, count = keras.Variable(np.float32(3)), keras.Variable(np.float32(0))

    def branch(x):
        return keras.ops.cond(x > 1, lambda: count.assign_add(x) * 0 + v * x, lambda: x * 1)

    @function
    def step(x):
        with GradientTape() as tape:
            y = keras.ops.cond(x > 0, lambda: branch(x), lambda: v * v)
        return tape.gradient(y, v)

    assert [float(step(np.float32(x))) for x in (2, 1, -1)] == [2, 0, 6]
    assert float(count.value) == 2


def test_outside_of_functions_a_traced_condition_is_that_of_jax() -> None:
    pick = jax.jit(lambda x: keras.ops.cond(x > 0, lambda: x, lambda: -x))
    assert [float(pick(x)) for x in (2.0, -3.0)] == [2, 3]


def test_scaled_losses_skip_a_step_that_is_not_finite_also_eagerly() -> None:
    v = keras.Variable(np.float32(1))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=4.0)
    optimizer.build([v])
    optimizer.apply([jnp.float32(np.inf)], [v])
    assert (float(v.value), float(optimizer.dynamic_scale.value)) == (1, 2)
    optimizer.apply([jnp.float32(1)], [v])
    assert float(v.value) == 0.5
