"""What is asked of tf.Examples: one specification for each feature, under TensorFlow's names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mainstay.core import ArgumentError

BYTES, FLOAT, INT64 = 1, 2, 3
"""The kinds of a Feature: the numbers of its fields."""
KIND_NAMES = {BYTES: "bytes_list", FLOAT: "float_list", INT64: "int64_list"}
KIND_DTYPES: dict[int, np.dtype] = {BYTES: np.dtype(object), FLOAT: np.dtype(np.float32), INT64: np.dtype(np.int64)}


def kind_of(dtype: Any, *, where: str = "dtype") -> int:
    """Return the kind of list that holds values of a dtype.

    Args:
        dtype: float32, int64 or string: as NumPy's, by name, ``bytes`` or ``str``, or as an object with a `name`.
        where: The place for an error.

    Raises:
        ArgumentError: A tf.Example has no list of that dtype.
    """
    name = getattr(dtype, "name", dtype)
    if dtype in (bytes, str) or (isinstance(name, str) and name in ("string", "bytes", "object", "str")):
        return BYTES
    try:
        found = np.dtype(name if isinstance(name, str) else dtype)
    except TypeError:
        found = None
    if found == np.float32:
        return FLOAT
    if found == np.int64:
        return INT64
    if found is not None and found.kind in "OSU":
        return BYTES
    raise ArgumentError(
        "a tf.Example holds float32, int64 and strings only",
        where=where,
        expected="float32, int64 or string",
        received=name if found is None else found,
        fix="ask for the dtype that was written, and cast the column",
    )


@dataclass(frozen=True)
class FixedLenFeature:
    """A feature with the same number of values in every example: a dense column ``[n, *shape]``.

    Attributes:
        shape: The shape of one example's values; ``()`` for a single value.
        dtype: float32, int64 or string.
        default_value: What an example without the feature has, of that shape or to be broadcast to it; None where every
            example must have the feature.
    """

    shape: Sequence[int] | int
    dtype: Any
    default_value: Any = None


@dataclass(frozen=True)
class FixedLenSequenceFeature:
    """A feature with a number of entries of one shape: a dense column ``[n, longest, *shape]``, filled up at the end.

    Attributes:
        shape: The shape of one entry.
        dtype: float32, int64 or string.
        allow_missing: Must be True, as for TensorFlow: an example without the feature has no entries.
        default_value: What fills up; 0 or the empty string unless given.
    """

    shape: Sequence[int] | int
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


@dataclass(frozen=True)
class VarLenFeature:
    """A feature with any number of values: a `Ragged` column of ``n`` rows.

    Attributes:
        dtype: float32, int64 or string.
    """

    dtype: Any


@dataclass(frozen=True)
class RaggedFeature:
    """A feature with any number of values, which other features of the example may divide into rows of rows.

    Attributes:
        dtype: float32, int64 or string.
        value_key: The feature of the values; the key under which this specification stands unless given.
        partitions: How the values are divided, the outermost level first: `RaggedFeature.RowSplits` and its siblings.
        row_splits_dtype: int64, or int32: the type of the splits of the column.
    """

    dtype: Any
    value_key: str | None = None
    partitions: Sequence[Any] = ()
    row_splits_dtype: Any = np.int64

    @dataclass(frozen=True)
    class RowSplits:
        """Rows given by where they begin, and at last the number of values: ``[rows + 1]``."""

        key: str

    @dataclass(frozen=True)
    class RowLengths:
        """Rows given by how long they are: ``[rows]``."""

        key: str

    @dataclass(frozen=True)
    class RowStarts:
        """Rows given by where they begin: ``[rows]``."""

        key: str

    @dataclass(frozen=True)
    class RowLimits:
        """Rows given by where they end: ``[rows]``."""

        key: str

    @dataclass(frozen=True)
    class ValueRowIds:
        """Rows given by the row of each value: ``[values]``, never less than the one before."""

        key: str

    @dataclass(frozen=True)
    class UniformRowLength:
        """Rows of one length."""

        length: int

    KEYED: ClassVar[tuple[type, ...]] = (RowSplits, RowLengths, RowStarts, RowLimits, ValueRowIds)


@dataclass(frozen=True)
class SparseFeature:
    """Values with their places, from two or more features: a dense column ``[n, *size]``, 0 or empty where nothing is.

    TensorFlow gives a sparse tensor here. Places outside `size` and places given twice are refused.

    Attributes:
        index_key: The int64 feature of the places, or one for each axis.
        value_key: The feature of the values, as many as there are places.
        dtype: float32, int64 or string.
        size: The length of the column, or the lengths of its axes.
        already_sorted: Accepted for TensorFlow's sake: a dense column needs no order.
    """

    index_key: str | Sequence[str]
    value_key: str
    dtype: Any
    size: int | Sequence[int]
    already_sorted: bool = False
