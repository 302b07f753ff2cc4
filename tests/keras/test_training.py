"""Mixed precision, clipped gradients and losses that are not finite, through `fit`, against JAX by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ModelError

RATE = 0.1


def regression(**optimizer: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(RATE, **optimizer), "mse")
    rng = np.random.default_rng(1)
    return model, rng.normal(size=(8, 3)).astype("float32"), 5 * rng.normal(size=(8, 1)).astype("float32")


def forward(weights: list[Any], x: Any, dtype: Any = jnp.float32) -> Any:
    a, b, c, d = (jnp.asarray(weight).astype(dtype) for weight in weights)
    return jnp.tanh(x.astype(dtype) @ a + b) @ c + d


def mean_square(weights: list[Any], x: Any, y: Any, dtype: Any = jnp.float32) -> Any:
    return jnp.mean((forward(weights, x, dtype).astype(jnp.float32) - y) ** 2)


def step_by_hand(weights: list[Any], x: Any, y: Any, clip: Any) -> list[Any]:
    gradients = clip(jax.grad(mean_square)(weights, x, y))
    return [weight - RATE * gradient for weight, gradient in zip(weights, gradients, strict=True)]


def by_norm(limit: float, gradients: list[Any]) -> list[Any]:
    return [g * jnp.minimum(1.0, limit / jnp.linalg.norm(g.ravel())) for g in gradients]


def by_global_norm(limit: float, gradients: list[Any]) -> list[Any]:
    norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradients))
    return [g * jnp.minimum(1.0, limit / norm) for g in gradients]


@pytest.mark.parametrize(
    ("option", "clip"),
    [
        ({}, lambda gradients: gradients),
        ({"clipvalue": 0.3}, lambda gradients: [jnp.clip(g, -0.3, 0.3) for g in gradients]),
        ({"clipnorm": 0.5}, lambda gradients: by_norm(0.5, gradients)),
        ({"global_clipnorm": 0.5}, lambda gradients: by_global_norm(0.5, gradients)),
    ],
    ids=["plain", "clipvalue", "clipnorm", "global_clipnorm"],
)
def test_clipped_gradients_are_those_of_the_definition(option: dict[str, float], clip: Any) -> None:
    model, x, y = regression(**option)
    weights = [jnp.asarray(weight.numpy()) for weight in model.weights]
    unclipped = [jnp.linalg.norm(g.ravel()) for g in jax.grad(mean_square)(weights, x, y)]
    assert max(unclipped) > 0.5
    model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for _ in range(3):
        weights = step_by_hand(weights, x, y, clip)
    for weight, want in zip(model.weights, weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), want, rtol=1e-5, atol=1e-6)


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> Any:
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy(before)


@pytest.mark.parametrize(
    ("policy", "dtype"),
    [("mixed_bfloat16", jnp.bfloat16), ("mixed_float16", jnp.float16)],
    indirect=["policy"],
)
def test_mixed_precision_computes_in_half_and_keeps_weights_whole(policy: str, dtype: Any) -> None:
    model, x, y = regression()
    if policy == "mixed_float16":  # the scale to start with is one that overflows, to be found smaller
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), initial_scale=16.0), "mse")
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert model(x).dtype == dtype
    weights = [jnp.asarray(weight.numpy()) for weight in model.weights]
    gradients = jax.grad(lambda weights: mean_square(weights, x, y, dtype))(weights)
    loss = model.fit(x, y, batch_size=8, verbose=0).history["loss"][0]
    np.testing.assert_allclose(loss, mean_square(weights, x, y, dtype), rtol=1e-3)
    for weight, before, gradient in zip(model.weights, weights, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), before - RATE * gradient, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_float16_scales_the_loss_and_skips_steps_that_overflow(policy: str) -> None:
    model, x, y = regression()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = [weight.numpy() for weight in model.weights]
    model.optimizer.build(model.trainable_variables)
    scale = float(model.optimizer.dynamic_scale.numpy())
    model.fit(x, 1e30 * np.ones_like(y), batch_size=8, verbose=0)
    for weight, want in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), want)
    assert float(model.optimizer.dynamic_scale.numpy()) < scale


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_ends_training_or_is_an_error(bad: float) -> None:
    model, x, y = regression()
    y[5] = bad
    history = model.fit(
        x, y, batch_size=2, epochs=3, shuffle=False, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    )
    assert len(history.history["loss"]) == 1
    model, x, y = regression()
    model.fit(x, y, verbose=0)
    y[5] = bad
    with pytest.raises(ModelError, match="the loss is not finite") as caught:
        model.fit(
            x,
            y,
            batch_size=2,
            shuffle=False,
            verbose=0,
            callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)],
        )
    assert caught.value.where == "epoch 1, batch 3"
    assert "clipnorm" in caught.value.fix


def test_finite_losses_pass_the_same_callback() -> None:
    model, x, y = regression()
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)])
    assert len(history.history["loss"]) == 2
