"""tf.Examples to columns: `parse_example` for many, `parse_single_example` for one, `parse_records` for a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.io.binary_columns import binary_column, binary_parts
from mainstay.io.example_assembly import assemble, assemble_one
from mainstay.io.example_features import FixedLenSequenceFeature, RaggedFeature
from mainstay.io.example_native import native_parser, parse_native, parse_one_native
from mainstay.io.example_numpy import parse_numpy
from mainstay.io.example_plan import Place, Plan, plan_examples
from mainstay.io.spans import Spans
from mainstay.io.staging import host_function


def sequences_in(_: Any, features: Any) -> frozenset[str]:
    """Return the names of the features that are as long as the longest of a batch."""
    specs = features.features if isinstance(features, Plan) else features
    return frozenset(name for name, spec in specs.items() if isinstance(spec, FixedLenSequenceFeature))


@dataclass(frozen=True)
class _Known:
    """A plan, and the specifications that it was made of: as long as they are kept, no others have their identities."""

    specs: tuple[Any, ...]
    plan: Plan


_MOST_KNOWN = 64
_known: dict[tuple[Any, ...], _Known] = {}


def _plan_of(features: Any, *, each_alone: bool = False) -> Plan:
    """Return the plan of specifications, which are values: those that were seen lately are not worked out again.

    Args:
        features: The specifications, or their plan.
        each_alone: Whether many records are to give what each gives alone: sequences are not padded.

    Raises:
        TypeError: Sequences of rows, or of records that must have them, are parsed one by one.
    """
    if not isinstance(features, dict):
        is_ready = isinstance(features, Plan) and not (each_alone and sequences_in(None, features))
        return features if is_ready else _planned(features, each_alone=each_alone)
    specs = tuple(features.values())
    key = (each_alone, *features, *map(id, specs))
    found = _known.get(key)
    if found is None:
        found = _Known(specs, _planned(features, each_alone=each_alone))
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = found
    return found.plan


def _planned(features: Any, *, each_alone: bool) -> Plan:
    if not each_alone:
        return plan_examples(features)
    specs = features.features if isinstance(features, Plan) else features
    sequences = {name: spec for name, spec in specs.items() if isinstance(spec, FixedLenSequenceFeature)}
    if any(spec.shape or not spec.allow_missing for spec in sequences.values()):
        raise TypeError("sequences of rows are as long as those of their own record")
    return plan_examples(
        {**specs, **{name: RaggedFeature(spec.dtype, value_key=name) for name, spec in sequences.items()}}
    )


@host_function(is_columnar=True, takes_spans=True, open_results=sequences_in)
def parse_example(serialized: Any, features: Mapping[str, Any] | Plan) -> dict[str, Any]:
    """Parse many serialized tf.Examples into one column for each feature.

    Args:
        serialized: The examples: a list or a one-dimensional array of ``bytes``, an Arrow array of bytes, or `Spans`.
        features: A specification for each column, or what `plan_examples` made of them.

    Returns:
        For a `FixedLenFeature` an array ``[n, *shape]``; of single strings an Arrow array of bytes, of shaped ones an
        array of objects. For a `VarLenFeature` and a `RaggedFeature` a `Ragged`. For a `FixedLenSequenceFeature` an
        array ``[n, longest, *shape]``, for a `SparseFeature` an array ``[n, *size]``.

    Raises:
        ArgumentError: A specification is wrong.
        DataError: A record is malformed, or lacks a feature, or has it with another kind or number of values. `where`
            names the record and the feature.

    The rules are those of ``tf.io.parse_example``: docs/formats/tf-example.md lists them.

    >>> from mainstay.io import FixedLenFeature, serialize_examples
    >>> records = serialize_examples({"age": np.array([31, 64])})
    >>> parse_example(records, {"age": FixedLenFeature((), "int64")})
    {'age': array([31, 64])}
    """
    plan = _plan_of(features)
    if isinstance(serialized, Spans):
        return parse_records(serialized.data, serialized.offsets, serialized.lengths, plan)
    if isinstance(serialized, bytes | bytearray | memoryview | str):
        raise ArgumentError(
            "one record is not a column of records", where="serialized", fix="call parse_single_example for it"
        )
    if isinstance(serialized, np.ndarray) and serialized.ndim != 1:
        raise ArgumentError("records come in one dimension", where="serialized", received=f"shape {serialized.shape}")
    column = binary_column(serialized, where="serialized")
    data, bounds = binary_parts(column)
    starts = bounds.astype(np.int64)
    return parse_records(data, starts[:-1], np.diff(starts), plan)


@host_function(
    many=lambda serialized, features: parse_example(serialized, _plan_of(features, each_alone=True)), takes_spans=True
)
def parse_single_example(serialized: Any, features: Mapping[str, Any] | Plan) -> dict[str, Any]:
    """Parse one serialized tf.Example.

    Args:
        serialized: The example, as ``bytes``.
        features: A specification for each feature, or what `plan_examples` made of them.

    Returns:
        What `parse_example` returns, without the first axis: NumPy scalars and arrays, ``bytes``, arrays of objects for
        strings, and a `Ragged` for a `RaggedFeature` with partitions.

    Raises:
        ArgumentError: A specification is wrong.
        DataError: The record is malformed or does not have what is asked for.
    """
    plan = _plan_of(features)
    data = np.frombuffer(serialized, np.uint8)
    parse = native_parser()
    if parse is None:
        columns = parse_numpy(data, (np.zeros(1, np.int64), np.array([len(data)])), plan, Place())
    else:
        columns = parse_one_native(parse, data, plan)
    return assemble_one(plan, columns)


def parse_records(
    buffer: np.ndarray,
    offsets: np.ndarray,
    lengths: np.ndarray,
    plan: Plan,
    *,
    source: str | None = None,
    first_record: int = 0,
) -> dict[str, Any]:
    """Parse the tf.Examples at given places of a buffer, such as a mapped TFRecord file, without copying them.

    Args:
        buffer: ``[bytes]`` uint8, contiguous.
        offsets: Where the records begin, ``[n]``.
        lengths: How long they are, ``[n]``.
        plan: What `plan_examples` made of the specifications.
        source: Where the records come from, such as a path, for errors.
        first_record: The number of the first of them there.

    Returns:
        The columns, as `parse_example` gives them.

    Raises:
        ArgumentError: A record is not inside the buffer.
        DataError: A record is malformed or does not have what is asked for.
    """
    offsets, lengths = np.ascontiguousarray(offsets, np.int64), np.ascontiguousarray(lengths, np.int64)
    if len(offsets) != len(lengths) or buffer.dtype != np.uint8 or not buffer.flags.c_contiguous:
        raise ArgumentError("records are given by a buffer of bytes, as many offsets, and as many lengths")
    if len(offsets) and ((offsets < 0) | (lengths < 0) | (offsets > len(buffer) - lengths)).any():
        raise ArgumentError("a record is not inside the buffer", received=f"a buffer of {len(buffer):,} bytes")
    place = Place(source, first_record)
    parse = native_parser()
    if parse is None:
        columns = parse_numpy(buffer, (offsets, lengths), plan, place)
    else:
        columns = parse_native(parse, buffer, (offsets, lengths), plan, place)
    return assemble(plan, columns, place)
