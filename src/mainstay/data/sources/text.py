"""Lines of text files as a source, and what sources of lines have in common."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import TensorSpec
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.sources.files import FileList
from mainstay.data.sources.scanned import SCANNED_BYTES, ScannedBlocks
from mainstay.data.sources.source import Blocks, Stream
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure
from mainstay.io import Codec, LineBlock, gather, line_number, read_line_blocks

_BLOCK_BYTES = 1 << 20
_SMALL_BLOCK_BYTES = 1 << 16
_FEW_ROWS = 256


class LinesSource(Stream):
    """Files whose elements are lines.

    Args:
        files: The files.
        codecs: How each is compressed.
        block_bytes: How much is read at a time; None for what suits.
    """

    is_columnar = True
    reads_again = True

    def __init__(self, files: FileList, codecs: tuple[Codec | None, ...], block_bytes: int | None = None) -> None:
        self.files, self.codecs, self.block_bytes = files, codecs, block_bytes
        self.name = files.title
        self._blocks: ScannedBlocks | None = None

    @abc.abstractmethod
    def parse(self, block: LineBlock) -> Structure:
        """Return the columns of a block."""

    @abc.abstractmethod
    def details(self) -> Any:
        """Return what decides about the elements besides the files, as JSON values."""

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and how they are read."""
        return [self.files.fingerprint(), list(self.codecs), self.details()]

    def content(self) -> Any:
        """Places, sizes and times of the files, and how they are read."""
        return [self.files.content(), list(self.codecs), self.details()]

    def blocks(self) -> Blocks | None:
        """Return the lines in blocks, found by reading all the text once; not of compressed files."""
        if any(self.codecs):
            return None
        if self._blocks is None:
            self._blocks = ScannedBlocks(self, self.files, self._scan, self._load_piece)
        return self._blocks

    def _scan(self, index: int) -> Iterator[tuple[int, bytes]]:
        blocks = read_line_blocks(self.files.paths[index], block_bytes=SCANNED_BYTES)
        return ((block.start, block.data.tobytes()) for block in blocks)

    def _load_piece(self, index: int, start: int, data: bytes) -> Chunk:
        return self.load((index, LineBlock(self.files.paths[index], start, np.frombuffer(data, np.uint8))))

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield blocks of lines. The state is the number of the file and the place in it, in bytes."""
        size = self.block_bytes or (_SMALL_BLOCK_BYTES if rows <= _FEW_ROWS else _BLOCK_BYTES)
        first, position = state or (0, 0)
        for index in range(first, len(self.files.paths)):
            path, codec = self.files.paths[index], self.codecs[index]
            for block in read_line_blocks(path, codec, start=position, block_bytes=size):
                yield (index, block), [index, block.start + len(block.data)]
            position = 0

    def load(self, address: Any) -> Chunk:
        """Return the elements of a block."""
        index, block = address
        made = Chunk.of(self.parse(block))
        origin = Origin(LinePlace(block.path, self.codecs[index], block.start), self.lines(block, made.length))
        return Chunk(made.skeleton, made.columns, made.length, origin)

    def lines(self, block: LineBlock, count: int) -> Any:
        """Return the number in its block of the line of each element."""
        return range(count)


@dataclass(frozen=True)
class LinePlace:
    """Says on which line of a file something is, a number of lines after a place."""

    path: Path
    codec: Codec | None
    start: int

    def __call__(self, line: int) -> str:
        """Return the file and the line."""
        return f"{self.path}, line {line_number(self.path, self.codec, self.start) + line:,}"


class TextSource(LinesSource):
    """The lines of text files, without their line ends."""

    @property
    def spec(self) -> Structure:
        """One string."""
        return TensorSpec((), "string")

    def details(self) -> Any:
        """Nothing."""
        return "text"

    def parse(self, block: LineBlock) -> Structure:
        """Return the lines."""
        return gather(block.data, *block.spans())
