"""TFRecord files read from the beginning to the end, in blocks of whole records and in bounded memory.

A record that is damaged or cut off is never given out: the error says which file, which record, and at which byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mainstay.core import DataError, RecordDamageError, masked_crc32c
from mainstay.io.byte_streams import ByteStream, Codec, codec_by_content
from mainstay.io.record_scan import FRAME_BYTES, HEAD_BYTES, check_records, scan_records

MAX_RECORD_BYTES = 1 << 30
"""The longest record that is read, in bytes: a length beyond it is damage, or an attack, rather than a record."""

BLOCK_BYTES = 1 << 20
"""How much is read at a time."""

_FEWEST_BATCHES = 4


@dataclass(frozen=True, eq=False)
class RecordBlock:
    """Some consecutive records of a file.

    Args:
        path: The file.
        number: The number of the first record in the file, from 0.
        position: Where `data` begins in the decompressed file, in bytes.
        data: The bytes that hold the records, ``[bytes]`` uint8.
        offsets: Where each record's content begins in `data`, ``[records]`` int64.
        lengths: How long it is, ``[records]`` int64.
    """

    path: Path
    number: int
    position: int
    data: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets)

    def cut(self, start: int, stop: int) -> RecordBlock:
        """Return some of the records, without a copy."""
        return replace(
            self,
            number=self.number + start,
            offsets=self.offsets[start:stop],
            lengths=self.lengths[start:stop],
        )

    @property
    def end(self) -> int:
        """Where the last record's frame ends in the decompressed file; there is at least one."""
        return self.position + int(self.offsets[-1] + self.lengths[-1]) + FRAME_BYTES - HEAD_BYTES

    def check(self) -> None:
        """Compare the records with their checksums.

        Raises:
            DataError: One does not match; the message says which.
        """
        wrong = check_records(self.data, self.offsets, self.lengths)
        if wrong >= 0:
            raise self.damage(wrong)

    def damage(self, index: int) -> RecordDamageError:
        """Return the error that says that a record does not match its checksum."""
        start = int(self.offsets[index])
        stop = start + int(self.lengths[index])
        found = masked_crc32c(self.data[start:stop].tobytes())
        noted = int.from_bytes(self.data[stop : stop + 4].tobytes(), "little")
        return RecordDamageError(
            "a record does not match its checksum",
            where=place_of(self.path, self.number + index, self.position + start - HEAD_BYTES),
            expected=f"the checksum {noted:#010x}, as the file says",
            received=f"{found:#010x}, that of the {stop - start:,} bytes that are there",
            fix=_FIX,
        )

    def bad(self) -> list[int]:
        """Return which records do not match their checksums."""
        found: list[int] = []
        start = 0
        while (
            start < len(self) and (wrong := check_records(self.data, self.offsets[start:], self.lengths[start:])) >= 0
        ):
            found.append(start + wrong)
            start += wrong + 1
        return found

    def without(self, records: list[int]) -> tuple[RecordBlock, np.ndarray]:
        """Return the block without some records, and the numbers in the file of those that stay."""
        kept = np.delete(np.arange(len(self)), records)
        return replace(self, offsets=self.offsets[kept], lengths=self.lengths[kept]), kept + self.number


_FIX = "copy or write the file again, or read on with on_error='skip', which leaves damaged records out and counts them"


def place_of(path: Path, number: int, position: int) -> str:
    """Return the place of a record, for messages."""
    return f"{path}, record {number:,}, byte {position:,}"


def read_record_blocks(
    path: Path,
    codec: Codec | None = None,
    *,
    start: int = 0,
    number: int = 0,
    block_bytes: int = BLOCK_BYTES,
    batch: int = 1,
) -> Iterator[RecordBlock]:
    """Yield the records of a file; their contents are not yet compared with their checksums.

    Args:
        path: The file.
        codec: How it is compressed.
        start: Where to begin, in bytes of the decompressed file: where a frame begins.
        number: The number of the record there.
        block_bytes: How much to read at a time; a record that is longer is read whole.
        batch: Multiples of how many records are wanted: a block of several such ends with one, but for the last.

    Raises:
        DataError: A length does not match its checksum, or the file ends inside a record; what comes before has been
            given out.
        StorageError: The file cannot be read.
    """
    with ByteStream(path, codec, start) as stream:
        if codec is None and start > stream.size:
            raise DataError(
                "the file is shorter than it was",
                where=path,
                expected=f"at least {start:,} bytes",
                received=f"{stream.size:,} bytes",
                fix="read the files that the state was made with",
            )
        rest, position, wanted = np.empty(0, np.uint8), start, block_bytes
        while True:
            buffer = np.empty(max(wanted, len(rest)), np.uint8)
            buffer[: len(rest)] = rest
            filled = len(rest) + stream.fill(buffer[len(rest) :].data)
            has_ended = filled < len(buffer)
            buffer = buffer[:filled]
            offsets, lengths, end = scan_records(buffer)
            more = len(offsets) % batch
            if more and not has_ended and len(offsets) >= _FEWEST_BATCHES * batch:
                offsets, lengths, end = offsets[:-more], lengths[:-more], int(offsets[-more]) - HEAD_BYTES
            if len(offsets):
                yield RecordBlock(path, number, position, buffer, offsets, lengths)
            number, position, rest = number + len(offsets), position + end, buffer[end:]
            if has_ended and stream.failure is not None:
                raise _cut_short(stream, number, position)
            if has_ended and not len(rest):
                return
            wanted = max(block_bytes, _check_head(stream, number, position, rest, has_ended))


def _check_head(stream: ByteStream, number: int, position: int, rest: np.ndarray, has_ended: bool) -> int:
    """Return how many bytes the frame that begins here takes; its end has not been read yet.

    Raises:
        DataError: It has no end, or its length is damaged.
    """
    where = place_of(stream.path, number, position)
    if len(rest) < HEAD_BYTES:
        if has_ended:
            raise RecordDamageError(
                "the file ends inside a record",
                where=where,
                expected=f"{HEAD_BYTES} bytes of its length and checksum",
                received=f"{len(rest)} bytes",
                fix=_FIX,
            )
        return HEAD_BYTES
    head = rest[:HEAD_BYTES].tobytes()
    length, checksum = struct.unpack("<QI", head)
    if masked_crc32c(head[:8]) != checksum:
        if position == 0:
            raise _foreign(stream, head)
        raise RecordDamageError(
            "the length of a record does not match its checksum",
            where=where,
            expected=f"the checksum {checksum:#010x}, as the file says",
            received=f"{masked_crc32c(head[:8]):#010x}, that of the length {length:,}",
            fix="copy or write the file again, or read on with on_error='skip': the rest of this file is then left out",
        )
    left = stream.size - position - FRAME_BYTES if stream.codec is None else MAX_RECORD_BYTES
    if has_ended or length > left or length > MAX_RECORD_BYTES:
        is_cut = has_ended or length > left
        raise RecordDamageError(
            "the file ends inside a record" if is_cut else "a record is too long",
            where=where,
            expected=f"a record of {length:,} bytes" if is_cut else f"at most {MAX_RECORD_BYTES:,} bytes",
            received=f"{max(0, len(rest) - HEAD_BYTES if has_ended else left):,} bytes" if is_cut else f"{length:,}",
            fix=_FIX if is_cut else "store values of that size in files of their own",
        )
    return int(length) + FRAME_BYTES


def _cut_short(stream: ByteStream, number: int, position: int) -> RecordDamageError:
    reason = stream.failure
    return RecordDamageError(
        "the compressed file is damaged or truncated",
        where=place_of(stream.path, number, position),
        received=reason and reason.received,
        fix=_FIX,
    )


def _foreign(stream: ByteStream, head: bytes) -> DataError:
    found = codec_by_content(head) if stream.codec is None else None
    kind = DataError if found else RecordDamageError
    return kind(
        "this is no TFRecord file, or its first length is damaged",
        where=place_of(stream.path, 0, 0),
        expected="the length of a record and its checksum",
        received=f"a file that looks compressed with {found}" if found else f"{head!r}",
        fix=f"say compression_type={found.upper()!r}" if found else "check what the file is",
    )
