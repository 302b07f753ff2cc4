"""Keras' `fit` and `predict`, and a custom step in TensorFlow's style, the same code for TensorFlow and Mainstay."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from rivals.cases import Case, batches, data
from rivals.keras_models import build
from rivals.worker import Clock


class KerasEngine:
    def __init__(self, tf: Any, case: Case, *, jit_compile: bool | str, compile_options: dict[str, Any]) -> None:
        self.tf, self.case, self.jit_compile, self.compile_options = tf, case, jit_compile, compile_options
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16" if case.mixed else "float32")
        inputs, self.labels = data(case)
        self.inputs = self.alone(inputs)

    def alone(self, inputs: Any) -> Any:
        return inputs[0] if len(inputs) == 1 else list(inputs)

    @cached_property
    def resident(self) -> list[tuple[Any, Any]]:
        constant = self.tf.constant
        return [(self.alone([constant(item) for item in x]), constant(labels)) for x, labels in batches(self.case)]

    @cached_property
    def fitted(self) -> Any:
        keras = self.tf.keras
        model = build(self.case, keras)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=self.jit_compile)
        return model

    @cached_property
    def model(self) -> Any:
        return build(self.case, self.tf.keras)

    @cached_property
    def train(self) -> Any:
        tf, model = self.tf, self.model
        optimizer = tf.keras.optimizers.Adam(1e-3)
        loss_function = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        @tf.function(**self.compile_options)
        def train_step(inputs, labels):
            with tf.GradientTape() as tape:
                loss = loss_function(labels, model(inputs, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        return train_step

    @cached_property
    def infer(self) -> Any:
        model = self.model

        @self.tf.function(**self.compile_options)
        def infer(inputs):
            return model(inputs, training=False)

        return infer

    def parameters(self, task: str) -> int:
        model = self.fitted if task in ("fit", "predict") else self.model
        return sum(int(variable.numpy().size) for variable in model.trainable_variables)

    def fit(self, clock: Clock, epochs: int) -> None:
        """Time the epochs after the first one of a `fit`, from its end to theirs."""
        callbacks = self.tf.keras.callbacks

        class FromSecondEpoch(callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                if epoch == 0:
                    clock.start()
                if epoch == epochs:
                    clock.stop()

        self.fitted.fit(
            self.inputs,
            self.labels,
            batch_size=self.case.batch,
            epochs=epochs + 1,
            verbose=0,
            callbacks=[FromSecondEpoch()],
        )

    def step(self, clock: Clock, steps: int) -> None:
        train, resident = self.train, self.resident
        clock.start()
        for index in range(steps):
            loss = train(*resident[index % len(resident)])
        float(loss)
        clock.stop()

    def predict(self, clock: Clock, passes: int) -> None:
        clock.start()
        for _ in range(passes):
            self.fitted.predict(self.inputs, batch_size=self.case.batch, verbose=0)
        clock.stop()

    def call(self, clock: Clock, calls: int) -> None:
        infer, resident = self.infer, self.resident
        clock.start()
        for index in range(calls):
            answer = infer(resident[index % len(resident)][0])
        float(answer[0, 0])
        clock.stop()
