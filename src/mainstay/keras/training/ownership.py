"""Keras' loops give the arrays of a model away and read batches late; here is what keeps both from being somebody's."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter


def _owned(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _owned_batches(batches: Any) -> Iterator[Any]:
    """Yield batches that whoever made them cannot fill anew: XLA reads an array where it lies, after the call too."""
    for batch in batches:
        yield keras.tree.map_structure(_owned, batch)


def install() -> None:
    """Put the changes onto Keras' classes."""
    assign, from_generator, from_dataset = (
        keras.Variable.assign,
        GeneratorDataAdapter.__init__,
        PyDatasetAdapter._get_iterator,
    )

    @functools.wraps(assign)
    def assign_copy(self: Any, value: Any) -> Any:
        result = assign(self, value)
        # A step gives the array of one variable away, and the other variable would be left without.
        if isinstance(value, keras.Variable) and value is not self:
            held = self._value
            if held is value._value and isinstance(held, jax.Array) and not isinstance(held, jax.core.Tracer):
                with jax.ensure_compile_time_eval():
                    self._value = jnp.copy(held)
        return result

    @functools.wraps(from_generator)
    def init_generator_adapter(self: Any, generator: Any) -> None:
        from_generator(self, _owned_batches(generator))

    @functools.wraps(from_dataset)
    def get_iterator(self: Any) -> Iterator[Any]:
        return _owned_batches(from_dataset(self))

    keras.Variable.assign = assign_copy
    GeneratorDataAdapter.__init__ = init_generator_adapter
    PyDatasetAdapter._get_iterator = get_iterator
