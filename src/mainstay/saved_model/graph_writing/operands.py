"""Operands: which output of a node is which, and the attributes that follow from what a node takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.saved_model.graphs.attributes import FunctionAttr, ShapeAttr, TypeAttr
from mainstay.saved_model.graphs.definitions import Argument, OpDefinition
from mainstay.saved_model.graphs.dtypes import Kind, number_of_kind


@dataclass(frozen=True, slots=True)
class Inferred:
    """What follows from the operands of a node.

    Args:
        attributes: All its attributes, those that were given and those that follow.
        outputs: For each output the name of its argument in the definition and its index there.
    """

    attributes: Mapping[str, Any]
    outputs: tuple[tuple[str, int], ...]


def infer(known: OpDefinition, inputs: Sequence[Kind], outputs: Sequence[Kind], given: Mapping[str, Any]) -> Inferred:
    """Match the dtypes of a node's operands with the definition of its operation.

    Args:
        known: The definition.
        inputs: The dtype of each input.
        outputs: The dtype of each output.
        given: The attributes that the caller names.

    Raises:
        ArgumentError: They do not fit, or an attribute lacks.
    """
    unknown = sorted(name for name in given if name not in known.attributes and not name.startswith("_"))
    if unknown:
        raise _misfit(known, f"no attribute {unknown[0]!r}", expected=", ".join(known.attributes))
    attributes = {
        name: declared(known.attributes.get(name, ""), value)
        for name, value in given.items()
        if value is not None or known.attributes.get(name) == "shape"
    }
    _match(known, known.inputs, inputs, attributes)
    places = _match(known, known.outputs, outputs, attributes)
    for name in known.attributes:
        if name not in attributes and name not in known.defaults:
            raise _misfit(known, f"the attribute {name!r} does not follow from its operands", expected="a value for it")
    return Inferred(attributes, tuple(places))


def declared(kind: str, value: Any) -> Any:
    """Return an attribute's value in the form that its declared type has; see `graphs.attributes`.

    Args:
        kind: The type as TensorFlow declares it, such as ``list(shape)``; empty for an attribute that is not declared.
        value: What the caller gave.
    """
    if kind.startswith("list("):
        return [declared(kind[5:-1], item) for item in value]
    if isinstance(value, TypeAttr | ShapeAttr | FunctionAttr):
        return value
    if kind == "type":
        return TypeAttr(value)
    if kind == "shape":
        return ShapeAttr(None if value is None else tuple(value))
    if kind == "func":
        return FunctionAttr(value)
    if kind == "tensor":
        return np.asarray(value)
    return {"int": int, "float": float, "bool": bool}[kind](value) if kind in ("int", "float", "bool") else value


def _match(
    known: OpDefinition, arguments: Sequence[Argument], dtypes: Sequence[Kind], attributes: dict[str, Any]
) -> list[tuple[str, int]]:
    """Add to `attributes` what the dtypes of arguments say, and return the argument and the index of each."""
    places: list[tuple[str, int]] = []
    position = 0
    for argument, length in zip(arguments, _lengths(known, arguments, len(dtypes), attributes), strict=True):
        taken = list(dtypes[position : position + length])
        position += length
        places += [(argument.name, index) for index in range(length)]
        if argument.number_attr:
            _settle(known, attributes, argument.number_attr, length)
        if argument.type_list_attr:
            _settle(known, attributes, argument.type_list_attr, [TypeAttr(dtype) for dtype in taken])
        elif argument.type_attr:
            for dtype in taken:
                _settle(known, attributes, argument.type_attr, TypeAttr(dtype))
        else:
            wrong = next((dtype for dtype in taken if not is_same(TypeAttr(dtype), argument.kind)), None)
            if wrong is not None:
                raise _misfit(known, f"{argument.name} is {wrong}", expected=str(argument.kind))
    if position != len(dtypes):
        raise _misfit(known, f"{len(dtypes)} operands", expected=f"{position}")
    return places


def _lengths(
    known: OpDefinition, arguments: Sequence[Argument], count: int, attributes: Mapping[str, Any]
) -> list[int]:
    """Return how many operands each argument takes; the one length that nothing says is what is left over."""
    lists = [argument.number_attr or argument.type_list_attr for argument in arguments]
    lengths: dict[str, int] = {}
    for name in filter(None, lists):
        if name in attributes:
            lengths[name] = attributes[name] if isinstance(attributes[name], int) else len(attributes[name])
    open_names = sorted({name for name in lists if name and name not in lengths})
    if len(open_names) > 1:
        raise _misfit(known, "operands of several lists", expected=f"the attribute {open_names[0]!r} or another")
    if open_names:
        rest = count - sum(lengths.get(name, 1) if name else 1 for name in lists if name not in open_names)
        times = lists.count(open_names[0])
        if rest < 0 or rest % times:
            raise _misfit(known, f"{count} operands", expected=f"lists of one length named {open_names[0]!r}")
        lengths[open_names[0]] = rest // times
    return [lengths[name] if name else 1 for name in lists]


def _settle(known: OpDefinition, attributes: dict[str, Any], name: str, value: Any) -> None:
    if not is_same(attributes.setdefault(name, value), value):
        raise _misfit(known, f"{name} is {attributes[name]!r} and {value!r}", expected="operands of one kind")


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values of attributes are the same; NumPy would take a word such as "string" for a dtype."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(is_same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is other
    if isinstance(one, str) and isinstance(other, bytes):
        return one.encode() == other
    if isinstance(one, TypeAttr) or isinstance(other, TypeAttr):
        return _number(one) == _number(other)
    return bool(one == other)


def _number(value: TypeAttr | Kind | type[Any]) -> int:
    return number_of_kind(value.kind if isinstance(value, TypeAttr) else value)


def _misfit(known: OpDefinition, received: str, *, expected: str) -> ArgumentError:
    return ArgumentError(f"a node does not fit the operation {known.name}", expected=expected, received=received)
