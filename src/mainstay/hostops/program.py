"""The compiler of host graphs: checked once, then a flat list of kernels over numbered slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops.attributes import asset_name, checked_attrs, is_unicode
from mainstay.hostops.columns import NUMBER_DTYPES, Column, as_column
from mainstay.hostops.registry import HostOp, Kernel, Site, lookup
from mainstay.hostops.words import Words, as_words

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class HostInput:
    """A raw column that a graph reads.

    Args:
        spec: Its name, dtype and shape `[batch]`. Timestamps are of dtype ``string`` at this border.
        optional: Whether rows may lack it; a required input with a missing value is an error.
    """

    spec: TensorSpec
    optional: bool = False

    def column(self, value: Any) -> Column:
        """Return what a caller hands in for this input as a column; see `as_column`.

        Raises:
            TransformError: It has the wrong dtype or shape, or misses values though required.
        """
        spec = self.spec
        column = as_column(value, spec.dtype, where=f"$.{spec.name}")
        values = column.values
        if isinstance(values, np.ndarray) and (values.ndim != 1 or len(spec.shape) != 1):
            self._check_shape(values.shape)
        if column.missing is not None and not self.optional and bool(column.missing.any()):
            raise TransformError(
                "a required input has a missing value",
                where=f"$.{spec.name}[{int(np.argmax(column.missing))}]",
                expected=f"a {spec.dtype} in every row, as in the training data",
                received="nothing",
            )
        return column

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        wanted = self.spec.shape
        if len(shape) != len(wanted) or any(w not in (None, have) for w, have in zip(wanted, shape, strict=True)):
            raise TransformError(
                "an input has the wrong shape", where=f"$.{self.spec.name}", expected=wanted, received=shape
            )


@dataclass(frozen=True, slots=True)
class HostNode:
    """One operation of a graph.

    Args:
        op: The operation's name in the registry.
        name: The name of the value that it makes, unique in the graph.
        inputs: The names of the values that it takes: inputs of the graph or earlier nodes.
        attrs: Its attributes, plain JSON values; an asset is named by its file name.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Value:
    """What is known of a value before any row is seen."""

    dtype: str
    shape: tuple[int | None, ...]
    missing: _Value | None = None
    """The value that is its mask; None where it never misses."""
    constant: Any = None
    make: _Step | None = None
    times: bool = False
    """Whether it is an input of dtype string that only `DecodeTimestamp` reads."""
    slot: int = -1
    parts: frozenset[int] = frozenset()
    """Of a mask that is an OR: the masks that it joins, by their ids."""


@dataclass(slots=True)
class _Step:
    kernel: Kernel
    sources: list[_Value]
    target: _Value


class Program:
    """An executable graph of host operations: columns in, columns out, missing values kept.

    Args:
        inputs: The raw columns that it reads.
        nodes: The operations, each after those that it takes values from.
        outputs: The value to give out under each output's name, in order.
        assets: The content of each asset file that an operation's attributes name.

    Attributes:
        nodes: The operations, their attributes in JSON form with the defaults filled in.
        output_specs: The spec of every output, in order.
        may_miss: The names of the outputs that can have missing values.
        reads_times: The names of the inputs that may be handed in as datetime64.

    Raises:
        TransformError: A name is not as it should be, a node names an unknown operation or value, or its
            attributes or dtypes do not fit.
    """

    def __init__(
        self,
        inputs: Sequence[HostInput],
        nodes: Sequence[HostNode],
        outputs: Mapping[str, str],
        assets: Mapping[str, bytes],
    ) -> None:
        _check_assets(assets)
        self._values: dict[str, _Value] = {}
        self._joined: dict[frozenset[int], _Value] = {}
        for item in inputs:
            self._add(item.spec.name, "inputs", _input_value(item))
        self.nodes = tuple(self._node(node, assets) for node in nodes)
        unread = set(assets) - {node.attrs.get("asset") for node in self.nodes}
        if unread:
            raise TransformError("no operation of a host graph reads an asset", received=min(unread))
        self._mark_times(inputs)
        self.reads_times = frozenset(item.spec.name for item in inputs if self._values[item.spec.name].times)
        given = {name: self._output(name, value) for name, value in outputs.items()}
        self.output_specs = tuple(TensorSpec(value.shape, value.dtype, name) for name, value in given.items())
        self.may_miss = frozenset(name for name, value in given.items() if value.missing is not None)
        self._plan(inputs, given)
        del self._values, self._joined

    def _add(self, name: Any, kind: str, value: _Value) -> None:
        if not isinstance(name, str) or not name or not is_unicode(name):
            raise TransformError(
                "a name in a host graph is not as it should be",
                where=f"$.{kind}",
                expected="a string of valid Unicode that is not empty",
                received=repr(name),
            )
        if name in self._values:
            raise TransformError("two values of a host graph have one name", where=f"$.{kind}.{name}")
        self._values[name] = value

    def _node(self, node: HostNode, assets: Mapping[str, bytes]) -> HostNode:
        where = f"$.nodes.{node.name}"
        try:
            op = lookup(node.op)
            attrs = checked_attrs(op.attrs, node.attrs)
            attrs = attrs if op.settle is None else op.settle(attrs)
            sources = [self._source(name) for name in node.inputs]
            dtype = op.result(tuple(source.dtype for source in sources), attrs)
            shape = _shape_of(op, sources, attrs)
            first = f"$.{node.inputs[0]}" if node.inputs else where
            kernel = op.bind(Site(attrs, tuple(source.dtype for source in sources), assets, first))
            value = self._value(op, kernel, sources, dtype, shape)
        except TransformError as error:
            raise TransformError(
                error.summary,
                where=where if error.where is None else f"{where}: {error.where}",
                expected=error.expected,
                received=error.received,
                fix=error.fix,
            ) from None
        self._add(node.name, "nodes", value)
        return HostNode(node.op, node.name, tuple(node.inputs), attrs)

    def _source(self, name: Any) -> _Value:
        value = self._values.get(name) if isinstance(name, str) else None
        if value is None:
            raise TransformError("a host operation takes a value that no earlier one makes", received=repr(name))
        return value

    def _value(
        self, op: HostOp, kernel: Kernel, sources: list[_Value], dtype: str, shape: tuple[int | None, ...]
    ) -> _Value:
        masks = [source.missing for source in sources]
        read = sources + [mask or _NEVER for mask in masks] if op.reads_missing else sources
        if all(source.constant is not None for source in sources):
            with np.errstate(all="ignore"):
                return _Value(dtype, shape, constant=kernel(*[value.constant for value in read]))
        value = _Value(dtype, shape, self._mask(op, sources, masks))
        value.make = _Step(kernel, read, value)
        return value

    def _mask(self, op: HostOp, sources: list[_Value], masks: list[_Value | None]) -> _Value | None:
        if op.missing == "never":
            return None
        if op.missing == "fill":
            first, second = masks
            return None if first is None or second is None else _masked(_both, [first, second])
        if op.missing == "select" and any(masks[1:]):
            branch = _masked(_branch, [sources[0], masks[1] or _NEVER, masks[2] or _NEVER])
            return branch if masks[0] is None else self._either(masks[0], branch)
        result: _Value | None = None
        for mask in masks:
            if mask is not None:
                result = mask if result is None else self._either(result, mask)
        return result

    def _either(self, first: _Value, second: _Value) -> _Value:
        """Return the OR of two masks, made only once for the same columns."""
        one, other = first.parts or frozenset([id(first)]), second.parts or frozenset([id(second)])
        if other <= one:
            return first
        if one <= other:
            return second
        both = one | other
        if both not in self._joined:
            self._joined[both] = _masked(_or, [first, second])
            self._joined[both].parts = both
        return self._joined[both]

    def _mark_times(self, inputs: Sequence[HostInput]) -> None:
        """Find the string inputs that nothing but `DecodeTimestamp` (or `IsMissing`) reads."""
        readers: dict[str, set[str]] = {item.spec.name: set() for item in inputs if item.spec.dtype == "string"}
        for node in self.nodes:
            for name in node.inputs:
                readers.get(name, set()).add(node.op)
        for name, ops in readers.items():
            self._values[name].times = "DecodeTimestamp" in ops and ops <= {"DecodeTimestamp", "IsMissing"}

    def _output(self, name: Any, source: Any) -> _Value:
        if not isinstance(name, str) or not name or not is_unicode(name):
            raise TransformError("an output of a host graph has no proper name", received=repr(name))
        value = self._values.get(source) if isinstance(source, str) else None
        if value is None:
            raise TransformError("a host graph gives out a value that it does not make", received=repr(source))
        if value.constant is not None:
            raise TransformError(
                "an output of a host graph is the same in every row",
                where=f"$.outputs.{name}",
                expected="a value that depends on an input",
                fix="leave it out",
            )
        if value.times:
            raise TransformError(
                "an output of a host graph is a raw time",
                where=f"$.outputs.{name}",
                fix="give out the int64 that DecodeTimestamp makes of it",
            )
        return value

    def _plan(self, inputs: Sequence[HostInput], given: Mapping[str, _Value]) -> None:
        """Order the steps that the outputs need, and number the slots, each used again after its last reader."""
        steps: list[_Step] = []
        seen: set[int] = set()
        for value in given.values():
            for root in (value, value.missing):
                if root is not None:
                    _collect(root, seen, steps)
        held = [self._values[item.spec.name] for item in inputs]
        template: list[Any] = [None]
        for value in held:
            for slotted in (value, value.missing):
                if slotted is not None:
                    slotted.slot = len(template)
                    template.append(None)
        kept = {id(part) for value in given.values() for part in (value, value.missing)}
        last = {id(source): index for index, step in enumerate(steps) for source in step.sources}
        free: list[int] = []
        for index, step in enumerate(steps):
            for source in step.sources:
                if source.constant is not None and source.slot < 0:
                    source.slot = len(template)
                    template.append(source.constant)
            if not free:
                free.append(len(template))
                template.append(None)
            step.target.slot = free.pop()
            unread = {id(source): source for source in step.sources}
            for key, source in unread.items():
                if last[key] == index and key not in kept and source.constant is None and source is not _NEVER:
                    free.append(source.slot)
        self._template = template
        self._inputs = [
            (value.slot, -1 if value.missing is None else value.missing.slot, value.dtype == "string") for value in held
        ]
        self._steps = [_numbered(step) for step in steps]
        self._outputs = [
            (name, value.slot, -1 if value.missing is None else value.missing.slot) for name, value in given.items()
        ]

    def execute(self, columns: Sequence[Column]) -> list[tuple[str, Any, Array | None]]:
        """Run the program on checked columns in the order of its inputs.

        Returns:
            The name, values and mask of every output; strings as `Words`.
        """
        slots = self._template.copy()
        for (slot, mask, is_string), column in zip(self._inputs, columns, strict=True):
            values = column.values
            slots[slot] = as_words(values) if is_string and not _is_time(values) else values
            if mask >= 0:
                slots[mask] = column.missing
        with np.errstate(all="ignore"):
            for kernel, target, source, pick in self._steps:
                slots[target] = kernel(slots[source]) if pick is None else kernel(*pick(slots))
        return [(name, slots[slot], slots[mask] if mask >= 0 else None) for name, slot, mask in self._outputs]

    def run(self, columns: Sequence[Column]) -> dict[str, Column]:
        """Run the program on checked columns in the order of its inputs and return the outputs as columns."""
        return {
            name: Column(values.to_arrow() if isinstance(values, Words) else values, missing)
            for name, values, missing in self.execute(columns)
        }


def _is_time(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "M"


def _check_assets(assets: Mapping[str, bytes]) -> None:
    taken: dict[str, str] = {}
    for name, content in assets.items():
        try:
            asset_name(name)
        except ValueError as error:
            raise TransformError(
                "an asset has no proper name", where="$.assets", expected=error, received=repr(name)
            ) from None
        other = taken.setdefault(name.lower(), name)
        if other != name:
            raise TransformError(
                "two assets have one name on file systems that do not tell case apart", received=f"{other}, {name}"
            )
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise TransformError(
                "an asset is no bytes", where=f"$.assets.{name}", expected="bytes", received=type(content).__name__
            )


def _input_value(item: HostInput) -> _Value:
    spec = item.spec
    where = f"$.inputs.{spec.name}"
    if spec.dtype not in (*NUMBER_DTYPES, "string"):
        raise TransformError(
            "an input of a host graph has a dtype that host operations do not have",
            where=where,
            expected=f"one of {', '.join((*NUMBER_DTYPES, 'string'))}",
            received=spec.dtype,
        )
    if not spec.shape or spec.shape[0] is not None:
        raise TransformError(
            "an input of a host graph has no batch axis", where=where, expected="[None, …]", received=spec.shape
        )
    if len(spec.shape) > 1 and (item.optional or spec.dtype == "string"):
        raise TransformError(
            "an input of more than one axis is optional or a string", where=where, expected="required numbers"
        )
    missing = _Value("bool", (None,)) if item.optional else None
    return _Value(spec.dtype, tuple(spec.shape), missing)


def _shape_of(op: HostOp, sources: list[_Value], attrs: Mapping[str, Any]) -> tuple[int | None, ...]:
    shapes = {source.shape for source in sources if source.constant is None}
    if len(shapes) > 1:
        raise TransformError("the inputs of a host operation differ in shape", received=sorted(map(str, shapes)))
    shape = shapes.pop() if shapes else (None,)
    if op.shape in ("rows", "attrs") and len(shape) != 1:
        raise TransformError("a host operation takes one value per row", expected="[batch]", received=shape)
    if op.shape == "attrs":
        return (*shape, *attrs["shape"])
    if op.shape == "last":
        if len(shape) != 2:
            raise TransformError("a host operation takes rows of scores", expected="[batch, classes]", received=shape)
        return shape[:-1]
    return shape


_NEVER = _Value("bool", (None,), slot=0)
"""Stands for the mask of a value that never misses: slot 0 of every program, which holds None."""


def _masked(kernel: Callable[..., Any], sources: list[_Value]) -> _Value:
    value = _Value("bool", (None,))
    value.make = _Step(kernel, sources, value)
    return value


def _or(x: Array | None, y: Array | None) -> Array | None:
    return y if x is None else x if y is None else np.asarray(x | y)


def _both(x: Array | None, y: Array | None) -> Array | None:
    return None if x is None or y is None else np.asarray(x & y)


def _branch(condition: Array, chosen: Array | None, other: Array | None) -> Array | None:
    if chosen is None and other is None:
        return None
    return np.where(condition, False if chosen is None else chosen, False if other is None else other)


def _collect(root: _Value, seen: set[int], steps: list[_Step]) -> None:
    """Append the steps that make a value, each after those that it needs; a loop, for graphs may be deep."""
    stack: list[tuple[_Value, bool]] = [(root, False)]
    while stack:
        value, ready = stack.pop()
        if value.make is None:
            continue
        if ready:
            steps.append(value.make)
        elif id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack.extend((source, False) for source in reversed(value.make.sources))


def _numbered(step: _Step) -> tuple[Kernel, int, int, Any]:
    slots = [source.slot for source in step.sources]
    if len(slots) == 1:
        return step.kernel, step.target.slot, slots[0], None
    return step.kernel, step.target.slot, -1, itemgetter(*slots)
