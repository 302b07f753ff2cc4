"""The values that flow through a graph: arrays, and resources as objects of Python.

Numbers are NumPy arrays while they are known, else JAX arrays and tracers. Strings are object arrays of `bytes`.
A shape whose axes are not all known is an object array of integers and JAX's symbolic dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np

from mainstay.core import ModelError

Value: TypeAlias = Any
"""An array of NumPy or JAX, or one of the resources below."""

Size: TypeAlias = Any
"""The length of an axis: an int, or a symbolic dimension of JAX."""


class ValueNeededError(Exception):
    """A value is needed while XLA traces, before there is one; the node has to run outside of XLA."""


def is_known(*values: Value) -> bool:
    """Return whether all values are NumPy's, so that their content is at hand."""
    return not any(isinstance(value, jax.Array) for value in values)


def backend_of(*values: Value) -> Any:
    """Return `numpy` if all values are NumPy's, else `jax.numpy`: what an op computes with.

    Example:
        >>> backend_of(np.zeros(2), np.ones(2)).__name__
        'numpy'
        >>> backend_of(np.zeros(2), jnp.ones(2)).__name__
        'jax.numpy'
    """
    return np if is_known(*values) else jnp


def known(value: Value) -> np.ndarray[Any, Any]:
    """Return a value as a NumPy array.

    Raises:
        ValueNeededError: XLA is tracing, so there is no value yet.
    """
    if isinstance(value, jax.core.Tracer):
        raise ValueNeededError
    return np.asarray(value)


def integers(value: Value) -> tuple[Size, ...]:
    """Return the elements of a shape, a permutation or a list of axes as ints or symbolic dimensions.

    Raises:
        ValueNeededError: XLA is tracing, so there is no value yet.

    Example:
        >>> integers(np.array([2, -1], np.int32))
        (2, -1)
    """
    return tuple(_size(element) for element in known(value).ravel().tolist())


def integer(value: Value) -> Size:
    """Return a scalar as an int or a symbolic dimension.

    Raises:
        ValueNeededError: XLA is tracing, so there is no value yet.
        ModelError: It has not exactly one element.
    """
    elements = integers(value)
    if len(elements) != 1:
        raise ModelError("an op wants one integer", received=f"{len(elements)} elements")
    return elements[0]


def _size(element: Any) -> Size:
    return int(element) if isinstance(element, bool | float | int) else element


def is_symbolic(value: Value) -> bool:
    """Return whether a value is a shape some of whose axes are symbolic dimensions, as while a program is exported."""
    if not isinstance(value, np.ndarray) or value.dtype != object:
        return False
    return any(jax.export.is_symbolic_dim(element) for element in value.ravel().tolist())


def shape_array(sizes: tuple[Size, ...], dtype: Any = np.int32) -> np.ndarray[Any, Any]:
    """Return the sizes of axes as a vector of `dtype`, or of objects where one is symbolic."""
    if all(isinstance(size, int | np.integer) for size in sizes):
        return np.array(sizes, dtype)
    array = np.empty(len(sizes), object)
    array[:] = sizes
    return array


class AssetPath(bytes):
    """The path of a file that belongs to the model, as a string of its graph; ops read no other files."""

    __slots__ = ()


class Variable:
    """A variable of TensorFlow: a value under a name.

    Args:
        name: Its name in messages: its path in the object graph, or its name in the checkpoint.
        value: Its value, or None for one that is not initialised.
        load: Gives its value when it is first asked for.
        trainable: Whether the model that was saved trained it.
    """

    __slots__ = ("_device", "_load", "_value", "name", "trainable")

    changes: ClassVar[int] = 0
    """How often any variable was given a value: what was made of variables before is stale after."""

    def __init__(
        self, name: str, value: Value = None, *, load: Callable[[], Value] | None = None, trainable: bool = False
    ) -> None:
        self.name = name
        self.trainable = trainable
        self._value = value
        self._load = load
        self._device: Any = None

    @property
    def value(self) -> Value:
        """Its value: NumPy's as it is stored (mapped), JAX's while XLA traces.

        Raises:
            ModelError: It has none.
        """
        if self._value is None:
            if self._load is None:
                raise ModelError("a variable has no value", where=self.name, fix="initialise it before it is read")
            self._value, self._load = self._load(), None
        return self._value

    @value.setter
    def value(self, value: Value) -> None:
        self._value, self._load, self._device = value, None, None
        Variable.changes += 1

    @property
    def is_initialized(self) -> bool:
        """Whether it has a value."""
        return self._value is not None or self._load is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(np.shape(self.value))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype; object for strings."""
        dtype: np.dtype[Any] = np.dtype(self.value.dtype)
        return dtype

    def on_device(self) -> jax.Array:
        """Return its value where programs run; it is put there once."""
        if self._device is None:
            self._device = jax.device_put(self.value)
        return cast("jax.Array", self._device)

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return its value as a NumPy array."""
        return np.asarray(self.value)

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, {self.dtype}{list(self.shape)})" if self.is_initialized else self.name


class Table:
    """A lookup table; the ops of tables fill and read `content`.

    Attributes:
        name: Its name in messages.
        key_kind: The dtype of its keys, or ``"string"``.
        value_kind: The dtype of its values, or ``"string"``.
        content: A dict from a key (`bytes` or int) to a value (`bytes`, a number, or an array), or None before it
            is initialised.
        default: What a mutable table answers for a key that it lacks, where the table itself says so.
        cache: What the ops of tables derive from `content`, such as sorted arrays; emptied when it changes.
    """

    __slots__ = ("cache", "content", "default", "key_kind", "name", "value_kind")

    def __init__(self, name: str, key_kind: Any, value_kind: Any) -> None:
        self.name = name
        self.key_kind = key_kind
        self.value_kind = value_kind
        self.content: dict[Any, Any] | None = None
        self.default: Value = None
        self.cache: Any = None

    def __repr__(self) -> str:
        size = "not initialised" if self.content is None else f"{len(self.content):,} keys"
        return f"Table({self.name!r}, {size})"


@jax.tree_util.register_pytree_node_class
class TensorListValue:
    """A TensorList as one array, its elements stacked along a leading axis, or the elements one by one.

    A list of elements of one shape is `stacked`. While the shape of the elements is open, as after
    `TensorListReserve` without one, `stacked` is None and `length` says how many elements there will be. A list that
    grows or whose elements differ in shape is `elements`, a tuple of arrays (None where one was never set), and
    cannot change its length inside of a loop that XLA runs.

    Attributes:
        dtype: The dtype of the elements.
        length: How many there are, an int or a symbolic dimension.
        stacked: The elements, `[length, ...]`, or None.
        elements: The elements one by one, or None.
        element_shape: The shape that the graph states for an element, with None for open axes; None for an open rank.
    """

    __slots__ = ("dtype", "element_shape", "elements", "length", "stacked")

    def __init__(
        self,
        dtype: Any,
        length: Size,
        *,
        stacked: Value = None,
        elements: tuple[Value, ...] | None = None,
        element_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        self.dtype = dtype
        self.length = length
        self.stacked = stacked
        self.elements = elements
        self.element_shape = element_shape

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the arrays and what surrounds them, as JAX wants it."""
        return (self.stacked, self.elements), (self.dtype, self.length, self.element_shape)

    @classmethod
    def tree_unflatten(cls, kept: tuple[Any, ...], arrays: tuple[Any, ...]) -> TensorListValue:
        """Return the list of `tree_flatten`."""
        dtype, length, element_shape = kept
        return cls(dtype, length, stacked=arrays[0], elements=arrays[1], element_shape=element_shape)

    def __repr__(self) -> str:
        return f"TensorListValue({self.dtype}, {self.length})"
