"""Where the records of TFRecord files are, so that any of them is read at once: files that are mapped, never copied."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import ADDRESS, DataError, address_of, native_function, storage_errors
from mainstay.io.binary_columns import BINARY_LIMIT, binary_from_parts, copy_pieces
from mainstay.io.record_reading import RecordBlock, read_record_blocks
from mainstay.io.record_scan import HEAD_BYTES, scan_records

_MOST_ENTRIES = 1 << 22
"""How many places are kept at most: beyond, those of every second record are let go, and again, so that an index
takes 32 MiB whatever the number of records."""
_AT_A_TIME = 1 << 20
_INT64 = ctypes.c_int64
_BEHIND = 160
"""What the NumPy parser of examples may read behind the last of them."""


class MappedFile:
    """A file mapped into memory, which must not change while it is read.

    It is mapped when it is first needed, in every process by itself.

    Args:
        path: The file.

    Raises:
        StorageError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path, "read"):
            status = os.stat(path)
        self.size, self._time = status.st_size, status.st_mtime_ns
        self._data: np.ndarray | None = None

    def data(self) -> np.ndarray:
        """Return the bytes of the file, ``[bytes]`` uint8, read-only.

        Raises:
            DataError: The file has changed since it was first looked at.
            StorageError: It cannot be read.
        """
        with storage_errors(self.path, "read"):
            status = os.stat(self.path)
            if (status.st_size, status.st_mtime_ns) != (self.size, self._time):
                raise DataError(
                    "the file changed while it was read",
                    where=self.path,
                    expected=f"{self.size:,} bytes, as at the beginning",
                    received=f"{status.st_size:,} bytes, or other ones",
                    fix="read a copy that nobody writes to",
                )
            if self._data is None:
                self._data = self._map()
        return self._data

    def _map(self) -> np.ndarray:
        if not self.size:
            return np.empty(0, np.uint8)
        with open(self.path, "rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}


@dataclass(frozen=True, eq=False)
class _Entries:
    """Where every `stride`-th record of a file begins, and how many records it has."""

    frames: np.ndarray
    count: int


class RecordIndex:
    """The places of the records of some files, found by one pass over the lengths of the records.

    Args:
        paths: The files, uncompressed.
        limit: How many records are wanted at most; the pass ends there.
        on_damage: Called with the error where a file is damaged, after which its records up to there are taken; raised
            where it is None.

    Raises:
        DataError: A file is damaged.
        StorageError: A file cannot be read.
    """

    def __init__(self, paths: Sequence[Path], limit: int | None = None, on_damage: Any = None) -> None:
        self.files = [MappedFile(path) for path in paths]
        self.stride = 1
        entries: list[_Entries] = []
        for file in self.files:
            left = None if limit is None else limit - sum(one.count for one in entries)
            entries.append(self._scan(file, left, entries, on_damage))
        self._frames = [one.frames for one in entries]
        self.bounds = np.cumsum([0, *(one.count for one in entries)]).astype(np.int64)

    def _scan(self, file: MappedFile, limit: int | None, before: list[_Entries], on_damage: Any) -> _Entries:
        data, position, count = file.data(), 0, 0
        frames: list[np.ndarray] = []
        while position < len(data) and (limit is None or count < limit):
            wanted = _AT_A_TIME if limit is None else min(_AT_A_TIME, limit - count)
            offsets, _, position = scan_records(data, position, None, wanted)
            frames.append(offsets[:: self.stride] - HEAD_BYTES)
            count += len(offsets)
            self._thin(frames, before)
            if len(offsets) < wanted and position < len(data):
                self._report(file, position, count, on_damage)
                break
        return _Entries(np.concatenate(frames) if frames else np.empty(0, np.int64), count)

    def _thin(self, frames: list[np.ndarray], before: list[_Entries]) -> None:
        while sum(map(len, frames)) + sum(len(one.frames) for one in before) > _MOST_ENTRIES and (
            self.stride < _AT_A_TIME
        ):
            self.stride *= 2
            frames[:] = [part[::2].copy() for part in frames]
            before[:] = [_Entries(one.frames[::2].copy(), one.count) for one in before]

    def _report(self, file: MappedFile, position: int, number: int, on_damage: Any) -> None:
        try:
            for _ in read_record_blocks(file.path, start=position, number=number):
                break
        except DataError as error:
            if on_damage is None:
                raise
            on_damage(error, file.path, position)

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @property
    def nbytes(self) -> int:
        """How much memory the index takes."""
        return sum(frames.nbytes for frames in self._frames)

    def blocks(self, indices: np.ndarray) -> list[tuple[RecordBlock, np.ndarray]]:
        """Return records by their index over all files, those of one file together.

        Args:
            indices: int64 ``[n]``.

        Returns:
            For each file that holds some: the records, whose `data` is the whole file; and their places in `indices`.
            The blocks have no `number`, for theirs do not follow one another.

        Raises:
            DataError: A file has changed.
        """
        owners = np.searchsorted(self.bounds, indices, "right") - 1
        found = []
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner)
            found.append((self._locate(owner, indices[places] - self.bounds[owner]), places))
        return found

    def span(self, start: int, stop: int) -> list[RecordBlock]:
        """Return consecutive records, those of one file together.

        Raises:
            DataError: A file has changed.
        """
        found = []
        for owner in range(len(self.files)):
            low, high = (int(bound) for bound in self.bounds[owner : owner + 2])
            first, last = max(start, low) - low, min(stop, high) - low
            if first < last:
                found.append(self._consecutive(owner, first, last))
        return found

    def _consecutive(self, owner: int, first: int, last: int) -> RecordBlock:
        data = self.files[owner].data()
        skipped = first % self.stride
        frame = int(self._frames[owner][first // self.stride])
        offsets, lengths, _ = scan_records(data, frame, None, last - first + skipped)
        if len(offsets) < last - first + skipped:
            raise self._changed(owner)
        return RecordBlock(self.files[owner].path, first, 0, data, offsets[skipped:], lengths[skipped:])

    def _locate(self, owner: int, records: np.ndarray) -> RecordBlock:
        data = self.files[owner].data()
        frames, hops = self._frames[owner][records // self.stride], records % self.stride
        offsets, lengths = np.empty(len(records), np.int64), np.empty(len(records), np.int64)
        walk = native_function(
            "mainstay_walk_records", _INT64, ADDRESS, _INT64, ADDRESS, ADDRESS, _INT64, ADDRESS, ADDRESS
        )
        if walk is None:
            wrong = _walk(data, frames, hops, offsets, lengths)
        else:
            addresses = address_of(offsets), address_of(lengths)
            wrong = walk(address_of(data), len(data), address_of(frames), address_of(hops), len(records), *addresses)
        if wrong >= 0:
            raise self._changed(owner)
        return RecordBlock(self.files[owner].path, 0, 0, data, offsets, lengths)

    def _changed(self, owner: int) -> DataError:
        return DataError(
            "the file changed while it was read",
            where=self.files[owner].path,
            fix="read a copy that nobody writes to",
        )


def _walk(data: np.ndarray, frames: np.ndarray, hops: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> int:
    """Do what `mainstay_walk_records` does."""
    for index, (frame, hop) in enumerate(zip(frames.tolist(), hops.tolist(), strict=True)):
        found, sizes, _ = scan_records(data, frame, None, hop + 1)
        if len(found) <= hop:
            return index
        offsets[index], lengths[index] = found[hop], sizes[hop]
    return -1


def gather(data: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> Any:
    """Return ranges of a buffer as an Arrow array of bytes: a copy, one behind the other.

    Args:
        data: ``[bytes]`` uint8.
        offsets: Where the ranges begin, ``[n]`` int64; they are known to lie inside the buffer.
        lengths: How long they are, ``[n]`` int64.
    """
    copy = native_function("mainstay_gather_records", None, ADDRESS, ADDRESS, ADDRESS, _INT64, ADDRESS)
    if copy is None:
        return copy_pieces(data, offsets, lengths, behind=_BEHIND)
    bounds = np.zeros(len(offsets) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    joined = np.empty(int(bounds[-1]), np.uint8)
    starts, sizes = np.ascontiguousarray(offsets), np.ascontiguousarray(lengths)
    copy(address_of(data), address_of(starts), address_of(sizes), len(starts), address_of(joined))
    return binary_from_parts(joined, bounds if bounds[-1] > BINARY_LIMIT else bounds.astype(np.int32))
