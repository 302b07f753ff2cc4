"""A plan: the lists that a set of feature specifications needs from each tf.Example, worked out once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.io.binary_columns import binary_column
from mainstay.io.example_features import (
    BYTES,
    INT64,
    KIND_DTYPES,
    KIND_NAMES,
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
    kind_of,
)

RAGGED, SEQUENCE = -1, -2
"""The widths of fields that take as many values as there are. They differ where a key's last entry has no list: it
empties a ragged field, and leaves a sequence with what an earlier entry had, as TensorFlow has it."""


@dataclass(frozen=True)
class Field:
    """One list of each example.

    Attributes:
        name: The feature's key.
        kind: BYTES, FLOAT or INT64.
        width: How many values every example has, or RAGGED or SEQUENCE.
        default: ``[width]``, for an example without the feature, strings as an Arrow array; None where it must have it.
    """

    name: bytes
    kind: int
    width: int
    default: Any = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What `parse_records` takes from each example, and into which columns it puts it.

    Attributes:
        features: The specifications, by the name of the column.
        fields: The lists that they need, sorted by name.
        number_of: The number of each list among them.
        shapes: The shape of each `FixedLenFeature`, by the name of the column.
    """

    features: Mapping[str, Any]
    fields: tuple[Field, ...]
    number_of: Mapping[bytes, int] = field(repr=False)
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)


@dataclass(frozen=True)
class Place:
    """Where the records of a parse come from, for its errors.

    Attributes:
        source: Such as the path of a file.
        first: The number of the first record.
    """

    source: str | None = None
    first: int = 0

    def of(self, row: int, name: bytes | str | None = None) -> str:
        """Return the words for a record of the parse, and for a feature of it."""
        shown = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
        parts = [self.source, f"record {self.first + row}", None if shown is None else f"feature {shown!r}"]
        return ", ".join(part for part in parts if part is not None)


class Outcome:
    """What a record of a parse can be; the numbers are those of the C library."""

    DONE, MALFORMED, KIND, COUNT, MISSING, ROOM = range(6)


def plan_examples(features: Mapping[str, Any]) -> Plan:
    """Work out which lists a set of feature specifications needs.

    Args:
        features: A specification for each column: `FixedLenFeature`, `VarLenFeature`, `RaggedFeature`,
            `FixedLenSequenceFeature` or `SparseFeature`.

    Raises:
        ArgumentError: There is none, one of them is wrong, or two want one feature in two ways.
    """
    if not isinstance(features, Mapping) or not features:
        raise ArgumentError(
            "there is nothing to parse", where="features", expected="a dict of specifications", received=repr(features)
        )
    fields: dict[bytes, Field] = {}
    for key, spec in features.items():
        for wanted in _fields_of(key, spec, f"features[{key!r}]"):
            known = fields.setdefault(wanted.name, wanted)
            if (known.kind, known.width) != (wanted.kind, wanted.width):
                raise ArgumentError(
                    f"two specifications want the feature {wanted.name.decode()!r} in different ways",
                    where=f"features[{key!r}]",
                    expected=describe(known),
                    received=describe(wanted),
                )
    ordered = tuple(fields[name] for name in sorted(fields))
    numbers = {wanted.name: number for number, wanted in enumerate(ordered)}
    fixed = {key: spec for key, spec in features.items() if isinstance(spec, FixedLenFeature)}
    return Plan(dict(features), ordered, numbers, {key: shape_of(spec.shape, key) for key, spec in fixed.items()})


def describe(wanted: Field) -> str:
    """Return what a field wants, in a few words."""
    kind = KIND_NAMES[wanted.kind]
    if wanted.width < 0:
        return f"{kind} of any length"
    return f"{kind} of {wanted.width} value{'' if wanted.width == 1 else 's'}"


def failure(wanted: Field, outcome: int, where: str, found: int, count: int) -> DataError:
    """Return the error for a feature of a record."""
    if outcome == Outcome.KIND:
        return DataError(
            "the feature has values of another kind",
            where=where,
            expected=KIND_NAMES[wanted.kind],
            received=KIND_NAMES.get(found, "no list"),
            fix=f"ask for the dtype that was written, {KIND_DTYPES[found]}" if found != BYTES else "ask for strings",
        )
    if outcome == Outcome.COUNT:
        return DataError(
            "the feature has another number of values",
            where=where,
            expected=wanted.width,
            received=count,
            fix="ask for another shape, or for a VarLenFeature",
        )
    return DataError(
        "the feature is missing and has no default",
        where=where,
        expected=describe(wanted),
        received="no such feature, or one without a list",
        fix="give the FixedLenFeature a default_value, or ask for a VarLenFeature",
    )


def malformed(where: str, size: int) -> DataError:
    """Return the error for bytes that are no tf.Example."""
    return DataError("these bytes are not a tf.Example", where=where, received=f"{size:,} bytes")


def shape_of(shape: Any, where: str) -> tuple[int, ...]:
    """Return a shape as a tuple of whole numbers that are not negative."""
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    for size in sizes:
        if not isinstance(size, int | np.integer) or size < 0:
            raise ArgumentError(
                "the shape of a feature is known in all axes",
                where=f"{where}.shape",
                received=repr(shape),
                fix="take a FixedLenSequenceFeature or a VarLenFeature where the length is open",
            )
    return tuple(int(size) for size in sizes)


def fill_value(spec: FixedLenSequenceFeature, kind: int, where: str) -> Any:
    """Return the one value that fills up the rows of a sequence."""
    if spec.default_value is None:
        return b"" if kind == BYTES else 0
    given = _default(spec.default_value, kind, (), where)
    return given[0].as_py() if kind == BYTES else given[0]


def _fields_of(key: str, spec: Any, where: str) -> Sequence[Field]:
    if isinstance(spec, FixedLenFeature):
        kind, shape = kind_of(spec.dtype, where=f"{where}.dtype"), shape_of(spec.shape, where)
        default = None if spec.default_value is None else _default(spec.default_value, kind, shape, where)
        return [Field(key.encode(), kind, math.prod(shape), default)]
    if isinstance(spec, VarLenFeature):
        return [Field(key.encode(), kind_of(spec.dtype, where=f"{where}.dtype"), RAGGED)]
    if isinstance(spec, FixedLenSequenceFeature):
        return [_sequence_field(key, spec, where)]
    if isinstance(spec, RaggedFeature):
        return _ragged_fields(key, spec, where)
    if isinstance(spec, SparseFeature):
        keys = [spec.index_key] if isinstance(spec.index_key, str) else list(spec.index_key)
        if len(keys) != len(shape_of(spec.size, where)):
            raise ArgumentError(
                "there is one index_key for each axis of size", where=where, received=f"{keys}, {spec.size}"
            )
        value = Field(spec.value_key.encode(), kind_of(spec.dtype, where=f"{where}.dtype"), RAGGED)
        return [value, *(Field(index.encode(), INT64, RAGGED) for index in keys)]
    raise ArgumentError(
        "this is not a feature specification",
        where=where,
        expected="FixedLenFeature, VarLenFeature, RaggedFeature, FixedLenSequenceFeature or SparseFeature",
        received=repr(spec),
    )


def _sequence_field(key: str, spec: FixedLenSequenceFeature, where: str) -> Field:
    if not spec.allow_missing:
        raise ArgumentError(
            "a sequence of no fixed length may be missing",
            where=f"{where}.allow_missing",
            expected=True,
            received=False,
        )
    if math.prod(shape_of(spec.shape, where)) == 0:
        raise ArgumentError("an entry of a sequence holds no value", where=f"{where}.shape", received=spec.shape)
    kind = kind_of(spec.dtype, where=f"{where}.dtype")
    fill_value(spec, kind, where)
    return Field(key.encode(), kind, SEQUENCE)


def _ragged_fields(key: str, spec: RaggedFeature, where: str) -> Sequence[Field]:
    name = key if spec.value_key is None else spec.value_key
    fields = [Field(name.encode(), kind_of(spec.dtype, where=f"{where}.dtype"), RAGGED)]
    if np.dtype(getattr(spec.row_splits_dtype, "name", spec.row_splits_dtype)) not in (np.int32, np.int64):
        raise ArgumentError(
            "splits are int32 or int64", where=f"{where}.row_splits_dtype", received=spec.row_splits_dtype
        )
    for partition in spec.partitions:
        if isinstance(partition, RaggedFeature.KEYED):
            fields.append(Field(partition.key.encode(), INT64, RAGGED))  # type: ignore[attr-defined]
        elif not isinstance(partition, RaggedFeature.UniformRowLength) or partition.length < 1:
            raise ArgumentError(
                "this does not divide values into rows",
                where=f"{where}.partitions",
                expected="RowSplits, RowLengths, RowStarts, RowLimits, ValueRowIds or UniformRowLength(1 or more)",
                received=repr(partition),
            )
    return fields


def _default(value: Any, kind: int, shape: tuple[int, ...], where: str) -> Any:
    """Return a default as a flat column: numbers, or an Arrow array of bytes."""
    given = np.asarray(value, object) if kind == BYTES else np.asarray(value)
    size = math.prod(shape)
    try:
        if kind == BYTES:
            flat = np.broadcast_to(given.reshape(shape) if given.size == size else given, shape).ravel()
            return binary_column(flat, where=f"{where}.default_value")
        if not np.can_cast(given.dtype, KIND_DTYPES[kind], "same_kind") or given.dtype.kind == "b":
            raise ValueError
        typed = given.astype(KIND_DTYPES[kind])
        return np.broadcast_to(typed.reshape(shape) if typed.size == size else typed, shape).ravel()
    except ValueError as error:
        raise ArgumentError(
            "the default does not fit the feature",
            where=f"{where}.default_value",
            expected=f"{KIND_DTYPES[kind] if kind != BYTES else 'strings'} of shape {shape}",
            received=repr(value),
        ) from error
