"""Functions of a TensorFlow graph, built node by node, each one checked against TensorFlow's definition.

What can be told from the operands is filled in: the attributes for dtypes and for numbers of inputs and outputs. So a
caller names only what the definition leaves open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import ArgumentError, message_class
from mainstay.saved_model.graph_writing.operands import declared, infer, is_same
from mainstay.saved_model.graphs.attributes import FunctionAttr, ShapeAttr, write_attribute
from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.graphs.dtypes import Kind, number_of_kind
from mainstay.saved_model.graphs.tensors import write_shape

Shape: TypeAlias = "tuple[int | None, ...] | None"

_IDENTIFIER = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor inside of a function.

    Args:
        text: How nodes of the function name it: ``node:output:index``, or an argument's name.
        dtype: Its dtype, or "string", "resource" or "variant".
        shape: Its shape, None for a length that is not known; None altogether for an unknown number of axes.
    """

    text: str
    dtype: Kind
    shape: Shape

    @property
    def node(self) -> str:
        """The name of the node, or of the argument, that makes it."""
        return self.text.split(":", 1)[0]


def as_kind(dtype: Any) -> Kind:
    """Return a dtype as `Ref` has it: one of NumPy's, or TensorFlow's name of what NumPy does not have."""
    return dtype if isinstance(dtype, str) and dtype in ("string", "resource", "variant") else np.dtype(dtype)


def write_node(
    node: Any,
    inputs: Sequence[Ref],
    outputs: Sequence[tuple[Kind, Shape]],
    *,
    attrs: Mapping[str, Any],
    control: Iterable[Ref | str] = (),
) -> tuple[tuple[str, int], ...]:
    """Fill a NodeDef that has its name and operation, and return the argument and index that each output is.

    Attributes that have their default are left out, as TensorFlow does it: one that is younger than a reader would
    keep that from reading the graph.

    Raises:
        ArgumentError: The operation is unknown, or does not take or give this.
    """
    known = definition(node.op)
    if known is None:
        raise ArgumentError("TensorFlow has no such operation, or none that a saved model may hold", received=node.op)
    inferred = infer(known, [ref.dtype for ref in inputs], [dtype for dtype, _ in outputs], attrs)
    node.input.extend(ref.text for ref in inputs)
    node.input.extend(f"^{each.node if isinstance(each, Ref) else each}" for each in control)
    for key, value in inferred.attributes.items():
        if key not in known.defaults or not is_same(value, declared(known.attributes[key], known.defaults[key])):
            node.attr[key].CopyFrom(write_attribute(value))
    if outputs:
        node.attr["_output_shapes"].CopyFrom(write_attribute([ShapeAttr(shape) for _, shape in outputs]))
    return inferred.outputs


class FunctionBuilder:
    """A function in the making.

    Args:
        name: Its name in the library, see `Library.unique`.

    Example:
        >>> builder = FunctionBuilder("double")
        >>> x = builder.argument("x", np.float32, (None,))
        >>> function = builder.finish({"y": builder.one("AddV2", [x, x], np.float32, (None,))})
        >>> [node.op for node in function.node_def]
        ['AddV2', 'Identity']
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._function = message_class("tensorflow.FunctionDef")()
        self._function.signature.name = name
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}
        self._constants: dict[tuple[Any, ...], Ref] = {}
        self._effects: list[str] = []

    def argument(self, name: str, dtype: Any, shape: Shape) -> Ref:
        """Add an argument.

        Args:
            name: What a caller knows it as; within the function, letters that are not allowed become ``_``.
            dtype: Its dtype, or "string", "resource" or "variant".
            shape: Its shape.
        """
        kind = as_kind(dtype)
        text = self._unique(identifier(name))
        signature = self._function.signature
        attributes = self._function.arg_attr[len(signature.input_arg)].attr
        signature.input_arg.add(name=text, type=number_of_kind(kind))
        attributes["_user_specified_name"].s = name.encode()
        write_shape(attributes["_output_shapes"].list.shape.add(), shape)
        return Ref(text, kind, shape)

    def constant(self, value: Any, *, name: str | None = None) -> Ref:
        """Return a constant; one that was there already is not made again.

        Args:
            value: An array, or what NumPy makes one of; strings as an object array of bytes.
            name: The node's name; by default one is made up.
        """
        array = _plain_array(value)
        content = tuple(array.ravel().tolist()) if array.dtype == object else array.tobytes()
        key = (array.dtype.str, array.dtype.name, array.shape, content)
        if key not in self._constants:
            dtype: Kind = "string" if array.dtype == object else array.dtype
            self._constants[key] = self.one("Const", [], dtype, array.shape, name=name, value=array)
        return self._constants[key]

    def op(
        self,
        op: str,
        inputs: Sequence[Ref],
        outputs: Sequence[tuple[Any, Shape]],
        *,
        attrs: Mapping[str, Any] | None = None,
        name: str | None = None,
        control: Iterable[Ref | str] = (),
        stateful: bool = False,
    ) -> tuple[Ref, ...]:
        """Add a node.

        Args:
            op: TensorFlow's name of the operation.
            inputs: Its inputs, those of lists one after the other.
            outputs: The dtype and shape of each output, those of lists one after the other.
            attrs: Attributes that do not follow from inputs and outputs, as plain Python values: a dtype for a type, a
                tuple or None for a shape, the name of a function for a function, or `TypeAttr`, `ShapeAttr` and
                `FunctionAttr`.
            name: The node's name; by default one is made up from that of the operation.
            control: What must have run before.
            stateful: Whether it must run even when nobody reads its outputs.

        Returns:
            The outputs.

        Raises:
            ArgumentError: The operation is unknown, or does not take or give this.
        """
        kinds = [(as_kind(dtype), shape) for dtype, shape in outputs]
        node = self._function.node_def.add(name=self._unique(name or op), op=op)
        places = write_node(node, inputs, kinds, attrs=attrs or {}, control=control)
        if stateful:
            self._effects.append(node.name)
        return tuple(
            Ref(f"{node.name}:{argument}:{index}", dtype, shape)
            for (argument, index), (dtype, shape) in zip(places, kinds, strict=True)
        )

    def one(self, op: str, inputs: Sequence[Ref], dtype: Any, shape: Shape, /, **attrs: Any) -> Ref:
        """Add a node with a single output and return that; `name` is the node's name, other keywords are attributes."""
        name = attrs.pop("name", None)
        (result,) = self.op(op, inputs, [(dtype, shape)], attrs=attrs, name=name)
        return result

    def call(
        self, function_name: str, inputs: Sequence[Ref], outputs: Sequence[tuple[Any, Shape]], *, stateful: bool = True
    ) -> tuple[Ref, ...]:
        """Call another function of the library.

        Args:
            function_name: Its name.
            inputs: Its arguments.
            outputs: The dtype and shape of each of its results.
            stateful: Whether it reads variables or tables, or has effects.
        """
        op = "StatefulPartitionedCall" if stateful else "PartitionedCall"
        return self.op(op, inputs, outputs, attrs={"f": FunctionAttr(function_name)})

    def finish(self, results: Mapping[str, Ref]) -> Any:
        """Return the FunctionDef.

        Args:
            results: The results by name, in order.
        """
        signature = self._function.signature
        for effect in self._effects:
            self._function.control_ret[effect] = effect
            signature.control_output.append(effect)
        signature.is_stateful = bool(self._effects) or any(ref.dtype == "resource" for ref in results.values())
        signature.is_stateful |= any(_has_state(node.op) for node in self._function.node_def)
        taken: set[str] = set()
        for name, ref in results.items():
            (held,) = self.op("Identity", [ref], [(ref.dtype, ref.shape)], control=self._effects)
            text = numbered(identifier(name), taken)
            signature.output_arg.add(name=text, type=number_of_kind(ref.dtype))
            self._function.ret[text] = held.text
        self._function.attr["_construction_context"].s = b"kEagerRuntime"
        return self._function

    def _unique(self, wanted: str) -> str:
        if wanted not in self._names:
            self._names.add(wanted)
            return wanted
        count = self._counts.get(wanted, 0)
        name = wanted
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._counts[wanted] = count
        self._names.add(name)
        return name


class Library:
    """The functions of a graph, each under a name of its own."""

    def __init__(self) -> None:
        self.functions: list[Any] = []
        self._names: set[str] = set()

    def unique(self, wanted: str) -> str:
        """Return a name for a function that none has yet, and keep it for the caller.

        Args:
            wanted: What the name is to say, such as ``while_body``.
        """
        return numbered(f"__inference_{identifier(wanted)}", self._names)

    def add(self, function: Any) -> str:
        """Add a finished function and return its name.

        Raises:
            ArgumentError: Another function has its name.
        """
        name = str(function.signature.name)
        self._names.add(name)
        if any(other.signature.name == name for other in self.functions):
            raise ArgumentError("two functions of a graph have one name", received=name)
        self.functions.append(function)
        return name


def identifier(name: str) -> str:
    """Return a name as a graph may have it: letters, digits and ``_``, with a letter first."""
    text = _IDENTIFIER.sub("_", name).strip("_")
    return text if text[:1].isalpha() else f"arg_{text}".rstrip("_")


def numbered(wanted: str, taken: set[str]) -> str:
    """Return a name that is not among those taken, and add it to them."""
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    taken.add(name)
    return name


def _plain_array(value: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.dtype != object:
        return array
    strings = np.empty(array.shape, object)
    strings.ravel()[:] = [item.encode() if isinstance(item, str) else bytes(item) for item in array.ravel()]
    return strings


def _has_state(op: str) -> bool:
    known = definition(op)
    return known is not None and known.stateful
