"""Objects with a length and rows by index as a source: datasets of Grain, PyTorch, ArrayRecord, h5py and their like."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError, digest_json
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array
from mainstay.data.functions.function import RowFailure
from mainstay.data.snapshots.fingerprints import digest_chunk
from mainstay.data.sources.elements import Promise, empty_chunk, leaf_of, located, promise_of
from mainstay.data.sources.source import RandomAccess
from mainstay.data.specs import relax, spec_of, spec_of_chunk
from mainstay.data.structures import Structure, describe, map_structure

_SAMPLES = 3


class SequenceSource(RandomAccess):
    """The rows of an object, fetched by index on several threads.

    Args:
        rows: The object: `__len__`, and `__getitem__` with whole numbers; `__getitems__` with a list of them is used
            where it is there, and slices where it is an array on disk (with `shape` and `dtype`).
        specs: The specs of the rows; None takes them from a few rows.
        thread_safe: Whether several threads may fetch rows at a time.

    Raises:
        ArgumentError: The object has no length or no rows by index, or a length without end.
    """

    def __init__(self, rows: Any, specs: Structure | None = None, *, thread_safe: bool = True) -> None:
        self.name = type(rows).__name__
        if not hasattr(rows, "__getitem__") or not hasattr(rows, "__len__"):
            raise ArgumentError(
                "rows are fetched by index from an object that has a length",
                where="from_source",
                expected="an object with __len__ and __getitem__",
                received=self.name,
                fix="use from_generator(lambda: source) for what can only be iterated",
            )
        self._rows, self._thread_safe = rows, thread_safe
        self._length = len(rows)
        if self._length >= sys.maxsize // 2:
            raise ArgumentError(
                "the object says that it has no end",
                where=self.name,
                received=f"{self._length} rows",
                fix="hand over the object that is not yet repeated, and call repeat() on the dataset",
            )
        self._declared = None if specs is None else Promise(specs, converts=True)
        self._found: Promise | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    @property
    def _promise(self) -> Promise:
        if self._declared is not None:
            return self._declared
        if self._found is None:
            self._found = self._look()
        return self._found

    def _look(self) -> Promise:
        if not self._length:
            raise ArgumentError(
                "what the rows look like is not known: there is none", where=self.name, fix="say it with element_spec"
            )
        if self._is_array:
            return Promise(spec_of_chunk(self._slice(0, 1)))
        places = sorted({0, self._length // 2, self._length - 1})[:_SAMPLES]
        rows = self._fetch(places)
        first = promise_of(rows[0])
        specs = first.specs
        for place, row in zip(places[1:], rows[1:], strict=True):
            with contextlib.suppress(ArgumentError, DataError):
                specs = map_structure(relax, specs, map_structure(lambda value: spec_of(leaf_of(value)), row))
                continue
            self._refuse(row, place, first.specs)
        return Promise(specs)

    def _refuse(self, row: Structure, place: int, specs: Structure) -> None:
        found = map_structure(lambda value: spec_of(leaf_of(value)), row)
        raise DataError(
            "the rows are not all of one structure, dtype and number of axes",
            where=self._describe(place),
            expected=f"{specs}, as row 0",
            received=f"{found} in {describe(row)}",
            fix="let every row have the same structure and dtypes",
        )

    @property
    def spec(self) -> Structure:
        """What was declared, or what the first, a middle and the last row have in common."""
        return self._promise.specs

    def __len__(self) -> int:
        return self._length

    @property
    def row_bytes(self) -> int:
        """About the size of a row."""
        return super().row_bytes if self._is_array else max(1, self.span(0, min(self._length, 1)).nbytes)

    @property
    def _is_array(self) -> bool:
        """Whether slices of it are arrays: h5py, zarr."""
        shape = getattr(self._rows, "shape", None)
        return isinstance(shape, tuple) and bool(shape) and hasattr(self._rows, "dtype")

    def span(self, start: int, stop: int) -> Chunk:
        """Return the rows from `start` to `stop`."""
        return self._slice(start, stop) if self._is_array else self.load(np.arange(start, stop, dtype=np.int64))

    def _slice(self, start: int, stop: int) -> Chunk:
        with self._lock if not self._thread_safe else contextlib.nullcontext():
            array = leaf_of(self._rows[start:stop])
        return Chunk(0, (array,), stop - start, Origin(self._describe, range(start, stop)))

    def load(self, indices: Array) -> Chunk:
        """Return the rows at some indices."""
        if self._is_array:
            return self._gather(indices)
        if not len(indices):
            return empty_chunk(self.spec)
        places = indices.tolist()
        origin = Origin(self._describe, indices)
        rows = self._fetch(places)
        picked = []
        for place, row in zip(places, rows, strict=True):
            try:
                picked.append(self._promise.pick(row))
            except DataError as error:
                raise self._advised(located(error, self._describe(place)), row) from error
        try:
            return self._promise.chunk(picked, origin)
        except DataError as error:
            raise self._advised(error, next((row for row in rows if row is None), ())) from error

    def _advised(self, error: DataError, row: Structure) -> DataError:
        fix = error.fix
        if row is None:
            fix = "leave such rows out before: Grain's filter, for one, leaves None in their place; filter here instead"
        elif fix and self._declared is None:
            fix = "say what the rows look like with element_spec, with None for an axis whose length varies"
        return DataError(error.summary, where=error.where, expected=error.expected, received=error.received, fix=fix)

    def _gather(self, indices: Array) -> Chunk:
        """Return rows of an array on disk: it is asked for each of them once and in rising order, as HDF5 demands."""
        unique, inverse = np.unique(indices, return_inverse=True)
        with self._lock if not self._thread_safe else contextlib.nullcontext():
            array = leaf_of(self._rows[unique.tolist()])
        return Chunk(0, (array[inverse],), len(indices), Origin(self._describe, indices))

    def _fetch(self, places: list[int]) -> Sequence[Structure]:
        with self._lock if not self._thread_safe else contextlib.nullcontext():
            many = getattr(self._rows, "__getitems__", None)
            if callable(many):
                rows: Sequence[Structure] = many(places)
                if len(rows) != len(places):
                    raise DataError(
                        "__getitems__ gave another number of rows than it was asked for",
                        where=self.name,
                        expected=len(places),
                        received=len(rows),
                    )
                return rows
            with RowFailure("fetching a row", self._places(places)) as at:
                return [self._row(place) for at.index, place in enumerate(places)]

    def _places(self, places: list[int]) -> Chunk:
        return Chunk(None, (), len(places), Origin(self._describe, np.asarray(places)))

    def _row(self, place: int) -> Structure:
        try:
            return self._rows[place]
        except IndexError as error:
            raise DataError(
                "the object has fewer rows than its length says",
                where=self._describe(place),
                expected=f"{self._length} rows",
                received=f"IndexError: {error}",
            ) from error

    def _describe(self, index: int) -> str:
        return f"row {index} of the {self.name}"

    def fingerprint(self) -> Any:
        """The type and the length of the object."""
        return ["source", self.name, self._length]

    def content(self) -> Any:
        """The digest of the rows, where the object holds them in memory.

        Raises:
            ArgumentError: It does not.
        """
        if not isinstance(self._rows, (list, tuple, range)):
            raise ArgumentError(
                "it cannot be known whether the rows of an object have changed",
                where=self.name,
                fix="name the content yourself: cache(path, key=…), with another key when the rows change",
            )
        chunk = self.span(0, self._length) if self._length else None
        return [*self.fingerprint(), None if chunk is None else digest_json(digest_chunk(chunk))]
