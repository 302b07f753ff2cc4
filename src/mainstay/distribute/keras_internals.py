"""Everything that this room takes from inside Keras, in one file: a trainer's entry points and how it places batches.

Keras knows one distribution per thread, asked for wherever it is needed. TensorFlow's users leave the scope before
they call `fit`. So the entry points of a trainer enter the strategy of their model, and a batch goes to the devices
by the strategy's own rule, which is asked for each batch: Keras' own takes the layout of the first one for all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.backend.jax import trainer as jax_trainer
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.trainer import Trainer

from mainstay.distribute.datasets import DistributedDataset
from mainstay.distribute.models import check_variables, owner_of, remember_strategy, work_of
from mainstay.distribute.placement import BatchParallel
from mainstay.distribute.strategies import Strategy, get_strategy

_FED = ("fit", "evaluate", "predict")
_STEPPED = ("train_on_batch", "test_on_batch")


class _Batches(DataAdapter):
    """A distributed dataset as Keras' trainer wants its input."""

    def __init__(self, dataset: DistributedDataset) -> None:
        self._dataset = dataset

    def get_jax_iterator(self) -> Iterator[Any]:
        return iter(self._dataset)

    def get_numpy_iterator(self) -> Iterator[Any]:
        return iter(self._dataset.source)

    @property
    def num_batches(self) -> int | None:
        try:
            return len(self._dataset)
        except TypeError:
            return None

    @property
    def batch_size(self) -> None:
        return None

    @property
    def has_partial_batch(self) -> None:
        return None

    @property
    def partial_batch_size(self) -> None:
        return None


def _adapt(value: Any) -> Any:
    return _Batches(value) if isinstance(value, DistributedDataset) else value


def _enter_strategy(cls: type, name: str) -> None:
    original: Callable[..., Any] = getattr(cls, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with work_of(self):
            if name in _FED:
                args = tuple(_adapt(value) for value in args)
                kwargs = {key: _adapt(value) for key, value in kwargs.items()}
            return original(self, *args, **kwargs)

    setattr(cls, name, method)


def _split_on_predict() -> None:
    """Keras' `predict_on_batch` leaves its batch where it is; then each device would compute all of it."""
    original = jax_trainer.JAXTrainer.predict_on_batch

    @functools.wraps(original)
    def predict_on_batch(self: Any, x: Any) -> Any:
        with work_of(self):
            owner = owner_of(self)
            placement = None if owner is None else owner.placement
            return original(self, x if placement is None else placement.place_batch(x))

    jax_trainer.JAXTrainer.predict_on_batch = predict_on_batch


def _check_after_compile() -> None:
    original = Trainer.compile

    @functools.wraps(original)
    def compile(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A001
        with work_of(self):
            original(self, *args, **kwargs)
            owner = owner_of(self)
            if owner is not None:
                check_variables(self, owner)

    Trainer.compile = compile


def _remember_at_creation() -> None:
    original = jax_trainer.JAXTrainer.__init__

    @functools.wraps(original)
    def initialize(self: Any) -> None:
        original(self)
        remember_strategy(self)

    jax_trainer.JAXTrainer.__init__ = initialize


def _place_by_strategy() -> None:
    original = jax_trainer._distribute_data

    @functools.wraps(original)
    def distribute_data(data: Any, layouts: Any = None) -> Any:
        distribution = keras.distribution.distribution()
        if isinstance(distribution, BatchParallel):
            return distribution.place_batch(data)
        return original(data, layouts)

    jax_trainer._distribute_data = distribute_data


def _distribute_strategy(self: Any) -> Strategy:
    """The strategy that the model was created under."""
    return owner_of(self) or get_strategy()


def install() -> None:
    """Make Keras' models work under strategies; done once, when this room is imported."""
    for name in (*_FED, *_STEPPED):
        _enter_strategy(jax_trainer.JAXTrainer, name)
    _split_on_predict()
    _check_after_compile()
    _remember_at_creation()
    _place_by_strategy()
    jax_trainer.JAXTrainer.distribute_strategy = property(_distribute_strategy)
