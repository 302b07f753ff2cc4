"""Padded batches: rows of different shapes, each filled up to the longest of its batch or to a given shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import columns as _columns
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Array, Column, Loose
from mainstay.data.operations.batching import Batching
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, flatten, leaf_names, map_structure, pack, skeleton_of
from mainstay.io import Ragged

Shape: TypeAlias = "tuple[int | None, ...]"


@dataclass(frozen=True)
class Padding:
    """How the rows of a batch are filled up.

    Args:
        shapes: The shape for each component in a structure, None for an axis as long as the longest row; None for the
            longest row in every axis of every component.
        values: What fills up: one value for all components, or a structure of them; None for 0 and the empty string.
    """

    shapes: Structure = None
    values: Structure = None

    def parameters(self) -> Any:
        """The shapes and values as text."""
        return [str(self.shapes), str(self.values)]

    def spec(self, elements: Structure, size: int | None) -> Structure:
        """Return the specs of padded batches.

        Raises:
            ArgumentError: The shapes do not fit the elements.
        """
        skeleton = skeleton_of(elements)
        specs, names = flatten(elements), leaf_names(elements)
        shapes = self.shapes_for(skeleton)
        merged = [_padded_spec(*each) for each in zip(specs, shapes, names, strict=True)]
        return pack(skeleton, [TensorSpec((size, *spec.shape), spec.dtype) for spec in merged])

    def shapes_for(self, skeleton: Structure) -> list[Shape | None]:
        """Return the shape for each component, in canonical order."""
        if self.shapes is None:
            return [None] * len(flatten(skeleton))
        return _shapes(self.shapes, skeleton, "padded_shapes")

    def values_for(self, skeleton: Structure) -> list[Any]:
        """Return the value for each component, in canonical order."""
        count = len(flatten(skeleton))
        if not isinstance(self.values, (tuple, Mapping)):
            return [self.values] * count
        return _values(self.values, skeleton)


def _shapes(shapes: Any, skeleton: Structure, where: str) -> list[Shape | None]:
    """Return the shapes in the order of the leaves of a structure; a tuple of numbers is a shape."""
    if isinstance(skeleton, int):
        return [None if shapes is None else _shape(shapes, where)]
    if isinstance(skeleton, tuple):
        if not isinstance(shapes, (tuple, list)) or len(shapes) != len(skeleton):
            raise _other_structure(where, skeleton, shapes)
        pairs = [(shapes[i], item, f"{where}[{i}]") for i, item in enumerate(skeleton)]
    else:
        if not isinstance(shapes, Mapping) or set(shapes) != set(skeleton):
            raise _other_structure(where, skeleton, shapes)
        pairs = [(shapes[name], skeleton[name], f"{where}[{name!r}]") for name in sorted(skeleton)]
    return [shape for pair in pairs if pair[1] is not None for shape in _shapes(*pair)]


def _shape(shape: Any, where: str) -> Shape:
    axes = [shape] if isinstance(shape, int) else getattr(shape, "as_list", lambda: shape)()
    try:
        axes = tuple(None if axis is None or int(axis) == -1 else int(axis) for axis in axes)
    except (TypeError, ValueError):
        axes = (-2,)
    if any(axis is not None and axis < 0 for axis in axes):
        raise ArgumentError(
            "this is no shape", where=where, expected="whole numbers, None or -1 for any length", received=repr(shape)
        )
    return tuple(axes)


def _values(values: Any, skeleton: Structure) -> list[Any]:
    if isinstance(skeleton, int):
        return [values]
    if isinstance(skeleton, tuple):
        if not isinstance(values, (tuple, list)) or len(values) != len(skeleton):
            raise _other_structure("padding_values", skeleton, values)
        pairs = list(zip(values, skeleton, strict=True))
    else:
        if not isinstance(values, Mapping) or set(values) != set(skeleton):
            raise _other_structure("padding_values", skeleton, values)
        pairs = [(values[name], skeleton[name]) for name in sorted(skeleton)]
    return [value for own, item in pairs if item is not None for value in _values(own, item)]


def _other_structure(where: str, skeleton: Structure, received: Any) -> ArgumentError:
    return ArgumentError(
        "the structure is not that of the elements",
        where=where,
        expected=map_structure(lambda _: "…", skeleton),
        received=repr(received),
    )


def _padded_spec(spec: Any, shape: Shape | None, name: str) -> TensorSpec:
    if not isinstance(spec, TensorSpec) and getattr(spec, "ragged_rank", True):
        raise ArgumentError("only arrays can be padded", where=name, received=spec, fix="use batch or ragged_batch")
    if shape is None:
        return TensorSpec(spec.shape, spec.dtype)
    fits = len(shape) == len(spec.shape) and all(
        wanted is None or own is None or wanted >= own for wanted, own in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise ArgumentError(
            "the padded shape does not hold the elements",
            where=f"padded_shapes, {name}",
            expected=f"{list(spec.shape)} or more in each axis",
            received=list(shape),
        )
    return TensorSpec(shape, spec.dtype)


class PaddedBatch(Batching):
    """Batches of `size` elements, filled up to one shape.

    Args:
        upstream: The elements.
        size: How many make a batch.
        padding: How they are filled up.
        drop_remainder: Whether a last batch that is not full is left out.
    """

    name = "padded_batch"

    def __init__(self, upstream: Operation, size: int, padding: Padding, *, drop_remainder: bool) -> None:
        super().__init__(upstream, size, drop_remainder)
        self.padding = padding

    @property
    def spec(self) -> Structure:
        """That of the elements, filled up, with a leading axis."""
        return self.padding.spec(self.inputs[0].spec, self.fixed_size)

    def parameters(self) -> Any:
        """The size, the padding, and whether the remainder is dropped."""
        return [super().parameters(), self.padding.parameters()]

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        upstream = planner.node(self.inputs[0], batch_rows=self.size)
        return PaddedBatchNode(upstream, self.size, self.padding, self.drop_remainder)


@dataclass(frozen=True)
class PaddedBatchNode(Node):
    """Cuts a stream into batches and fills them up; its state is that of the stream, and the number of the batch."""

    upstream: Node
    size: int
    padding: Padding
    drop_remainder: bool

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks of batches."""
        before, number = state or (None, 0)
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (left := cursor.remaining()) > 0:
                chunk = cursor.piece(left - left % self.size) if left >= self.size else cursor.read(self.size)
                if chunk is None or (chunk.length < self.size and self.drop_remainder):
                    return
                batches = padded(chunk, min(self.size, chunk.length), self.padding, number)
                number += batches.length
                yield batches, [cursor.state, number]
        finally:
            cursor.close()


def padded(chunk: Chunk, size: int, padding: Padding, number: int) -> Chunk:
    """Return the chunk of the padded batches of `size` elements each; `size` divides the length.

    Args:
        chunk: The elements.
        size: How many make a batch.
        padding: How they are filled up.
        number: The number of the first batch, for messages.

    Raises:
        DataError: An element does not fit the shape; it says which.
    """
    shapes, values = padding.shapes_for(chunk.skeleton), padding.values_for(chunk.skeleton)
    columns = []
    for place, column in enumerate(chunk.columns):
        try:
            columns.append(_padded_column(column, size, shapes[place], values[place]))
        except _MisfitError as misfit:
            index = misfit.index
            raise DataError(
                misfit.summary,
                where=f"{leaf_names(chunk.skeleton)[place]}, row {index % size} of batch {number + index // size} "
                f"({chunk.address(index)})",
                expected=misfit.expected,
                received=misfit.received,
            ) from None
    return Chunk(chunk.skeleton, tuple(columns), chunk.length // size)


class _MisfitError(Exception):
    def __init__(self, summary: str, index: int, expected: str, received: str) -> None:
        self.summary, self.index, self.expected, self.received = summary, index, expected, received
        super().__init__(summary)


def _padded_column(column: Column, size: int, shape: Shape | None, value: Any) -> Column:
    if _columns.is_text(column):
        if shape:
            raise _MisfitError("the padded shape has another rank", 0, f"rank {len(shape)}", "strings")
        return _columns.group(column, size)
    if isinstance(column, np.ndarray):
        own = column.shape[1:]
        target = _target([own], shape, 0)
        batches = _columns.group(column, size)
        if target == own:
            return batches
        result = np.full((*batches.shape[:2], *target), _filler(value, column.dtype), column.dtype)
        result[(slice(None), slice(None), *map(slice, own))] = batches
        return result
    starts = range(0, len(column), size)
    if isinstance(column, Ragged) and not isinstance(column.values, Ragged):
        return _joined([_padded_lists(column[start : start + size], shape, value, start) for start in starts])
    rows = column.rows if isinstance(column, Loose) else list(column)
    return _joined([_padded_rows(rows[start : start + size], shape, value, start) for start in starts])


def _joined(batches: Sequence[Array]) -> Column:
    return _columns.join([batch[None] for batch in batches])


def _padded_lists(lists: Ragged, shape: Shape | None, value: Any, start: int) -> Array:
    """Return one batch of the rows of a ragged column."""
    inner = tuple([int(axis or 0) for axis in lists.shape[2:]])
    lengths = lists.row_lengths()
    longest = int(lengths.argmax())
    target = _target([(int(lengths[longest]), *inner)], shape, start + longest)
    if target[1:] != inner:
        return _padded_rows(list(lists), shape, value, start)
    dense: Array = lists.to_tensor(_filler(value, lists.dtype), shape=[None, target[0], *inner])
    return dense


def _padded_rows(rows: Sequence[Any], shape: Shape | None, value: Any, start: int) -> Array:
    """Return one batch of arrays of different shapes."""
    arrays = [np.asarray(row) for row in rows]
    target = _target([array.shape for array in arrays], shape, start)
    dtype = arrays[0].dtype
    result = np.full((len(arrays), *target), _filler(value, dtype), dtype)
    for row, array in zip(result, arrays, strict=True):
        row[tuple(map(slice, array.shape))] = array
    return result


def _target(own: Sequence[tuple[int, ...]], shape: Shape | None, start: int) -> tuple[int, ...]:
    """Return the shape that rows are filled up to."""
    rank = len(own[0]) if shape is None else len(shape)
    wrong = next((index for index, axes in enumerate(own) if len(axes) != rank), None)
    if wrong is not None:
        raise _MisfitError(
            "a row has another rank than its batch", start + wrong, f"rank {rank}", f"shape {list(own[wrong])}"
        )
    longest: tuple[int, ...] = tuple(max(axes) for axes in zip(*own, strict=True))
    if shape is None:
        return longest
    for index, axes in enumerate(own):
        if any(wanted is not None and axis > wanted for axis, wanted in zip(axes, shape, strict=True)):
            raise _MisfitError(
                "a row does not fit the padded shape", start + index, f"at most {list(shape)}", f"shape {list(axes)}"
            )
    return tuple([length if wanted is None else wanted for length, wanted in zip(longest, shape, strict=True)])


def _filler(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value that fills up, of a dtype.

    Raises:
        ArgumentError: The dtype does not hold it.
    """
    if dtype.kind == "O":
        text = b"" if value is None else value.encode() if isinstance(value, str) else _item(value)
        if not isinstance(text, bytes):
            raise ArgumentError("strings are padded with strings", where="padding_values", received=repr(value))
        return text
    if value is None:
        return np.zeros((), dtype)
    scalar = np.asarray(_item(value))
    with np.errstate(all="ignore"):
        filler = scalar.astype(dtype) if scalar.dtype.kind in "biuf" and not scalar.ndim else scalar
    is_same = filler.dtype == dtype and (dtype.kind == "f" or bool(filler == scalar))
    if not is_same:
        raise ArgumentError(
            "a padding value is not of the component's dtype",
            where="padding_values",
            expected=f"one value of {dtype}",
            received=repr(value),
        )
    return filler


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value
