"""`Variable`: a Keras variable that is made as `tf.Variable` is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from mainstay.core import ArgumentError
from mainstay.framework.conversion import as_dtype, convert_to_tensor
from mainstay.framework.jax_internals import outside_of_traces
from mainstay.framework.keras_internals import raw_value


class Variable(keras.Variable):
    """State that outlives a step: made from a value, changed with `assign`, read wherever an array may stand.

    It is a `keras.Variable`: layers, optimisers and checkpoints take it. Arithmetic gives plain arrays. Python's bool,
    int and float become bool, int32 and float32, arrays keep their dtype, and 64 bits become 32 unless
    ``jax_enable_x64`` is set, as in `constant`.

    Args:
        initial_value: A number, an array, nested lists, or a function without arguments that returns one of them.
        trainable: Whether tapes watch it by themselves and optimisers change it.
        name: Its name; one is made up without it.
        dtype: Its dtype, for good; None takes that of the value.
        shape: The shape that `initial_value` must have, if it is to be checked.
        constraint: A function that an optimiser applies to the value after each update.

    Raises:
        ArgumentError: The value is no number, does not fit the dtype or the shape, or is computed by the traced
            function that creates the variable.

    Example:
        >>> import mainstay as tf
        >>> v = tf.Variable(3.0)
        >>> v.assign_add(1.0)
        Array(4., dtype=float32)
        >>> float(v * v)
        16.0
    """

    def __init__(
        self,
        initial_value: Any,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        *,
        shape: Any = None,
        aggregation: str = "none",
        constraint: Callable[[Any], Any] | None = None,
    ) -> None:
        value = _initial(initial_value, dtype)
        if shape is not None and tuple(shape) != value.shape:
            raise ArgumentError(
                "the initial value has another shape", where="shape", expected=tuple(shape), received=value.shape
            )
        path, _, last = (name or "").rpartition("/")
        super().__init__(
            # As an initialiser: Keras then also takes it while a function is being traced.
            lambda shape, dtype: value,
            shape=value.shape,
            dtype=value.dtype.name,
            trainable=trainable,
            autocast=False,
            aggregation=aggregation,
            name=last or None,
        )
        if path:
            self._path = f"{self.path.removesuffix(last)}{name}"
        self.constraint = constraint

    def read_value(self) -> jax.Array:
        """Return the value as it is now; later assignments do not change it."""
        value: jax.Array = self.value
        return value

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the value as a NumPy array of its own."""
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.value, dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __index__(self) -> int:
        return int(self.value.__index__())

    def __complex__(self) -> complex:
        return complex(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[jax.Array]:
        return iter(self.value)


def _initial(value: Any, dtype: Any) -> jax.Array:
    """Return the first value of a variable, computed outside of whatever is being traced."""
    wanted = None if dtype is None else as_dtype(dtype)
    with outside_of_traces():
        if callable(value) and not isinstance(value, jax.Array | keras.Variable):
            value = value()
        if isinstance(value, keras.Variable):
            value = raw_value(value)
        if isinstance(value, jax.core.Tracer):
            raise ArgumentError(
                "a variable cannot start from a value of the function that is being traced",
                where="initial_value",
                received=str(value),
                fix="give a number, a NumPy array or a function without arguments: Variable(lambda: ...)",
            )
        if isinstance(value, jax.Array):
            # A copy: the variable's buffer may be given away by a step, the caller's must not be.
            return jnp.array(value, dtype=wanted, copy=True)
        return convert_to_tensor(value, wanted)
