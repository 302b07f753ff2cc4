"""Arguments of a call: bound to parameters, described leaf by leaf, and keyed so that equal kinds share a program."""

from __future__ import annotations

import dataclasses
import inspect
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mainstay.core import ArgumentError, TensorSpec
from mainstay.framework.functions.structures import ARRAYS, is_opaque, tree
from mainstay.framework.keras_internals import is_variable

_PLAIN = frozenset({bool, int, str, bytes, complex})
NUMBERS = (int, float)


class Parameters:
    """The parameters of a function: brings equal calls, however they are written, into one form.

    Args:
        func: The function.
        name: Its name, for messages.
    """

    def __init__(self, func: Callable[..., Any], name: str) -> None:
        self.name = name
        self.signature = inspect.signature(func)
        # A default that holds arrays stays with the function, as a constant of it; it is not an argument of a call.
        self._defaults = {
            key: parameter.default
            for key, parameter in self.signature.parameters.items()
            if parameter.default is not parameter.empty
            and not any(isinstance(leaf, ARRAYS) or is_opaque(leaf) for leaf in tree.tree_leaves(parameter.default))
        }

    def bind(self, args: Any, kwargs: Any) -> OrderedDict[str, Any]:
        """Return the arguments by parameter, in the order of the parameters, with the defaults that are Python's.

        Raises:
            TypeError: They do not fit the parameters, as for any Python function.
        """
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{self.name}(): {error}") from None
        merged = {**self._defaults, **given}
        return OrderedDict((key, merged[key]) for key in self.signature.parameters if key in merged)

    def unbind(self, arguments: OrderedDict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what to call the function with."""
        bound = inspect.BoundArguments(self.signature, arguments)
        return bound.args, bound.kwargs

    def order(self, treedef: Any) -> list[int]:
        """Return, for each leaf in bound order, which leaf of the call as it was written it is.

        Leaves that come from defaults are left out.
        """
        args, kwargs = treedef.unflatten(map(_Number, range(treedef.num_leaves)))
        leaves = tree.tree_leaves(self.bind(args, kwargs))
        return [leaf.index for leaf in leaves if isinstance(leaf, _Number)]


class _Number:
    def __init__(self, index: int) -> None:
        self.index = index


def leaf_key(leaf: Any) -> Any:
    """Return what a program depends on in an argument: the kind of an array, the value of anything else.

    Raises:
        ArgumentError: The leaf has no hash, so that two calls cannot be compared, or is an array that XLA cannot take.
    """
    kind = type(leaf)
    if isinstance(leaf, jax.Array):
        return jax.typeof(leaf)
    if isinstance(leaf, (np.ndarray, np.generic)):
        if leaf.dtype.kind in "OSUMm" or leaf.dtype.names is not None:
            raise ArgumentError(
                "arrays of text, times or objects do not go into a compiled function",
                received=f"an array of dtype {leaf.dtype}",
                fix="turn it into numbers before (see mainstay.hostops), or pass a Python value",
            )
        if not leaf.dtype.isnative:
            raise ArgumentError(
                "the numbers of an array have their bytes in another order than this machine's",
                received=f"an array of dtype {leaf.dtype.str}",
                fix="turn it round: array.astype(array.dtype.newbyteorder('='))",
            )
        return leaf.shape, leaf.dtype
    if kind in _PLAIN:
        return kind, leaf
    if kind is float:
        # 0.0 == -0.0 and nan != nan, but each is one value here.
        return kind, leaf if leaf == leaf and leaf != 0 else repr(leaf)
    if _by_identity(leaf):
        return kind, id(leaf), "identity"
    try:
        hash(leaf)
    except TypeError:
        raise ArgumentError(
            "this argument is neither an array nor a value that can be compared with that of another call",
            expected="an array, a structure of arrays, or a value with a hash",
            received=f"{kind.__module__}.{kind.__qualname__}",
            fix="pass its arrays, a tuple or a frozen dataclass; or give its class a __hash__",
        ) from None
    return kind, leaf, _kinds_inside(leaf)


def _kinds_inside(value: Any) -> Any:
    """Return the types in a value: ``Rate(1)`` equals ``Rate(1.0)``, and what is computed with them is not the same."""
    if isinstance(value, frozenset):
        return frozenset((item, _kinds_inside(item)) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [getattr(value, field.name) for field in dataclasses.fields(value) if field.compare]
    elif isinstance(value, tuple):
        items = list(value)
    else:
        return type(value)
    return type(value), *map(_kinds_inside, items)


def is_identified(leaf: Any) -> bool:
    """Return whether `leaf_key` names a leaf by its identity."""
    return not isinstance(leaf, ARRAYS) and type(leaf) not in _PLAIN and _by_identity(leaf)


def _by_identity(leaf: Any) -> bool:
    compared: Any = type(leaf).__hash__
    return is_variable(leaf) or compared is object.__hash__


def watch(leaf: Any, forget: Callable[[int], None]) -> Any:
    """Return what must be kept so that ``forget(id(leaf))`` is called when `leaf` is gone, or `leaf` itself."""
    key = id(leaf)
    try:
        return weakref.ref(leaf, lambda _: forget(key))
    except TypeError:
        return leaf


def leaf_paths(arguments: OrderedDict[str, Any]) -> list[str]:
    """Return the path of each leaf of bound arguments, such as ``x['a'][0]``."""
    found = tree.tree_flatten_with_path(arguments)[0]
    return [f"{path[0].key}{tree.keystr(path[1:])}" for path, _ in found]


def describe(leaf: Any) -> str:
    """Return a leaf in short: ``float32[32,3]``, ``0.1``, ``<Dense>``."""
    if isinstance(leaf, TensorSpec):
        return f"{leaf.dtype}[{','.join('None' if axis is None else str(axis) for axis in leaf.shape)}]"
    if isinstance(leaf, (*ARRAYS, jax.ShapeDtypeStruct)):
        return f"{leaf.dtype.name}[{','.join(map(str, leaf.shape))}]"
    if is_variable(leaf):
        return f"the variable {leaf.path!r}"
    text = repr(leaf)
    return text if len(text) <= 60 else f"<{type(leaf).__name__}>"
