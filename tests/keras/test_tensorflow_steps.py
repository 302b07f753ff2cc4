"""Steps that take the data alone, as TensorFlow users override them, in Keras' own loops."""

from typing import Any

import numpy as np
import pytest

import mainstay as tf
from mainstay import keras

ROWS = np.random.default_rng(0).random((40, 3)).astype("float32")
TARGETS = ROWS.sum(1, keepdims=True)


class WithTape(keras.Model):
    """Keras' own steps, written out with a tape."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self._updated(y, y_pred, loss)

    def test_step(self, data: Any) -> Any:
        x, y = data
        y_pred = self(x, training=False)
        return self._updated(y, y_pred, self.compute_loss(y=y, y_pred=y_pred))

    def _updated(self, y: Any, y_pred: Any, loss: Any) -> Any:
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class WithSuper(keras.Model):
    """Adds to what the classes above it do."""

    def train_step(self, data: Any) -> Any:
        return {**super().train_step(data), "rows": data[0].shape[0]}

    def test_step(self, data: Any) -> Any:
        return super().test_step(data)

    def predict_step(self, data: Any) -> Any:
        return super().predict_step(data) + 1


def made(kind: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dropout(0.3)(keras.layers.Dense(4, activation="relu")(inputs))
    model = kind(inputs, keras.layers.Dense(1)(keras.layers.BatchNormalization()(hidden)))
    model.compile("adam", "mse", metrics=["mae"], **options)
    return model


@pytest.mark.parametrize("kind", [WithTape, WithSuper])
@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"steps_per_execution": 3}], ids=str)
def test_such_steps_train_as_those_of_keras_do(kind: Any, options: Any) -> None:
    fitted = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, "validation_data": (ROWS, TARGETS)}
    expected, model = made(keras.Model), made(kind, **options)
    history = expected.fit(ROWS, TARGETS, **fitted).history
    ours = model.fit(ROWS, TARGETS, **fitted).history
    for name, values in history.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert int(model.optimizer.iterations.value) == 10
    added = 1 if kind is WithSuper else 0
    np.testing.assert_allclose(
        model.predict(ROWS, verbose=0), expected.predict(ROWS, verbose=0) + added, rtol=1e-4, atol=1e-5
    )


def test_single_batches_are_taken_too() -> None:
    expected, model = made(keras.Model), made(WithTape)
    for _ in range(2):
        np.testing.assert_allclose(model.train_on_batch(ROWS, TARGETS), expected.train_on_batch(ROWS, TARGETS), 1e-5)
    np.testing.assert_allclose(model.test_on_batch(ROWS, TARGETS), expected.test_on_batch(ROWS, TARGETS), 1e-5)


class Adversaries(keras.Model):
    """Has two models, two optimizers, and no call."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential([keras.layers.Dense(3)])
        self.critic = keras.Sequential([keras.layers.Dense(1)])
        self.tracker = keras.metrics.Mean(name="g_loss")

    def compile(self, g_optimizer: Any, c_optimizer: Any) -> None:
        super().compile()
        self.g_optimizer, self.c_optimizer = g_optimizer, c_optimizer

    @property
    def metrics(self) -> Any:
        return [self.tracker]

    def train_step(self, real: Any) -> Any:
        noise = keras.random.normal((keras.ops.shape(real)[0], 2))
        with tf.GradientTape() as g_tape, tf.GradientTape() as c_tape:
            fake = self.critic(self.generator(noise))
            g_loss = -keras.ops.mean(fake)
            c_loss = keras.ops.mean(fake) - keras.ops.mean(self.critic(real))
        for tape, loss, part, optimizer in (
            (g_tape, g_loss, self.generator, self.g_optimizer),
            (c_tape, c_loss, self.critic, self.c_optimizer),
        ):
            gradients = tape.gradient(loss, part.trainable_variables)
            optimizer.apply_gradients(zip(gradients, part.trainable_variables, strict=True))
        self.tracker.update_state(g_loss)
        return {"g_loss": self.tracker.result()}


def test_a_model_without_a_call_trains_with_its_own_optimizers() -> None:
    model = Adversaries()
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.1))
    history = model.fit(ROWS, epochs=2, batch_size=16, verbose=0).history
    assert len(set(history["g_loss"])) == 2
    assert int(model.g_optimizer.iterations.value) == int(model.c_optimizer.iterations.value) == 6


def test_keras_own_evaluation_follows_a_step_with_a_tape() -> None:
    class OnlyTraining(keras.Model):
        train_step = WithTape.train_step
        _updated = WithTape._updated

    model = made(OnlyTraining)
    history = model.fit(ROWS, TARGETS, verbose=0, validation_data=(ROWS, TARGETS)).history
    np.testing.assert_allclose(model.evaluate(ROWS, TARGETS, verbose=0)[0], history["val_loss"][0], rtol=1e-6)


def test_a_step_may_be_a_function_and_branch_on_tensors() -> None:
    class Branching(keras.Model):
        @tf.function
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                loss = keras.ops.mean(keras.ops.square(self(x) - y))
                if loss > 1000.0:
                    loss = loss * 0.0
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = made(Branching)  # with a metric that its step does not update
    losses = model.fit(ROWS, TARGETS, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_logs_of_a_step_are_reported_where_it_leaves_the_metrics_alone() -> None:
    class OwnLogs(keras.Model):
        def train_step(self, data: Any) -> Any:
            return {"loss": keras.ops.sum(self(data[0])) * 0.0 + 3.0}

    inputs = keras.Input((3,))
    model = OwnLogs(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mse")
    assert model.fit(ROWS, TARGETS, verbose=0).history == {"loss": [3.0]}


def test_a_metric_may_return_the_variable_that_it_counts_in() -> None:
    class Rows(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="rows")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.count.assign_add(y_pred.shape[0])

        def result(self) -> Any:
            return self.count

    model = made(keras.Model)
    model.compile("adam", "mse", metrics=[Rows()])
    assert model.fit(ROWS, TARGETS, batch_size=8, epochs=2, verbose=0).history["rows"] == [40.0, 40.0]
    assert model.evaluate(ROWS, TARGETS, verbose=0)[1] == 40.0
