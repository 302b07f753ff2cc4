"""`Ragged`: rows of different lengths as one column, in two arrays: all values in a row, and where each row begins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import ArgumentError
from mainstay.io.binary_columns import BINARY_LIMIT, binary_column, binary_parts, is_binary, to_objects


@dataclass(frozen=True, eq=False, repr=False)
class Ragged:
    """A column of rows that differ in length: row ``i`` is ``values[splits[i]:splits[i + 1]]``.

    Attributes:
        values: ``[total, ...]``: an array of numbers, an Arrow array of bytes, or another `Ragged` where the rows hold
            rows. Arrays of strings are taken and become an Arrow array.
        splits: ``[rows + 1]`` int64 (int32 is kept): the first is 0, none is less than the one before, and the last is
            ``len(values)``.

    Raises:
        ArgumentError: The splits break their rule.

    >>> column = Ragged(np.array([1, 2, 3]), np.array([0, 2, 2, 3]))
    >>> column
    Ragged([[1, 2], [], [3]], dtype=int64)
    >>> column.to_tensor(default_value=-1).tolist()
    [[1, 2], [-1, -1], [3, -1]]
    """

    values: Any
    splits: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _as_values(self.values))
        splits = np.asarray(self.splits)
        if splits.dtype != np.int32:
            if splits.dtype.kind not in "iu":
                raise ArgumentError("splits are whole numbers", where="Ragged.splits", received=splits.dtype)
            splits = splits.astype(np.int64, copy=False)
        object.__setattr__(self, "splits", splits)
        if splits.ndim != 1 or not len(splits) or splits[0] != 0 or splits[-1] != len(self.values):
            raise ArgumentError(
                "splits begin with 0 and end with the number of values",
                where="Ragged.splits",
                expected=f"[0, ..., {len(self.values)}]",
                received=f"{splits.tolist() if splits.size <= 8 else splits}",
            )
        if (splits[1:] < splits[:-1]).any():
            row = int(np.flatnonzero(splits[1:] < splits[:-1])[0])
            raise ArgumentError(
                "splits never become less", where=f"Ragged.splits[{row + 1}]", received=splits[row : row + 2].tolist()
            )

    @classmethod
    def from_rows(cls, rows: Sequence[Any], dtype: Any = None) -> Ragged:
        """Return the column of the given rows.

        Args:
            rows: One array, list or `Ragged` for each row; those of numbers agree in all axes but the first.
            dtype: The type of the values; needed where every row is empty.

        >>> Ragged.from_rows([[b"a"], [], [b"b", b"c"]]).to_list()
        [[b'a'], [], [b'b', b'c']]
        """
        if len(rows) and isinstance(rows[0], Ragged):
            return cls(Ragged.concatenate(rows), _splits_of([len(row) for row in rows]))
        arrays = [_row_array(row, dtype) for row in rows]
        filled = [array for array in arrays if len(array)]
        if filled:
            values = np.concatenate(filled)
        else:
            inner = arrays[0].shape[1:] if arrays else ()
            values = np.empty((0, *inner), dtype or (arrays[0].dtype if arrays else np.float32))
        return cls(values if dtype is None else values.astype(dtype, copy=False), _splits_of([len(a) for a in arrays]))

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged]) -> Ragged:
        """Return the rows of several columns as one.

        Args:
            parts: At least one column; their values agree in kind and inner shape.
        """
        if not parts:
            raise ArgumentError("there is nothing to concatenate", where="Ragged.concatenate")
        if len(parts) == 1:
            return parts[0]
        values: Any
        if isinstance(parts[0].values, Ragged):
            values = Ragged.concatenate([part.values for part in parts])
        elif is_binary(parts[0].values):
            values = concatenate_binary([part.values for part in parts])
        else:
            values = np.concatenate([part.values for part in parts])
        return cls(values, _splits_of(np.concatenate([part.row_lengths() for part in parts])))

    @property
    def row_splits(self) -> np.ndarray:
        """The splits, by TensorFlow's name for them."""
        return self.splits

    @property
    def flat_values(self) -> Any:
        """The innermost values: an array of numbers or an Arrow array of bytes."""
        return self.values.flat_values if isinstance(self.values, Ragged) else self.values

    @property
    def dtype(self) -> np.dtype:
        """The type of the values; ``object`` for strings."""
        return np.dtype(object) if is_binary(self.flat_values) else self.flat_values.dtype

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The number of rows, None for their length, and the shape of what they hold."""
        inner = () if is_binary(self.values) else self.values.shape[1:]
        return (self.nrows(), None, *inner)

    @property
    def nbytes(self) -> int:
        """The bytes of the values and the splits."""
        return int(self.values.nbytes) + self.splits.nbytes

    def row_lengths(self) -> np.ndarray:
        """Return the length of each row, ``[rows]``."""
        return np.diff(self.splits)

    def nrows(self) -> int:
        """Return the number of rows."""
        return len(self.splits) - 1

    def __len__(self) -> int:
        return self.nrows()

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: Any) -> Any:
        """Return one row as an array, or several as a `Ragged`.

        Args:
            rows: A number; or a slice (of step 1: a view), or an array of numbers or of bools, to pick rows.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                return self.take(np.arange(start, stop, step))
            stop = max(start, stop)
            first, last = int(self.splits[start]), int(self.splits[stop])
            return Ragged(self.values[first:last], self.splits[start : stop + 1] - self.splits[start])
        if isinstance(rows, int | np.integer):
            row = int(rows) + (len(self) if rows < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(f"row {int(rows)} of {len(self)}")
            values = self.values[int(self.splits[row]) : int(self.splits[row + 1])]
            return to_objects(values) if is_binary(values) else values
        picked = np.asarray(rows)
        return self.take(np.flatnonzero(picked) if picked.dtype == bool else picked)

    def take(self, rows: np.ndarray) -> Ragged:
        """Return the rows of the given numbers, in their order.

        Args:
            rows: ``[n]`` whole numbers; negative ones count from the end.
        """
        rows = np.asarray(rows, np.int64)
        if rows.size and (rows.min() < -len(self) or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        rows = np.where(rows < 0, rows + len(self), rows)
        starts, lengths = self.splits[rows].astype(np.int64), self.row_lengths()[rows]
        splits = _splits_of(lengths, self.splits.dtype)
        index = np.repeat(starts - splits[:-1], lengths) + np.arange(splits[-1])
        picked: Any = self.values.take(pa.array(index)) if is_binary(self.values) else self.values[index]
        return Ragged(picked, splits)

    def to_list(self) -> list[Any]:
        """Return the rows as lists of Python's own values."""
        values = self.values.to_list() if isinstance(self.values, Ragged) else self.values.tolist()
        bounds = self.splits.tolist()
        return [values[start:stop] for start, stop in itertools.pairwise(bounds)]

    def to_tensor(self, default_value: Any = None, shape: Sequence[int | None] | None = None) -> np.ndarray:
        """Return the rows side by side in one array, the short ones filled up.

        Args:
            default_value: What fills up; 0, or ``b""`` for strings, unless given.
            shape: The shape of the result, None where the rows decide; rows, or columns, beyond it are cut off.

        Returns:
            ``[rows, longest, ...]``; strings as an array of objects.

        Raises:
            ArgumentError: The shape has another number of axes, or asks for another inner shape.
        """
        values: Any = self.values
        inner_wanted = [None] if shape is None else list(shape[2:])
        if isinstance(values, Ragged):
            values = values.to_tensor(default_value, None if shape is None else [None, *inner_wanted])
        elif is_binary(values):
            values = to_objects(values)
        wanted = [None] * (1 + values.ndim) if shape is None else list(shape)
        if len(wanted) != 1 + values.ndim or any(
            want not in (None, have) for want, have in zip(wanted[2:], values.shape[1:], strict=False)
        ):
            raise ArgumentError(
                "the shape does not fit the column", where="shape", expected=str(self.shape), received=str(shape)
            )
        lengths = self.row_lengths()
        rows = len(self) if wanted[0] is None else wanted[0]
        width = int(lengths.max(initial=0)) if wanted[1] is None else wanted[1]
        if default_value is None:
            default_value = b"" if values.dtype == object else 0
        dense = np.full((rows, width, *values.shape[1:]), default_value, values.dtype)
        column = np.arange(len(values)) - np.repeat(self.splits[:-1], lengths)
        row = np.repeat(np.arange(len(self)), lengths)
        kept = (column < width) & (row < rows)
        dense[row[kept], column[kept]] = values[kept]
        return dense

    def __repr__(self) -> str:
        shown = self.to_list() if len(self.flat_values) <= 20 and len(self) <= 20 else None
        content = str(shown) if shown is not None else f"<{len(self):,} rows, {len(self.values):,} values>"
        return f"Ragged({content}, dtype={'bytes' if self.dtype == object else self.dtype})"


def concatenate_binary(columns: Sequence[Any]) -> Any:
    """Return several Arrow arrays of bytes as one, with wide offsets where their bytes need them."""
    total = 0
    for column in columns:
        _, bounds = binary_parts(column)
        total += int(bounds[-1]) - int(bounds[0])
    large = total > BINARY_LIMIT or any(pa.types.is_large_binary(column.type) for column in columns)
    kind = pa.large_binary() if large else pa.binary()
    return pa.concat_arrays([column.cast(kind) for column in columns])


def _splits_of(lengths: Any, dtype: Any = np.int64) -> np.ndarray:
    splits = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=splits[1:])
    return splits


def _row_array(row: Any, dtype: Any = None) -> np.ndarray:
    """Return a row as an array; strings as objects, for NumPy's own strings lose the zero bytes at their end."""
    if is_binary(row):
        return to_objects(row)
    if isinstance(row, list | tuple) and any(isinstance(value, bytes | str) for value in row):
        return np.array(row, object)
    array = np.asarray(row)
    if dtype is not None and array.size:
        array = np.asarray(row, dtype)
    return array.astype(object) if array.dtype.kind in "SU" else array


def _as_values(values: Any) -> Any:
    if isinstance(values, Ragged):
        return values
    if is_binary(values) or isinstance(values, pa.ChunkedArray):
        return binary_column(values, where="Ragged.values")
    array = _row_array(values)
    if array.ndim == 0:
        raise ArgumentError("values have at least one axis", where="Ragged.values", received=f"a scalar: {array}")
    return binary_column(array, where="Ragged.values") if array.dtype.kind in "OSU" and array.ndim == 1 else array
