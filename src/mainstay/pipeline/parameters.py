"""Parameters of steps: checked against their annotations and brought to the one form that their cache key stands for.

Two values with one canonical JSON form must look the same to a step, or a result could be reused that the step would
not have given. So dicts are sorted, a float parameter is always a float, and sequences take the annotated type.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mainstay.core import PipelineError

_SCALARS = (bool, int, float, str, type(None))
_SEQUENCES = (list, Sequence)
_MAPPINGS = (dict, Mapping)


def check_annotation(hint: Any, where: str) -> None:
    """Refuse an annotation that is none of a JSON-able value.

    Raises:
        PipelineError: It is not.
    """
    hint = _plain(hint)
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if hint is Any or hint in _SCALARS or hint is None:
        return
    if origin is Literal:
        inner: tuple[Any, ...] = tuple(type(value) for value in arguments)
    elif origin in (Union, types.UnionType) or origin in _SEQUENCES:
        inner = arguments
    elif origin is tuple:
        inner = tuple(argument for argument in arguments if argument is not ...)
    elif origin in _MAPPINGS and (not arguments or arguments[0] is str):
        inner = arguments[1:]
    else:
        raise PipelineError(
            "a parameter of a step has a type that JSON cannot carry",
            where=where,
            expected="bool, int, float, str, None, list, tuple, dict with str keys, Literal or a union of them",
            received=describe(hint),
            fix="use In[...] or Out[...] for a path, and plain values for everything else",
        )
    for argument in inner:
        check_annotation(argument, where)


def conform(value: Any, hint: Any, where: str) -> Any:
    """Return a value in the one form that its canonical JSON stands for.

    Args:
        value: What was handed in.
        hint: The parameter's annotation.
        where: The place to name in an error.

    Raises:
        PipelineError: The value does not fit the annotation.
    """
    try:
        return _conform(value, _plain(hint))
    except (_MismatchError, RecursionError, OverflowError) as error:
        raise PipelineError(
            "a parameter has the wrong type", where=where, expected=describe(hint), received=_received(value, error)
        ) from None


class _MismatchError(Exception):
    pass


def _received(value: Any, error: Exception) -> str:
    text = f"{value!r} ({type(value).__name__})"
    return f"{text}: {error}" if str(error) else text


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _conform(value: Any, hint: Any) -> Any:
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return _conform_union(value, arguments)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise _MismatchError
        return value
    if hint is Any:
        return _conform_any(value)
    if origin in _MAPPINGS:
        inner = arguments[1] if arguments else Any
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise _MismatchError
        return {key: _conform(value[key], inner) for key in sorted(value)}
    if origin in _SEQUENCES or origin is tuple:
        return _conform_sequence(value, origin, arguments)
    return _conform_scalar(value, hint)


def _conform_scalar(value: Any, hint: Any) -> Any:
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _MismatchError
        number = float(value)
        if not math.isfinite(number):
            raise _MismatchError("only finite numbers can be parameters")
        return number
    wanted = type(None) if hint is None else hint
    if type(value) is not wanted:
        raise _MismatchError
    return value


def _conform_sequence(value: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise _MismatchError
    if origin is tuple and arguments and arguments[-1] is not ...:
        if len(value) != len(arguments):
            raise _MismatchError
        return tuple(_conform(item, _plain(inner)) for item, inner in zip(value, arguments, strict=True))
    inner = _plain(arguments[0]) if arguments else Any
    items = [_conform(item, inner) for item in value]
    return items if origin is list else tuple(items)


def _conform_union(value: Any, members: tuple[Any, ...]) -> Any:
    plain = [_plain(member) for member in members]
    exact = [member for member in plain if type(value) is (type(None) if member is None else member)]
    for member in exact or plain:
        try:
            return _conform(value, member)
        except _MismatchError:
            continue
    raise _MismatchError


def _conform_any(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _conform(value, dict[str, Any])
    if isinstance(value, float):
        return _conform_scalar(value, float)
    if type(value) in _SCALARS:
        return value
    return _conform_sequence(value, list, (Any,))


def describe(hint: Any) -> str:
    """Return an annotation as people write it."""
    hint = _plain(hint)
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
