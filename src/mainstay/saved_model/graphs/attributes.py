"""`AttrValue` to Python values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.core import FormatError, message_class
from mainstay.saved_model.graphs.dtypes import Kind, kind_of_number, number_of_kind
from mainstay.saved_model.graphs.tensors import read_shape, read_tensor_proto, write_shape, write_tensor_proto

_LISTS = ("s", "i", "f", "b", "type", "shape", "tensor", "func")


@dataclass(frozen=True, slots=True)
class TypeAttr:
    """A dtype as the value of an attribute that is to be written.

    Args:
        kind: A NumPy dtype, or ``"string"``, ``"resource"`` or ``"variant"``.
    """

    kind: Kind | type[Any]


@dataclass(frozen=True, slots=True)
class ShapeAttr:
    """A shape as the value of an attribute that is to be written.

    Args:
        shape: The sizes, None for an open axis; None altogether for an open rank.
    """

    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class FunctionAttr:
    """A function as the value of an attribute.

    Args:
        name: The function's name.
        attrs: The attributes that it is called with, mostly none.
    """

    name: str
    attrs: Mapping[str, Any] = field(default_factory=dict)


def read_attribute(value: Any, *, where: str = "") -> Any:
    """Return an `AttrValue` as a Python value.

    Args:
        value: The message.
        where: The node and the attribute, for messages.

    Returns:
        An int, float or bool; `bytes` for a string; a dtype or ``"string"``, ``"resource"``, ``"variant"`` for a
        type; a tuple with None for an open axis, or None, for a shape; an array for a tensor; a `FunctionAttr`; a
        tuple of these for a list; a `str` that starts with ``$`` for the placeholder of a generic function.

    Raises:
        FormatError: The value is malformed.
    """
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "list":
        filled = next((name for name in _LISTS if len(getattr(value.list, name))), None)
        if filled is None:
            return ()
        return tuple(_read(filled, item, where) for item in getattr(value.list, filled))
    return _read(which, getattr(value, which), where)


def _read(which: str, value: Any, where: str) -> Any:
    if which == "type":
        return None if value == 0 else kind_of_number(value)
    if which == "shape":
        return read_shape(value, where=where)
    if which == "tensor":
        return read_tensor_proto(value, where=where)
    if which == "func":
        attrs = {name: read_attribute(each, where=where) for name, each in value.attr.items()}
        return FunctionAttr(value.name, attrs)
    return f"${value}" if which == "placeholder" else value


def write_attribute(value: Any) -> Any:
    """Return the `AttrValue` of a Python value.

    Args:
        value: An int, float, bool, str, bytes, array, `TypeAttr`, `ShapeAttr` or `FunctionAttr`, or a list of these.

    Raises:
        FormatError: An attribute cannot hold such a value.
    """
    proto = message_class("tensorflow.AttrValue")()
    if isinstance(value, list | tuple):
        proto.list.SetInParent()
        for item in value:
            name = _field(item)
            _append(getattr(proto.list, name), name, item)
        return proto
    name = _field(value)
    if name == "type":
        proto.type = number_of_kind(value.kind)
    elif name == "shape":
        write_shape(proto.shape, value.shape)
    elif name == "tensor":
        proto.tensor.CopyFrom(write_tensor_proto(value))
    elif name == "func":
        _write_function(proto.func, value)
    else:
        setattr(proto, name, _scalar(name, value))
    return proto


def _append(target: Any, name: str, item: Any) -> None:
    if name == "type":
        target.append(number_of_kind(item.kind))
    elif name == "shape":
        write_shape(target.add(), item.shape)
    elif name == "tensor":
        target.append(write_tensor_proto(item))
    elif name == "func":
        _write_function(target.add(), item)
    else:
        target.append(_scalar(name, item))


def _write_function(target: Any, value: FunctionAttr) -> None:
    target.name = value.name
    for name, each in value.attrs.items():
        target.attr[name].CopyFrom(write_attribute(each))


def _scalar(name: str, value: Any) -> Any:
    if name == "s":
        return value.encode() if isinstance(value, str) else value
    return {"i": int, "f": float, "b": bool}[name](value)


def _field(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "b"
    if isinstance(value, int | np.integer):
        return "i"
    if isinstance(value, float | np.floating):
        return "f"
    if isinstance(value, str | bytes):
        return "s"
    for kind, name in ((TypeAttr, "type"), (ShapeAttr, "shape"), (FunctionAttr, "func"), (np.ndarray, "tensor")):
        if isinstance(value, kind):
            return name
    raise FormatError("an attribute cannot hold such a value", received=f"{type(value).__name__}: {value}")
