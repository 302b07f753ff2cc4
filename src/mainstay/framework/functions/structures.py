"""Structures of arguments and results: what is traced in them, what stays Python, and how they are put together."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

tree: Any = jax.tree_util

ARRAYS = (jax.Array, np.ndarray, np.generic)


def shape_of(value: Any, shape: Any = None) -> Any:
    """Return the shape and dtype of a spec, or its dtype with another shape, as JAX takes them for tracing."""
    make: Any = jax.ShapeDtypeStruct
    return make(value.shape if shape is None else shape, value.dtype)


def is_array(value: Any) -> bool:
    """Return whether a value is an array, traced or not: of JAX, of NumPy, or one of NumPy's scalars."""
    return isinstance(value, ARRAYS)


class Fields:
    """The fields of a dataclass that JAX does not know, so that the arrays in them are found."""

    def __init__(self, kind: type, names: tuple[str, ...], values: Iterable[Any]) -> None:
        self.kind = kind
        self.names = names
        self.values = tuple(values)

    @classmethod
    def of(cls, value: Any) -> Fields:
        """Return the fields of a dataclass, and of the dataclasses in them."""
        names = tuple(field.name for field in dataclasses.fields(value))
        return cls(type(value), names, [opened(getattr(value, name)) for name in names])

    def close(self) -> Any:
        """Return the dataclass again; its ``__init__`` does not run."""
        value: Any = object.__new__(self.kind)
        for name, item in zip(self.names, self.values, strict=True):
            object.__setattr__(value, name, closed(item))
        return value

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        """Return the values with their names, and the rest."""
        keys = map(tree.GetAttrKey, self.names)
        return tuple(zip(keys, self.values, strict=True)), (self.kind, self.names)

    @classmethod
    def tree_unflatten(cls, rest: Any, values: Any) -> Fields:
        """Return the fields again."""
        kind, names = rest
        return cls(kind, names, values)


tree.register_pytree_with_keys_class(Fields)


def is_opaque(leaf: Any) -> bool:
    """Return whether a leaf is a dataclass that must be opened: it holds arrays, or has no hash to be compared by."""
    if not dataclasses.is_dataclass(leaf) or isinstance(leaf, type):
        return False
    try:
        hash(leaf)
    except TypeError:
        return True
    return any(map(is_array, tree.tree_leaves(Fields.of(leaf))))


def opened(value: Any) -> Any:
    """Return a structure with its dataclasses opened."""
    return tree.tree_map(lambda leaf: Fields.of(leaf) if is_opaque(leaf) else leaf, value)


def closed(value: Any) -> Any:
    """Undo `opened`."""
    if isinstance(value, Fields):
        return value.close()
    inside = _each(closed, value)
    if inside is not _LEAF:
        return inside
    return tree.tree_map(lambda leaf: leaf.close() if isinstance(leaf, Fields) else leaf, value, is_leaf=_is_fields)


def _is_fields(value: Any) -> bool:
    return isinstance(value, Fields)


def containers(value: Any) -> Any:
    """Return the dicts, lists, tuples and opened dataclasses of a structure, with None for everything in them."""
    if is_opaque(value):
        names = tuple(field.name for field in dataclasses.fields(value))
        return Fields(type(value), names, [containers(getattr(value, name)) for name in names])
    inside = _each(containers, value)
    return None if inside is _LEAF else inside


def in_order_of(template: Any, value: Any) -> Any:
    """Return a structure with the keys of its dicts in the order of a template; JAX sorts them."""
    if isinstance(template, Fields):
        return Fields(template.kind, template.names, map(in_order_of, template.values, value.values))
    inside = _each(in_order_of, template, value)
    return value if inside is _LEAF else inside


_LEAF = object()


def _each(func: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Return a container like `first` with what a function makes of its items and those of the others."""
    if type(first) in (dict, OrderedDict):
        return type(first)((key, func(item, *(other[key] for other in others))) for key, item in first.items())
    if type(first) in (list, tuple):
        return type(first)(map(func, first, *others))
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(func, first, *others))
    return _LEAF


@dataclass(frozen=True)
class Structure:
    """A structure of leaves, of which some are dynamic and the others the same on every call.

    Args:
        template: The containers, for the order of the keys in the dicts.
        treedef: What `jax.tree_util` knows of the structure.
        leaves: The leaves; those that are dynamic are None.
        places: The indices of the dynamic leaves.
        has_fields: Whether dataclasses were opened.
    """

    template: Any
    treedef: Any
    leaves: list[Any]
    places: list[int]
    has_fields: bool

    @classmethod
    def of(cls, value: Any, is_dynamic: Callable[[Any], bool] = is_array) -> tuple[Structure, list[Any]]:
        """Take a structure apart, and return its dynamic leaves with it."""
        leaves, treedef = tree.tree_flatten(value)
        has_fields = any(map(is_opaque, leaves))
        if has_fields:
            leaves, treedef = tree.tree_flatten(opened(value))
        places = [index for index, leaf in enumerate(leaves) if is_dynamic(leaf)]
        dynamic = [leaves[index] for index in places]
        for index in places:
            leaves[index] = None
        return cls(containers(value), treedef, leaves, places, has_fields), dynamic

    def promote(self, places: Iterable[int], dynamic: Iterable[Any]) -> tuple[Structure, list[Any]]:
        """Return the structure with more of its leaves dynamic, and all its dynamic leaves."""
        values = dict(zip(self.places, dynamic, strict=True)) | {index: self.leaves[index] for index in places}
        leaves = [None if index in values else leaf for index, leaf in enumerate(self.leaves)]
        order = sorted(values)
        return replace(self, leaves=leaves, places=order), [values[index] for index in order]

    def fill(self, values: Iterable[Any]) -> Any:
        """Return the structure with `values` in the places of its dynamic leaves."""
        leaves = list(self.leaves)
        for index, value in zip(self.places, values, strict=True):
            leaves[index] = value
        filled = in_order_of(self.template, self.treedef.unflatten(leaves))
        return closed(filled) if self.has_fields else filled

    @property
    def is_one_leaf(self) -> bool:
        """Whether the structure is nothing but one dynamic leaf."""
        return not self.has_fields and bool(self.places) and self.treedef == tree.tree_structure(0)

    def packer(self) -> Callable[[list[Any]], Any]:
        """Return the quickest function that does what `fill` does."""
        count = len(self.leaves)
        if self.has_fields or len(self.places) != count:
            return self.fill
        if self.is_one_leaf:
            return lambda values: values[0]
        if self.treedef == tree.tree_structure((0,) * count):
            return tuple
        return self.fill
