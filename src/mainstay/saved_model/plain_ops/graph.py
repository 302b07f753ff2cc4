"""The graph that a program is written into: nodes over values, and the rearrangements that most lowerings need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library, Ref
from mainstay.saved_model.graph_writing.functions import Shape as StoredShape
from mainstay.saved_model.plain_ops.dimensions import Dimensions
from mainstay.saved_model.plain_ops.values import (
    Dimension,
    NotPlainError,
    Shape,
    Value,
    broadcast,
    constant,
    is_one,
    is_static,
    plain_shape,
    product,
    same,
    same_shape,
    without_leading_ones,
)

Refuse: TypeAlias = Callable[[str, str], None]

_KEEPING = frozenset(["All", "Any", "Max", "Min", "Prod", "Sum"])
"""Reductions, which can keep the axes that they reduce."""


class Graph:
    """A function in the making, and where the lengths of its axes come from.

    Args:
        builder: Takes the nodes.
        library: Takes the functions of loops and branches.
        dimensions: The symbolic lengths.
        refuse: Takes the primitive that cannot be written, and why, in place of an exception.
    """

    def __init__(
        self, builder: FunctionBuilder, library: Library, dimensions: Dimensions, *, refuse: Refuse | None = None
    ) -> None:
        self.builder = builder
        self.library = library
        self.dimensions = dimensions
        self.refuse = refuse
        self._made: dict[str, tuple[str, tuple[Value, ...]]] = {}

    def ops(
        self, op: str, inputs: Sequence[Value], outputs: Sequence[tuple[Any, Shape]], **attrs: Any
    ) -> tuple[Value, ...]:
        """Add a node over values as they are stored, and return its outputs."""
        kinds = [(np.dtype(dtype), stored_shape(shape)) for dtype, shape in outputs]
        refs = self.builder.op(op, [self.ref(value) for value in inputs], kinds, attrs=attrs)
        made = tuple(
            Value(np.dtype(dtype), tuple(shape), tuple(shape), ref)
            for ref, (dtype, shape) in zip(refs, outputs, strict=True)
        )
        for ref in refs:
            self._made[ref.text] = (op, tuple(inputs))
        return made

    def op(self, op: str, inputs: Sequence[Value], dtype: Any, shape: Shape, **attrs: Any) -> Value:
        """Add a node with one output over values as they are stored."""
        (made,) = self.ops(op, inputs, [(dtype, shape)], **attrs)
        return made

    def whole(self, op: str, inputs: Sequence[Value], dtype: Any, shape: Shape, **attrs: Any) -> Value:
        """Add a node with one output over values in full."""
        return self.op(op, [self.full(value) for value in inputs], dtype, shape, **attrs)

    def elementwise(self, op: str, *inputs: Value, dtype: Any = None, **attrs: Any) -> Value:
        """Add a node that broadcasts its inputs; its result is stored as small as they are."""
        shape = broadcast([value.shape for value in inputs])
        stored = broadcast([value.stored for value in inputs])
        made = self.op(op, inputs, inputs[0].dtype if dtype is None else dtype, stored, **attrs)
        return replace(made, shape=shape)

    def maker(self, value: Value) -> tuple[str, tuple[Value, ...]]:
        """Return the operation that made a value and what it took, or an empty name."""
        return self._made.get(value.ref.text, ("", ())) if value.ref is not None else ("", ())

    def ref(self, value: Value) -> Ref:
        """Return the tensor of a value as it is stored."""
        if value.ref is not None:
            return value.ref
        if value.known is None:
            raise NotPlainError("a value was never computed")
        return self.builder.constant(value.known)

    def full(self, value: Value) -> Value:
        """Return a value stored in its whole shape."""
        if same_shape(value.stored, value.shape):
            return value
        if len(value.stored) < len(value.shape) and same_shape(value.stored, without_leading_ones(value.shape)):
            return self._as_stored(value, value.shape)
        if value.known is not None and is_static(value.shape) and product(value.shape) <= 64:
            return constant(np.broadcast_to(value.known, value.shape))
        return self.op("BroadcastTo", [value, self.lengths(value.shape)], value.dtype, value.shape)

    def scalar(self, number: Any, dtype: Any) -> Value:
        """Return a constant of one element."""
        return constant(np.asarray(number).astype(np.dtype(dtype)))

    def integers(self, numbers: Sequence[int] | Sequence[Sequence[int]]) -> Value:
        """Return int32 constants, as attributes that are inputs have them."""
        return constant(np.array(numbers, np.int32))

    def length(self, size: Dimension) -> Value:
        """Return a length as an int32 scalar."""
        if isinstance(size, int):
            return constant(np.int32(size))
        return Value(np.dtype(np.int32), (), (), self.dimensions.scalar(size))

    def lengths(self, sizes: Sequence[Dimension]) -> Value:
        """Return lengths as a vector of int32."""
        if is_static(sizes):
            return self.integers(list(sizes))
        return self.stack([self.length(size) for size in sizes], 0)

    def stack(self, values: Sequence[Value], axis: int) -> Value:
        """Return values of one shape along a new axis."""
        if all(value.known is not None and same_shape(value.stored, value.shape) for value in values):
            return constant(np.stack([value.known for value in values if value.known is not None], axis))
        shape = values[0].shape
        return self.whole("Pack", values, values[0].dtype, (*shape[:axis], len(values), *shape[axis:]), axis=axis)

    def reshape(self, value: Value, shape: Sequence[Dimension]) -> Value:
        """Return the same elements in another shape."""
        target = plain_shape(shape)
        if not value.stored:
            return replace(value, shape=target)
        if same_shape(without_leading_ones(value.shape), without_leading_ones(target)):
            # Axes of length one in front come and go without a node.
            surplus = len(value.stored) - len(target)
            if surplus > 0:
                value = self._as_stored(value, value.stored[surplus:])
            return replace(value, shape=target)
        return self._as_stored(self.full(value), target)

    def _as_stored(self, value: Value, target: Shape) -> Value:
        """Return the elements that are stored in another shape."""
        if value.known is not None and is_static(target):
            return constant(value.known.reshape(target))
        value = self._unturned(value, target)
        if same_shape(value.stored, target):
            return value
        unknown = [size for size in target if not isinstance(size, int)]
        if len(unknown) > 1:
            squeezed = self._squeezed(value, target)
            if squeezed is not None:
                return squeezed
        if len(unknown) == 1 and 0 not in target:
            sizes = self.integers([size if isinstance(size, int) else -1 for size in target])
        else:
            sizes = self.lengths(target)
        return self.op("Reshape", [value, sizes], value.dtype, target)

    def _unturned(self, value: Value, target: Shape) -> Value:
        """Return what a value was made of by nodes that the way to another shape makes superfluous."""
        op, inputs = self.maker(value)
        while op in ("ExpandDims", "Squeeze") or (op == "Reshape" and same_shape(inputs[0].stored, target)):
            value = inputs[0]
            op, inputs = self.maker(value)
        if op in _KEEPING and inputs[1].known is not None:
            axes = {int(axis) for axis in inputs[1].known}
            kept = tuple(1 if axis in axes else size for axis, size in enumerate(inputs[0].stored))
            if same_shape(kept, target):
                return self.op(op, inputs, value.dtype, target, keep_dims=True)
        return value

    def _squeezed(self, value: Value, target: Shape) -> Value | None:
        """Return a value with axes of length one taken out or put in, if no more than that is to do."""
        if not same_shape(*([size for size in shape if not is_one(size)] for shape in (value.stored, target))):
            return None
        ones = [axis for axis, size in enumerate(value.stored) if is_one(size)]
        bare = tuple(size for size in value.stored if not is_one(size))
        if ones:
            value = self._first(value, ones, bare)
        for axis in (axis for axis, size in enumerate(target) if is_one(size)):
            bare = (*bare[:axis], 1, *bare[axis:])
            value = self.op("ExpandDims", [value, self.scalar(axis, np.int32)], value.dtype, bare)
        return value

    def _first(self, value: Value, axes: Sequence[int], shape: Shape) -> Value:
        """Return what is first along axes of length one, without these axes."""
        rank = len(value.stored)
        chosen = sum(1 << axis for axis in axes)
        whole = (1 << rank) - 1 - chosen
        bounds = [self.integers([number] * rank) for number in (0, 1, 1)]
        masks = {"begin_mask": whole, "end_mask": whole, "shrink_axis_mask": chosen}
        made = self.op("StridedSlice", [value, *bounds], value.dtype, shape, **masks)
        if made.ref is not None:
            self._made[made.ref.text] = ("Squeeze", (value,))
        return made

    def broadcast(self, value: Value, shape: Sequence[Dimension], axes: Sequence[int]) -> Value:
        """Return a value whose axes are the `axes` of a larger shape, without writing it out."""
        target = plain_shape(shape)
        stored: list[Dimension] = [1] * len(target)
        padded = (1,) * (len(value.shape) - len(value.stored)) + value.stored
        for axis, size in zip(axes, padded, strict=True):
            stored[axis] = size
        wanted = without_leading_ones(stored)
        if not same_shape(value.stored, wanted):
            value = self._as_stored(value, wanted)
        return replace(value, shape=target, stored=wanted)

    def transpose(self, value: Value, permutation: Sequence[int]) -> Value:
        """Return a value with its axes in another order."""
        order = [int(axis) for axis in permutation]
        if order == list(range(len(order))):
            return value
        shape = tuple(value.shape[axis] for axis in order)
        if not value.stored:
            return replace(value, shape=shape)
        if len(value.stored) < len(order):
            value = self._as_stored(value, (1,) * (len(order) - len(value.stored)) + value.stored)
        if value.known is not None:
            return constant(value.known.transpose(order), shape)
        op, inputs = self.maker(value)
        if op == "Transpose" and inputs[1].known is not None:
            # Two turns are one, or none.
            return replace(self.transpose(inputs[0], [int(inputs[1].known[axis]) for axis in order]), shape=shape)
        stored = tuple(value.stored[axis] for axis in order)
        return replace(self.op("Transpose", [value, self.integers(order)], value.dtype, stored), shape=shape)

    def cast(self, value: Value, dtype: Any) -> Value:
        """Return a value in another dtype, as TensorFlow converts it."""
        wanted = np.dtype(dtype)
        if value.dtype == wanted:
            return value
        if value.known is not None and value.known.size < 64 and value.dtype.kind in "biu":
            return replace(value, dtype=wanted, known=value.known.astype(wanted))
        return self.elementwise("Cast", value, dtype=wanted)

    def select(self, condition: Value, true: Value, false: Value) -> Value:
        """Return where a condition holds one value, and elsewhere another."""
        return self.elementwise("SelectV2", condition, true, false, dtype=true.dtype)

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """Return values one after the other along an axis."""
        if len(values) == 1:
            return values[0]
        first = values[0]
        shape = list(first.shape)
        shape[axis] = sum((value.shape[axis] for value in values[1:]), first.shape[axis])
        inputs = [*(self.full(value) for value in values), self.scalar(axis, np.int32)]
        return self.op("ConcatV2", inputs, first.dtype, tuple(shape))

    def reverse(self, value: Value, axes: Sequence[int]) -> Value:
        """Return a value with the elements along some axes in the opposite order."""
        turned = [int(axis) for axis in axes]
        if not turned:
            return value
        value = self.full(value)
        op, inputs = self.maker(value)
        if op == "Transpose" and inputs[1].known is not None and self.maker(inputs[0])[0] == "ReverseV2":
            # A kernel that was turned for JAX is turned back for TensorFlow.
            order = [int(axis) for axis in inputs[1].known]
            return self.transpose(self.reverse(inputs[0], [order[axis] for axis in turned]), order)
        if op == "ReverseV2" and inputs[1].known is not None:
            return self.reverse(inputs[0], sorted({*turned} ^ {int(axis) for axis in inputs[1].known}))
        return self.op("ReverseV2", [value, self.integers(sorted(turned))], value.dtype, value.shape)

    def crop(self, value: Value, starts: Sequence[Dimension], sizes: Sequence[Dimension]) -> Value:
        """Return a block of a value that lies inside of it."""
        sizes = plain_shape(sizes)
        begins = [
            0 if same(size, whole) else start for start, size, whole in zip(starts, sizes, value.shape, strict=True)
        ]
        if all(isinstance(begin, int) and begin == 0 for begin in begins) and same_shape(sizes, value.shape):
            return value
        return self.block(value, self.lengths(begins), sizes)

    def block(self, value: Value, starts: Value, sizes: Sequence[Dimension]) -> Value:
        """Return a block of a value from computed starts, which are in bounds."""
        sizes = plain_shape(sizes)
        value = self.full(value)
        # A whole axis is -1 long, which saves computing its length.
        given = [
            -1 if not isinstance(size, int) and same(size, whole) else size
            for size, whole in zip(sizes, value.shape, strict=True)
        ]
        return self.op("Slice", [value, starts, self.lengths(given)], value.dtype, sizes)

    def pad(self, value: Value, fill: Value, low: Sequence[Dimension], high: Sequence[Dimension]) -> Value:
        """Return a value with `fill` around it; no length is negative."""
        if all(isinstance(size, int) and size == 0 for size in (*low, *high)):
            return value
        shape = tuple(a + b + c for a, b, c in zip(low, value.shape, high, strict=True))
        if is_static([*low, *high]):
            widths = self.integers([[a, b] for a, b in zip(low, high, strict=True)])
        else:
            widths = self.stack([self.lengths(pair) for pair in zip(low, high, strict=True)], 0)
        value = self.full(value)
        if fill.known is not None and fill.known == 0:
            return self.op("Pad", [value, widths], value.dtype, shape)
        return self.op("PadV2", [value, widths, fill], value.dtype, shape)

    def range(self, size: Dimension, dtype: Any = np.int32) -> Value:
        """Return the numbers from zero on."""
        if isinstance(size, int):
            return constant(np.arange(size).astype(dtype))
        bounds = [self.scalar(0, np.int32), self.length(size), self.scalar(1, np.int32)]
        return self.cast(self.op("Range", bounds, np.int32, (size,)), dtype)


def stored_shape(shape: Shape) -> StoredShape:
    """Return a shape as a graph has it: None for a length that is not known."""
    return tuple(size if isinstance(size, int) else None for size in shape)
