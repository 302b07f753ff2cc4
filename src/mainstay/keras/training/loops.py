"""The changes to Keras' own loops: several steps per program, untracked bookkeeping, callbacks that do nothing unasked.

They are put onto Keras' classes, so that every model has them. None changes a result, an order of random numbers or
what a callback sees.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras
import numpy as np
from keras.src.backend.jax import trainer
from keras.src.backend.jax.trainer import JAXEpochIterator, JAXTrainer
from keras.src.trainers.data_adapters import array_slicing
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.trainer import Trainer

from mainstay.keras.training import datasets, ownership, tensorflow_steps
from mainstay.keras.training.datasets import DatasetAdapter
from mainstay.keras.training.interruption import KeptState
from mainstay.keras.training.several_steps import Run, current_run, listens, running, several, steps_for

_UNTRACKED = frozenset({"_jax_state", "_jax_state_synced"})


def _within_run(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `fit`, `evaluate` or `predict`, so that its steps per program can be chosen for the time of the call."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def loop(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        values = given.arguments
        epochs = values.get("epochs", 1) - values.get("initial_epoch", 0)
        with running(Run(self, kind, values["callbacks"], epochs, is_fixed=self.steps_per_execution > 1)):
            try:
                return original(self, *args, **kwargs)
            except BaseException:
                self.jax_state_sync()  # it may have come between two steps
                raise

    return loop


def _announce(adapter: Any) -> None:
    run = current_run()
    if run is not None:
        run.announce(adapter)


def _validates() -> bool:
    run = current_run()
    return run is not None and run.validates


def _decide(iterator: Any) -> None:
    """Choose the steps per program of the run that goes through an iterator, once its model is built."""
    run = current_run()
    if run is None or getattr(run.model, f"{run.kind}_function") is None:
        return
    if run.is_fixed:
        return
    if not run.steps:
        suits = isinstance(iterator.data_adapter, (ArrayDataAdapter, DatasetAdapter)) and not iterator.steps_per_epoch
        suits = suits and not tensorflow_steps.is_step_of_data(getattr(run.model, f"{run.kind}_step"))
        run.steps = steps_for(run, iterator.data_adapter) if suits else 1
    iterator.steps_per_execution = run.steps


def _batches(adapter: Any, leaves: list[Any], structure: Any) -> Iterator[Any]:
    """Yield the batches of arrays as Keras does, with the same draws of random numbers."""
    size, count, shuffle = adapter.batch_size, adapter._num_samples, adapter._shuffle
    order = np.random.permutation(count) if shuffle and shuffle != "batch" else None
    for start in range(0, count, size):
        stop = min(start + size, count)
        if order is not None:
            rows = order[start:stop]
        elif shuffle:
            rows = np.random.permutation(stop - start) + start
        else:
            yield structure.unflatten([leaf[start:stop] for leaf in leaves])
            continue
        yield structure.unflatten([leaf.take(rows, axis=0) for leaf in leaves])


def _quiet(hook: str, original: Callable[..., None]) -> Callable[..., None]:
    """Return a hook of Keras' list of callbacks that does nothing if none of them would."""
    hooks = (hook, hook.replace("_train_", "_"))

    @functools.wraps(original)
    def call(self: Any, batch: int, logs: Any = None) -> None:
        known = self.__dict__.setdefault("_listening", {})
        if known.get(hook, (None,))[0] != len(self.callbacks):
            listening = any(listens(callback, name) for callback in self.callbacks for name in hooks)
            known[hook] = (len(self.callbacks), listening)
        if known[hook][1]:
            original(self, batch, logs)

    return call


def install() -> None:
    """Put the changes onto Keras' classes."""
    for kind, name in (("train", "fit"), ("test", "evaluate"), ("predict", "predict")):
        setattr(JAXTrainer, name, _within_run(kind, getattr(JAXTrainer, name)))
    for kind in ("train", "test", "predict"):
        for moment in ("begin", "end"):
            hook = f"on_{kind}_batch_{moment}"
            setattr(keras.callbacks.CallbackList, hook, _quiet(hook, getattr(keras.callbacks.CallbackList, hook)))
    datasets.install(_announce, _validates)
    ownership.install()
    tensorflow_steps.install()
    _install_steps()
    _install_attributes()
    _install_batches()
    _install_transfers()


def _install_steps() -> None:
    make, compile_, enumerate_ = JAXTrainer._make_function, Trainer.compile, JAXEpochIterator._enumerate_iterator

    @functools.wraps(make)
    def make_function(self: Any, step_function: Any, concatenate_outputs: bool = False) -> Any:
        kept = KeptState(self)
        single = kept.following(step_function) if self.steps_per_execution > 1 else step_function
        steps = make(self, single, concatenate_outputs)
        if hasattr(step_function, "lower"):
            steps = several(self, step_function, steps, concatenate=concatenate_outputs)
        return kept.guarding(steps)

    @functools.wraps(enumerate_)
    def enumerate_iterator(self: Any) -> Iterator[Any]:
        _decide(self)
        is_dataset = isinstance(self.data_adapter, DatasetAdapter)
        yield from self.data_adapter.enumerate(self) if is_dataset else enumerate_(self)

    @functools.wraps(compile_)
    def compile_model(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("steps_per_execution", 1) in (None, "auto"):
            kwargs["steps_per_execution"] = 1
        compile_(self, *args, **kwargs)

    JAXTrainer._make_function = make_function
    Trainer.compile = compile_model  # where Keras looks whether a model has a compile of its own
    JAXEpochIterator._enumerate_iterator = enumerate_iterator


def _install_attributes() -> None:
    tracked = keras.Model.__setattr__

    @functools.wraps(tracked)
    def set_attribute(self: Any, name: str, value: Any) -> None:
        if name in _UNTRACKED:
            self.__dict__[name] = value
        else:
            tracked(self, name, value)

    keras.Model.__setattr__ = set_attribute


def _install_batches() -> None:
    original = ArrayDataAdapter.get_jax_iterator

    @functools.wraps(original)
    def get_jax_iterator(self: Any) -> Iterator[Any]:
        wrapped, structure = jax.tree.flatten(array_slicing.convert_to_sliceable(self._inputs, target_backend="jax"))
        if all(type(leaf) is array_slicing.NumpySliceable for leaf in wrapped):
            return _batches(self, [leaf.array for leaf in wrapped], structure)
        iterator: Iterator[Any] = original(self)
        return iterator

    ArrayDataAdapter.get_jax_iterator = get_jax_iterator


def _install_transfers() -> None:
    """Let a compiled step take its arrays as they are, where it runs on the one CPU that holds them anyway."""
    distribute = trainer._distribute_data

    @functools.wraps(distribute)
    def distribute_data(data: Any, layouts: Any = None) -> Any:
        if layouts is None and jax.default_backend() == "cpu" and keras.distribution.distribution() is None:
            return keras.tree.map_structure(_as_array, data)
        return distribute(data, layouts)

    trainer._distribute_data = distribute_data


def _as_array(leaf: Any) -> Any:
    return leaf if leaf is None or isinstance(leaf, (np.ndarray, jax.Array)) else jax.device_put(leaf)
