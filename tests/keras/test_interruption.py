"""A run that fails or is interrupted leaves a model with its weights."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mainstay import keras

ROWS = np.random.default_rng(0).random((40, 3)).astype("float32")
TARGETS = ROWS.sum(1, keepdims=True)


def made(**options: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], **options)
    model.fit(ROWS, TARGETS, verbose=0)
    return model


def batches_then(last: Any) -> Iterator[Any]:
    for start in (0, 8, 16):
        yield ROWS[start : start + 8], TARGETS[start : start + 8]
    if isinstance(last, BaseException):
        raise last
    yield last


WRONG_BATCH = (ROWS[:8, :2], TARGETS[:8])


class Interruption(keras.callbacks.Callback):
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch:
            raise KeyboardInterrupt

    on_predict_batch_end = on_train_batch_end = on_test_batch_end


FAILURES: dict[str, tuple[Callable[[Any], Any], type[BaseException]]] = {
    "fit of wrong rows": (lambda model: model.fit(ROWS[:, :2], TARGETS, verbose=0), ValueError),
    "evaluate of wrong rows": (lambda model: model.evaluate(ROWS[:, :2], TARGETS, verbose=0), ValueError),
    "predict of wrong rows": (lambda model: model.predict(ROWS[:, :2], verbose=0), ValueError),
    "wrong targets": (lambda model: model.fit(ROWS, np.ones((40, 7, 2)), verbose=0), ValueError),
    "a later batch": (lambda model: model.fit(batches_then(WRONG_BATCH), verbose=0), ValueError),
    "a later batch of evaluate": (lambda model: model.evaluate(batches_then(WRONG_BATCH), verbose=0), ValueError),
    "the data": (lambda model: model.fit(batches_then(KeyboardInterrupt()), verbose=0), KeyboardInterrupt),
    "the data of predict": (lambda model: model.predict(batches_then(OSError()), verbose=0), OSError),
    "a callback of fit": (
        lambda model: model.fit(ROWS, TARGETS, batch_size=8, verbose=0, callbacks=[Interruption()]),
        KeyboardInterrupt,
    ),
    "a callback of evaluate": (
        lambda model: model.evaluate(ROWS, TARGETS, batch_size=8, verbose=0, callbacks=[Interruption()]),
        KeyboardInterrupt,
    ),
    "a callback of predict": (
        lambda model: model.predict(ROWS, batch_size=8, verbose=0, callbacks=[Interruption()]),
        KeyboardInterrupt,
    ),
}


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("what", FAILURES)
def test_a_model_survives_a_failure_in(what: str, steps: int) -> None:
    run, error = FAILURES[what]
    model = made(steps_per_execution=steps)
    weights = model.get_weights()
    with pytest.raises(error):
        run(model)
    for value, before in zip(model.get_weights(), weights, strict=True):
        if "fit" not in what and "data" not in what and "batch" not in what:
            np.testing.assert_array_equal(value, before)
        assert np.isfinite(value).all()
    model.set_weights(weights)
    assert np.isfinite(model.fit(ROWS, TARGETS, verbose=0).history["loss"]).all()
    assert model.predict(ROWS, verbose=0).shape == (40, 1)


def test_what_the_steps_before_a_failure_learned_is_kept() -> None:
    with_failure, without = made(), made()
    without.set_weights(with_failure.get_weights())
    without.optimizer.set_weights([variable.numpy() for variable in with_failure.optimizer.variables])
    with pytest.raises(OSError, match="gone"):
        with_failure.fit(batches_then(OSError("gone")), verbose=0, shuffle=False)
    without.fit(ROWS[:24], TARGETS[:24], batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(with_failure.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
