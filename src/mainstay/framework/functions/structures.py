"""Structures of arguments and results: what is traced in them, what stays Python, and how they are put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

tree = jax.tree_util

ARRAYS = (jax.Array, np.ndarray, np.generic)


def is_array(value: Any) -> bool:
    """Return whether a value is an array, traced or not: of JAX, of NumPy, or one of NumPy's scalars."""
    return isinstance(value, ARRAYS)


@tree.register_pytree_node_class
class Fields:
    """The fields of a dataclass that JAX does not know, so that the arrays in them are found."""

    def __init__(self, kind: type, names: tuple[str, ...], values: Iterable[Any]) -> None:
        self.kind = kind
        self.names = names
        self.values = values

    @classmethod
    def of(cls, value: Any) -> Fields:
        """Return the fields of a dataclass, and of the dataclasses in them."""
        names = tuple(field.name for field in dataclasses.fields(value))
        return cls(type(value), names, [opened(getattr(value, name)) for name in names])

    def close(self) -> Any:
        """Return the dataclass again; its ``__init__`` does not run."""
        value = object.__new__(self.kind)
        for name, item in zip(self.names, self.values, strict=True):
            object.__setattr__(value, name, closed(item))
        return value

    def tree_flatten(self) -> tuple[Any, Any]:
        """Return the values, and the rest."""
        return self.values, (self.kind, self.names)

    @classmethod
    def tree_unflatten(cls, rest: Any, values: Any) -> Fields:
        """Return the fields again."""
        return cls(*rest, values)


def _holds_arrays(value: Any) -> bool:
    """Return whether a leaf is a dataclass with arrays in it, or one that has no hash to be compared by."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return False
    try:
        hash(value)
    except TypeError:
        return True
    return any(map(is_array, tree.tree_leaves(Fields.of(value))))


def opened(value: Any) -> Any:
    """Return a structure with its dataclasses opened."""
    return tree.tree_map(lambda leaf: Fields.of(leaf) if _holds_arrays(leaf) else leaf, value)


def closed(value: Any) -> Any:
    """Undo `opened`."""
    return tree.tree_map(
        lambda leaf: leaf.close() if isinstance(leaf, Fields) else leaf, value, is_leaf=lambda x: isinstance(x, Fields)
    )


def in_order_of(template: Any, value: Any) -> Any:
    """Return a structure with the keys of its dicts in the order of a template; JAX sorts them."""
    if type(template) is dict:
        return {key: in_order_of(item, value[key]) for key, item in template.items()}
    if type(template) in (list, tuple):
        return type(template)(map(in_order_of, template, value))
    if isinstance(template, tuple) and hasattr(template, "_fields"):
        return type(template)(*map(in_order_of, template, value))
    return value


@dataclass(frozen=True)
class Structure:
    """A structure of leaves, of which some are dynamic and the others the same on every call.

    Args:
        template: The structure itself, for the order of its dicts.
        treedef: What `jax.tree_util` knows of it.
        leaves: Its leaves; those that are dynamic are None.
        places: The indices of the dynamic leaves.
        has_fields: Whether dataclasses were opened.
    """

    template: Any
    treedef: Any
    leaves: list[Any]
    places: list[int]
    has_fields: bool

    @classmethod
    def of(cls, value: Any, is_dynamic: Callable[[Any], bool]) -> tuple[Structure, list[Any]]:
        """Take a structure apart, and return its dynamic leaves with it."""
        leaves, treedef = tree.tree_flatten(value)
        has_fields = any(map(_holds_arrays, leaves))
        if has_fields:
            leaves, treedef = tree.tree_flatten(opened(value))
        places = [index for index, leaf in enumerate(leaves) if is_dynamic(leaf)]
        dynamic = [leaves[index] for index in places]
        for index in places:
            leaves[index] = None
        return cls(_shape_only(value), treedef, leaves, places, has_fields), dynamic

    def fill(self, values: Iterable[Any]) -> Any:
        """Return the structure with `values` in the places of its dynamic leaves."""
        leaves = list(self.leaves)
        for index, value in zip(self.places, values, strict=True):
            leaves[index] = value
        filled = in_order_of(self.template, self.treedef.unflatten(leaves))
        return closed(filled) if self.has_fields else filled


def _shape_only(value: Any) -> Any:
    """Return the containers of a structure without what is in them."""
    if type(value) is dict:
        return {key: _shape_only(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_shape_only, value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_shape_only, value))
    return None
