"""CSV files as a source: blocks of whole records, parsed on many threads; in order at once, or shuffled by blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mainstay.core import DataError, TensorSpec
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Column, join
from mainstay.data.sources.csv_parsing import CsvColumn, CsvParser, records_of
from mainstay.data.sources.files import FileList
from mainstay.data.sources.scanned import SCANNED_BYTES, ScannedBlocks
from mainstay.data.sources.skipping import Skipped
from mainstay.data.sources.source import Blocks, Stream
from mainstay.data.streams import Epoch, State
from mainstay.data.structures import Structure
from mainstay.io import CsvBlock, CsvFile, line_at, read_csv_blocks

_BLOCK_BYTES = 1 << 20
_SMALL_BLOCK_BYTES = 1 << 16
_FEW_ROWS = 256


@dataclass(frozen=True)
class CsvLayout:
    """What the files hold, and what becomes of it.

    Args:
        parts: The files.
        columns: The columns, found when they are first needed, for types may have to be inferred.
        arrange: Makes the structure of an element of its columns.
        missing: The texts of missing values; see `CsvParser`.
        skip: Whether rows that do not fit are left out and counted; else they are errors.
    """

    parts: tuple[CsvFile, ...]
    columns: Callable[[], tuple[CsvColumn, ...]]
    arrange: Callable[[Sequence[Any]], Structure]
    missing: tuple[str, ...] | None = None
    skip: bool = False


class CsvSource(Stream):
    """The rows of CSV files.

    Args:
        layout: What the files hold.
        block_bytes: How much is read at a time; None for what suits.
    """

    is_columnar = True
    reads_again = True

    def __init__(self, layout: CsvLayout, block_bytes: int | None = None) -> None:
        self.layout, self.block_bytes = layout, block_bytes
        self.files = FileList.of([part.path for part in layout.parts], "CSV")
        self.name = self.files.title
        self.skipped = Skipped() if layout.skip else None
        self._blocks: ScannedBlocks | None = None

    def __getstate__(self) -> dict[str, Any]:
        columns = functools.partial(tuple, self.parser.columns)
        return {**self.__dict__, "layout": replace(self.layout, columns=columns)}

    @functools.cached_property
    def parser(self) -> CsvParser:
        """What parses blocks."""
        return CsvParser(self.layout.columns(), self.layout.missing)

    @functools.cached_property
    def spec(self) -> Structure:
        """A scalar for each column."""
        return self.layout.arrange([TensorSpec((), column.numpy_dtype) for column in self.parser.columns])

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and the columns."""
        columns = [[c.name, c.dtype, repr(c.default) if c.default == c.default else "nan"] for c in self._known()]
        return [self.files.fingerprint(), columns, str(self.spec)]

    def _known(self) -> tuple[CsvColumn, ...]:
        return self.parser.columns

    def content(self) -> Any:
        """Places, sizes and times of the files, and the columns."""
        return [self.files.content(), *self.fingerprint()[1:]]

    def blocks(self) -> Blocks | None:
        """Return the rows in blocks, found by reading all the text once; not of compressed files."""
        if any(part.codec is not None for part in self.layout.parts):
            return None
        if self._blocks is None:
            self._blocks = ScannedBlocks(self, self.files, self._scan, self._load_piece)
        return self._blocks

    def _scan(self, index: int) -> Iterator[tuple[int, bytes]]:
        part = self.layout.parts[index]
        return ((block.start, block.data) for block in read_csv_blocks(part, lambda: SCANNED_BYTES))

    def _load_piece(self, index: int, start: int, data: bytes) -> Chunk:
        return self.load(CsvBlock(self.layout.parts[index], start, data))

    def run(self, state: State, epoch: Epoch, rows: int) -> Iterator[tuple[Any, State]]:
        """Yield blocks of text. The state is the number of the file and the place in it, in bytes."""
        size = self.block_bytes or (_SMALL_BLOCK_BYTES if rows <= _FEW_ROWS else _BLOCK_BYTES)
        first, position = state or (0, None)
        for index in range(first, len(self.layout.parts)):
            for block in read_csv_blocks(self.layout.parts[index], lambda: size, position):
                yield block, [index, block.start + len(block.data)]
            position = None

    def load(self, address: Any) -> Chunk:
        """Return the rows of a block."""
        block: CsvBlock = address
        columns = self.parser(block) if self.skipped is None else self._parse_what_fits(block, self.skipped)
        rows = len(columns[0])
        made = Chunk.of(self.layout.arrange(columns), rows)
        return Chunk(made.skeleton, made.columns, rows, Origin(_Line(block.file, block.start), range(rows)))

    def _parse_what_fits(self, block: CsvBlock, skipped: Skipped) -> list[Column]:
        """Return the columns of the rows that fit: halves of the block are tried until the others are found."""
        starts = [start for start, _ in records_of(block.file, block.data)] + [len(block.data)]
        parts: list[list[Column]] = []
        left = [(0, len(starts) - 1)]
        while left:
            low, high = left.pop()
            piece = CsvBlock(block.file, block.start + starts[low], block.data[starts[low] : starts[high]])
            try:
                parts.append(self.parser(piece))
            except DataError as error:
                if high - low == 1:
                    skipped.add(block.file.path, piece.start, error)
                else:
                    middle = (low + high) // 2
                    left += [(middle, high), (low, middle)]
        if not parts:
            return self.parser(CsvBlock(block.file, block.start, b""))
        return [join(columns) for columns in zip(*parts, strict=True)]


@dataclass(frozen=True)
class _Line:
    """Says on which line of a file a row is that follows a place, by reading the file again."""

    file: CsvFile
    start: int

    def __call__(self, row: int) -> str:
        for block in read_csv_blocks(self.file, lambda: _BLOCK_BYTES, self.start):
            for number, (start, _) in enumerate(records_of(self.file, block.data)):
                if number == row:
                    return f"{self.file.path}, line {line_at(self.file, block.start + start):,}"
            break
        return f"{self.file.path}, row {row:,} after byte {self.start:,}"
