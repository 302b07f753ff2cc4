"""What a training loop must not share: arrays of two variables, and batches that a generator fills anew."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mainstay import keras

layers = keras.layers


def _model(optimizer: Any = "sgd") -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


@pytest.fixture
def data() -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    return x, x.sum(1, keepdims=True)


def test_a_variable_that_was_assigned_another_outlives_the_training_of_it(data: Any) -> None:
    source, target = _model(), _model()
    for copy, weight in zip(target.variables, source.variables, strict=True):
        copy.assign(weight)
    before = target.get_weights()
    source.fit(*data, verbose=0)
    for kept, wanted in zip(target.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, wanted)


@pytest.mark.parametrize("frequency", [None, 2])
def test_a_model_with_averaged_weights_is_trained_again_used_and_saved(tmp_path, data: Any, frequency: Any) -> None:
    model = _model(keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=frequency))
    model.fit(*data, batch_size=8, epochs=2, verbose=0)
    model.fit(*data, batch_size=8, verbose=0)
    predicted = model.predict(data[0], verbose=0)
    model.save(tmp_path / "m")
    loaded = keras.models.load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(data[0], verbose=0), predicted)
    for saved, variable in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(saved, variable)


def _batches(data: Any, *, reuse: bool) -> Iterator[Any]:
    x, y = np.empty((4, 4), "float32"), np.empty((4, 1), "float32")
    for start in range(0, 32, 4):
        if not reuse:
            x, y = np.empty_like(x), np.empty_like(y)
        x[:], y[:] = data[0][start : start + 4], data[1][start : start + 4]
        yield x, y
        if reuse:
            x.fill(np.nan)


@pytest.mark.filterwarnings("ignore:.*shuffle=True.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*ran out of data.*:UserWarning")
def test_a_generator_may_fill_its_arrays_anew_for_every_batch(data: Any) -> None:
    losses = [_model().fit(_batches(data, reuse=reuse), verbose=0).history["loss"] for reuse in (False, True)]
    assert losses[0] == losses[1]


def test_a_dataset_may_fill_its_arrays_anew_for_every_batch(data: Any) -> None:
    class Rows(keras.utils.PyDataset):
        def __init__(self, *, reuse: bool) -> None:
            super().__init__()
            self.reuse, self.x, self.y = reuse, np.empty((4, 4), "float32"), np.empty((4, 1), "float32")

        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> Any:
            rows = slice(4 * index, 4 * index + 4)
            self.x[:], self.y[:] = data[0][rows], data[1][rows]
            return (self.x, self.y) if self.reuse else (self.x.copy(), self.y.copy())

    losses = [_model().fit(Rows(reuse=reuse), shuffle=False, verbose=0).history["loss"] for reuse in (False, True)]
    assert losses[0] == losses[1]
