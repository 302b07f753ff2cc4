"""Arrays in memory, or mapped into it, as a source."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array, Column, Loose, stack
from mainstay.data.snapshots.fingerprints import digest_chunk
from mainstay.data.sources.source import RandomAccess
from mainstay.data.specs import spec_of_chunk
from mainstay.data.structures import Structure, leaf_names, map_structure
from mainstay.io import Ragged


class ArraySource(RandomAccess):
    """Rows of arrays; they are read where they lie, and given out read-only.

    Args:
        structure: Arrays, lists, Arrow arrays or `Ragged` with one leading axis of the same length, in any structure.

    Raises:
        ArgumentError: There is no array, one has no axis, or their lengths differ.
    """

    name = "arrays"
    is_light = True

    def __init__(self, structure: Structure) -> None:
        columns = map_structure(as_column, structure)
        names = leaf_names(columns)
        chunk = Chunk.of(columns, length=0)
        if not chunk.columns:
            raise ArgumentError("there is nothing to slice", expected="at least one array", received=repr(structure))
        lengths = [len(column) for column in chunk.columns]
        if len(set(lengths)) > 1:
            raise ArgumentError(
                "the arrays have different numbers of rows",
                expected=f"{lengths[0]} rows in each, as {names[0]}",
                received=", ".join(f"{name}: {length}" for name, length in zip(names, lengths, strict=True)),
            )
        self._chunk = Chunk(chunk.skeleton, chunk.columns, lengths[0]).frozen()

    @property
    def spec(self) -> Structure:
        """The specs of the rows."""
        return spec_of_chunk(self._chunk)

    def __len__(self) -> int:
        return len(self._chunk)

    def load(self, indices: Array) -> Chunk:
        """Return the rows at some indices."""
        return _addressed(self._chunk.take(indices), indices)

    def span(self, start: int, stop: int) -> Chunk:
        """Return the rows from `start` to `stop`, without a copy."""
        return _addressed(self._chunk.cut(start, stop), range(start, stop))

    def fingerprint(self) -> Any:
        """The number of rows and what they are."""
        return ["arrays", len(self), str(self.spec)]

    def content(self) -> Any:
        """The digests of the arrays."""
        return digest_chunk(self._chunk)


def _addressed(chunk: Chunk, indices: Array | range) -> Chunk:
    return Chunk(chunk.skeleton, chunk.columns, len(indices), Origin(_describe, indices))


def _describe(index: int) -> str:
    return f"row {index} of the arrays"


def _number(index: int) -> str:
    return f"element {index} of the range"


def as_column(value: Any) -> Column:
    """Return what a user hands in as a column: an array, a list, an Arrow array, a `Ragged`.

    Raises:
        ArgumentError: It has no leading axis, or its values are no numbers and no strings.
    """
    import pyarrow as pa

    if isinstance(value, (Ragged, Loose)):
        return value
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return _from_arrow(value)
    if isinstance(value, list) and value and isinstance(value[0], (bytes, str)):
        return stack(value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(
            "rows of different lengths do not make an array",
            received=f"{type(value).__name__}: {error}",
            fix="use mainstay.io.Ragged.from_rows for lists of different lengths, or from_generator",
        ) from error
    if array.ndim == 0:
        raise ArgumentError(
            "a value without axes has no rows to slice",
            expected="an array with a leading axis",
            received=repr(value),
            fix="use from_tensors for one element",
        )
    array = as_tensorflow_does(value, array)
    if array.dtype.kind in "SU" or (array.dtype == object and array.ndim == 1):
        return stack(array.tolist()) if array.ndim == 1 and array.size else _bytes_array(array)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16" and array.dtype != object:
        raise ArgumentError(
            "an array holds neither numbers nor strings",
            received=f"dtype {array.dtype}",
            fix="convert it first, timestamps for instance with .astype('int64')",
        )
    return array


def as_tensorflow_does(value: Any, array: Array) -> Array:
    """Return the array of a list of Python's numbers in 32 bits, if they fit, as `tf.constant` has it."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    if type(value) is float and array.dtype == np.float64:
        return array.astype(np.float32)
    if type(value) is int and array.dtype == np.int64:
        narrow = array.astype(np.int32)
        return narrow if np.array_equal(narrow, array) else array
    return array


def _bytes_array(array: Array) -> Array:
    """Return an array of strings as one of bytes objects."""
    flat = [item.encode() if isinstance(item, str) else item for item in array.reshape(-1).tolist()]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)


def _from_arrow(value: Any) -> Column:
    import pyarrow as pa

    array = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        return array.cast(pa.binary())
    if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        return array.cast(pa.large_binary())
    if array.null_count:
        raise ArgumentError("a column has missing values", received=f"{array.null_count} nulls", fix="fill them first")
    numbers: Array = array.to_numpy(zero_copy_only=False)
    return numbers


class RangeSource(RandomAccess):
    """Whole numbers from a start to before a stop, as int64.

    Args:
        start: The first.
        stop: Where it ends; not reached.
        step: From one to the next; not zero.
        dtype: The dtype of the elements.
    """

    name = "range"
    is_light = True

    def __init__(self, start: int, stop: int, step: int, dtype: str = "int64") -> None:
        if step == 0:
            raise ArgumentError("the step of a range is not zero", received=step)
        self._range = range(start, stop, step)
        self._dtype = np.dtype(dtype)

    @property
    def spec(self) -> Structure:
        """One number."""
        from mainstay.core import TensorSpec

        return TensorSpec((), self._dtype)

    def __len__(self) -> int:
        return len(self._range)

    def load(self, indices: Array) -> Chunk:
        """Return the numbers at some indices."""
        numbers = indices * self._range.step + self._range.start
        return Chunk(0, (numbers.astype(self._dtype, copy=False),), len(indices), Origin(_number, indices))

    @property
    def row_bytes(self) -> int:
        """The size of a number."""
        return self._dtype.itemsize

    def fingerprint(self) -> Any:
        """The range."""
        return ["range", self._range.start, self._range.stop, self._range.step, self._dtype.name]
