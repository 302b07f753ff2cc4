"""Steps as TensorFlow users override them: `train_step(self, data)` with a tape, which reads and assigns variables.

Keras on JAX wants `train_step(self, state, data)`, which returns the state that it was given, changed. Which of the
two a model has is seen from its signature. A step of the data alone runs as `mainstay.function` does; it finds the
variables by itself, those of further optimizers too, so that Keras' loops have no state to pass along.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

import keras
from keras.src.backend.jax.trainer import JAXTrainer
from keras.src.trainers.data_adapters.data_adapter_utils import pack_x_y_sample_weight, unpack_x_y_sample_weight
from keras.src.trainers.trainer import Trainer

from mainstay.framework import Function, GradientTape, function

_METHODS = {
    "train": ("fit", "train_on_batch"),
    "test": ("evaluate", "test_on_batch"),
    "predict": ("predict", "predict_on_batch"),
}


class _Current(threading.local):
    """Whether the loop that this thread is in has a step of the data alone."""

    is_of_data: bool = False


_current = _Current()


def is_step_of_data(step: Callable[..., Any]) -> bool:
    """Return whether a step takes the data alone, not a state before it."""
    parameters = inspect.signature(step).parameters.values()
    needed = [item for item in parameters if item.kind <= item.POSITIONAL_OR_KEYWORD and item.default is item.empty]
    return len(needed) == 1 and all(item.kind is not item.VAR_POSITIONAL for item in parameters)


def _train(model: Any, data: Any) -> Any:
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    with GradientTape() as tape:
        y_pred, loss = _loss(model, x, y, sample_weight, training=True)
        scaled = loss if model.optimizer is None else model.optimizer.scale_loss(loss)
    if model.trainable_weights:
        gradients = tape.gradient(scaled, model.trainable_weights)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _test(model: Any, data: Any) -> Any:
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    y_pred, _ = _loss(model, x, y, sample_weight, training=False)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _predict(model: Any, data: Any) -> Any:
    return _outputs(model, unpack_x_y_sample_weight(data)[0], training=False)


def _outputs(model: Any, x: Any, *, training: bool) -> Any:
    return model(x, training=training) if model._call_has_training_arg else model(x)


def _loss(model: Any, x: Any, y: Any, sample_weight: Any, *, training: bool) -> tuple[Any, Any]:
    y_pred = _outputs(model, x, training=training)
    loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
    rows = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None).shape[0]
    model._loss_tracker.update_state(loss, sample_weight=rows)
    return y_pred, loss


def _either(original: Callable[..., Any], of_data: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return Keras' step, which takes the data alone too, as `super().train_step(data)` has it."""

    @functools.wraps(original)
    def step(self: Any, *args: Any) -> Any:
        return of_data(self, *args) if len(args) == 1 else original(self, *args)

    return step


def _marked(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a loop, so that what Keras does in it is known to belong to a step of the data alone, or not to."""

    @functools.wraps(original)
    def loop(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer, _current.is_of_data = _current.is_of_data, is_step_of_data(getattr(self, f"{kind}_step"))
        try:
            return original(self, *args, **kwargs)
        finally:
            _current.is_of_data = outer

    return loop


def _as_in_fit(data: Any) -> Any:
    """Return a batch as `fit` gives it: the methods for single batches add a None where no weights are."""
    if isinstance(data, tuple) and len(data) == 3 and data[2] is None:
        return pack_x_y_sample_weight(*data)
    return data


def _made(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `make_train_function` and its siblings."""

    @functools.wraps(original)
    def make(self: Any, force: bool = False) -> Any:
        step = getattr(self, f"{kind}_step")
        if not is_step_of_data(step):
            return original(self, force)
        made = getattr(self, f"{kind}_function")
        if made is None or force:
            run = step if self.run_eagerly or isinstance(step, Function) else function(step)

            def take(state: Any, data: Any) -> Any:
                return run(_as_in_fit(data)), state

            made = self._make_function(take, concatenate_outputs=kind == "predict")
            setattr(self, f"{kind}_function", made)
        return made

    return make


def _leaves_metrics_alone(model: Any) -> bool:
    """Return whether a step of the data alone never updated the metrics of its model that Keras would ask."""
    if model._compile_metrics is not None and not model._compile_metrics.built:
        return True
    tracker = getattr(model, "_loss_tracker", None)
    return tracker is not None and not tracker.count.value


def install() -> None:
    """Let Keras' classes take such steps."""
    for kind, of_data in (("train", _train), ("test", _test), ("predict", _predict)):
        setattr(JAXTrainer, f"{kind}_step", _either(getattr(JAXTrainer, f"{kind}_step"), of_data))
        make = f"make_{kind}_function"
        setattr(JAXTrainer, make, _made(kind, getattr(JAXTrainer, make)))
        for name in _METHODS[kind]:
            setattr(JAXTrainer, name, _marked(kind, getattr(JAXTrainer, name)))
    build, state, result = Trainer._symbolic_build, JAXTrainer._get_jax_state, Trainer._get_metrics_result_or_logs

    metrics = Trainer.get_metrics_result

    @functools.wraps(metrics)
    def metrics_result(self: Any) -> dict[str, Any]:
        # Metrics may return the variable that they count in, which JAX does not take as a result.
        found = metrics(self).items()
        return {name: item.value if isinstance(item, keras.Variable) else item for name, item in found}

    @functools.wraps(build)
    def symbolic_build(self: Any, *args: Any, **kwargs: Any) -> None:
        # Such a model may have no call, and its data any form; its step builds it.
        if not _current.is_of_data:
            build(self, *args, **kwargs)

    @functools.wraps(state)
    def get_jax_state(self: Any, **kwargs: Any) -> tuple[Any, ...]:
        if not _current.is_of_data:
            return tuple(state(self, **kwargs))
        return tuple([] for name, is_wanted in kwargs.items() if is_wanted and name != "purge_model_variables")

    @functools.wraps(result)
    def metrics_result_or_logs(self: Any, logs: Any) -> Any:
        return logs if _current.is_of_data and _leaves_metrics_alone(self) else result(self, logs)

    Trainer.get_metrics_result = metrics_result
    Trainer._symbolic_build = symbolic_build
    Trainer._get_metrics_result_or_logs = metrics_result_or_logs
    JAXTrainer._get_jax_state = get_jax_state
