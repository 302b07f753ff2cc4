"""Decides what is called in place of what the user wrote: converted functions for the user's, libraries as they are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from mainstay.framework.autograph.conversion import convert_function, is_settled
from mainstay.framework.autograph.keras_objects import KerasCall, is_keras_object
from mainstay.framework.autograph.ownership import is_of_libraries, is_users
from mainstay.framework.autograph.python_builtins import overload_of


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
    if is_keras_object(function):
        return KerasCall(function, function, caller)
    method = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(method, FunctionType) and is_users(method, caller):
        return MethodType(convert_function(method), function)
    return function


def _takes_functions(function: Any) -> bool:
    """Return whether a function is one of JAX or Keras, or one of Python's own, that may call its arguments."""
    if any(function is known for known in (map, filter, functools.reduce)):
        return True
    return isinstance(function, FunctionType) and is_of_libraries(function)


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
    if is_keras_object(method.__self__):
        return KerasCall(method, method.__self__, caller)
    return method


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
