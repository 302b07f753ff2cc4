"""Binding: a function keeps the variables around it as they are when it is given to a dataset.

TensorFlow traces a function at once. A dataset here calls it later, when a loop that made several such functions has
gone on to its last value: each of them would see that one.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Callable, Hashable, Iterator
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

_WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF")
_LOOKS_AROUND = {"globals", "eval", "exec"}
_ORIGINALS: WeakKeyDictionary[Callable[..., Any], Callable[..., Any]] = WeakKeyDictionary()


def bound(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that refers to what its variables hold now, whatever is assigned to them later.

    That holds for variables of the functions around it, and for global ones of a script or a notebook; those of a
    module that can be imported stay as they are, and so does a variable that the function itself assigns to. What a
    variable refers to, such as a list, is not copied.

    Args:
        function: What was given to a dataset; what is no plain Python function comes back as it is.

    >>> functions = []
    >>> for number in range(3):
    ...     functions.append(bound(lambda x: x * number))
    >>> [function(10) for function in functions]
    [0, 10, 20]
    """
    if type(function) is not FunctionType:
        return function
    instructions = list(_instructions(function.__code__))
    written = {item.argval for item in instructions if item.opname in _WRITES}
    names = {item.argval for item in instructions if item.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    scope = function.__globals__ if written & names or names & _LOOKS_AROUND else _scope(function, names)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(cell if name in written else _copy(cell) for name, cell in cells)
    if scope is function.__globals__ and not closure:
        return function
    made = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, closure)
    for name in ("__kwdefaults__", "__doc__", "__module__", "__qualname__", "__annotations__"):
        setattr(made, name, getattr(function, name))
    made.__dict__.update(function.__dict__)
    _ORIGINALS[made] = function
    return made


def original(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that was given to a dataset, of what `bound` made of it."""
    return _ORIGINALS.get(function, function) if type(function) is FunctionType else function


def meaning(function: Any) -> Hashable:
    """Return what is equal for functions that do the same: their code, and what that refers to.

    Functions that a function defines are new ones every time it is called; those whose variables hold the same numbers,
    texts and objects mean the same. It is good for as long as one of the functions lives.
    """
    return _meaning(function, ())


def _meaning(value: Any, above: tuple[int, ...]) -> Hashable:
    if type(value) in (bool, int, str, bytes, type(None)):
        return type(value), value
    if type(value) is float or isinstance(value, np.generic):
        return type(value), repr(value)
    if type(value) is MethodType:
        return MethodType, _meaning(value.__func__, above), id(value.__self__)
    if type(value) is not FunctionType or id(value) in above:
        return id(value)
    inner = (*above, id(value))
    scope = original(value).__globals__
    own = () if value.__globals__ is scope else sorted(value.__globals__.items(), key=lambda item: item[0])
    return (
        id(value.__code__),
        id(scope),
        tuple((name, _meaning(item, inner)) for name, item in own if not name.startswith("__")),
        tuple(_meaning(cell, inner) for cell in map(_content, value.__closure__ or ())),
        tuple(_meaning(item, inner) for item in value.__defaults__ or ()),
        tuple((name, _meaning(item, inner)) for name, item in sorted((value.__kwdefaults__ or {}).items())),
    )


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return cell


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    """Yield the instructions of a function and of those that are defined in it."""
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)


def _scope(function: FunctionType, names: set[str]) -> dict[str, Any]:
    """Return the global variables that a function of a script uses, as they are; else the module's own."""
    scope = function.__globals__
    name = scope.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if name != "__main__" and module is not None and vars(module) is scope:
        return scope
    used = {name: scope[name] for name in names if name in scope}
    if not used or any(name not in scope and not hasattr(builtins, name) for name in names):
        # What the function calls may be defined further down.
        return scope
    return {name: value for name, value in scope.items() if name.startswith("__") and name.endswith("__")} | used


def _copy(cell: CellType) -> CellType:
    try:
        return CellType(cell.cell_contents)
    except ValueError:
        # Not assigned yet, as the name of a function that calls itself while it is being decorated.
        return cell
