"""What TensorFlow says of each op: inputs, outputs, attributes with their defaults, and whether it has state.

`definitions.json` is made from TensorFlow by ``tools/op_definitions.py``. An argument is written there as in
`REGISTER_OP`: ``T`` is the dtype in an attribute, ``N * T`` so many tensors of it, ``Tin *`` one tensor for each dtype
of a list, and ``=int32`` a fixed dtype.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from mainstay.core import FormatError
from mainstay.saved_model.graphs.dtypes import Kind, kind_of_name


@dataclass(frozen=True, slots=True)
class Argument:
    """An input or an output of an op.

    Args:
        name: Its name.
        kind: Its dtype where that is fixed.
        type_attr: The attribute that holds its dtype, or None.
        number_attr: The attribute that says how many tensors it is, or None for one.
        type_list_attr: The attribute that holds one dtype for each of its tensors, or None.
    """

    name: str
    kind: Kind | None = None
    type_attr: str | None = None
    number_attr: str | None = None
    type_list_attr: str | None = None

    def kinds(self, attrs: Mapping[str, Any]) -> tuple[Kind, ...]:
        """Return the dtype of each of its tensors, given the values of all attributes of a node.

        Raises:
            FormatError: An attribute lacks, or is of another type.
        """
        if self.type_list_attr is not None:
            kinds = tuple(_attribute(attrs, self.type_list_attr, tuple))
            if not all(isinstance(each, np.dtype | str) for each in kinds):
                raise FormatError("a node has something else for the dtypes of an argument", where=self.name)
            return kinds
        kind = self.kind if self.type_attr is None else _attribute(attrs, self.type_attr, object)
        if not isinstance(kind, np.dtype | str):
            raise FormatError("a node has no dtype for an argument", where=self.name)
        count = 1 if self.number_attr is None else _attribute(attrs, self.number_attr, int)
        if not 0 <= count <= _MOST_TENSORS:
            raise FormatError("a node has an impossible number of tensors", where=self.name, received=count)
        return (kind,) * count


_MOST_TENSORS = 100_000


def _attribute(attrs: Mapping[str, Any], name: str, expected: type) -> Any:
    value = attrs.get(name)
    if value is None or not isinstance(value, expected):
        raise FormatError("a node lacks an attribute", expected=f"{name}, {expected.__name__}", received=value)
    return value


@dataclass(frozen=True, slots=True)
class OpDefinition:
    """The definition of an op.

    Args:
        name: Its name.
        inputs: What it takes.
        outputs: What it gives.
        attributes: The type of each attribute as TensorFlow writes it, such as ``list(int)``.
        defaults: The values of the attributes that have a default, as `read_attribute` gives them.
        stateful: Whether a node must not be merged with an equal one or left out.
    """

    name: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    attributes: Mapping[str, str]
    defaults: Mapping[str, Any]
    stateful: bool

    def output_kinds(self, attrs: Mapping[str, Any]) -> tuple[Kind, ...]:
        """Return the dtypes of all outputs of a node with these attributes."""
        return tuple(kind for argument in self.outputs for kind in argument.kinds(attrs))

    def output_starts(self, attrs: Mapping[str, Any]) -> dict[str, int]:
        """Return the index of the first tensor of each named output of a node with these attributes."""
        starts, position = {}, 0
        for argument in self.outputs:
            starts[argument.name] = position
            position += len(argument.kinds(attrs))
        return starts


@cache
def _facts() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("mainstay.saved_model.graphs").joinpath("definitions.json").read_text())
    return loaded


@cache
def definition(op: str) -> OpDefinition | None:
    """Return the definition of an op, or None for one that is not known.

    Example:
        >>> definition("ConcatV2").inputs[0]
        Argument(name='values', kind=None, type_attr='T', number_attr='N', type_list_attr=None)
    """
    fact = _facts().get(op)
    if fact is None:
        return None
    inputs, outputs, attributes, stateful = fact
    return OpDefinition(
        op,
        tuple(_argument(text) for text in inputs),
        tuple(_argument(text) for text in outputs),
        {name: parts[0] for name, parts in attributes.items()},
        {name: _default(*parts) for name, parts in attributes.items() if len(parts) > 1},
        bool(stateful),
    )


def _argument(text: str) -> Argument:
    name, kind = text.split(": ")
    if kind.endswith(" *"):
        return Argument(name, type_list_attr=kind[:-2])
    number, _, kind = kind.rpartition(" * ")
    if kind.startswith("="):
        return Argument(name, kind=kind_of_name(kind[1:]), number_attr=number or None)
    return Argument(name, type_attr=kind, number_attr=number or None)


def _default(kind: str, value: Any) -> Any:
    if kind.startswith("list("):
        return tuple(_default(kind[5:-1], item) for item in value or ())
    if kind == "type":
        return kind_of_name(value)
    if kind == "string":
        return value.encode()
    if kind == "shape":
        return None if value is None else tuple(None if size == -1 else size for size in value)
    return value
