"""Everything that this room takes from inside Keras, in one file; `trainers.py` says what is done with it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras.src.backend.jax import trainer as _jax_trainer
from keras.src.backend.jax.trainer import JAXTrainer
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.trainer import Trainer

__all__ = ["DataAdapter", "JAXTrainer", "Trainer", "place_batches", "variables_of"]


def variables_of(model: Any) -> list[Any]:
    """Return the variables of a model, its optimizer and its metrics, those of metrics not yet in use included."""
    given = getattr(model, "_compile_metrics", None)
    unused = [] if given is None else keras.tree.flatten([given._user_metrics, given._user_weighted_metrics])
    parts = [model, getattr(model, "optimizer", None), *model.metrics, *unused]
    return [variable for part in parts for variable in getattr(part, "variables", ())]


def place_batches(place: Callable[[Any, Any], Any]) -> None:
    """Let `place` bring each batch of a trainer to the devices, if it does not return None.

    Args:
        place: Called with the running distribution, if there is one, and a batch. Keras' own way takes the layout of
            the first batch for all of them, whatever their number of rows.
    """
    original = _jax_trainer._distribute_data

    @functools.wraps(original)
    def distribute_data(data: Any, layouts: Any = None) -> Any:
        distribution = keras.distribution.distribution()
        placed = None if distribution is None else place(distribution, data)
        return original(data, layouts) if placed is None else placed

    _jax_trainer._distribute_data = distribute_data
