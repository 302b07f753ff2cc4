"""tf.Examples into columns with NumPy alone: in step where records look alike, one by one where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.io.binary_columns import copy_pieces
from mainstay.io.example_alike import Alike, read_alike, repeated
from mainstay.io.example_features import BYTES, FLOAT, KIND_DTYPES
from mainstay.io.example_in_step import FEWEST, MARGIN, decode_lists, find_lists
from mainstay.io.example_native import gather_spans
from mainstay.io.example_plan import RAGGED, Field, Outcome, Place, Plan, failure, malformed
from mainstay.io.example_wire import MalformedError, Values, read_example
from mainstay.io.ragged import Ragged

_MOST_COPIED = 1 << 20


@dataclass
class _Found:
    """What the records have of one field: the kind, 0 for none, all values in a row, and how many each record has."""

    kinds: np.ndarray
    values: np.ndarray
    counts: np.ndarray


def parse_numpy(buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan, place: Place) -> list[Any]:
    """Return one column for each field of a plan: what `parse_native` returns and raises, without the C library.

    Args:
        buffer: ``[bytes]`` uint8.
        spans: Where the records begin, and how long they are, ``[records]`` int64 each, inside the buffer.
        plan: What to take.
        place: Where the records come from, for errors.

    Raises:
        DataError: A record is malformed, or does not have what is asked for.
    """
    buffer, spans = _with_margin(buffer, *spans)
    found, broken = _find(buffer, spans, plan)
    _judge(plan, found, broken, place, spans[1])
    return [_column(buffer, wanted, had) for wanted, had in zip(plan.fields, found, strict=True)]


def _find(buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan) -> tuple[list[_Found], int | None]:
    """Return what the records have of each field, and the number of the first malformed one."""
    offsets, lengths = spans
    count = len(offsets)
    if count < FEWEST:
        return _find_one_by_one(buffer, spans, plan)
    parts, rest = read_alike(buffer, offsets, lengths, plan)
    if len(rest) == count:
        return _find_in_step(buffer, spans, plan)
    pieces = [(part.rows, _found_alike(part, plan)) for part in parts]
    broken = None
    if len(rest):
        found, broken = _find_in_step(buffer, (offsets[rest], lengths[rest]), plan)
        pieces.append((rest, found))
        broken = None if broken is None else int(rest[broken])
    if len(pieces) == 1:
        return pieces[0][1], None
    order = np.argsort(np.concatenate([rows for rows, _ in pieces]), kind="stable")
    found = [_merged([part[number] for _, part in pieces], order) for number in range(len(plan.fields))]
    return found, broken


def _found_alike(part: Alike, plan: Plan) -> list[_Found]:
    count, found = len(part.rows), []
    for number, wanted in enumerate(plan.fields):
        if number in part.values:
            found.append(_Found(repeated(wanted.kind, count), part.values[number], part.counts[number]))
        else:
            nothing = repeated(0, count)
            found.append(_Found(nothing, _typed(wanted, []), nothing))
    return found


def _merged(parts: list[_Found], order: np.ndarray) -> _Found:
    """Return what several parts of the records have, in the order of the records."""
    kinds = np.concatenate([part.kinds for part in parts])[order]
    values, counts = np.concatenate([part.values for part in parts]), np.concatenate([part.counts for part in parts])
    if (counts == 1).all():
        return _Found(kinds, values[order], counts)
    merged = Ragged(values, _splits(counts)).take(order)
    return _Found(kinds, merged.values, merged.row_lengths())


def _find_one_by_one(
    buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan
) -> tuple[list[_Found], int | None]:
    nothing = np.zeros(len(spans[0]), np.int64)
    found = [_Found(nothing.copy(), _typed(wanted, []), nothing) for wanted in plan.fields]
    return found, _read_strays(buffer, spans, plan, np.arange(len(nothing)), found)


def _find_in_step(
    buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan
) -> tuple[list[_Found], int | None]:
    offsets, lengths = spans
    lists = find_lists(buffer, offsets, lengths, plan)
    if lists.strays.all():
        return _find_one_by_one(buffer, spans, plan)
    found = []
    for number, wanted in enumerate(plan.fields):
        there = (lists.starts[number] >= 0) & ~lists.strays
        rows = slice(None) if there.all() else np.flatnonzero(there)
        decoded = decode_lists(buffer, wanted.kind, lists.starts[number][rows], lists.sizes[number][rows])
        counts = decoded.counts
        if len(counts) != len(offsets):
            counts = np.zeros(len(offsets), np.int64)
            counts[rows] = decoded.counts
        if not decoded.good.all():
            lists.strays[np.flatnonzero(there)[~decoded.good]] = True
        found.append(_Found(np.where(there, wanted.kind, 0), decoded.values, counts))
    return found, _read_strays(buffer, spans, plan, np.flatnonzero(lists.strays), found)


def _with_margin(
    buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the records in a buffer that goes on behind them: a copy, where a small one ends with them.

    Of a large one the last records are read alone.
    """
    if len(offsets) >= FEWEST and int((offsets + lengths).max()) + MARGIN > len(buffer):
        low = int(offsets.min())
        if len(buffer) - low <= min(4 * int(lengths.sum()), _MOST_COPIED):
            return np.concatenate([buffer[low:], np.zeros(MARGIN, np.uint8)]), (offsets - low, lengths)
    return buffer, (offsets, lengths)


def _read_strays(
    buffer: np.ndarray, spans: tuple[np.ndarray, np.ndarray], plan: Plan, rows: np.ndarray, found: list[_Found]
) -> int | None:
    """Read the given records one by one and put what they have in its place; return the first malformed one."""
    if not len(rows):
        return None
    broken, read = None, []
    for row, start, size in zip(rows.tolist(), spans[0][rows].tolist(), spans[1][rows].tolist(), strict=True):
        try:
            read.append((start, read_example(buffer[start : start + size].tobytes(), plan.number_of)))
        except MalformedError:
            broken = row
            break
    rows = rows[: len(read)]
    for wanted, had in zip(plan.fields, found, strict=True):
        parts = [_values(wanted, record.get(wanted.name), start) for start, record in read]
        empty = _typed(wanted, [])
        counts = np.array([len(values) for _, values in parts], np.int64)
        values = np.concatenate([empty, *(values for _, values in parts)])
        had.kinds[rows] = [kind for kind, _ in parts]
        if len(rows) == len(had.counts):
            had.values, had.counts = values, counts
            continue
        order = np.arange(len(had.counts))
        order[rows] = len(had.counts) + np.arange(len(rows))
        in_step, strays = Ragged(had.values, _splits(had.counts)), Ragged(values, _splits(counts))
        merged = Ragged.concatenate([in_step, strays]).take(order)
        had.values, had.counts = merged.values, merged.row_lengths()
    return broken


def _values(wanted: Field, values: Values | None, start: int) -> tuple[int, np.ndarray]:
    """Return the kind and the values that one record has of a field; those of another kind are only counted."""
    if values is None:
        return 0, _typed(wanted, [])
    if values.blank and wanted.width == RAGGED:
        return wanted.kind, _typed(wanted, [])
    if values.kind != wanted.kind:
        return values.kind, np.zeros((len(values.values), *_typed(wanted, []).shape[1:]), _typed(wanted, []).dtype)
    if wanted.kind == BYTES:
        return wanted.kind, _typed(wanted, [(start + at, size) for at, size in values.values])
    if wanted.kind == FLOAT:
        return wanted.kind, np.frombuffer(b"".join(values.values), "<f4")
    return wanted.kind, _typed(wanted, values.values)


def _typed(wanted: Field, values: list[Any]) -> np.ndarray:
    if wanted.kind == BYTES:
        return np.array(values, np.int64).reshape(-1, 2)
    return np.array(values, KIND_DTYPES[wanted.kind])


def _judge(plan: Plan, found: list[_Found], broken: int | None, place: Place, lengths: np.ndarray) -> None:
    """Raise for the first record that is wrong, and in it for the first feature."""
    worst: tuple[int, int, int] | None = None
    for number, (wanted, had) in enumerate(zip(plan.fields, found, strict=True)):
        if _all_are(had.kinds, wanted.kind) and (wanted.width < 0 or _all_are(had.counts, wanted.width)):
            continue
        outcomes = np.where((had.kinds > 0) & (had.kinds != wanted.kind), Outcome.KIND, Outcome.DONE)
        if wanted.width >= 0:
            wrong = (had.kinds == wanted.kind) & (had.counts != wanted.width)
            outcomes[wrong] = Outcome.COUNT
            if wanted.default is None:
                outcomes[had.kinds == 0] = Outcome.MISSING
        rows = np.flatnonzero(outcomes)
        if len(rows) and (worst is None or rows[0] < worst[0]):
            worst = int(rows[0]), number, int(outcomes[rows[0]])
    if broken is not None and (worst is None or broken <= worst[0]):
        raise malformed(place.of(broken), int(lengths[broken]))
    if worst is not None:
        row, number, outcome = worst
        wanted, had = plan.fields[number], found[number]
        count = int(had.counts[row])
        raise failure(wanted, outcome, place.of(row, wanted.name), int(had.kinds[row]), count)


def _column(buffer: np.ndarray, wanted: Field, had: _Found) -> Any:
    values, missing = had.values, np.empty(0, np.int64)
    if not _all_are(had.kinds, wanted.kind):
        missing = np.flatnonzero(had.kinds == 0)
    if wanted.width < 0:
        return Ragged(_strings(buffer, values) if wanted.kind == BYTES else values, _splits(had.counts))
    shape = (len(had.kinds), wanted.width)
    if wanted.kind == BYTES:
        if not len(missing):
            return _strings(buffer, values)
        spans = np.full((*shape, 2), -1, np.int64)
        spans[had.kinds > 0] = values.reshape(-1, wanted.width, 2)
        return gather_spans(buffer, np.ascontiguousarray(spans.reshape(-1, 2)), wanted.default)
    if not len(missing):
        return values.reshape(shape)
    column = np.empty(shape, KIND_DTYPES[wanted.kind])
    column[had.kinds > 0] = values.reshape(-1, wanted.width)
    column[missing] = wanted.default
    return column


def _all_are(numbers: np.ndarray, number: int) -> bool:
    """Return whether all of some numbers are the same one; it is looked at once where it is in memory once."""
    return bool((numbers[:1] == number).all() if numbers.strides == (0,) else (numbers == number).all())


def _strings(buffer: np.ndarray, spans: np.ndarray) -> Any:
    return copy_pieces(buffer, spans[:, 0], spans[:, 1])


def _splits(counts: np.ndarray) -> np.ndarray:
    splits = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=splits[1:])
    return splits
