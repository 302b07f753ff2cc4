"""`StructuredValue`: how arguments and results nest, from the object graph of a SavedModel."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mainstay.core import FormatError
from mainstay.saved_model.graphs.dtypes import Kind, kind_of_number
from mainstay.saved_model.graphs.tensors import read_shape, read_tensor_proto


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor in a structure.

    Args:
        name: Its name, or an empty string.
        kind: Its dtype, or ``"string"``.
        shape: Its shape, None for an open axis; None altogether for an open rank.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class CompositeLeaf:
    """A value of several tensors in a structure, such as a ragged or a sparse one.

    Args:
        class_name: What it is, such as ``RaggedTensorSpec``.
        components: How many tensors it is.
    """

    class_name: str
    components: int


def read_structure(value: Any) -> Any:
    """Return a `StructuredValue` as nested tuples, lists and dicts of `Leaf` and plain values.

    Raises:
        FormatError: It is malformed.
    """
    kind = value.WhichOneof("kind")
    if kind in (None, "none_value"):
        return None
    if kind in ("float64_value", "int64_value", "string_value", "bool_value"):
        return getattr(value, kind)
    if kind == "tensor_shape_value":
        return read_shape(value.tensor_shape_value)
    if kind == "tensor_dtype_value":
        return kind_of_number(value.tensor_dtype_value)
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        spec = getattr(value, kind)
        return Leaf(spec.name, kind_of_number(spec.dtype), read_shape(spec.shape))
    if kind == "type_spec_value":
        spec = value.type_spec_value
        return CompositeLeaf(spec.type_spec_class_name, max(int(spec.num_flat_components), 1))
    if kind == "list_value":
        return [read_structure(item) for item in value.list_value.values]
    if kind == "tuple_value":
        return tuple(read_structure(item) for item in value.tuple_value.values)
    if kind == "dict_value":
        fields = value.dict_value.fields
        return {name: read_structure(fields[name]) for name in sorted(fields)}
    if kind == "named_tuple_value":
        return _named_tuple(value.named_tuple_value)
    if kind in ("tensor_value", "numpy_value"):
        return read_tensor_proto(getattr(value, kind))
    raise FormatError("a structure is of an unknown kind", received=kind)


def _named_tuple(value: Any) -> Any:
    names = [pair.key for pair in value.values]
    items = [read_structure(pair.value) for pair in value.values]
    if not all(name.isidentifier() and not name.startswith("_") for name in names) or len(set(names)) != len(names):
        raise FormatError("a named tuple has impossible names", received=names)
    name = value.name if value.name.isidentifier() else "Named"
    made = cast("Callable[..., Any]", namedtuple)(name, names)
    return made(*items)


def leaves(structure: Any) -> Iterator[Leaf | CompositeLeaf]:
    """Yield the tensors of a structure in the order in which a function takes or gives them."""
    if isinstance(structure, Leaf | CompositeLeaf):
        yield structure
    elif isinstance(structure, dict):
        for key in sorted(structure):
            yield from leaves(structure[key])
    elif isinstance(structure, list | tuple):
        for item in structure:
            yield from leaves(item)


def fill(structure: Any, take: Callable[[Leaf | CompositeLeaf], Any]) -> Any:
    """Return a structure with what `take` gives in the place of each tensor, in order."""
    if isinstance(structure, Leaf | CompositeLeaf):
        return take(structure)
    if isinstance(structure, dict):
        return {key: fill(structure[key], take) for key in sorted(structure)}
    if isinstance(structure, list):
        return [fill(item, take) for item in structure]
    if isinstance(structure, tuple):
        items = [fill(item, take) for item in structure]
        return type(structure)(*items) if hasattr(structure, "_fields") else tuple(items)
    return structure


def match(structure: Any, value: Any) -> list[Any] | None:
    """Return the tensors of a value in order, or None if the value has another structure.

    Args:
        structure: The structure that the value must have.
        value: The value; lists and tuples stand for each other.
    """
    if isinstance(structure, Leaf | CompositeLeaf):
        return None if value is None or isinstance(value, dict) else [value]
    if isinstance(structure, dict):
        if not hasattr(value, "keys") or set(value.keys()) != set(structure):
            return None
        return _all(match(structure[key], value[key]) for key in sorted(structure))
    if isinstance(structure, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(structure):
            return None
        return _all(match(item, each) for item, each in zip(structure, value, strict=True))
    if isinstance(structure, np.ndarray):
        return [] if np.array_equal(structure, value) else None
    return [] if type(structure) is type(value) and structure == value else None


def _all(parts: Iterator[list[Any] | None]) -> list[Any] | None:
    found: list[Any] = []
    for part in parts:
        if part is None:
            return None
        found += part
    return found
