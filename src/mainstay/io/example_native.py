"""tf.Examples into columns with the C library: allocates what it fills, and says what it found wrong."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ADDRESS, address_of, native_function
from mainstay.io.binary_columns import BINARY_LIMIT, binary_from_parts, binary_parts
from mainstay.io.example_features import BYTES, KIND_DTYPES
from mainstay.io.example_plan import Field, Outcome, Place, Plan, failure, malformed
from mainstay.io.ragged import Ragged

_INT64 = ctypes.c_int64
# The fields of `example_feature` in examples.h.
_NAME, _NAME_SIZE, _KIND, _WIDTH, _VALUES, _ROOM, _SPLITS, _SEEN, _USED, _ROW, _FOUND, _COUNT, _NEXT = range(13)


def native_parser() -> Callable[..., int] | None:
    """Return the C function that parses, or None where NumPy is to serve."""
    kinds = (ADDRESS, _INT64, ADDRESS, ADDRESS, _INT64, _INT64, ADDRESS, _INT64, ADDRESS, _INT64, ADDRESS)
    return native_function("mainstay_parse_examples", _INT64, *kinds)


def parse_native(
    parse: Callable[..., int], buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan, place: Place
) -> list[Any]:
    """Return one column for each field of a plan.

    Args:
        parse: What `native_parser` gave.
        buffer: ``[bytes]`` uint8.
        spans: Where the records begin, and how long they are, ``[records]`` int64 each, inside the buffer.
        plan: What to take.
        place: Where the records come from, for errors.

    Returns:
        For each field an array ``[records, width]``, or an Arrow array of ``records * width`` strings, or a `Ragged`.

    Raises:
        DataError: A record is malformed, or does not have what is asked for.
    """
    filled = _run(parse, buffer, spans, plan, place)
    columns = []
    for number, (wanted, array) in enumerate(zip(plan.fields, filled.values, strict=True)):
        bounds, seen = filled.splits[number], filled.seen[number]
        if bounds is not None:
            used = int(filled.table[number, _USED])
            kept = array[:used] if 4 * used >= 3 * len(array) else array[:used].copy()
            columns.append(Ragged(gather_spans(buffer, kept) if wanted.kind == BYTES else kept, bounds))
        else:
            columns.append(_fixed(buffer, wanted, array, seen))
    return columns


def parse_one_native(parse: Callable[..., int], buffer: np.ndarray, plan: Plan) -> list[Any]:
    """Return what `parse_native` returns for the one record that the buffer is, but single strings as ``bytes``."""
    filled = _run(parse, buffer, (np.zeros(1, np.int64), np.array([len(buffer)])), plan, Place())
    columns: list[Any] = []
    for number, (wanted, array) in enumerate(zip(plan.fields, filled.values, strict=True)):
        bounds, seen = filled.splits[number], filled.seen[number]
        if bounds is not None:
            kept = array[: int(bounds[1])].copy()
            columns.append(Ragged(gather_spans(buffer, kept) if wanted.kind == BYTES else kept, bounds))
        elif wanted.kind == BYTES and wanted.width == 1 and (seen is None or seen[0]):
            start, size = array[0, 0].tolist()
            columns.append(buffer[start : start + size].tobytes())
        else:
            columns.append(_fixed(buffer, wanted, array, seen))
    return columns


@dataclass
class _Filled:
    """The arrays that the C library fills, one of each for a field of the plan."""

    table: np.ndarray
    values: list[np.ndarray]
    splits: list[np.ndarray | None]
    seen: list[np.ndarray | None]


# The names of a plan's fields in one piece, and the part of the table that is the same in every call.
_prepared: weakref.WeakKeyDictionary[Plan, tuple[np.ndarray, np.ndarray]] = weakref.WeakKeyDictionary()


def _prepare(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    known = _prepared.get(plan)
    if known is None:
        names = np.frombuffer(b"".join(wanted.name for wanted in plan.fields) + b"\0", np.uint8)
        table = np.zeros((len(plan.fields), _NEXT + 1), np.int64)
        name_at = address_of(names)
        for row, wanted in zip(table, plan.fields, strict=True):
            row[: _WIDTH + 1] = name_at, len(wanted.name), wanted.kind, wanted.width
            name_at += len(wanted.name)
        known = _prepared[plan] = names, table
    return known


def _run(
    parse: Callable[..., int], buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan, place: Place
) -> _Filled:
    offsets, lengths = spans
    count, fields = len(offsets), plan.fields
    table = _prepare(plan)[1].copy()
    filled = _Filled(
        table,
        [_room_for(wanted, count) for wanted in fields],
        [np.zeros(count + 1, np.int64) if wanted.width < 0 else None for wanted in fields],
        [None if wanted.default is None else np.empty(count, np.uint8) for wanted in fields],
    )
    table[:, _VALUES] = [address_of(array) for array in filled.values]
    table[:, _ROOM] = [len(array) for array in filled.values]
    table[:, _SPLITS] = [0 if array is None else address_of(array) for array in filled.splits]
    table[:, _SEEN] = [0 if array is None else address_of(array) for array in filled.seen]
    slots = 1 << (2 * len(fields)).bit_length()
    report, first = np.zeros(4, np.int64), 0
    where = address_of(buffer), len(buffer), address_of(offsets), address_of(lengths)
    while True:
        hashes = np.zeros(slots, np.int32)
        asked = address_of(table), len(fields), address_of(hashes), slots
        outcome = parse(*where, first, count, *asked, address_of(report))
        if outcome == Outcome.DONE:
            return filled
        first, number = int(report[0]), int(report[1])
        if outcome == Outcome.MALFORMED:
            raise malformed(place.of(first), int(lengths[first]))
        if outcome != Outcome.ROOM:
            wanted = fields[number]
            raise failure(wanted, outcome, place.of(first, wanted.name), int(report[2]), int(report[3]))
        used, values = int(table[number, _USED]), filled.values[number]
        needed = used + int(report[3])
        room = max(needed, needed * count // (first + 1)) * 5 // 4
        larger = np.empty((max(room, 2 * len(values)), *values.shape[1:]), values.dtype)
        larger[:used] = values[:used]
        filled.values[number] = larger
        table[number, _VALUES], table[number, _ROOM] = address_of(larger), len(larger)


def gather_spans(buffer: np.ndarray, spans: np.ndarray, default: Any = None) -> Any:
    """Return the strings that spans of a buffer are, one behind the other, as an Arrow array.

    Args:
        buffer: ``[bytes]`` uint8.
        spans: ``[strings, 2]`` int64: offset and length; a negative length stands for the default.
        default: An Arrow array, repeated from string to string.
    """
    count = len(spans)
    data, narrow = (np.zeros(1, np.uint8), np.zeros(2, np.int64)) if default is None else binary_parts(default)
    bounds, period = narrow.astype(np.int64), max(len(narrow) - 1, 1)
    measure = native_function("mainstay_measure_spans", _INT64, ADDRESS, _INT64, ADDRESS, _INT64)
    gather = native_function(
        "mainstay_gather_spans", None, *[ADDRESS] * 2, _INT64, *[ADDRESS] * 2, _INT64, *[ADDRESS] * 2, ctypes.c_int32
    )
    if measure is None or gather is None:
        return _gather_numpy(buffer, spans, default)
    total = int(measure(address_of(spans), count, address_of(bounds), period))
    out, offsets = np.empty(total, np.uint8), np.empty(count + 1, np.int64 if total > BINARY_LIMIT else np.int32)
    defaults = address_of(data), address_of(bounds), period
    into = address_of(out), address_of(offsets), int(total > BINARY_LIMIT)
    gather(address_of(buffer), address_of(spans), count, *defaults, *into)
    return binary_from_parts(out, offsets)


def _gather_numpy(buffer: np.ndarray, spans: np.ndarray, default: Any) -> Any:
    starts, lengths = spans[:, 0].copy(), spans[:, 1].copy()
    missing = np.flatnonzero(lengths < 0)
    if len(missing):
        # The default's strings are put behind the buffer, in thought: they are taken from a buffer of both.
        data, bounds = binary_parts(default)
        entry = missing % len(default)
        at, lengths[missing] = bounds[entry].astype(np.int64), np.diff(bounds)[entry]
        own = np.flatnonzero(spans[:, 1] >= 0)
        low, high = (int(starts[own].min()), int((starts + lengths)[own].max())) if len(own) else (0, 0)
        buffer = np.concatenate([buffer[low:high], data])
        starts[own] -= low
        starts[missing] = at + (high - low)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    offsets = np.zeros(len(spans) + 1, np.int64 if total > BINARY_LIMIT else np.int32)
    offsets[1:] = ends
    if total > 64 * len(spans):
        view = buffer.data
        pieces = [view[start : start + size] for start, size in zip(starts.tolist(), lengths.tolist(), strict=True)]
        return binary_from_parts(np.frombuffer(b"".join(pieces), np.uint8), offsets)
    return binary_from_parts(buffer[np.repeat(starts - ends + lengths, lengths) + np.arange(total)], offsets)


def _room_for(wanted: Field, count: int) -> np.ndarray:
    if wanted.width < 0:
        shape: tuple[int, ...] = (4 * count + 16,)
    else:
        shape = (count, wanted.width)
    if wanted.kind == BYTES:
        return np.empty((*shape, 2), np.int64)
    return np.empty(shape, KIND_DTYPES[wanted.kind])


def _fixed(buffer: np.ndarray, wanted: Field, array: np.ndarray, seen: np.ndarray | None) -> Any:
    missing = None if seen is None or seen.all() else seen == 0
    if wanted.kind == BYTES:
        if missing is not None:
            array[missing, :, 1] = -1
        return gather_spans(buffer, array.reshape(-1, 2), wanted.default if missing is not None else None)
    if missing is not None:
        array[missing] = wanted.default
    return array
