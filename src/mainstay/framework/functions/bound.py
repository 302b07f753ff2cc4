"""Functions that are methods: each object has its own, kept with the object and gone with it."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

_ATTRIBUTE = "_mainstay_functions"


class BoundFunctions(dict[int, Any]):
    """The functions of one object, by the identity of those of its class; they do not travel with a copy of it."""

    def __copy__(self) -> BoundFunctions:
        return BoundFunctions()

    def __deepcopy__(self, memory: Any) -> BoundFunctions:
        return BoundFunctions()

    def __reduce__(self) -> Any:
        return (BoundFunctions, ())


def bound_function(function: Any, instance: Any, make: Callable[[Any], Any]) -> Any:
    """Return the function of an object.

    Args:
        function: The function of its class.
        instance: The object.
        make: Makes a function of a bound method.
    """
    if isinstance(instance, type) or not hasattr(instance, "__dict__"):
        return MethodType(function, instance)
    functions = instance.__dict__.get(_ATTRIBUTE)
    found = None if functions is None else functions.get(id(function))
    # A shallow copy of an object has the dict of the original.
    if found is None or found.python_function.__self__ is not instance:
        found = make(MethodType(function.python_function, instance))
        functions = instance.__dict__[_ATTRIBUTE] = BoundFunctions(functions or {})
        functions[id(function)] = found
    return found
