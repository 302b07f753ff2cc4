"""tf.Examples read in step: the same place of many records at once, in NumPy, as long as they look alike.

A record that does not look alike is not judged here: it is left out, for the reader that goes record by record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mainstay.io.example_features import BYTES, FLOAT
from mainstay.io.example_plan import Plan
from mainstay.io.example_varints import one_varint, short_sizes, split_varints, words_of

FEWEST = 16
"""Fewer records than these go one by one: a step costs the same for one as for hundreds."""
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
    # A word is read wherever a record may be read: its last bytes need seven more behind them.
    lists.strays[:] = (offsets + lengths + 16 > buffer.size) | (lengths >= 1 << 31)
    rows = np.flatnonzero(~lists.strays)
    if len(rows) < FEWEST:
        lists.strays[:] = True
        return lists
    words = words_of(buffer)
    at, end = offsets[rows], (offsets + lengths)[rows]
    size, taken = short_sizes(words[at + 1])
    whole = (buffer[at] == 10) & (taken > 0) & (at + 1 + taken + size == end) | (at == end)
    lists.strays[rows[~whole]] = True
    rows, at, end = rows[whole], (at + 1 + taken)[whole], end[whole]
    _Walk(buffer, words, plan, lists).run(rows, at, end)
    return lists


class _Walk:
    """A walk over the entries of many records. A round takes one key: the records whose next entry has it go on.

    The key of a round is that of a record that has gone least far: so records that lack a feature, or have one more,
    come into step again.
    """

    def __init__(self, buffer: np.ndarray, words: np.ndarray, plan: Plan, lists: Lists) -> None:
        self.buffer, self.words, self.plan, self.lists = buffer, words, plan, lists

    def run(self, rows: np.ndarray, at: np.ndarray, end: np.ndarray) -> None:
        gone, patience = np.zeros(len(rows), np.int64), max(8, len(rows) // 8)
        while True:
            live = at < end
            if not live.all():
                rows, at, end, gone = rows[live], at[live], end[live], gone[live]
            if len(rows) < FEWEST or not patience:
                self.lists.strays[rows] = True
                return
            lead = int(gone.argmin())
            matched, after = self._step(rows, at, end, lead)
            if matched.all():
                at = after
                gone += 1
                continue
            patience -= 1
            if matched[lead]:
                at = np.where(matched, after, at)
                gone += matched
            else:
                self.lists.strays[rows[lead]] = True
                at[lead] = end[lead]

    def _step(self, rows: np.ndarray, at: np.ndarray, end: np.ndarray, lead: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the entry at which each record stands; return which have the key of the lead, and where it ends."""
        first, last = int(at[lead]), int(end[lead])
        head = self.buffer[first:last][:4].tobytes()
        if len(head) == 4 and head[0] == 10 and head[1] < 128 and head[2] == 10 and head[3] + 6 <= head[1]:
            key = self.buffer[first + 4 : first + 4 + head[3]].tobytes()
            kind_at = first + 6 + len(key)
            if kind_at < last and self.buffer[kind_at] in (10, 18, 26):
                return self._small_step(rows, at, end, lead, key)
        return self._large_step(rows, at, end, lead)

    def _small_step(
        self, rows: np.ndarray, at: np.ndarray, end: np.ndarray, lead: int, key: bytes
    ) -> tuple[np.ndarray, np.ndarray]:
        """An entry of less than 128 bytes: all its lengths follow from the first, and two words hold them."""
        kind = int(self.buffer[at[lead] + 6 + len(key)])
        words = self.words[at]
        size = (words >> _WORD(8)) & _WORD(0x7F)
        matched = (words & _WORD(0xFFFF80FF)) == _WORD(10 | 10 << 16 | len(key) << 24)
        after = at + 2 + size.astype(np.int64)
        matched &= (after <= end) & (size >= _WORD(len(key) + 6))
        if not matched.all():
            at, size = np.where(matched, at, at[lead]), np.where(matched, size, size[lead])
        matched &= self._has_key(at + 4, key)
        # The tag of the value, its length, the tag of the list, its length.
        expected = (size - _WORD(len(key) + 4)) * _WORD(1 << 8 | 1 << 24) + _WORD(18 | kind << 16) - _WORD(2 << 24)
        value = at + 4 + len(key)
        matched &= (self.words[value] & _WORD(0xFFFFFFFF)) == expected
        self._note(rows, matched, key, kind >> 3, (value + 4, size.astype(np.int64) - (len(key) + 6)))
        return matched, after

    def _large_step(
        self, rows: np.ndarray, at: np.ndarray, end: np.ndarray, lead: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """An entry of any length. Where one does not fit, the lead's place is read in place of its own."""
        nobody = np.zeros(len(rows), bool)
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
        matched &= self._has_key(entry + 2, key)
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

    def _has_key(self, at: np.ndarray, key: bytes) -> np.ndarray:
        """Return whether the key stands at each place; it does, with 8 bytes behind it, inside the buffer."""
        size = len(key)
        if size < 8:
            same = self.words[at] & _WORD((1 << 8 * size) - 1)
            return same == _WORD(int.from_bytes(key, "little"))  # type: ignore[no-any-return]
        matched = np.ones(len(at), bool)
        for start in {*range(0, size - 7, 8), size - 8}:
            matched &= self.words[at + start] == _WORD(int.from_bytes(key[start : start + 8], "little"))
        return matched

    def _note(
        self, rows: np.ndarray, matched: np.ndarray, key: bytes, kind: int, lists: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Keep where the lists of a key are, ``(starts, sizes)``, for the records that have it here."""
        number = self.plan.number_of.get(key)
        if number is None:
            return
        starts, sizes = lists
        if not matched.all():
            rows, starts, sizes = rows[matched], starts[matched], sizes[matched]
        if kind != self.plan.fields[number].kind:
            self.lists.strays[rows] = True
            return
        again = self.lists.starts[number, rows] >= 0
        self.lists.strays[rows[again]] = True
        self.lists.starts[number, rows] = starts
        self.lists.sizes[number, rows] = sizes


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
        buffer: ``[bytes]`` uint8, with 16 bytes behind every list.
        kind: BYTES, FLOAT or INT64.
        starts: Where each list begins, ``[records]``.
        sizes: How many bytes it has, ``[records]``.
    """
    if kind == BYTES:
        return _decode_strings(buffer, starts, sizes)
    words = words_of(buffer)
    if kind == FLOAT and (sizes == 6).all():
        head = words[starts]
        good = (head & _WORD(0xFFFF)) == _WORD(0x040A)
        values = (head >> _WORD(16)).astype(np.uint32).view(np.float32)
        return Decoded(values if good.all() else values[good], good.astype(np.int64), good)
    size, taken = short_sizes(words[starts + 1])
    at = starts + 1 + taken
    good = (sizes == 0) | (buffer[starts] == 10) & (taken > 0) & (at + size == starts + sizes)
    size = np.where(good & (sizes > 0), size, 0)
    if kind == FLOAT:
        good &= size % 4 == 0
        size = np.where(good, size, 0)
        return Decoded(_gather(buffer, at, size).view("<f4"), size // 4, good)
    if size.size and size.min() >= 1 and size.max() <= 8:
        values, single = one_varint(words[at], size)
        if single.all():
            return Decoded(values, np.ones(len(size), np.int64), good)
    bounds = np.zeros(len(size) + 1, np.int64)
    np.cumsum(size, out=bounds[1:])
    values, splits, formed = split_varints(_gather(buffer, at, size), bounds)
    counts = np.diff(splits)
    if not formed.all():
        values, counts = values[np.repeat(formed, counts)], np.where(formed, counts, 0)
    return Decoded(values, counts, good & formed)


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
