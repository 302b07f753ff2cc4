"""The row store: elements that were made once, kept in memory by index, whatever order they were asked for in."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from mainstay.core import DataError
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array, Column, join, num_bytes, read_only, take
from mainstay.data.snapshots.gathering import gather
from mainstay.data.structures import Structure, describe

_MISSING, _BEING_MADE, _THERE = 0, 1, 2


class RowStore:
    """Keeps what a function makes of each index, so that no index is ever made twice, on however many threads.

    Args:
        length: How many indices there are.
    """

    def __init__(self, length: int) -> None:
        self._status = np.zeros(length, np.uint8)
        self._left = length
        self._condition = threading.Condition()
        self._skeleton: Structure = None
        self._columns: list[_Dense | _Parts] | None = None
        self._whole: Chunk | None = None

    @property
    def is_full(self) -> bool:
        """Whether every element is there."""
        return self._whole is not None

    @property
    def nbytes(self) -> int:
        """About how many bytes of memory the elements take."""
        whole, columns = self._whole, self._columns
        return whole.nbytes if whole is not None else sum(column.nbytes for column in columns or ())

    def load(self, indices: Array, make: Callable[[Array], Chunk]) -> Chunk:
        """Return the elements at some indices, read-only.

        Args:
            indices: int64 ``[n]``.
            make: Makes the elements at indices that are not there yet; what it raises is raised, and they stay so.
        """
        if self._whole is not None:
            return _addressed(self._whole.take(indices), indices)
        if not len(indices):
            return make(indices)
        wanted = indices if len(np.unique(indices)) == len(indices) else np.unique(indices)
        while True:
            claimed = self._claim(wanted)
            if len(claimed):
                made = self._make(claimed, make)
                if len(claimed) == len(indices):
                    return made
            if self._wait(wanted):
                return self._pick(indices)

    def span(self, start: int, stop: int, make: Callable[[Array], Chunk]) -> Chunk:
        """Return the elements from `start` to `stop`; see `load`."""
        if self._whole is not None:
            return _addressed(self._whole.cut(start, stop), range(start, stop))
        return self.load(np.arange(start, stop, dtype=np.int64), make)

    def _claim(self, wanted: Array) -> Array:
        with self._condition:
            claimed: Array = wanted[self._status[wanted] == _MISSING]
            self._status[claimed] = _BEING_MADE
        return claimed

    def _make(self, claimed: Array, make: Callable[[Array], Chunk]) -> Chunk:
        status = _MISSING
        try:
            chunk = make(claimed).frozen()
            with self._condition:
                self._put(claimed, chunk)
            status = _THERE
            return chunk
        finally:
            with self._condition:
                self._status[claimed] = status
                if status == _THERE:
                    self._left -= len(claimed)
                    if not self._left:
                        self._finish()
                self._condition.notify_all()

    def _wait(self, wanted: Array) -> bool:
        """Wait for what other threads make; return whether everything is there."""
        with self._condition:
            self._condition.wait_for(lambda: not (self._status[wanted] == _BEING_MADE).any())
            return bool((self._status[wanted] == _THERE).all())

    def _put(self, indices: Array, chunk: Chunk) -> None:
        if chunk.length != len(indices):
            raise DataError("not every element became one", expected=len(indices), received=chunk.length)
        if self._columns is None:
            self._skeleton = chunk.skeleton
            self._columns = [_holder(column, len(self._status)) for column in chunk.columns]
        if chunk.skeleton != self._skeleton:
            raise DataError(
                "the structure changes between elements",
                where=chunk.address(0),
                expected=f"{self._skeleton}, as the first ones",
                received=describe(chunk.structure),
            )
        for number, column in enumerate(chunk.columns):
            holder = self._columns[number]
            if isinstance(holder, _Dense) and not holder.admits(column):
                there = np.flatnonzero(self._status == _THERE)
                parts = _Parts(len(self._status))
                parts.put(there, holder.take(there))
                holder = self._columns[number] = parts
            holder.put(indices, column)

    def _pick(self, indices: Array) -> Chunk:
        with self._condition:
            if self._whole is not None:
                return _addressed(self._whole.take(indices), indices)
            columns = tuple(column.take(indices) for column in self._columns or ())
            return _addressed(Chunk(self._skeleton, columns, len(indices)), indices)

    def _finish(self) -> None:
        columns = tuple(read_only(column.whole()) for column in self._columns or ())
        self._whole, self._columns = Chunk(self._skeleton, columns, len(self._status)), None


class _Dense:
    """Arrays of one shape, in their place."""

    def __init__(self, length: int, like: Array) -> None:
        self._array = np.empty((length, *like.shape[1:]), like.dtype)

    def admits(self, column: Column) -> bool:
        """Return whether a column fits in."""
        return isinstance(column, np.ndarray) and column.shape[1:] == self._array.shape[1:]

    def put(self, indices: Array, column: Array) -> None:
        if column.dtype != self._array.dtype:
            raise DataError(
                "the dtype changes between elements",
                expected=self._array.dtype,
                received=column.dtype,
                fix="return the same dtype for every element, for instance with a cast",
            )
        self._array[indices] = column

    def take(self, indices: Array) -> Column:
        return self._array.take(indices, axis=0)

    def whole(self) -> Column:
        return self._array

    @property
    def nbytes(self) -> int:
        return num_bytes(self._array)


class _Parts:
    """Columns of any kind, as they came, and where in them each element is."""

    def __init__(self, length: int) -> None:
        self._parts: list[Column] = []
        self._bounds = [0]
        self._place = np.zeros(length, np.int64)

    def put(self, indices: Array, column: Column) -> None:
        if len(indices):
            self._place[indices] = np.arange(self._bounds[-1], self._bounds[-1] + len(indices))
            self._bounds.append(self._bounds[-1] + len(indices))
            self._parts.append(column)

    def take(self, indices: Array) -> Column:
        bounds = np.array(self._bounds, np.int64)
        column, order = gather(bounds, self._place[indices], lambda part, rows: take(self._parts[part], rows), join)
        return column if order is None else take(column, order)

    def whole(self) -> Column:
        return take(join(self._parts), self._place)

    @property
    def nbytes(self) -> int:
        return self._place.nbytes + sum(map(num_bytes, self._parts))


def _holder(column: Column, length: int) -> _Dense | _Parts:
    return _Dense(length, column) if isinstance(column, np.ndarray) else _Parts(length)


def _addressed(chunk: Chunk, indices: Array | range) -> Chunk:
    return Chunk(chunk.skeleton, chunk.columns, chunk.length, Origin(_describe, indices))


def _describe(index: int) -> str:
    return f"element {index} of the cache"
