"""Makes a converted function of a function: same signature, closure cells, globals, file and lines."""

from __future__ import annotations

import ast
import functools
import threading
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import Any, TypeVar

import jax

from mainstay.core import ArgumentError
from mainstay.framework.autograph.rewriting import NAME, rewrite
from mainstay.framework.autograph.source import NotConvertibleError, definition

OPERATORS = "ag__"
_FUTURES = annotations.compiler_flag
_lock = threading.RLock()
_T = TypeVar("_T", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Converted:
    """The code of a converted function, or why there is none."""

    filename: str
    code: CodeType | None
    operators: Any
    reason: str = ""


_cache: weakref.WeakKeyDictionary[CodeType, _Converted] = weakref.WeakKeyDictionary()
_warned: weakref.WeakSet[CodeType] = weakref.WeakSet()


def do_not_convert(function: _T) -> _T:
    """Mark a function to be called as it is from converted code.

    Args:
        function: A function, or anything else that is called.

    Returns:
        The same function, or one that calls what was given.

    Examples:
        >>> @do_not_convert
        ... def log_shape(x):
        ...     return x.shape
    """
    if not isinstance(function, FunctionType):
        # A bound method has no attributes of its own.
        return do_not_convert(functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs)))  # type: ignore[return-value]
    function.__autograph_as_it_is__ = True  # type: ignore[attr-defined]
    return function


def is_settled(function: FunctionType) -> bool:
    """Return whether a function is converted already, or is not to be."""
    if OPERATORS in function.__code__.co_freevars:
        return True
    # `functools.wraps` copies the mark of a marked function to its wrapper, which means it as well.
    return bool(getattr(function, "__autograph_as_it_is__", False))


def convert_function(function: FunctionType) -> Callable[..., Any]:
    """Return a converted function, or the function in a shell that explains a failure if it cannot be converted."""
    converted = _converted(function.__code__, function)
    if converted.code is None:
        return _unconverted(function, converted.reason)
    if OPERATORS not in converted.code.co_freevars:
        return function  # nothing in it depends on values
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[OPERATORS] = CellType(converted.operators)
    closure = tuple(cells[name] for name in converted.code.co_freevars)
    result = FunctionType(converted.code, function.__globals__, function.__name__, function.__defaults__, closure)
    result.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(result, function)


def to_code(function: Callable[..., Any]) -> str:
    """Return the text of what a function is converted to, to look at.

    Args:
        function: A function or method.

    Returns:
        Python source in which `ag__` stands for the operators.

    Raises:
        ArgumentError: There is no source to convert.
    """
    inner = getattr(function, "python_function", function)
    inner = getattr(inner, "__func__", inner)
    if not isinstance(inner, FunctionType):
        raise ArgumentError("only functions have code", expected="a function or method", received=repr(function))
    if OPERATORS in inner.__code__.co_freevars:
        inner = inner.__wrapped__  # type: ignore[attr-defined]
    try:
        node = rewrite(definition(inner), _class_name(inner.__code__))
    except NotConvertibleError as error:
        raise ArgumentError(f"the function is not converted: {error}", where=inner.__qualname__) from error
    node.name = inner.__name__ if inner.__name__.isidentifier() else "function"
    return ast.unparse(node)


def _converted(code: CodeType, function: FunctionType) -> _Converted:
    with _lock:
        found = _cache.get(code)
        # Equal code of another file is another function: its tracebacks name that file.
        if found is None or found.filename != code.co_filename:
            found = _cache[code] = _convert(code, function)
        return found


def _convert(code: CodeType, function: FunctionType) -> _Converted:
    from mainstay.framework.autograph.operators import Operators

    try:
        tree = rewrite(definition(function), _class_name(code))
    except NotConvertibleError as error:
        return _Converted(code.co_filename, None, None, str(error))
    return _Converted(code.co_filename, _compile(tree, code), Operators(code.co_filename))


def _compile(tree: ast.FunctionDef, code: CodeType) -> CodeType:
    """Compile a rewritten function inside of one that has its free variables, and take its code out again."""
    arguments = ast.arguments([], [ast.arg(OPERATORS), *map(ast.arg, code.co_freevars)], None, [], [], None, [])
    body: list[ast.stmt] = [tree]
    class_name = _class_name(code)
    if class_name is not None:
        # Inside of a class the compiler gives `__name` the name that the user's methods know.
        body = [ast.ClassDef(class_name, [], [], body, [])]
        if class_name not in code.co_freevars:
            # This class must not hide the user's, which methods may name.
            body = [ast.Global([class_name]), *body]
    factory = ast.FunctionDef("ag__factory", arguments, body, [])
    module = ast.Module([ast.copy_location(factory, tree)], [])
    flags = code.co_flags & _FUTURES
    compiled = compile(ast.fix_missing_locations(module), code.co_filename, "exec", flags=flags, dont_inherit=True)
    found = _find(compiled)
    if found is None:
        raise RuntimeError("the compiled function is not where it was put")
    return _renamed(found, code)


def _find(code: CodeType) -> CodeType | None:
    if code.co_name == NAME:
        return code
    inner = (_find(item) for item in code.co_consts if isinstance(item, CodeType))
    return next((item for item in inner if item is not None), None)


def _renamed(code: CodeType, original: CodeType) -> CodeType:
    """Give generated code the name of the user's function: tracebacks and profiles show it."""
    constants = tuple(_renamed(item, original) if isinstance(item, CodeType) else item for item in code.co_consts)
    if code.co_name.startswith(OPERATORS):
        return code.replace(co_name=original.co_name, co_qualname=original.co_qualname, co_consts=constants)
    return code.replace(co_consts=constants)


def _class_name(code: CodeType) -> str | None:
    """Return the class around a function, from its qualified name."""
    for part in reversed(code.co_qualname.split(".<locals>.")):
        if "." in part:
            return part.split(".")[-2]
    return None


def _unconverted(function: FunctionType, reason: str) -> Callable[..., Any]:
    if not reason.startswith("source"):
        return function

    @functools.wraps(function)
    def explained(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except jax.errors.ConcretizationTypeError:
            if function.__code__ not in _warned:
                _warned.add(function.__code__)
                place = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
                warnings.warn(
                    f"{function.__qualname__} ({place}) was not converted, so a tensor cannot decide about its "
                    f"conditions and loops: {reason}",
                    UserWarning,
                    stacklevel=2,
                )
            raise

    return explained
