"""tf.Examples into columns with the C library: allocates what it fills, and says what it found wrong."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from mainstay.core import ADDRESS, address_of, native_function
from mainstay.io.binary_columns import BINARY_LIMIT, binary_from_parts, binary_parts
from mainstay.io.example_features import BYTES, KIND_DTYPES
from mainstay.io.example_plan import RAGGED, Field, Outcome, Place, Plan, failure, malformed
from mainstay.io.ragged import Ragged

_INT64 = ctypes.c_int64
# The fields of `example_feature` in examples.h.
_NAME, _NAME_SIZE, _KIND, _WIDTH, _VALUES, _ROOM, _SPLITS, _SEEN, _USED, _ROW, _FOUND, _COUNT, _NEXT = range(13)


def native_parser() -> Callable[..., int] | None:
    """Return the C function that parses, or None where NumPy is to serve."""
    kinds = (ADDRESS, ADDRESS, ADDRESS, _INT64, _INT64, ADDRESS, _INT64, ADDRESS, _INT64, ADDRESS)
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
    offsets, lengths = spans
    count, fields = len(offsets), plan.fields
    names = np.frombuffer(b"".join(wanted.name for wanted in fields) + b"\0", np.uint8)
    table = np.zeros((len(fields), _NEXT + 1), np.int64)
    values = [_room_for(wanted, count) for wanted in fields]
    splits = [np.zeros(count + 1, np.int64) if wanted.width == RAGGED else None for wanted in fields]
    seen = [None if wanted.default is None else np.empty(count, np.uint8) for wanted in fields]
    name_at = address_of(names)
    for row, wanted, array, bounds, there in zip(table, fields, values, splits, seen, strict=True):
        row[: _SEEN + 1] = (
            name_at,
            len(wanted.name),
            wanted.kind,
            wanted.width,
            address_of(array),
            len(array),
            0 if bounds is None else address_of(bounds),
            0 if there is None else address_of(there),
        )
        name_at += len(wanted.name)
    slots = 1 << (2 * len(fields)).bit_length()
    report, first = np.zeros(4, np.int64), 0
    while True:
        hashes = np.zeros(slots, np.int32)
        where = address_of(buffer), address_of(offsets), address_of(lengths)
        asked = address_of(table), len(fields), address_of(hashes), slots
        outcome = parse(*where, first, count, *asked, address_of(report))
        if outcome == Outcome.DONE:
            break
        first, number = int(report[0]), int(report[1])
        if outcome == Outcome.MALFORMED:
            raise malformed(place.of(first), int(lengths[first]))
        if outcome != Outcome.ROOM:
            wanted = fields[number]
            raise failure(wanted, outcome, place.of(first, wanted.name), int(report[2]), int(report[3]))
        needed = int(table[number, _USED] + report[3])
        expected = max(needed, needed * count // (first + 1)) * 5 // 4
        larger = np.empty((max(expected, 2 * len(values[number])), *values[number].shape[1:]), values[number].dtype)
        larger[: table[number, _USED]] = values[number][: table[number, _USED]]
        values[number] = larger
        table[number, _VALUES], table[number, _ROOM] = address_of(larger), len(larger)
    columns = []
    for number, (wanted, array, bounds, there) in enumerate(zip(fields, values, splits, seen, strict=True)):
        if bounds is not None:
            used = int(table[number, _USED])
            kept = array[:used] if 4 * used >= 3 * len(array) else array[:used].copy()
            columns.append(Ragged(gather_spans(buffer, kept) if wanted.kind == BYTES else kept, bounds))
        else:
            columns.append(_fixed(buffer, wanted, array, there))
    return columns


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
    if wanted.width == RAGGED:
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
