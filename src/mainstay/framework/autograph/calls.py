"""Decides what is called in place of what the user wrote: converted functions for the user's, libraries as they are."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import keras

from mainstay.framework.autograph.conversion import convert_function, is_settled
from mainstay.framework.autograph.python_builtins import overload_of

_LIBRARIES = ("jax", "jaxlib", "keras", "numpy", "optree", "ml_dtypes")
_MAINSTAY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__)})
# What Keras calls by itself and users write: instance attributes of these names win over the class.
_ENTRY_POINTS = ("call", "update_state", "result", "compute_loss", "update_step")
_lock = threading.RLock()
_CallableObject = (keras.Layer, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)


def converted_call(function: Any, caller: str) -> Any:
    """Return what converted code calls when the user wrote a call of `function`.

    Args:
        function: Anything that is called.
        caller: The file of the code that calls it.
    """
    overload = overload_of(function)
    if overload is not None:
        return overload
    if isinstance(function, FunctionType) and is_users(function, caller):
        return convert_function(function)
    if _takes_functions(function):
        return _with_converted_arguments(function, caller)
    if isinstance(function, FunctionType):
        return function
    if isinstance(function, MethodType):
        return _method(function, caller)
    if isinstance(function, functools.partial) and type(function) is functools.partial:
        return functools.partial(converted_call(function.func, caller), *function.args, **function.keywords)
    if isinstance(function, type | BuiltinFunctionType):
        return function
    if isinstance(function, _CallableObject):
        return _KerasCall(function, caller)
    method = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(method, FunctionType) and is_users(method, caller):
        return MethodType(convert_function(method), function)
    return function


def is_users(function: FunctionType, caller: str) -> bool:
    """Return whether a function is the user's: of no library, or of the library that the caller belongs to.

    Args:
        function: A function that Python code made.
        caller: The file of the code that calls it.
    """
    if is_settled(function):
        return False
    filename = function.__code__.co_filename
    if filename.startswith("<frozen") or _under(filename, _MAINSTAY) or _under(filename, *_library_folders()):
        return False
    package = _installed_package(filename)
    if package is not None:
        return package == _installed_package(caller)
    return not _under(filename, *_STANDARD)


@functools.cache
def _library_folders() -> tuple[str, ...]:
    files = (getattr(sys.modules.get(name), "__file__", None) for name in _LIBRARIES)
    return tuple(os.path.dirname(file) for file in files if file)


def _under(filename: str, *folders: str) -> bool:
    return any(filename.startswith(folder + os.sep) for folder in folders)


def _installed_package(filename: str) -> str | None:
    """Return the top-level package of a file in a folder of installed packages, or None for another file."""
    parts = filename.replace(os.sep, "/").split("/")
    for number, part in enumerate(parts[:-1]):
        if part in ("site-packages", "dist-packages"):
            return parts[number + 1]
    return None


def _takes_functions(function: Any) -> bool:
    """Return whether a function is one of JAX or Keras, or one of Python's own, that may call its arguments."""
    if any(function is known for known in (map, filter, functools.reduce)):
        return True
    return isinstance(function, FunctionType) and _under(function.__code__.co_filename, *_library_folders())


def _with_converted_arguments(function: Callable[..., Any], caller: str) -> Callable[..., Any]:
    """Return a function that hands on converted functions, as in `jax.vmap(f)` and `ops.map(f, xs)`."""

    def convert_argument(value: Any) -> Any:
        return convert_function(value) if isinstance(value, FunctionType) and is_users(value, caller) else value

    def call(*args: Any, **kwargs: Any) -> Any:
        named = {name: convert_argument(value) for name, value in kwargs.items()}
        return function(*map(convert_argument, args), **named)

    return call


def _method(method: MethodType, caller: str) -> Any:
    function = method.__func__
    if isinstance(function, FunctionType) and is_users(function, caller):
        return MethodType(convert_function(function), method.__self__)
    if isinstance(method.__self__, _CallableObject):
        return _KerasCall(method.__self__, caller, method)
    return method


class _KerasCall:
    """A call of an object of Keras, during which it and the layers in it have converted methods."""

    def __init__(self, target: Any, caller: str, method: Callable[..., Any] | None = None) -> None:
        self._target = target
        self._caller = caller
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _converted_methods(self._target, self._caller):
            # Looked up now: the method may be one of those that were replaced.
            return (self._method or self._target)(*args, **kwargs)


@contextmanager
def _converted_methods(target: Any, caller: str) -> Iterator[None]:
    with ExitStack() as stack:
        for part in _parts(target):
            for name, value in _replacements(part, caller):
                stack.enter_context(_replaced(part, name, value))
        yield


def _parts(target: Any) -> list[Any]:
    """Return an object of Keras and what it holds that may have code of the user's."""
    if not isinstance(target, keras.Layer):
        return [target]
    return list(target._flatten_layers())


def _replacements(part: Any, caller: str) -> Iterator[tuple[str, Any]]:
    for name in _ENTRY_POINTS:
        function = getattr(type(part), name, None)
        if isinstance(function, FunctionType) and is_users(function, caller):
            yield name, MethodType(convert_function(function), part)
    # Functions that the user handed in: activations, the function of a Lambda layer or of a wrapped loss.
    for name, value in list(vars(part).items()):
        if isinstance(value, FunctionType) and name not in _ENTRY_POINTS and is_users(value, caller):
            yield name, convert_function(value)


@contextmanager
def _replaced(part: Any, name: str, value: Any) -> Iterator[None]:
    """Let an instance have another attribute, for as long as any thread is in here.

    Other threads may call the object at the same time: converted code does what the user wrote there too.
    """
    attributes = vars(part)
    with _lock:
        counts = attributes.setdefault("_autograph_replaced", {})
        if counts.get(name, (0,))[0] == 0:
            counts[name] = (1, attributes.get(name, attributes))
            attributes[name] = value
        else:
            counts[name] = (counts[name][0] + 1, counts[name][1])
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
                    attributes.pop("_autograph_replaced", None)


def convert(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callable that does what `function` does, and stages what traced values decide.

    Under `jit` a Python `if`, `while` or `for` cannot depend on an array. In the returned function it can: conditions
    and loops on traced values become `lax.cond`, `lax.while_loop` and `lax.scan`; those on Python values, and all of
    them outside of a trace, run as Python. Functions of the user's that it calls are converted too, those of
    libraries are not.

    Args:
        function: A function, method, `functools.partial`, Keras object or other callable.

    Returns:
        A callable of the same signature. A function whose source is not available is returned as it is, and warns
        once if a traced value decides something in it.

    Examples:
        >>> import jax
        >>> def halve(n):
        ...     while n % 2 == 0:
        ...         n = n // 2
        ...     return n
        >>> int(jax.jit(convert(halve))(48))
        3
    """
    inner = getattr(function, "python_function", None)
    if inner is not None and not isinstance(function, FunctionType):
        return convert(inner)
    if isinstance(function, FunctionType):
        return function if is_settled(function) else convert_function(function)
    if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
        if is_settled(function.__func__):
            return function
        return MethodType(convert_function(function.__func__), function.__self__)
    if isinstance(function, functools.partial):
        return functools.partial(convert(function.func), *function.args, **function.keywords)
    converted: Callable[..., Any] = converted_call(function, "")
    return converted
