"""Structures: dicts, tuples and named tuples around leaves, as `tf.nest` walks them.

The leaves come in one canonical order, that of sorted dict keys, so that equal structures flatten alike however
their dicts were built. A list is no structure: it is the value of an array, as in `tf.data`. None is a structure
without leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from mainstay.core import ArgumentError

Structure: TypeAlias = Any
"""A leaf, None, or a dict, tuple or named tuple of structures."""


def flatten(structure: Structure) -> list[Any]:
    """Return the leaves in canonical order.

    >>> flatten({"b": 1, "a": (2, 3)})
    [2, 3, 1]
    """
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves


def _collect(structure: Structure, leaves: list[Any]) -> None:
    if isinstance(structure, tuple):
        for item in structure:
            _collect(item, leaves)
    elif isinstance(structure, Mapping):
        for key in sorted(structure):
            _collect(structure[key], leaves)
    elif structure is not None:
        leaves.append(structure)


def pack(skeleton: Structure, leaves: Sequence[Any]) -> Structure:
    """Return the structure of a skeleton with other leaves.

    Args:
        skeleton: A structure as `skeleton_of` makes it: its leaves are the numbers 0, 1, … in canonical order.
        leaves: The new leaves in canonical order.
    """
    if isinstance(skeleton, int):
        return leaves[skeleton]
    if isinstance(skeleton, tuple):
        items = [pack(item, leaves) for item in skeleton]
        return type(skeleton)(*items) if hasattr(skeleton, "_fields") else tuple(items)
    if skeleton is None:
        return None
    return {key: pack(item, leaves) for key, item in skeleton.items()}


def skeleton_of(structure: Structure) -> Structure:
    """Return a structure with each leaf replaced by its number in canonical order.

    >>> skeleton_of({"b": "x", "a": ("y", "z")})
    {'b': 2, 'a': (0, 1)}
    """
    return _number(structure, [0])


def _number(structure: Structure, count: list[int]) -> Structure:
    if isinstance(structure, tuple):
        items = [_number(item, count) for item in structure]
        return type(structure)(*items) if hasattr(structure, "_fields") else tuple(items)
    if isinstance(structure, Mapping):
        numbered = {key: _number(structure[key], count) for key in sorted(structure)}
        return {key: numbered[key] for key in structure}
    if structure is None:
        return None
    count[0] += 1
    return count[0] - 1


def map_structure(function: Callable[..., Any], structure: Structure, *others: Structure) -> Structure:
    """Return the structure with each leaf replaced by what the function makes of it, and of those of the others.

    Raises:
        ArgumentError: The other structures differ from the first one.
    """
    skeleton = skeleton_of(structure)
    columns = [flatten(structure)]
    for other in others:
        if skeleton_of(other) != skeleton:
            raise ArgumentError("two structures differ", expected=describe(structure), received=describe(other))
        columns.append(flatten(other))
    return pack(skeleton, [function(*leaves) for leaves in zip(*columns, strict=True)])


def describe(structure: Structure) -> str:
    """Return a structure as short text, with the names of the types of its leaves."""
    if isinstance(structure, tuple):
        return f"({', '.join(map(describe, structure))}{',' if len(structure) == 1 else ''})"
    if isinstance(structure, Mapping):
        return f"{{{', '.join(f'{key!r}: {describe(item)}' for key, item in structure.items())}}}"
    return "None" if structure is None else type(structure).__name__


def leaf_names(structure: Structure, prefix: str = "") -> list[str]:
    """Return a name for each leaf in canonical order, by the path that leads to it.

    >>> leaf_names(({"age": 1}, 2))
    ["[0]['age']", '[1]']
    """
    if isinstance(structure, tuple):
        return [name for i, item in enumerate(structure) for name in leaf_names(item, f"{prefix}[{i}]")]
    if isinstance(structure, Mapping):
        return [name for key in sorted(structure) for name in leaf_names(structure[key], f"{prefix}[{key!r}]")]
    return [] if structure is None else [prefix or "element"]
