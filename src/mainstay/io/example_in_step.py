"""tf.Examples read in step: the same place of many records at once, in NumPy, as long as they look alike.

A record that does not look alike is not judged here: it is left out, for the reader that goes record by record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mainstay.io.example_features import BYTES, FLOAT
from mainstay.io.example_plan import Plan
from mainstay.io.example_varints import one_varint, short_sizes, split_varints, words_of

FEWEST = 16
"""Fewer records than these go one by one: a step costs the same for one as for hundreds."""
MARGIN = 160
"""The bytes behind a record that may be read with it: an entry's head, a key of less than 120 bytes, and a word."""
_WORD = np.uint64


@dataclass(frozen=True)
class Lists:
    """Where the lists of the records are.

    Attributes:
        starts: ``[fields, records]``: where the content of a list begins in the buffer, -1 where there is none.
        sizes: ``[fields, records]``: the bytes of its content.
        strays: ``[records]``: which records are left out.
    """

    starts: np.ndarray
    sizes: np.ndarray
    strays: np.ndarray


def find_lists(buffer: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, plan: Plan) -> Lists:
    """Find the lists of the fields of a plan in every record that is in step.

    Args:
        buffer: ``[bytes]`` uint8.
        offsets: Where the records begin, ``[records]`` int64, inside the buffer.
        lengths: How long they are, ``[records]`` int64.
        plan: What to find.
    """
    count = len(offsets)
    lists = Lists(
        np.full((len(plan.fields), count), -1, np.int64),
        np.zeros((len(plan.fields), count), np.int64),
        np.zeros(count, bool),
    )
    lists.strays[:] = (offsets + lengths + MARGIN > buffer.size) | (lengths >= 1 << 31)
    rows = np.flatnonzero(~lists.strays)
    if len(rows) < FEWEST:
        lists.strays[:] = True
        return lists
    words = words_of(buffer)
    at, end = offsets[rows], (offsets + lengths)[rows]
    size, taken = short_sizes(words[at + 1])
    whole = (buffer[at] == 10) & (taken > 0) & (at + 1 + taken + size == end) | (at == end)
    at += 1 + taken
    if not whole.all():
        lists.strays[rows[~whole]] = True
        rows, at, end = rows[whole], at[whole], end[whole]
    _Walk(buffer, words, plan, lists).run(rows if len(rows) < count else slice(None), at, end)
    return lists


class _Walk:
    """A walk over the entries of many records. A round takes one key: the records whose next entry has it go on.

    The key of a round is that of a record that has gone least far: so records that lack a feature, or have one more,
    come into step again.
    """

    def __init__(self, buffer: np.ndarray, words: np.ndarray, plan: Plan, lists: Lists) -> None:
        self.buffer, self.words, self.plan, self.lists = buffer, words, plan, lists
        self.signed = words.view("<i8")
        self.visited = [False] * len(plan.fields)

    def run(self, rows: np.ndarray | slice, at: np.ndarray, end: np.ndarray) -> None:
        """Walk to the end of the records; `rows` are their numbers, or a slice for all of them."""
        gone: np.ndarray | None = None
        patience = max(8, len(at) // 8)
        while True:
            live = at < end
            if not live.all():
                rows = np.arange(len(at))[live] if isinstance(rows, slice) else rows[live]
                at, end, gone = at[live], end[live], None if gone is None else gone[live]
            if len(at) < FEWEST or not patience:
                self.lists.strays[rows] = True
                return
            lead = 0 if gone is None else int(gone.argmin())
            matched, after = self._step(rows, at, end, lead)
            if matched.all():
                at = after
                if gone is not None:
                    gone += 1
                continue
            patience -= 1
            gone = np.zeros(len(at), np.int64) if gone is None else gone
            if isinstance(rows, slice):
                rows = np.arange(len(at))
            if matched[lead]:
                at = np.where(matched, after, at)
                gone += matched
            else:
                self.lists.strays[rows[lead]] = True
                at = at.copy()
                at[lead] = end[lead]

    def _step(
        self, rows: np.ndarray | slice, at: np.ndarray, end: np.ndarray, lead: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read the entry at which each record stands; return which have the key of the lead, and where it ends."""
        first, last = int(at[lead]), int(end[lead])
        head = self.buffer[first : first + 4].tobytes()
        if first + 4 < last and head[0] == 10 and head[1] < 128 and head[2] == 10 and head[3] + 6 <= head[1]:
            key = self.buffer[first + 4 : first + 4 + head[3]].tobytes()
            kind_at = first + 6 + len(key)
            if kind_at < last and self.buffer[kind_at] in (10, 18, 26):
                return self._small_step(rows, at, end, int(self.buffer[kind_at]), key)
        return self._large_step(rows, at, end, lead)

    def _small_step(
        self, rows: np.ndarray | slice, at: np.ndarray, end: np.ndarray, kind: int, key: bytes
    ) -> tuple[np.ndarray, np.ndarray]:
        """An entry of less than 128 bytes: all its lengths follow from the first, and two words hold them.

        What is read for a record whose entry is another means nothing, and is inside the buffer for its margin.
        """
        words = self.signed[at]
        size = (words >> 8) & 0x7F
        after = at + size
        after += 2
        matched = (words & 0xFFFF80FF) == (10 | 10 << 16 | len(key) << 24)
        matched &= after <= end
        self._match_key(matched, at, 4, key)
        # The tag of the value, its length, the tag of the list, its length: below 0 where the entry is too short.
        size -= len(key) + 6
        expected = size * (1 << 8 | 1 << 24)
        expected += 18 | 2 << 8 | kind << 16
        value = at + (4 + len(key))
        matched &= (self.signed[value] & 0xFFFFFFFF) == expected
        value += 4
        self._note(rows, matched, key, kind >> 3, (value, size))
        return matched, after

    def _large_step(
        self, rows: np.ndarray | slice, at: np.ndarray, end: np.ndarray, lead: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """An entry of any length. Where one does not fit, the lead's place is read in place of its own."""
        nobody = np.zeros(len(at), bool)
        size, taken = short_sizes(self.words[at + 1])
        entry = at + 1 + taken
        after = entry + size
        matched = (self.buffer[at] == 10) & (taken > 0) & (after <= end) & (size >= 4)
        first = int(entry[lead])
        key_size = int(self.buffer[first + 1])
        if not matched[lead] or self.buffer[first] != 10 or key_size >= 128 or size[lead] < key_size + 4:
            return nobody, after
        key = self.buffer[first + 2 : first + 2 + key_size].tobytes()
        matched &= size >= key_size + 4
        entry = np.where(matched, entry, first)
        matched &= (self.words[entry] & _WORD(0xFFFF)) == _WORD(10 | key_size << 8)
        self._match_key(matched, entry, 2, key)
        value = entry + 2 + key_size
        matched &= self.buffer[value] == 18
        size, taken = short_sizes(self.words[value + 1])
        value += 1 + taken
        matched &= (taken > 0) & (value + size == after) & (size >= 2)
        kind = int(self.buffer[value[lead]])
        if not matched[lead] or kind not in (10, 18, 26):
            return nobody, after
        value = np.where(matched, value, value[lead])
        matched &= self.buffer[value] == kind
        size, taken = short_sizes(self.words[value + 1])
        value += 1 + taken
        matched &= (taken > 0) & (value + size == after)
        self._note(rows, matched, key, kind >> 3, (value, size))
        return matched, after

    def _match_key(self, matched: np.ndarray, at: np.ndarray, skipped: int, key: bytes) -> None:
        """Take out of `matched` the records that do not have the key `skipped` bytes behind their place."""
        size = len(key)
        if size < 8:
            same = self.words[at + skipped] & _WORD((1 << 8 * size) - 1)
            matched &= same == _WORD(int.from_bytes(key, "little"))
            return
        for start in sorted({*range(0, size - 7, 8), size - 8}):
            matched &= self.words[at + (skipped + start)] == _WORD(int.from_bytes(key[start : start + 8], "little"))

    def _note(
        self,
        rows: np.ndarray | slice,
        matched: np.ndarray,
        key: bytes,
        kind: int,
        lists: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Keep where the lists of a key are, ``(starts, sizes)``, for the records that have it here."""
        number = self.plan.number_of.get(key)
        if number is None:
            return
        starts, sizes = lists
        if not matched.all():
            rows = np.flatnonzero(matched) if isinstance(rows, slice) else rows[matched]
            starts, sizes = starts[matched], sizes[matched]
        if kind != self.plan.fields[number].kind:
            self.lists.strays[rows] = True
            return
        if self.visited[number]:
            self.lists.strays[rows] |= self.lists.starts[number][rows] >= 0
        self.visited[number] = True
        self.lists.starts[number][rows] = starts
        self.lists.sizes[number][rows] = sizes


@dataclass(frozen=True)
class Decoded:
    """The values of one field in many records.

    Attributes:
        values: Numbers ``[total]``, or spans of the buffer ``[total, 2]``.
        counts: How many each record has, ``[records]``.
        good: Which lists were as writers write them; the others have no values here.
    """

    values: np.ndarray
    counts: np.ndarray
    good: np.ndarray


def decode_lists(buffer: np.ndarray, kind: int, starts: np.ndarray, sizes: np.ndarray) -> Decoded:
    """Decode the lists of one field.

    Args:
        buffer: ``[bytes]`` uint8, with `MARGIN` bytes behind every list.
        kind: BYTES, FLOAT or INT64.
        starts: Where each list begins, ``[records]``.
        sizes: How many bytes it has, ``[records]``.
    """
    words = words_of(buffer)
    signed = words.view("<i8")
    head = signed[starts]
    if kind == FLOAT and (sizes == 6).all():
        good = (head & 0xFFFF) == 0x040A
        values = (head >> 16).astype(np.uint32).view(np.float32)
        return Decoded(values if good.all() else values[good], good.astype(np.int64), good)
    # One field of less than 128 bytes that is the whole list: packed numbers, or a single string.
    size = (head >> 8) & 0xFF
    if ((head & 0x80FF) == 10).all() and (size == sizes - 2).all():
        at, good = starts + 2, np.ones(len(starts), bool)
        if kind == BYTES:
            return Decoded(np.stack([at, size], 1), np.ones(len(starts), np.int64), good)
        return decode_contents(buffer, kind, at, size)
    if kind == BYTES:
        return _decode_strings(buffer, starts, sizes)
    size, taken = short_sizes(words[starts + 1])
    at = starts + 1 + taken
    good = (sizes == 0) | (buffer[starts] == 10) & (taken > 0) & (at + size == starts + sizes)
    decoded = decode_contents(buffer, kind, at, np.where(good & (sizes > 0), size, 0))
    return replace(decoded, good=decoded.good & good)


def decode_contents(buffer: np.ndarray, kind: int, at: np.ndarray, size: np.ndarray) -> Decoded:
    """Decode the packed numbers of one field.

    Args:
        buffer: ``[bytes]`` uint8, with eight bytes behind the numbers of each record.
        kind: FLOAT or INT64.
        at: Where the numbers of each record begin, ``[records]``.
        size: How many bytes they take, ``[records]``.
    """
    good = np.ones(len(at), bool)
    if kind == FLOAT:
        good = size % 4 == 0
        size = np.where(good, size, 0)
        return Decoded(_gather(buffer, at, size).view("<f4"), size // 4, good)
    if size.size and size.min() >= 1 and size.max() <= 8:
        values, single = one_varint(words_of(buffer)[at], size)
        if single.all():
            return Decoded(values, np.ones(len(size), np.int64), good)
    bounds = np.zeros(len(size) + 1, np.int64)
    np.cumsum(size, out=bounds[1:])
    values, splits, good = split_varints(_gather(buffer, at, size), bounds)
    counts = np.diff(splits)
    if not good.all():
        values, counts = values[np.repeat(good, counts)], np.where(good, counts, 0)
    return Decoded(values, counts, good)


def _decode_strings(buffer: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Decoded:
    words, end, at = words_of(buffer), starts + sizes, starts.copy()
    counts, good = np.zeros(len(starts), np.int64), np.ones(len(starts), bool)
    rows = np.flatnonzero(at < end)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    while len(rows):
        here = at[rows]
        size, taken = short_sizes(words[here + 1])
        begin = here + 1 + taken
        fine = (buffer[here] == 10) & (taken > 0) & (begin + size <= end[rows])
        good[rows[~fine]] = False
        rows, begin, size = rows[fine], begin[fine], size[fine]
        found.append((rows, np.stack([begin, size], 1)))
        counts[rows] += 1
        at[rows] = begin + size
        rows = rows[at[rows] < end[rows]]
    spans = np.concatenate([pairs for _, pairs in found]) if found else np.empty((0, 2), np.int64)
    if len(found) > 1:
        owner = np.concatenate([numbers for numbers, _ in found])
        order = np.argsort(owner, kind="stable")
        spans, owner = spans[order], owner[order]
        if not good.all():
            spans = spans[good[owner]]
    elif not good.all() and found:
        spans = spans[good[found[0][0]]]
    return Decoded(spans, np.where(good, counts, 0), good)


def _gather(buffer: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the given pieces of a buffer, one behind the other."""
    total = int(sizes.sum())
    if total > 64 * max(len(sizes), 1):
        view = buffer.data
        pieces = [view[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
        return np.frombuffer(b"".join(pieces), np.uint8)
    before = np.cumsum(sizes) - sizes
    return buffer[np.repeat(starts - before, sizes) + np.arange(total)]
