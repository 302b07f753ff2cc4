"""Gives objects of Keras converted methods while they are called, since it is Keras that calls what users override.

Importing this wraps `__call__` of layers and losses, so that the control flow of a layer of the user's works wherever
Keras traces it: in a `function`, in `fit`, in a functional model. Objects without code of the user's take one look-up.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType, MethodType
from typing import Any

import keras

from mainstay.framework.autograph.conversion import convert_function
from mainstay.framework.autograph.ownership import is_users

# What Keras calls by itself and users write: instance attributes of these names win over the class.
_METHODS = ("call", "update_state", "result", "update_step")
# Where Keras keeps functions that users hand in: activations, the function of a Lambda layer or of a wrapped loss.
_FUNCTIONS = ("activation", "recurrent_activation", "function", "fn", "_fn")
_REPLACED = "_autograph_replaced"
_lock = threading.RLock()


def is_keras_object(value: object) -> bool:
    """Return whether a value is an object of Keras that may call code of the user's."""
    return isinstance(value, keras.metrics.Metric | keras.optimizers.Optimizer)


class KerasCall:
    """A call of an object of Keras, or of a method of one, during which it has converted methods.

    Args:
        function: What is called.
        owner: The object.
        caller: The file of the code that calls it.
    """

    def __init__(self, function: Callable[..., Any], owner: Any, caller: str) -> None:
        self._function = function
        self._owner = owner
        self._caller = caller

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        with converted_methods(self._owner, self._caller):
            return self._function(*args, **kwargs)


@contextmanager
def converted_methods(owner: Any, caller: str) -> Iterator[None]:
    """Let an object of Keras have converted methods while the body runs.

    Args:
        owner: A layer, loss, metric or optimizer.
        caller: The file of the code that calls it, or an empty text.
    """
    with ExitStack() as stack:
        for name, value in _replacements(owner, caller):
            stack.enter_context(_replaced(owner, name, value))
        yield


def _replacements(owner: Any, caller: str) -> list[tuple[str, Any]]:
    attributes = vars(owner)
    found: list[tuple[str, Any]] = []
    for name in _METHODS:
        function = getattr(type(owner), name, None)
        if isinstance(function, FunctionType) and is_users(function, caller):
            found.append((name, MethodType(convert_function(function), owner)))
    for name in _FUNCTIONS:
        function = attributes.get(name)
        if isinstance(function, FunctionType) and is_users(function, caller):
            found.append((name, convert_function(function)))
    return found


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let an instance have another attribute, for as long as any thread is in here.

    Other threads may call the object at the same time: converted code does what the user wrote there too.
    """
    attributes = vars(owner)
    with _lock:
        counts = attributes.setdefault(_REPLACED, {})
        count, original = counts.get(name, (0, attributes.get(name, attributes)))
        counts[name] = (count + 1, original)
        if count == 0:
            attributes[name] = value
    try:
        yield
    finally:
        with _lock:
            count, original = counts[name]
            counts[name] = (count - 1, original)
            if count == 1:
                del counts[name]
                if original is attributes:
                    del attributes[name]
                else:
                    attributes[name] = original
            if not counts:
                attributes.pop(_REPLACED, None)


def _wrap_calls(kind: Any, method: str = "__call__") -> None:
    """Let the objects of a class of Keras have converted methods whenever they are called."""
    original = getattr(kind, method)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _replacements(self, ""):
            return original(self, *args, **kwargs)
        with converted_methods(self, ""):
            return original(self, *args, **kwargs)

    setattr(kind, method, call)


_wrap_calls(keras.Layer)
_wrap_calls(keras.Layer, "stateless_call")  # how fit calls a model
_wrap_calls(keras.losses.Loss)
