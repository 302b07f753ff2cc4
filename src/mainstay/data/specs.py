"""What the elements of a dataset look like: `TensorSpec` for arrays and strings, `RaggedTensorSpec` for lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from mainstay.core import ArgumentError, TensorSpec
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Column, Loose, Nested
from mainstay.data.structures import Structure, map_structure, pack
from mainstay.io import Ragged

AUTOTUNE = -1
"""Where a number of calls or of buffered elements is asked for: let the engine decide."""
INFINITE_CARDINALITY = -1
"""The cardinality of a dataset without an end."""
UNKNOWN_CARDINALITY = -2
"""The cardinality of a dataset whose length only reading it would tell."""


@dataclass(frozen=True)
class RaggedTensorSpec:
    """The shape and dtype of rows of different lengths, as in `tf.RaggedTensorSpec`.

    Args:
        shape: The length of each axis, the batch first; None for the axes whose length varies.
        dtype: A name of `mainstay.core.DTYPES`.
        ragged_rank: How many axes vary in length.
    """

    shape: tuple[int | None, ...]
    dtype: str
    ragged_rank: int = 1


@dataclass(frozen=True)
class DatasetSpec:
    """The elements of a dataset that is itself an element, as in `tf.data.DatasetSpec`.

    Args:
        element_spec: The specs of its elements in their structure.
        shape: That of the dataset: one, without axes.
        dtype: What stands for no dtype of an array.
    """

    element_spec: Structure
    shape: tuple[int | None, ...] = ()
    dtype: str = "dataset"


Spec: TypeAlias = "TensorSpec | RaggedTensorSpec | DatasetSpec"


def spec_of_rows(column: Column) -> Spec:
    """Return the spec of the elements of a column."""
    if isinstance(column, pa.Array):
        return TensorSpec((), "string")
    if isinstance(column, np.ndarray):
        return TensorSpec(column.shape[1:], column.dtype)
    if isinstance(column, Ragged):
        inner = spec_of_rows(column.values)
        if isinstance(column.values, Ragged):
            rank = 1 + (inner.ragged_rank if isinstance(inner, RaggedTensorSpec) else 0)
            return RaggedTensorSpec((None, *inner.shape), inner.dtype, rank)
        return TensorSpec((None, *inner.shape), inner.dtype)
    return _common(column)


def _common(column: Loose) -> Spec:
    specs = [spec_of(item) for item in column.rows]
    merged = specs[0]
    for spec in specs[1:]:
        merged = relax(merged, spec)
    return merged


def spec_of(value: Any) -> Spec:
    """Return the spec of one array, scalar, string or `Ragged`."""
    if isinstance(value, (bytes, str)):
        return TensorSpec((), "string")
    if isinstance(value, Nested):
        return DatasetSpec(value.element_spec)
    if isinstance(value, Ragged):
        inner = spec_of_rows(value)
        rank = 1 + (inner.ragged_rank if isinstance(inner, RaggedTensorSpec) else 0)
        return RaggedTensorSpec((len(value), *inner.shape), inner.dtype, rank)
    array = np.asarray(value)
    return TensorSpec(array.shape, "string" if array.dtype.kind in "SUO" else array.dtype)


def spec_of_chunk(chunk: Chunk) -> Structure:
    """Return the spec of the elements of a chunk, in their structure."""
    return pack(chunk.skeleton, [spec_of_rows(column) for column in chunk.columns])


def relax(one: Spec, other: Spec) -> Spec:
    """Return a spec that admits what either of two specs admits.

    Raises:
        ArgumentError: They differ in dtype, rank or kind.
    """
    alike = type(one) is type(other) and one.dtype == other.dtype and len(one.shape) == len(other.shape)
    if not alike:
        raise ArgumentError("two specs of elements contradict each other", expected=one, received=other)
    if isinstance(one, DatasetSpec) and isinstance(other, DatasetSpec):
        return DatasetSpec(map_structure(relax, one.element_spec, other.element_spec))
    shape = tuple(a if a == b else None for a, b in zip(one.shape, other.shape, strict=True))
    if isinstance(one, RaggedTensorSpec) and isinstance(other, RaggedTensorSpec):
        return RaggedTensorSpec(shape, one.dtype, max(one.ragged_rank, other.ragged_rank))
    return TensorSpec(shape, one.dtype)


def batched(specs: Structure, size: int | None) -> Structure:
    """Return the specs of batches of elements; `size` is None where the last batch may be shorter."""

    def batch(spec: Spec) -> Spec:
        if isinstance(spec, TensorSpec):
            return TensorSpec((size, *spec.shape), spec.dtype)
        if isinstance(spec, DatasetSpec):
            raise ArgumentError(
                "datasets do not make a batch",
                received=spec,
                fix="batch inside of each one: dataset.flat_map(lambda window: window.batch(size))",
            )
        return RaggedTensorSpec((size, *spec.shape), spec.dtype, spec.ragged_rank + 1)

    return map_structure(batch, specs)


def unbatched(specs: Structure) -> Structure:
    """Return the specs of the rows of batches.

    Raises:
        ArgumentError: An element has no axis to unbatch.
    """

    def rows_of(spec: Spec) -> Spec:
        if not spec.shape:
            raise ArgumentError(
                "an element without axes has no rows", expected="elements that were batched", received=spec
            )
        return TensorSpec(spec.shape[1:], spec.dtype)

    return map_structure(rows_of, specs)
