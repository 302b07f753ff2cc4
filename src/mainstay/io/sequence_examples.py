"""tf.SequenceExamples to columns: the context as an Example's features, and every list of features step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.io.binary_columns import binary_column, is_binary, to_objects
from mainstay.io.example_assembly import assemble
from mainstay.io.example_features import (
    BYTES,
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    VarLenFeature,
    kind_of,
)
from mainstay.io.example_native import native_parser, parse_native
from mainstay.io.example_numpy import parse_numpy
from mainstay.io.example_parsing import parse_example
from mainstay.io.example_plan import Place, fill_value, malformed, plan_examples, shape_of
from mainstay.io.example_wire import MalformedError, read_fields
from mainstay.io.example_writing import encode_varint
from mainstay.io.ragged import Ragged

_SIZED_1, _SIZED_2 = 10, 18


def parse_sequence_example(
    serialized: Any,
    context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """Parse many serialized tf.SequenceExamples.

    Args:
        serialized: The examples: a list or a one-dimensional array of ``bytes``, or an Arrow array of bytes.
        context_features: A specification for each feature of the context, as for `parse_example`.
        sequence_features: A specification for each list of features: `FixedLenSequenceFeature`, whose `shape` is that
            of one step, and whose `allow_missing` says whether the list may be missing; `VarLenFeature`; or
            `RaggedFeature` without partitions.

    Returns:
        The columns of the context; those of the lists, ``[n, most steps, *shape]`` filled up at the end, or a `Ragged`
        of a `Ragged`: examples, steps, values; and the number of steps of each list in each example, ``[n]`` int64.

    Raises:
        ArgumentError: A specification is wrong, or there is none.
        DataError: A record is malformed or does not have what is asked for; `where` names the step too.
    """
    if not context_features and not sequence_features:
        raise ArgumentError("there is nothing to parse", where="features", fix="name features of the context or lists")
    column = binary_column(serialized, where="serialized")
    # Field 1 of both messages is a Features message, and an Example skips the other.
    context = parse_example(column, context_features) if context_features else {}
    columns, steps = {}, {}
    if sequence_features:
        records = column.to_pylist()
        lists = [_read_lists(record, row) for row, record in enumerate(records)]
        for key, spec in sequence_features.items():
            parsed = _parse_list(key, spec, [found.get(key.encode()) for found in lists])
            steps[key] = parsed.row_lengths()
            columns[key] = _filled(key, spec, parsed)
    return context, columns, steps


def parse_single_sequence_example(
    serialized: bytes,
    context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse one serialized tf.SequenceExample.

    Args:
        serialized: The example.
        context_features: A specification for each feature of the context.
        sequence_features: A specification for each list of features.

    Returns:
        The context and the lists, as `parse_sequence_example` returns them, without the first axis.

    Raises:
        ArgumentError: A specification is wrong, or there is none.
        DataError: The record is malformed or does not have what is asked for.
    """
    context, lists, _ = parse_sequence_example([serialized], context_features, sequence_features)
    first = {key: column[0] for key, column in context.items()}
    return (
        {key: value.as_py() if hasattr(value, "as_py") else value for key, value in first.items()},
        {key: column[0] for key, column in lists.items()},
    )


@dataclass(frozen=True)
class _StepPlace(Place):
    """Where the steps of a list come from: the example and the step of each."""

    rows: np.ndarray = None  # type: ignore[assignment]
    steps: np.ndarray = None  # type: ignore[assignment]

    def of(self, row: int, name: bytes | str | None = None) -> str:
        """Return the words for a step, and for its list."""
        shown = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
        place = f"record {self.rows[row]}, step {self.steps[row]}"
        return place if shown is None else f"{place}, feature {shown!r}"


def _read_lists(record: bytes, row: int) -> dict[bytes, list[bytes]]:
    """Return the serialized Features of each list of an example."""
    found: dict[bytes, list[bytes]] = {}
    try:
        for tag, start, end in read_fields(record, 0, len(record)):
            if tag != _SIZED_2:
                continue
            for inner, entry_start, entry_end in read_fields(record, start, end):
                if inner != _SIZED_1:
                    continue
                key, steps = b"", []
                for field, field_start, field_end in read_fields(record, entry_start, entry_end):
                    if field == _SIZED_1:
                        key = record[field_start:field_end]
                    elif field == _SIZED_2:
                        content = read_fields(record, field_start, field_end)
                        steps += [record[at:stop] for step, at, stop in content if step == _SIZED_1]
                found[key] = steps
    except MalformedError as error:
        wrong = malformed(Place().of(row), len(record))
        raise DataError(
            "these bytes are not a tf.SequenceExample", where=wrong.where, received=wrong.received
        ) from error
    return found


def _parse_list(key: str, spec: Any, lists: list[list[bytes] | None]) -> Ragged:
    """Return the steps of one list in every example: rows are examples, values are what a step has."""
    where = f"sequence_features[{key!r}]"
    if isinstance(spec, FixedLenSequenceFeature):
        step: Any = FixedLenFeature(spec.shape, spec.dtype)
        missing = [row for row, steps in enumerate(lists) if steps is None]
        if missing and not spec.allow_missing:
            raise DataError(
                "the list of features is missing",
                where=Place().of(missing[0], key),
                fix="say allow_missing=True where it may be",
            )
    elif isinstance(spec, VarLenFeature) or (isinstance(spec, RaggedFeature) and not spec.partitions):
        step = spec
        if isinstance(spec, RaggedFeature) and spec.value_key is not None:
            raise ArgumentError("a list of features has its own key", where=f"{where}.value_key")
    else:
        raise ArgumentError(
            "this does not specify a list of features",
            where=where,
            expected="FixedLenSequenceFeature, VarLenFeature, or RaggedFeature without partitions",
            received=repr(spec),
        )
    counts = [len(steps or ()) for steps in lists]
    splits = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(counts, out=splits[1:])
    rows = np.repeat(np.arange(len(lists)), counts)
    place = _StepPlace(rows=rows, steps=np.arange(splits[-1]) - splits[rows])
    name = key.encode()
    examples = [_one_feature(name, feature) for steps in lists for feature in steps or ()]
    data = np.frombuffer(b"".join(examples), np.uint8)
    lengths = np.array([len(example) for example in examples], np.int64)
    plan, parse = plan_examples({key: step}), native_parser()
    spans = np.cumsum(lengths) - lengths, lengths
    columns = parse_numpy(data, spans, plan, place) if parse is None else parse_native(parse, data, spans, plan, place)
    return Ragged(assemble(plan, columns, place)[key], splits)


def _one_feature(key: bytes, feature: bytes) -> bytes:
    """Return the Example that has just this feature."""
    entry = b"\x0a" + encode_varint(len(key)) + key + b"\x12" + encode_varint(len(feature)) + feature
    features = b"\x0a" + encode_varint(len(entry)) + entry
    return b"\x0a" + encode_varint(len(features)) + features


def _filled(key: str, spec: Any, column: Ragged) -> Any:
    if not isinstance(spec, FixedLenSequenceFeature):
        return column
    kind = kind_of(spec.dtype)
    values, shape = column.values, shape_of(spec.shape, key)
    if kind == BYTES:
        values = to_objects(values) if is_binary(values) else values
    dense = np.full(
        (len(column), int(column.row_lengths().max(initial=0)), *shape), fill_value(spec, kind, key), values.dtype
    )
    rows = np.repeat(np.arange(len(column)), column.row_lengths())
    dense[rows, np.arange(len(values)) - column.splits[rows]] = values
    return dense
