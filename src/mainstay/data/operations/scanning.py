"""Functions that see the elements one after the other: scan, take_while, unique."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.core import DataError
from mainstay.data.chunks import Chunk
from mainstay.data.columns import rows as rows_of
from mainstay.data.functions.function import RowFailure
from mainstay.data.functions.rows import as_answer
from mainstay.data.functions.steps import call, in_python, name_of
from mainstay.data.functions.values import as_element
from mainstay.data.operations.ordering import Reordering
from mainstay.data.operations.sampling import FirstElements
from mainstay.data.plan import Lowered, Operation, Planner
from mainstay.data.specs import UNKNOWN_CARDINALITY, spec_of
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, flatten, map_structure, pack, skeleton_of

_SCAN_ROWS = 32


class Scan(Operation):
    """What a function makes of each element and of what it made of the one before.

    Args:
        upstream: The elements.
        initial: The state that comes with the first element.
        function: Makes the next state and an element of a state and an element.
    """

    name = "scan"

    def __init__(self, upstream: Operation, initial: Structure, function: Callable[[Any, Any], Any]) -> None:
        self.inputs = (upstream,)
        self.initial, self.function = as_element(initial), function

    @property
    def spec(self) -> Structure:
        """That of what the function makes of the first element."""
        return self._found_spec

    @cached_property
    def _found_spec(self) -> Structure:
        chunk = FirstElements(self.inputs[0]).begin()
        if chunk is None or not chunk.length:
            raise DataError("an empty dataset does not tell the spec of what scan makes", where=name_of(self.function))
        with in_python(chunk.columns):
            return map_structure(spec_of, advanced(self.function, self.initial, chunk.row(0))[1])

    @property
    def cardinality(self) -> int:
        """That of the elements."""
        return self.inputs[0].cardinality

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return ScanNode(planner.node(self.inputs[0]), self.initial, self.function)


def advanced(function: Callable[[Any, Any], Any], state: Structure, element: Structure) -> tuple[Structure, Structure]:
    """Return the next state and the element that the function of a scan makes.

    Raises:
        DataError: It gives no pair, or a state of another structure, dtype or shape.
    """
    result = function(state, element)
    if not isinstance(result, tuple) or len(result) != 2:
        raise DataError(
            "the function of scan returns a pair", expected="(next state, element)", received=f"{result!r:.80}"
        )
    following = as_element(result[0])
    if skeleton_of(following) != skeleton_of(state):
        raise DataError("the state of scan changes its structure", expected=state, received=following)
    return following, as_element(result[1])


@dataclass(frozen=True)
class ScanNode(Node):
    """Calls a function for one element after the other; its state is the stream's, and what the function made last."""

    upstream: Node
    initial: Structure
    function: Callable[[Any, Any], Any]

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield what the function makes."""
        before, written = state or (None, None)
        carried = self.initial if written is None else pack(skeleton_of(self.initial), list(map(_read, written)))
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (chunk := cursor.piece(_SCAN_ROWS)) is not None:
                made = []
                with RowFailure(f"scan {name_of(self.function)}", chunk) as at, in_python(chunk.columns):
                    for at.index, element in enumerate(chunk.rows()):
                        carried, result = advanced(self.function, carried, element)
                        made.append(result)
                of_rows = Chunk.of_rows(made)
                result = Chunk(of_rows.skeleton, of_rows.columns, chunk.length, chunk.origin)
                yield result, [cursor.state, list(map(_written, flatten(carried)))]
        finally:
            cursor.close()


def _written(value: Any) -> State:
    """Return an array or bytes as JSON values, exactly."""
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode()]
    array = np.asarray(value)
    if array.dtype == object:
        return ["strings", list(array.shape), [base64.b64encode(item).decode() for item in array.reshape(-1)]]
    return [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]


def _read(value: State) -> Any:
    if value[0] == "bytes":
        return base64.b64decode(value[1])
    if value[0] == "strings":
        items = np.empty(len(value[2]), object)
        items[:] = [base64.b64decode(item) for item in value[2]]
        return items.reshape(value[1])
    array = np.frombuffer(base64.b64decode(value[2]), np.dtype(value[0])).reshape(value[1])
    return array[()] if not array.ndim else array


class TakeWhile(Reordering):
    """The elements before the first one for which a predicate is false.

    Args:
        upstream: The elements.
        predicate: Says whether an element still belongs to them.
    """

    name = "take_while"
    is_light = False

    def __init__(self, upstream: Operation, predicate: Callable[..., Any]) -> None:
        super().__init__(upstream)
        self.predicate = predicate

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing."""
        return 0 if self.inputs[0].cardinality == 0 else UNKNOWN_CARDINALITY

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return TakeWhileNode(planner.node(self.inputs[0]), self.predicate)


@dataclass(frozen=True)
class TakeWhileNode(Node):
    """Stops at the first element that a predicate refuses; its state is the stream's, and whether that came."""

    upstream: Node
    predicate: Callable[..., Any]

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements before it."""
        before, is_over = state or (None, False)
        if is_over:
            return
        cursor = Cursor(self.upstream, before, epoch)
        try:
            while (chunk := cursor.piece(_SCAN_ROWS)) is not None:
                count = self._count(chunk)
                if count:
                    yield chunk.cut(0, count), [cursor.state, count < chunk.length]
                if count < chunk.length:
                    return
        finally:
            cursor.close()

    def _count(self, chunk: Chunk) -> int:
        """Return how many of the first elements the predicate accepts."""

        with RowFailure(f"take_while {name_of(self.predicate)}", chunk) as at, in_python(chunk.columns):
            for at.index, element in enumerate(chunk.rows()):
                if not as_answer(call(self.predicate, element)):
                    return at.index
        return chunk.length


class Unique(Reordering):
    """The elements without those that came before.

    Args:
        upstream: The elements: one number, string or array of them each.
    """

    name = "unique"

    @property
    def cardinality(self) -> int:
        """Unknown, unless there is nothing."""
        return 0 if self.inputs[0].cardinality == 0 else UNKNOWN_CARDINALITY

    def lower(self, planner: Planner) -> Lowered:
        """Return the stage."""
        return UniqueNode(planner.node(self.inputs[0]))


@dataclass(frozen=True)
class UniqueNode(Node):
    """Drops elements that came before; its state is the number of elements that were read, which are read again."""

    upstream: Node

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the elements that are new."""
        again = state or 0
        read = 0
        seen: set[Any] = set()
        cursor = Cursor(self.upstream, None, epoch)
        try:
            while (chunk := cursor.piece(again - read if read < again else None)) is not None:
                mask = _new(chunk, seen)
                read += chunk.length
                if read > again and mask.any():
                    yield chunk.filter(mask), read
        finally:
            cursor.close()


def _new(chunk: Chunk, seen: set[Any]) -> Any:
    """Return which elements were not seen before, and note them all.

    Raises:
        DataError: They have several components.
    """
    if len(chunk.columns) != 1:
        raise DataError(
            "unique compares elements of one component",
            received=f"{len(chunk.columns)} components",
            fix="map to one component first",
        )
    values = rows_of(chunk.columns[0])
    column = chunk.columns[0]
    if isinstance(column, np.ndarray) and column.ndim == 1:
        values = column.tolist()
    mask = np.zeros(chunk.length, bool)
    for index, value in enumerate(values):
        identity = _identity(value)
        if identity not in seen:
            seen.add(identity)
            mask[index] = True
    return mask


def _identity(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    content = tuple(value.reshape(-1).tolist()) if value.dtype == object else value.tobytes()
    return value.dtype.str, value.shape, content
