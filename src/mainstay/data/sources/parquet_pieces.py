"""Row groups that are too large to be decoded at once, piece by piece, from their beginning on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pyarrow as pa

_MOST_GROUPS = 3
_MOST_PASSED = 4


class PieceReader:
    """Gives pieces of row groups, which are mostly asked for one after the other.

    A piece that another thread asks for too early makes the reader pass over those before it: they are kept for the
    threads that are about to ask for them. A piece that is behind makes it begin the row group again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()

    def read(self, group: Hashable, piece: int, begin: Callable[[], Iterator[pa.Table]]) -> pa.Table:
        """Return a piece of a row group.

        Args:
            group: Which row group.
            piece: Which piece of it, from 0.
            begin: Gives all its pieces from the first on.
        """
        with self._lock:
            found = self._groups.setdefault(group, _Group())
            self._groups.move_to_end(group)
            while len(self._groups) > _MOST_GROUPS:
                self._groups.popitem(last=False)
        return found.read(piece, begin)

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]


class _Group:
    """One row group that is being decoded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: Iterator[pa.Table] | None = None
        self._next = 0
        self._passed: OrderedDict[int, pa.Table] = OrderedDict()

    def read(self, piece: int, begin: Callable[[], Iterator[pa.Table]]) -> pa.Table:
        with self._lock:
            if piece in self._passed:
                return self._passed.pop(piece)
            if self._pieces is None or piece < self._next:
                self._pieces, self._next = begin(), 0
                self._passed.clear()
            while True:
                try:
                    table = next(self._pieces)
                except BaseException:
                    self._pieces = None
                    raise
                self._next += 1
                if self._next > piece:
                    return table
                self._passed[self._next - 1] = table
                while len(self._passed) > _MOST_PASSED:
                    self._passed.popitem(last=False)


def pieces_of(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Yield tables of so many rows each, the last one fewer, of batches of any size."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        while held + batch.num_rows >= rows:
            taken = rows - held
            yield pa.Table.from_batches([*waiting, batch.slice(0, taken)])
            batch = batch.slice(taken)
            waiting, held = [], 0
        if batch.num_rows:
            waiting.append(batch)
            held += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)
