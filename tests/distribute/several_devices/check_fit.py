"""`fit`, `evaluate` and `predict` on 1, 2, 4 and 8 devices give what one device gives."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from mainstay import keras
from mainstay.distribute import MirroredStrategy, OneDeviceStrategy

COUNTS = [1, 2, 4, 8]
RNG = np.random.default_rng(0)
# 83 rows in batches of 16: the last batch of an epoch has 3 rows, which no number of devices but one divides.
X = RNG.random((83, 12), dtype="float32")
Y = (X[:, :6].sum(1) > X[:, 6:].sum(1)).astype("int32")
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "momentum": lambda: keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(1e-3),
}


class Result(NamedTuple):
    history: dict[str, list[float]]
    weights: list[np.ndarray]
    slots: list[np.ndarray]
    predictions: np.ndarray
    evaluation: list[float]
    model: Any


def scope_of(count: int) -> Any:
    return MirroredStrategy([f"cpu:{i}" for i in range(count)]).scope() if count else contextlib.nullcontext()


def make(optimizer: str) -> Any:
    keras.utils.set_random_seed(3)
    # No bias before the normalisation, which would take it out again: its gradient is nothing but rounding errors.
    layers = [
        keras.Input((12,)),
        keras.layers.Dense(16, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(2, activation="softmax", kernel_regularizer=keras.regularizers.L2(1e-3)),
    ]
    model = keras.Sequential(layers)
    model.compile(
        OPTIMIZERS[optimizer](),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[keras.metrics.SparseCategoricalCrossentropy()],
    )
    return model


@functools.cache
def trained(count: int, optimizer: str) -> Result:
    """Two epochs, with weights per class, validation and a callback, on `count` devices; 0 means without a strategy."""
    with scope_of(count):
        model = make(optimizer)
    history = model.fit(
        X,
        Y,
        class_weight={0: 1.0, 1: 3.0},
        epochs=2,
        batch_size=16,
        verbose=0,
        validation_data=(X[:19], Y[:19], np.linspace(0, 1, 19, dtype="float32")),
        callbacks=[keras.callbacks.EarlyStopping(patience=3)],
    ).history
    return Result(
        history,
        [np.asarray(variable.value) for variable in model.weights],
        [np.asarray(variable.value) for variable in model.optimizer.variables],
        model.predict(X[:3], batch_size=16, verbose=0),
        model.evaluate(X[:19], Y[:19], sample_weight=X[:19, 0], batch_size=16, verbose=0),
        model,
    )


def largest(arrays: list[np.ndarray]) -> float:
    return max(float(np.abs(array).max()) for array in arrays if array.dtype.kind == "f")


def test_there_are_eight_devices() -> None:
    assert jax.local_device_count() == MirroredStrategy().num_replicas_in_sync == 8


CASES = [("adam", 1), ("adam", 2), ("adam", 4), ("adam", 8), ("momentum", 8)]


@pytest.mark.parametrize(("optimizer", "count"), CASES)
def test_training_gives_what_one_device_gives(optimizer: str, count: int) -> None:
    one, several = trained(0, optimizer), trained(count, optimizer)
    tolerance = 1e-6 * largest(one.weights)
    for wanted, found in zip(one.weights, several.weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    for wanted, found in zip(one.slots, several.slots, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * max(1.0, float(np.abs(wanted).max())))
    assert one.history.keys() == several.history.keys()
    for name, wanted in one.history.items():
        np.testing.assert_allclose(several.history[name], wanted, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(several.predictions, one.predictions, rtol=0, atol=1e-6)
    np.testing.assert_allclose(several.evaluation, one.evaluation, rtol=1e-6)


@pytest.mark.parametrize("count", COUNTS)
def test_every_variable_is_on_every_device_and_stays_there(count: int) -> None:
    model = trained(count, "adam").model
    devices = set(jax.local_devices()[:count])
    for variable in [*model.variables, *model.optimizer.variables, *model.metrics_variables]:
        assert variable.value.sharding.device_set == devices, variable.path
        assert variable.value.sharding.is_fully_replicated, variable.path


def test_one_device_may_be_any() -> None:
    with OneDeviceStrategy("cpu:5").scope():
        model = make("momentum")
    model.fit(X, Y, batch_size=16, verbose=0)
    assert {d.id for v in model.variables for d in v.value.sharding.device_set} == {5}


@pytest.mark.parametrize("rows", [1, 12])
def test_a_batch_of_any_number_of_rows_gives_the_step_of_one_device(rows: int) -> None:
    results = []
    for count in (0, 8):
        with scope_of(count):
            model = make("momentum")
        logs = model.train_on_batch(X[:rows], Y[:rows], sample_weight=np.linspace(1, 2, rows, dtype="float32"))
        weights = [np.asarray(variable.value) for variable in model.weights]
        results.append((logs, model.test_on_batch(X[:rows], Y[:rows]), model.predict_on_batch(X[:rows]), weights))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6), *results)


def test_each_device_computes_its_part_of_the_batch() -> None:
    seen = []

    class Look(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            if not isinstance(x, keras.KerasTensor):
                jax.debug.inspect_array_sharding(x, callback=lambda s: seen.append(s.shard_shape(x.shape)))
            return x * 2

    strategy = MirroredStrategy()
    with strategy.scope():
        model = Look()
    np.testing.assert_array_equal(model.predict(X[:32], batch_size=16, verbose=0), X[:32] * 2)
    assert seen[-1] == (2, 12)
    np.testing.assert_array_equal(model.predict(X[:5], verbose=0), X[:5] * 2)
    assert seen[-1] == (5, 12)
    np.testing.assert_array_equal(model.predict_on_batch(X[:28]), X[:28] * 2)
    assert seen[-1] == (7, 12)  # over four devices, each part on two of them
