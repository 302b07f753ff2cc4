"""Makes Keras' models work under strategies: `fit` and the like enter the strategy that their model belongs to.

Keras knows one distribution per thread, asked for wherever it is needed; TensorFlow's users leave the scope before
they call `fit`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from mainstay.data import Dataset
from mainstay.distribute.datasets import DistributedDataset
from mainstay.distribute.keras_internals import DataAdapter, JAXTrainer, Trainer, place_batches
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
    """Return what Keras' loops take; batches of a `Dataset` they bring to the devices themselves."""
    if isinstance(value, DistributedDataset):
        return value.source if isinstance(value.source, Dataset) else _Batches(value)
    return value


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
    original = JAXTrainer.predict_on_batch

    @functools.wraps(original)
    def predict_on_batch(self: Any, x: Any) -> Any:
        with work_of(self):
            owner = owner_of(self)
            placement = None if owner is None else owner.placement
            return original(self, x if placement is None else placement.place_batch(x))

    JAXTrainer.predict_on_batch = predict_on_batch


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
    original = JAXTrainer.__init__

    @functools.wraps(original)
    def initialize(self: Any) -> None:
        original(self)
        remember_strategy(self)

    JAXTrainer.__init__ = initialize


def _place(distribution: Any, batch: Any) -> Any:
    return distribution.place_batch(batch) if isinstance(distribution, BatchParallel) else None


def _distribute_strategy(self: Any) -> Strategy:
    """The strategy that the model was created under."""
    return owner_of(self) or get_strategy()


def install() -> None:
    """Make Keras' models work under strategies; done once, when this room is imported."""
    for name in (*_FED, *_STEPPED):
        _enter_strategy(JAXTrainer, name)
    _split_on_predict()
    _check_after_compile()
    _remember_at_creation()
    place_batches(_place)
    JAXTrainer.distribute_strategy = property(_distribute_strategy)
