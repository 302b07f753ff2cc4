"""The loops of Keras with our changes: equal batches in equal order, equal callbacks, equal numbers."""

import importlib
import itertools
from typing import Any

import keras as original
import numpy as np
import pytest
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

from mainstay import keras
from mainstay.keras.training import loops


def batches(data: Any, shuffle: Any, **options: Any) -> list[Any]:
    np.random.seed(4)
    return list(ArrayDataAdapter(*data, batch_size=4, shuffle=shuffle, **options).get_jax_iterator())


def as_keras_gives_them(monkeypatch: pytest.MonkeyPatch, data: Any, shuffle: Any, **options: Any) -> list[Any]:
    with monkeypatch.context() as patch:
        patch.setattr(ArrayDataAdapter, "get_jax_iterator", ArrayDataAdapter.get_jax_iterator.__wrapped__)
        return batches(data, shuffle, **options)


X = np.random.default_rng(0).random((10, 3))


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize(
    ("data", "options"),
    [
        ((X,), {}),
        ((X, np.arange(10)), {}),
        ((X.astype("float32"), np.arange(10)), {"sample_weight": np.linspace(0, 1, 10)}),
        (({"b": X, "a": [X, X]}, np.arange(10)), {}),
        ((X, np.arange(10) % 2), {"class_weight": {0: 1.0, 1: 2.0}}),
    ],
)
def test_batches_of_arrays_are_those_of_keras(monkeypatch, data: Any, options: dict[str, Any], shuffle: Any) -> None:
    ours, theirs = batches(data, shuffle, **options), as_keras_gives_them(monkeypatch, data, shuffle, **options)
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        keras.tree.assert_same_structure(one, other)
        for left, right in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
            np.testing.assert_array_equal(left, right)
            assert left is None or left.dtype == right.dtype


def test_a_hook_that_nobody_has_is_not_called(monkeypatch) -> None:
    calls: list[int] = []
    hook = loops._quiet("on_train_batch_end", lambda self, batch, logs=None: calls.append(batch))
    silent = keras.callbacks.CallbackList([keras.callbacks.Callback(), keras.callbacks.History()])
    hook(silent, 1)
    assert calls == []

    class Hearing(keras.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

    silent.callbacks.append(Hearing())
    hook(silent, 2)
    assert calls == [2]


def test_single_batches_of_lists_and_arrays_train_alike(assert_same_bits) -> None:
    def trained(x: Any, y: Any) -> Any:
        keras.utils.set_random_seed(2)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        scores = [model.train_on_batch(x, y) for _ in range(3)]
        return model, scores, model.test_on_batch(x, y), model.predict_on_batch(x)

    arrays = trained(X.astype("float32"), np.ones((10, 1)))
    tensors = trained(keras.ops.convert_to_tensor(X, "float32"), keras.ops.ones((10, 1)))
    assert_same_bits(arrays[0], tensors[0])
    np.testing.assert_array_equal(arrays[1], tensors[1])
    np.testing.assert_array_equal(arrays[2], tensors[2])
    np.testing.assert_array_equal(arrays[3], tensors[3])


def test_a_callback_may_read_the_weights_after_every_batch() -> None:
    seen = []

    class Reading(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.jax_state_sync()
            seen.append(self.model.layers[0].kernel.numpy())

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, np.ones((10, 1)), batch_size=2, epochs=2, verbose=0, callbacks=[Reading()])
    assert len(seen) == 10
    assert all((one != other).any() for one, other in itertools.pairwise(seen))
    np.testing.assert_array_equal(seen[-1], model.layers[0].kernel.numpy())


@pytest.mark.parametrize("module", [None, "callbacks", "layers", "models", "saving", "losses", "optimizers", "utils"])
def test_everything_of_keras_is_there(module: str | None) -> None:
    theirs = original if module is None else getattr(original, module)
    ours = importlib.import_module("mainstay.keras" if module is None else f"mainstay.keras.{module}")
    names = {name for name in dir(theirs) if not name.startswith("_") and name not in ("src", "activations")}
    assert sorted(name for name in names if not hasattr(ours, name)) == []
