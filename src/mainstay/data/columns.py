"""Columns: one leaf of many elements, held together; no Python object per element where there is another way.

A column is one of four things. All have the elements along one leading axis.

- a NumPy array ``[n, ...]``: numbers and booleans of one shape; of bytes objects (dtype object) after batching strings;
- an Arrow array of `binary` or `large_binary`: one string per element, or `Spans` where only functions see it;
- a `Ragged`: a list of any length per element;
- a `Loose`: elements of different shapes, such as images before they are resized.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from mainstay.core import DataError
from mainstay.io import Ragged, Spans, to_objects

Array: TypeAlias = np.ndarray[Any, Any]

_OFFSET_LIMIT = 2**31 - 1
_NESTED_BYTES = 64


@dataclass(frozen=True, eq=False)
class Loose:
    """A column of elements whose shapes differ.

    Args:
        rows: One array, string or `Ragged` per element.
    """

    rows: Sequence[Any]

    def __len__(self) -> int:
        return len(self.rows)


class Nested:
    """What a dataset is where it is an element of another one, as after `window`; its column is a `Loose`."""

    @property
    def element_spec(self) -> Any:
        """The specs of its own elements in their structure."""
        raise NotImplementedError

    @property
    def plan(self) -> Any:
        """What it does."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Texts:
    """Batches of strings that are no Python objects yet: they exist between `batch` and the functions right behind it.

    Args:
        values: All strings, one batch after the other: an Arrow array or `Spans`.
        size: How many make a batch.
    """

    values: Any
    size: int

    def __len__(self) -> int:
        return len(self.values) // self.size


Column: TypeAlias = Any
"""An `Array`, an Arrow array of strings, a `Ragged` or a `Loose`; every function here asks which."""


def is_text(column: Column) -> bool:
    """Return whether a column holds one string per element, as an Arrow array."""
    return isinstance(column, pa.Array)


def cut(column: Column, start: int, stop: int) -> Column:
    """Return the elements from `start` to `stop`, without a copy."""
    if isinstance(column, Loose):
        return Loose(column.rows[start:stop])
    return column.slice(start, stop - start) if isinstance(column, pa.Array) else column[start:stop]


def take(column: Column, indices: Array) -> Column:
    """Return the elements at some indices (int64)."""
    if isinstance(column, np.ndarray):
        return column.take(indices, axis=0)
    if isinstance(column, pa.Array):
        return column.take(pa.array(indices))
    if isinstance(column, Loose):
        return Loose([column.rows[index] for index in indices])
    if isinstance(column, Spans):
        return Spans(column.data, column.offsets[indices], column.lengths[indices])
    starts, ends = column.splits[:-1][indices], column.splits[1:][indices]
    lengths = ends - starts
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    flat = np.repeat(starts - splits[:-1], lengths) + np.arange(splits[-1])
    return Ragged(take(column.values, flat), splits)


def join(columns: Sequence[Column]) -> Column:
    """Return columns of one leaf, one after the other.

    Raises:
        DataError: They hold different kinds of values.
    """
    if len(columns) == 1:
        return columns[0]
    if all(isinstance(column, np.ndarray) for column in columns):
        if len({column.dtype for column in columns}) > 1:
            raise DataError(
                "elements of different dtypes come one after the other",
                expected=columns[0].dtype,
                received=next(column.dtype for column in columns if column.dtype != columns[0].dtype),
                fix="let every element have the same dtype, for instance with a cast",
            )
        if len({column.shape[1:] for column in columns}) == 1:
            return np.concatenate(columns)
        return Loose([item for column in columns for item in rows(column)])
    if all(isinstance(column, Spans) and column.data is columns[0].data for column in columns):
        places = ([column.offsets for column in columns], [column.lengths for column in columns])
        return Spans(columns[0].data, *map(np.concatenate, places))
    columns = [column.gathered() if isinstance(column, Spans) else column for column in columns]
    if all(map(_holds_strings, columns)):
        return _join_strings([as_binary(column) for column in columns])
    if all(isinstance(column, Ragged) for column in columns):
        return _join_ragged(columns)
    if any(isinstance(column, Loose) for column in columns):
        return Loose([item for column in columns for item in rows(column)])
    raise DataError(
        "elements of different kinds come one after the other",
        expected=kind_of(columns[0]),
        received=", ".join(sorted({kind_of(column) for column in columns})),
    )


def _holds_strings(column: Column) -> bool:
    return isinstance(column, pa.Array) or (
        isinstance(column, np.ndarray) and column.dtype == object and column.ndim == 1
    )


def _join_strings(columns: list[pa.Array]) -> pa.Array:
    large = any(pa.types.is_large_binary(column.type) for column in columns)
    if large or sum(column.nbytes for column in columns) > _OFFSET_LIMIT:
        columns = [column.cast(pa.large_binary()) for column in columns]
    return pa.concat_arrays(columns)


def _join_ragged(columns: Sequence[Column]) -> Ragged:
    ends = np.cumsum([0, *(column.splits[-1] - column.splits[0] for column in columns)])
    splits = [column.splits[1:] - column.splits[0] + end for column, end in zip(columns, ends[:-1], strict=True)]
    values = [cut(column.values, int(column.splits[0]), int(column.splits[-1])) for column in columns]
    return Ragged(join(values), np.concatenate([np.zeros(1, np.int64), *splits]))


def as_binary(column: Column) -> pa.Array:
    """Return a column of one string per element as an Arrow array.

    Raises:
        DataError: An element is no string.
    """
    if isinstance(column, pa.Array):
        return column
    return strings(list(column) if isinstance(column, np.ndarray) else list(column.rows))


def strings(values: Iterable[Any]) -> pa.Array:
    """Return bytes and text as an Arrow array; text becomes UTF-8.

    Raises:
        DataError: A value is neither.
    """
    items = [value.encode() if isinstance(value, str) else value for value in values]
    try:
        size = sum(map(len, items))
        return pa.array(items, pa.binary() if size < _OFFSET_LIMIT else pa.large_binary())
    except (TypeError, pa.ArrowException) as error:
        wrong = next((item for item in items if not isinstance(item, (bytes, bytearray))), None)
        raise DataError(
            "a column mixes strings with other values", expected="bytes or text", received=repr(wrong)
        ) from error


def row(column: Column, index: int) -> Any:
    """Return one element: an array, a NumPy scalar, bytes, or the `Ragged` of a batch."""
    if isinstance(column, (pa.Array, Spans)):
        return plain(cut(column, index, index + 1))[0].as_py()
    return column.rows[index] if isinstance(column, Loose) else column[index]


def rows(column: Column) -> list[Any]:
    """Return all elements; see `row`."""
    if isinstance(column, (pa.Array, Spans)):
        items: list[Any] = plain(column).to_pylist()
        return items
    if isinstance(column, np.ndarray) and column.ndim > 1:
        # Of a class of its own, an array would be asked for each of its rows in Python.
        arrays, kind = list(column.view(np.ndarray)), type(column)
        return arrays if kind is np.ndarray else [array.view(kind) for array in arrays]
    return list(column.rows) if isinstance(column, Loose) else [column[index] for index in range(len(column))]


def stack(values: Sequence[Any]) -> Column:
    """Return a column of elements: arrays, scalars, strings or `Ragged`.

    Raises:
        DataError: They have different dtypes; the message says which two elements differ.
    """
    first = values[0]
    if isinstance(first, (bytes, str)):
        return strings(values)
    if isinstance(first, (Ragged, Nested)):
        return Loose(list(values))
    if isinstance(first, np.generic) and first.dtype.kind in "biufc" and len(set(map(type, values))) == 1:
        return np.array(values)
    arrays = [np.asarray(value) for value in values]
    dtype, shape = arrays[0].dtype, arrays[0].shape
    wrong = next((index for index, array in enumerate(arrays) if array.dtype != dtype), None)
    if wrong is not None:
        raise DataError(
            "the dtype changes between elements",
            where=f"element {wrong} of {len(values)}",
            expected=f"{dtype}, as the first one",
            received=f"{arrays[wrong].dtype}: {values[wrong]!r:.80}",
            fix="return the same dtype for every element, for instance with a cast",
        )
    if dtype.kind in "SU" and not shape:
        return strings([array.item() for array in arrays])
    if any(array.shape != shape for array in arrays):
        return Loose(arrays)
    return np.stack(arrays)


def num_bytes(column: Column) -> int:
    """Return about how many bytes of memory a column takes."""
    if isinstance(column, Loose):
        return sum(map(_row_bytes, column.rows))
    if isinstance(column, Texts):
        return int(column.values.nbytes)
    if isinstance(column, Ragged):
        return num_bytes(column.values) + column.splits.nbytes
    if isinstance(column, np.ndarray) and column.dtype == object:
        return column.nbytes + sum(map(len, column.reshape(-1)[:64])) * (column.size // max(min(column.size, 64), 1))
    return int(column.nbytes)


def _row_bytes(item: Any) -> int:
    if isinstance(item, Nested):
        return _NESTED_BYTES
    return getattr(item, "nbytes", None) or len(item)


def read_only(column: Column) -> Any:
    """Return a column whose arrays nobody can change: what is kept for later passes stays as it is."""
    if isinstance(column, np.ndarray):
        view = column.view()
        view.flags.writeable = False
        return view
    if isinstance(column, Ragged):
        return Ragged(read_only(column.values), column.splits)
    if isinstance(column, Loose):
        return Loose([read_only(row) if isinstance(row, (np.ndarray, Ragged)) else row for row in column.rows])
    return column


def kind_of(column: Column) -> str:
    """Return what a column holds, for messages."""
    if isinstance(column, (pa.Array, Spans)):
        return "strings"
    if isinstance(column, Ragged):
        return "lists"
    return "arrays of different shapes" if isinstance(column, Loose) else f"{column.dtype}{list(column.shape[1:])}"


def plain(column: Column) -> Column:
    """Return a column that everybody knows: batches of strings become ``[n, size]`` bytes objects, `Spans` an array."""
    if isinstance(column, Spans):
        return column.gathered()
    return group(column.values, column.size) if isinstance(column, Texts) else column


def group(column: Column, size: int) -> Column:
    """Return a column of batches; `size` divides its length.

    Raises:
        DataError: The elements have different shapes; the message says which.
    """
    count = len(column) // size
    if isinstance(column, np.ndarray):
        return column.reshape(count, size, *column.shape[1:])
    if isinstance(column, (pa.Array, Spans)):
        return to_objects(plain(column)).reshape(count, size)
    if isinstance(column, Ragged):
        return Loose([column[start : start + size] for start in range(0, len(column), size)])
    return Loose([_stack_alike(column.rows[start : start + size]) for start in range(0, len(column), size)])


def _stack_alike(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Ragged):
        return Ragged.from_rows(list(values))
    shapes = [np.shape(value) for value in values]
    wrong = next((index for index, shape in enumerate(shapes) if shape != shapes[0]), None)
    if wrong is not None:
        raise DataError(
            "rows of different shapes do not make a batch",
            where=f"row {wrong} of the batch",
            expected=f"{list(shapes[0])}, as row 0",
            received=list(shapes[wrong]),
            fix="bring them to one shape with map, or use padded_batch or ragged_batch",
        )
    return np.stack([np.asarray(value) for value in values])


def ungroup(column: Column) -> Column:
    """Return the rows of a column of batches, one after the other."""
    if isinstance(column, Texts):
        return column.values
    if isinstance(column, np.ndarray) and column.ndim > 1:
        rows_of_all = column.reshape(column.shape[0] * column.shape[1], *column.shape[2:])
        return strings(rows_of_all) if column.dtype == object and column.ndim == 2 else rows_of_all
    if isinstance(column, Ragged):
        return cut(column.values, int(column.splits[0]), int(column.splits[-1]))
    if isinstance(column, Loose):
        return join([item if isinstance(item, Ragged) else _rows_of_batch(item) for item in column.rows])
    raise DataError("elements without axes have no rows to unbatch", fix="unbatch only what was batched")


def _rows_of_batch(batch: Any) -> Column:
    array = np.asarray(batch)
    return strings(array) if array.dtype == object and array.ndim == 1 else array
