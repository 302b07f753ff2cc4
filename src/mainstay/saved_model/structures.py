"""Structures: how the arguments and results of a restored function nest, as plain values that JSON can carry.

A structure is a mapping with one key: ``tensor`` with a name, ``value`` with a JSON scalar, ``list`` or ``tuple`` with
structures, or ``dict`` with structures by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mainstay.core import ArgumentError, FormatError

Structure: TypeAlias = Mapping[str, Any]

_SCALARS = (bool, int, float, str, type(None))
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a restored function.

    Args:
        name: Its name.
        value: What it takes; one without a tensor in it may be left out of a call.
        keyword_only: Whether it is passed by name only.
    """

    name: str
    value: Structure
    keyword_only: bool = False


def describe(
    value: Any, name_of: Callable[[Any, tuple[str, ...]], str | None], path: tuple[str, ...] = ()
) -> Structure:
    """Return the structure of a value.

    Args:
        value: The value.
        name_of: Gives the name of a leaf that is a tensor, from the leaf and the keys and numbers that lead to it; None
            for any other leaf.
        path: The keys and numbers that lead to `value`.

    Raises:
        ArgumentError: A leaf is neither a tensor nor a JSON scalar, or a key is no string.
    """
    name = name_of(value, path)
    if name is not None:
        return {"tensor": name}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ArgumentError("a dict has a key that is no string", where=".".join(path), received=list(value))
        return {"dict": {key: describe(value[key], name_of, (*path, key)) for key in sorted(value)}}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [describe(item, name_of, (*path, str(i))) for i, item in enumerate(value)]}
    if isinstance(value, _SCALARS):
        return {"value": value}
    raise ArgumentError(
        "a value can neither be stored nor traced",
        where=".".join(path),
        expected="tensors, numbers, strings, None, and lists, tuples and dicts of these",
        received=type(value).__name__,
    )


def names(structure: Structure) -> Iterator[str]:
    """Yield the names of the tensors of a structure, in order."""
    ((kind, inside),) = structure.items()
    if kind == "tensor":
        yield inside
    elif kind != "value":
        for item in inside.values() if kind == "dict" else inside:
            yield from names(item)


def fill(structure: Structure, leaf: Callable[[str], Any]) -> Any:
    """Return the value of a structure, with what `leaf` gives for the name of each tensor."""
    ((kind, inside),) = structure.items()
    if kind == "tensor":
        return leaf(inside)
    if kind == "value":
        return inside
    if kind == "dict":
        return {key: fill(item, leaf) for key, item in inside.items()}
    items = [fill(item, leaf) for item in inside]
    return tuple(items) if kind == "tuple" else items


def match(structure: Structure, value: Any, where: str) -> dict[str, Any]:
    """Return the tensors of a value by name.

    Args:
        structure: The structure that the value must have.
        value: The value; lists and tuples stand for each other.
        where: The path of the value, for messages.

    Raises:
        ArgumentError: The value has another structure.
    """
    ((kind, inside),) = structure.items()
    if kind == "tensor":
        return {inside: value}
    if kind == "value":
        if type(value) is not type(inside) or value != inside:
            raise ArgumentError(
                "the function was saved for another value", where=where, expected=repr(inside), received=repr(value)
            )
        return {}
    found: dict[str, Any] = {}
    if kind == "dict":
        if not isinstance(value, Mapping) or set(value) != set(inside):
            raise ArgumentError("another structure is wanted", where=where, expected=f"a dict of {sorted(inside)}")
        for key, item in inside.items():
            found |= match(item, value[key], f"{where}[{key!r}]")
        return found
    if not isinstance(value, (list, tuple)) or len(value) != len(inside):
        raise ArgumentError("another structure is wanted", where=where, expected=f"a {kind} of {len(inside)}")
    for index, item in enumerate(inside):
        found |= match(item, value[index], f"{where}[{index}]")
    return found


def check(structure: Any, where: str, depth: int = 0) -> Structure:
    """Return a structure that a file holds.

    Raises:
        FormatError: It is malformed.
    """
    if isinstance(structure, dict) and len(structure) == 1 and depth < _MAX_DEPTH:
        ((kind, inside),) = structure.items()
        if kind == "tensor" and isinstance(inside, str) and inside:
            return structure
        if kind == "value" and isinstance(inside, _SCALARS):
            return structure
        if kind in ("list", "tuple") and isinstance(inside, list):
            return {kind: [check(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(inside)]}
        if kind == "dict" and isinstance(inside, dict):
            return {kind: {key: check(item, f"{where}.{key}", depth + 1) for key, item in inside.items()}}
    raise FormatError(
        "a structure of the manifest is not as specified",
        where=where,
        expected="one of tensor, value, list, tuple and dict, up to 64 levels deep",
        received=structure if not isinstance(structure, dict) else ", ".join(map(str, structure)),
    )
