"""The layout of a tf.Example: where its bytes say what it is made of, learned from one record, to read many like it.

A layout is the same keys of the same kinds in the same order, under lengths that take as many bytes. The sizes of some
contents are a part of it, those of others may vary. A record that has a layout needs no walk: whether it does is seen
by comparing its bytes, and then every content is where the layout says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mainstay.io.example_features import BYTES, INT64
from mainstay.io.example_plan import Plan

OVERHANG = 16
"""The bytes behind a record that are read with it."""
_LONGEST_FIXED = 64
_MASKED, _TOP, _ALL = 0, 0x80, 0xFF


@dataclass(frozen=True)
class Length:
    """One of the lengths before a content.

    Attributes:
        place: Where it begins: in the entry, then in the run.
        width: How many bytes it takes.
        beyond: By how much it exceeds the size of the content.
    """

    place: int
    width: int
    beyond: int


@dataclass(frozen=True)
class Entry:
    """One feature of the record that a layout is learned from.

    Attributes:
        head: What comes before its content.
        lengths: The lengths in the head; the last is that of the content.
        number: The number of the field that wants it; -1 where none does.
        kind: BYTES, FLOAT or INT64; 0 where nobody wants it.
        is_whole: Whether the content is a whole list; else it is its only string, or its packed numbers.
        size: The size of the content, in bytes.
        tops: The bits that say where the content's whole numbers end, where it is packed ones.
        varies: Whether the size is no part of the layout.
    """

    head: bytes
    lengths: tuple[Length, ...]
    number: int
    kind: int
    is_whole: bool
    size: int
    tops: bytes
    varies: bool

    @property
    def likeness(self) -> tuple[object, ...]:
        """What is equal in the records of one layout."""
        spans = {place for length in self.lengths for place in range(length.place, length.place + length.width)}
        fixed = bytes(byte & _TOP if place in spans else byte for place, byte in enumerate(self.head))
        return fixed, self.lengths, self.is_whole

    def widened(self, other: Entry) -> Entry:
        """Return the entry whose content may be that of another one too."""
        return self if (self.size, self.tops) == (other.size, other.tops) else replace(self, varies=True)


@dataclass(frozen=True)
class Record:
    """The record that a layout is learned from: the width of the length of all its features, and these."""

    width: int
    entries: tuple[Entry, ...]

    @property
    def likeness(self) -> tuple[object, ...]:
        """What is equal in the records of one layout, apart from sizes."""
        return self.width, tuple(entry.likeness for entry in self.entries)

    def widened(self, other: Record) -> Record:
        """Return the record whose layout is that of another one of the same likeness too."""
        pairs = zip(self.entries, other.entries, strict=True)
        return replace(self, entries=tuple(entry.widened(new) for entry, new in pairs))


def read_record(data: bytes, plan: Plan) -> Record | None:
    """Return what makes up a record, or None where it is not as writers write it; what is wrong is not judged here.

    Args:
        data: The record.
        plan: Which features are wanted.
    """
    size, width = _read_length(data, 1)
    if data[:1] != b"\x0a" or not width or 1 + width + size != len(data):
        return None
    at, entries, seen = 1 + width, [], set()
    while at < len(data):
        size, taken = _read_length(data, at + 1)
        stop = at + 1 + taken + size
        entry = _read_entry(data[at:stop], 1 + taken, plan) if data[at] == 10 and taken and stop <= len(data) else None
        if entry is None or (entry.number >= 0 and entry.number in seen):
            return None
        seen.add(entry.number)
        entries.append(entry)
        at = stop
    return Record(width, tuple(entries))


def _read_entry(data: bytes, at: int, plan: Plan) -> Entry | None:
    """Read an entry whose key is at a place."""
    found = [(1, at - 1)]
    size, width = _read_length(data, at + 1)
    key_at = at + 1 + width
    value_at = key_at + size
    if data[at : at + 1] != b"\x0a" or not width or value_at >= len(data):
        return None
    number, kind = plan.number_of.get(data[key_at:value_at], -1), 0
    at = _inside(data, value_at, 18, found)
    is_whole = True
    if number >= 0 and at:
        kind = plan.fields[number].kind
        at = _inside(data, at, kind << 3 | 2, found)
        inner = _inside(data, at, 10, found) if at else 0
        at, is_whole = inner or at, not inner
    if not at:
        return None
    lengths = tuple(Length(place, width, len(data) - place - width - (len(data) - at)) for place, width in found)
    content = data[at:]
    packed = kind == INT64 and not is_whole
    tops = bytes(byte & _TOP for byte in content) if packed else b""
    varies = kind == BYTES or (is_whole and number >= 0)
    return Entry(data[:at], lengths, number, kind, is_whole, len(content), tops, varies)


def _inside(data: bytes, at: int, tag: int, found: list[tuple[int, int]]) -> int:
    """Return where the content of a field begins that goes on to the end of the data, and note its length; else 0."""
    size, width = _read_length(data, at + 1)
    if data[at : at + 1] != bytes([tag]) or not width or at + 1 + width + size != len(data):
        return 0
    found.append((at + 1, width))
    return at + 1 + width


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return a length, and how many bytes it takes: 0 where there is none of at most four bytes."""
    size = 0
    for width, byte in enumerate(data[at : at + 4], 1):
        size |= (byte & 127) << 7 * (width - 1)
        if byte < 128:
            return size, width
    return 0, 0


@dataclass(frozen=True)
class Content:
    """Where a run has the content of a field."""

    number: int
    kind: int
    place: int
    size: int
    is_single: bool = False
    """Whether it is one whole number."""


@dataclass(frozen=True)
class Run:
    """What stands between two contents of which one varies or is long: bytes that are compared all at once.

    Attributes:
        width: How many bytes.
        words: How many words of eight bytes are read.
        mask: Which of their bits are compared, ``[words]`` uint64.
        expected: What they are, ``[words]`` uint64.
        contents: The contents in it.
        lengths: The lengths that depend on the size of the content behind it, the last one first.
        tail: That content, whole or not; None behind the last run.
        tail_is_fixed: Whether its size is a part of the layout.
    """

    width: int
    words: int
    mask: np.ndarray
    expected: np.ndarray
    contents: tuple[Content, ...]
    lengths: tuple[Length, ...] = ()
    tail: Content | None = None
    tail_is_fixed: bool = False


@dataclass(frozen=True, eq=False)
class Layout:
    """A layout.

    Attributes:
        record: What it was learned from.
        runs: How to read a record that has it.
        is_whole: By number, whether the content of a field is a whole list.
    """

    record: Record
    runs: tuple[Run, ...]
    is_whole: dict[int, bool]

    @classmethod
    def of(cls, record: Record) -> Layout:
        """Return the layout of a record."""
        return cls(record, _runs(record), {entry.number: entry.is_whole for entry in record.entries})


def _runs(record: Record) -> tuple[Run, ...]:
    runs: list[Run] = []
    # The length of all features is compared with that of the record, whatever their sizes.
    data, mask = bytearray(b"\x0a" + bytes(record.width)), bytearray([_ALL] + [_MASKED] * record.width)
    contents: list[Content] = []
    for entry in record.entries:
        begin = len(data)
        data += entry.head
        mask += bytes([_ALL]) * len(entry.head)
        is_single = entry.tops.count(b"\0") == 1 and entry.tops[-1] == 0
        content = Content(entry.number, entry.kind, len(data), entry.size, is_single)
        if not entry.varies and entry.size <= _LONGEST_FIXED:
            data += entry.tops or bytes(entry.size)
            mask += bytes([_TOP if entry.tops else _MASKED]) * entry.size
            if entry.number >= 0:
                contents.append(content)
            continue
        lengths = [replace(length, place=begin + length.place) for length in reversed(entry.lengths)]
        if entry.varies:
            for length in lengths:
                mask[length.place : length.place + length.width] = bytes([_TOP]) * length.width
        fixed = not entry.varies
        runs.append(_run(data, mask, contents, tail=content, lengths=() if fixed else lengths, tail_is_fixed=fixed))
        data, mask, contents = bytearray(), bytearray(), []
    if data:
        runs.append(_run(data, mask, contents))
    return tuple(runs)


def _run(
    data: bytearray,
    mask: bytearray,
    contents: list[Content],
    *,
    lengths: Sequence[Length] = (),
    tail: Content | None = None,
    tail_is_fixed: bool = False,
) -> Run:
    width = len(data)
    furthest = max([width, *(content.place + 8 for content in contents)])
    words = -(-furthest // 8)
    padding = bytes(8 * words - width)
    compared = np.frombuffer(bytes(mask) + padding, "<u8")
    expected = np.frombuffer(bytes(data) + padding, "<u8") & compared
    return Run(width, words, compared, expected, tuple(contents), tuple(lengths), tail, tail_is_fixed)
