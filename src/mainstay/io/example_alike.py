"""tf.Examples of one layout read all at once in NumPy: their bytes are compared with the layout, tile by tile.

A record of another layout is not judged here: it is left to the readers that look at each entry.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mainstay.io.example_features import BYTES, FLOAT
from mainstay.io.example_in_step import decode_contents, decode_lists
from mainstay.io.example_layout import OVERHANG, Content, Layout, Length, Record, Run, read_record
from mainstay.io.example_plan import Plan
from mainstay.io.example_varints import join_sevens, lowest_bytes

_TILE_BYTES = 1 << 19
_MOST_LAYOUTS, _MOST_TRIES = 64, 4
_FEWEST_SHARE = 16
_SAMPLES = 8
_PAUSE = 15
"""After so many calls it is tried again whether records are alike."""


@dataclass(frozen=True)
class Alike:
    """What some records have that turned out to be of one layout.

    Attributes:
        rows: Their numbers.
        values: By field, the values of all of them, one after the other: numbers, or spans ``[total, 2]`` of the
            buffer. Fields that they do not have are not there.
        counts: By field, how many each has, ``[records]`` int64.
    """

    rows: np.ndarray
    values: dict[int, np.ndarray]
    counts: dict[int, np.ndarray]


@dataclass
class _Known:
    """The layouts that were met in records that were parsed in one way, and the one that fits most of the last ones."""

    layouts: dict[object, Layout] = field(default_factory=dict)
    usual: Layout | None = None
    calls_without: int = 0


def read_alike(
    buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, plan: Plan
) -> tuple[list[Alike], np.ndarray]:
    """Read the records that are of a layout that is known, or that can be learned from the first of them.

    Args:
        buffer: ``[bytes]`` uint8.
        offsets: Where the records begin, ``[records]`` int64, inside the buffer.
        lengths: How long they are, ``[records]`` int64.
        plan: What to take.

    Returns:
        What was read, one part for each layout, and the numbers of the other records.
    """
    known = _known(tuple((wanted.name, wanted.kind) for wanted in plan.fields))
    everyone = np.arange(len(offsets))
    if known.calls_without:
        known.calls_without -= 1
        return [], everyone
    inside = offsets + lengths <= buffer.size - OVERHANG
    left, late = everyone, np.flatnonzero(~inside)
    if len(late):
        left = np.flatnonzero(inside)
    found: list[Alike] = []
    tried: list[Layout] = []
    layout, is_wider = known.usual, False
    while len(left) and len(tried) < _MOST_TRIES:
        if layout is None:
            layout, is_wider = _learned(known, _samples(buffer, offsets[left], lengths[left], plan))
        if layout is None or layout in tried:
            break
        tried.append(layout)
        part = _read(buffer, offsets, lengths, layout, left)
        found.append(part)
        if len(part.rows) == len(left):
            left = left[:0]
        elif len(part.rows):
            left = np.setdiff1d(left, part.rows, assume_unique=True)
        if len(tried) > 1 and not is_wider and len(part.rows) * _FEWEST_SHARE < len(left):
            break
        layout = None
    sizes = [len(part.rows) for part in found]
    if sum(sizes) * 4 < len(offsets) - len(late):
        known.calls_without, known.usual = 0 if is_wider else _PAUSE, None
        return [], everyone
    if len(found) > 1:
        # It may have been widened meanwhile.
        most = tried[int(np.argmax(sizes))]
        known.usual = known.layouts.get(most.record.likeness, most)
    elif found:
        known.usual = tried[0]
    return [part for part in found if len(part.rows)], np.union1d(left, late) if len(late) else left


@functools.lru_cache(maxsize=64)
def _known(_: tuple[tuple[bytes, int], ...]) -> _Known:
    return _Known()


def _samples(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, plan: Plan) -> Iterator[Record | None]:
    """Yield the first of some records, and a few others; None for one that has no layout."""
    for row in range(0, len(offsets), max(1, len(offsets) // _SAMPLES)):
        start = int(offsets[row])
        yield read_record(buffer[start : start + int(lengths[row])].tobytes(), plan)


def _learned(known: _Known, samples: Iterator[Record | None]) -> tuple[Layout | None, bool]:
    """Return the layout of the first of some records, and whether it is one that was met but had to be widened."""
    record = next(samples)
    if record is None:
        return None, False
    likeness = record.likeness
    met = known.layouts.get(likeness)
    if met is not None:
        wider = met.record.widened(record)
        if wider == met.record:
            return met, False
        record = wider
    elif len(known.layouts) >= _MOST_LAYOUTS:
        known.layouts = {}
    for sample in samples:
        if sample is not None and sample.likeness == likeness:
            record = record.widened(sample)
    layout = known.layouts[likeness] = Layout.of(record)
    return layout, met is not None


def _read(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, layout: Layout, rows: np.ndarray) -> Alike:
    """Read those of the given records that are of a layout."""
    starts, ends = offsets, offsets + lengths
    if len(rows) < len(offsets):
        starts, ends = starts[rows], ends[rows]
    reading = _Reading(buffer, layout, len(rows))
    tile = max(64, _TILE_BYTES // max(1, max(run.width for run in layout.runs) * 2))
    for start in range(0, len(rows), tile):
        reading.read(slice(start, start + tile), starts[start : start + tile], ends[start : start + tile])
    kept = reading.fits
    while True:
        whole = bool(kept.all())
        values, counts, good = reading.decoded(slice(None) if whole else np.flatnonzero(kept))
        if good.all():
            return Alike(rows if whole else rows[kept], values, counts)
        kept = kept.copy()
        kept[np.flatnonzero(kept)[~good]] = False


class _Reading:
    """What is known of records so far that are compared with a layout."""

    def __init__(self, buffer: np.ndarray, layout: Layout, count: int) -> None:
        self.buffer, self.layout, self.count = buffer, layout, count
        self.fits = np.ones(count, bool)
        self.numbers: dict[int, np.ndarray] = {}
        self.spans: dict[int, tuple[Content, np.ndarray, np.ndarray]] = {}
        for run in layout.runs:
            for content in run.contents:
                if not _is_short(content):
                    self._has_span(content)
                elif content.kind == FLOAT:
                    self.numbers[content.number] = np.empty((count, content.size // 4), np.float32)
                else:
                    self.numbers[content.number] = np.empty((count, 1), np.int64)
            if run.tail is not None and run.tail.number >= 0:
                self._has_span(run.tail)

    def _has_span(self, content: Content) -> None:
        self.spans[content.number] = content, np.empty(self.count, np.int64), np.empty(self.count, np.int64)

    def read(self, rows: slice, at: np.ndarray, end: np.ndarray) -> None:
        """Compare some records with the layout, and take what is at fixed places."""
        wrong = np.zeros(len(at), bool)
        first = True
        for run in self.layout.runs:
            room = end - at
            if len(room) and int(room.min()) < run.width:
                wrong |= room < run.width
                at = np.where(wrong, 0, at)
            reach = self.buffer.size - 8 * run.words + 1
            if reach <= 0:
                wrong[:] = True
                break
            words = np.ndarray((reach, run.words), "<u8", self.buffer, strides=(1, 8))[at]
            differs = (words & run.mask) != run.expected
            if differs.any():
                wrong |= differs.any(axis=1)
            table = words.view(np.uint8)
            if first:
                self._check_size(table, end - at, wrong)
                first = False
            self._take(run, rows, at, words, table)
            at = at + run.width
            if run.tail is not None:
                size: np.ndarray | int = run.tail.size
                if not run.tail_is_fixed:
                    size = _length(table, run.lengths[0])
                    for length in run.lengths[1:]:
                        wrong |= _length(table, length) != size + length.beyond
                if run.tail.number >= 0:
                    _, starts, sizes = self.spans[run.tail.number]
                    starts[rows], sizes[rows] = at, size
                at += size
        wrong |= at != end
        self.fits[rows] = ~wrong

    def _check_size(self, table: np.ndarray, size: np.ndarray, wrong: np.ndarray) -> None:
        """Compare the length of all features with the size of the record."""
        width = self.layout.record.width
        differs = _length(table, Length(1, width, 0)) != size - (1 + width)
        for place in range(1, width + 1):
            differs |= (table[:, place] >= 128) != (place < width)
        wrong |= differs

    def _take(self, run: Run, rows: slice, at: np.ndarray, words: np.ndarray, table: np.ndarray) -> None:
        count, stride = table.shape
        for content in run.contents:
            if content.number in self.spans:
                _, starts, sizes = self.spans[content.number]
                starts[rows], sizes[rows] = at + content.place, content.size
            elif content.kind == FLOAT:
                shape = count, content.size // 4
                self.numbers[content.number][rows] = np.ndarray(shape, "<f4", words, content.place, (stride, 4))
            elif content.size == 1:
                self.numbers[content.number][rows, 0] = table[:, content.place]
            else:
                found = np.ndarray((count,), "<u8", words, content.place, (stride,)) & lowest_bytes(content.size)
                self.numbers[content.number][rows, 0] = join_sevens(found, content.size).view(np.int64)

    def decoded(self, kept: np.ndarray | slice) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray], np.ndarray]:
        """Return the values and the counts of the records that are kept, and which of these are well formed."""
        count = self.count if isinstance(kept, slice) else len(kept)
        good = np.ones(count, bool)
        values, counts = {}, {}
        for number, array in self.numbers.items():
            values[number] = array[kept].reshape(-1)
            counts[number] = repeated(array.shape[1], count)
        for number, (content, starts, sizes) in self.spans.items():
            here = starts[kept], sizes[kept]
            if not self.layout.is_whole[number] and content.kind == BYTES:
                values[number], counts[number] = np.stack(here, 1), repeated(1, count)
                continue
            decode = decode_lists if self.layout.is_whole[number] else decode_contents
            found = decode(self.buffer, content.kind, *here)
            good &= found.good
            values[number], counts[number] = found.values, found.counts
        return values, counts, good


def repeated(number: int, count: int) -> np.ndarray:
    """Return an int64 array of one number over and over, which is in memory once, and must not be written to."""
    return np.ndarray((count,), np.int64, np.array([number], np.int64), strides=(0,))


def _is_short(content: Content) -> bool:
    """Return whether a content of a run is numbers that are taken from it: floats, or one number of up to 8 bytes."""
    if content.kind == FLOAT:
        return content.size % 4 == 0
    return 0 < content.size <= 8 and content.is_single


def _length(table: np.ndarray, length: Length) -> np.ndarray:
    """Return a length of each row."""
    value = table[:, length.place].astype(np.int64)
    if length.width == 1:
        return value
    value &= 127
    for step in range(1, length.width):
        value |= (table[:, length.place + step].astype(np.int64) & 127) << (7 * step)
    return value
