"""`Module`: an object that finds the variables in its attributes, as `tf.Module` does."""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras

from mainstay.core import ArgumentError
from mainstay.framework.keras_internals import is_variable

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Module:
    """A model or a part of one that is written in plain Python: its variables are those of its attributes.

    Attributes may be variables, other modules, layers of Keras, and lists, tuples and dictionaries of these. Nothing is
    kept aside: what is assigned later counts, what is deleted does not. A method may be a `function`.

    Args:
        name: A Python identifier; None makes one of the name of the class.

    Raises:
        ArgumentError: The name is no identifier.

    Example:
        >>> import mainstay as tf
        >>> class Line(tf.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.slope = tf.Variable(2.0, name="slope")
        ...         self.offset = tf.Variable(1.0, name="offset", trainable=False)
        ...
        ...     @tf.function
        ...     def __call__(self, x):
        ...         return self.slope * x + self.offset
        >>> line = Line()
        >>> float(line(3.0))
        7.0
        >>> [variable.name for variable in line.variables]
        ['offset', 'slope']
        >>> [variable.name for variable in line.trainable_variables]
        ['slope']
    """

    _name: str | None = None

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not name.isidentifier():
            raise ArgumentError("the name of a module is a Python identifier", where="name", received=repr(name))
        self._name = name

    @property
    def name(self) -> str:
        """The name that was given, or that of the class, as in ``my_layer`` for ``MyLayer``."""
        return self._name or _WORD_START.sub("_", type(self).__name__).lower()

    @property
    def name_scope(self) -> Any:
        """A context in which the paths of new variables begin with the name of this module."""
        return keras.name_scope(self.name)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Make a method that runs within the `name_scope` of its module.

        Args:
            method: A method of a module, decorated with this.

        Returns:
            The method.
        """

        @functools.wraps(method)
        def scoped(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped

    @property
    def variables(self) -> tuple[Any, ...]:
        """All variables, each once: those of the attributes by name, then those of the modules and layers in them."""
        return _unique(self._variables("variables"))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The variables that training changes, in the same order."""
        return _unique(variable for variable in self._variables("trainable_variables") if variable.trainable)

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """The other variables, in the same order."""
        return _unique(variable for variable in self._variables("non_trainable_variables") if not variable.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules and layers in the attributes and in those of modules there, each once, nearest first."""
        return tuple(part for part in self._parts() if part is not self)

    def _parts(self) -> Iterator[Any]:
        """Yield this module and all below it, each once, nearest first."""
        seen, waiting = {id(self)}, deque[Any]([self])
        while waiting:
            part = waiting.popleft()
            yield part
            if isinstance(part, Module):
                found = [leaf for leaf in _attributes(part) if isinstance(leaf, Module | keras.Layer)]
                waiting += [leaf for leaf in _unique(found) if id(leaf) not in seen]
                seen.update(map(id, found))

    def _variables(self, which: str) -> Iterator[Any]:
        for part in self._parts():
            yield from filter(is_variable, _attributes(part)) if isinstance(part, Module) else getattr(part, which)


def _attributes(module: Module) -> Iterator[Any]:
    """Yield the attributes of a module by name, and in place of structures what is in them."""
    for _, value in sorted(vars(module).items()):
        yield from _leaves(value)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | Mapping):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)
    else:
        yield value


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple({id(value): value for value in values}.values())
