"""Text files in blocks of whole lines: decompressed as they are read, cut at line ends, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mainstay.core import DataError
from mainstay.io.byte_streams import ByteStream, Codec

MAX_LINE_BYTES = 1 << 30
"""The longest line that is read, in bytes: beyond it, a binary file is the likelier cause."""

_LINE_END, _RETURN = 10, 13


@dataclass(frozen=True, eq=False)
class LineBlock:
    """Whole lines of a file.

    Args:
        path: The file.
        start: Where the block begins, in bytes of the decompressed text.
        data: The text, ``[bytes]`` uint8; the last line of a file may have no line end.
    """

    path: Path
    start: int
    data: np.ndarray

    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where the lines begin in `data` and how long they are, without line ends, both int64."""
        ends = np.flatnonzero(self.data == _LINE_END)
        if len(self.data) and self.data[-1] != _LINE_END:
            ends = np.append(ends, len(self.data))
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]) if len(ends) else np.empty(0, np.int64)
        lengths = ends - starts
        last = self.data[np.maximum(ends - 1, 0)] if len(ends) else np.empty(0, np.uint8)
        return starts, lengths - ((lengths > 0) & (last == _RETURN))


def read_line_blocks(
    path: Path, codec: Codec | None = None, *, start: int = 0, block_bytes: int = 1 << 20
) -> Iterator[LineBlock]:
    """Yield the lines of a file.

    Args:
        path: The file.
        codec: How it is compressed.
        start: Where to begin, in bytes of the decompressed text: where a line begins.
        block_bytes: How much to read at a time; a line that is longer is read whole.

    Raises:
        DataError: The file is damaged, or a line is too long.
        StorageError: The file cannot be read.
    """
    with ByteStream(path, codec, start) as stream:
        rest, position = np.empty(0, np.uint8), start
        while True:
            buffer = np.empty(len(rest) + max(block_bytes, len(rest)), np.uint8)
            buffer[: len(rest)] = rest
            filled = len(rest) + stream.fill(buffer[len(rest) :].data)
            has_ended, buffer = filled < len(buffer), buffer[:filled]
            if stream.failure is not None:
                raise stream.failure
            cut = filled if has_ended else _after_last_line(buffer)
            if cut:
                yield LineBlock(path, position, buffer[:cut])
                position += cut
            elif filled > MAX_LINE_BYTES:
                raise DataError(
                    "a line is too long",
                    where=f"{path}, byte {position:,}",
                    expected=f"at most {MAX_LINE_BYTES:,} bytes",
                    fix="check that this is a text file",
                )
            rest = buffer[cut:]
            if has_ended:
                return


def _after_last_line(buffer: np.ndarray) -> int:
    """Return where the line after the last whole one begins; 0 where there is no whole one."""
    step = 1 << 12
    for stop in range(len(buffer), 0, -step):
        ends = np.flatnonzero(buffer[max(0, stop - step) : stop] == _LINE_END)
        if len(ends):
            return max(0, stop - step) + int(ends[-1]) + 1
    return 0


def line_number(path: Path, codec: Codec | None, position: int) -> int:
    """Return the number of the line, from 1, that begins at a byte of the decompressed text."""
    lines = 1
    with ByteStream(path, codec) as stream:
        while position > 0 and (part := stream.read(min(position, 1 << 20))):
            position -= len(part)
            lines += part.count(b"\n")
    return lines
