"""Parquet files as a source: row groups that are read in any order, of the columns that are wanted only."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mainstay.core import DataError, storage_errors
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array
from mainstay.data.sources.arrow_columns import MissingValueError, convert, missing, plain_type, refused
from mainstay.data.sources.files import FileList, stamp_of
from mainstay.data.sources.parquet_pieces import PieceReader, pieces_of
from mainstay.data.sources.source import Blocks
from mainstay.data.specs import spec_of_chunk
from mainstay.data.structures import Structure
from mainstay.io import check_columns

_FEW_ROWS = 8192
"""Row groups with fewer rows are read together, as far as they are neighbours."""
_MANY_ROWS = 1 << 17
"""Row groups with more rows are decoded on several threads at once, for others wait for them."""
_MANY_BYTES = 1 << 27
"""Row groups that take more memory are decoded in pieces of half of that."""


@dataclass(frozen=True)
class _Block:
    """Some neighbouring row groups of a file; or a piece of one of them, pieces of `piece_rows` rows."""

    file: int
    groups: tuple[int, ...]
    first_row: int
    rows: int
    piece: int = 0
    piece_rows: int = 0


class ParquetSource(Blocks):
    """The rows of Parquet files.

    Args:
        files: The files.
        columns: The columns that are wanted, in this order; None for all.
        defaults: What stands for missing values, by column.
        arrange: Makes the structure of an element of the columns.

    Raises:
        ArgumentError: A column is unknown.
        DataError: A file is no Parquet file, the files have different columns, or a column has a type that datasets
            do not have.
    """

    def __init__(
        self,
        files: FileList,
        columns: Sequence[str] | None,
        defaults: Mapping[str, Any],
        arrange: Callable[[Sequence[str]], Callable[[Sequence[Any]], Structure]],
    ) -> None:
        self.files, self.name = files, files.title
        self._metadata = [_metadata(path) for path in files.paths]
        self._stamps = [stamp_of(path) for path in files.paths]
        schemas = [_schema(path, metadata) for path, metadata in zip(files.paths, self._metadata, strict=True)]
        names = tuple(schemas[0].names) if columns is None else check_columns(columns, schemas[0].names)
        if defaults:
            check_columns(list(defaults), names)
        self.columns, self.defaults = names, dict(defaults)
        self._arrange = arrange(names)
        self._check(schemas)
        self._types = {name: schemas[0].field(name).type for name in names}
        self._plan: list[_Block] = []
        for block in _blocks(self._metadata):
            with _damage(files.paths[block.file]):
                self._plan += self._pieces(block)
        self._reader = PieceReader()

    def _check(self, schemas: list[pa.Schema]) -> None:
        """Refuse files that differ in a column that is read."""
        first = schemas[0]
        for path, schema in zip(self.files.paths, schemas, strict=True):
            for name in self.columns:
                expected, index = first.field(name).type, schema.get_field_index(name)
                if plain_type(expected) is None:
                    raise refused(str(path), name, expected)
                received = schema.field(index).type if index >= 0 else "no such column, or several"
                if index < 0 or plain_type(received) != plain_type(expected):
                    raise DataError(
                        f"the column {name!r} differs between the files",
                        where=path,
                        expected=f"{expected}, as in {self.files.paths[0]}",
                        received=received,
                        fix="write the files with one schema, or read them by themselves and map them to one dtype",
                    )

    @functools.cached_property
    def spec(self) -> Structure:
        """The specs of the columns."""
        empty = [convert(pa.array([], self._types[name])) for name in self.columns]
        return spec_of_chunk(Chunk.of(self._arrange(empty), 0))

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return len(self._plan)

    def block_rows(self, block: int) -> int:
        """Return how many rows a block has."""
        return self._plan[block].rows

    @functools.cached_property
    def row_bytes(self) -> int:
        """About how many bytes a row takes."""
        return int(max(1, sum(map(self._bytes, self._metadata)) // max(self.cardinality, 1)))

    def bundles(self) -> Array | None:
        """Return where the row groups begin, if some come in pieces."""
        if not any(block.piece for block in self._plan):
            return None
        first = [number for number, block in enumerate(self._plan) if not block.piece]
        return np.array([*first, len(self._plan)], np.int64)

    def _pieces(self, block: _Block) -> Iterator[_Block]:
        """Yield a block, or pieces of it where it would take too much memory."""
        sizes = [self._group_bytes(self._metadata[block.file].row_group(group)) for group in block.groups]
        rows = max(_FEW_ROWS, block.rows * (_MANY_BYTES // 2) // max(sum(sizes), 1))
        if len(block.groups) > 1 or sum(sizes) <= _MANY_BYTES or rows >= block.rows:
            yield block
            return
        for piece, start in enumerate(range(0, block.rows, rows)):
            count = min(rows, block.rows - start)
            yield replace(block, first_row=block.first_row + start, rows=count, piece=piece, piece_rows=rows)

    def _group_bytes(self, group: Any) -> int:
        """Return about how much memory the columns of a row group take: values of eight bytes, or as the file says."""
        parts = [group.column(index) for index in range(group.num_columns)]
        wanted = [part for part in parts if part.path_in_schema.split(".")[0] in self._types]
        return sum(max(part.total_uncompressed_size, 8 * part.num_values) for part in wanted)

    def _bytes(self, metadata: Any) -> int:
        total: int = 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            parts = (group.column(index) for index in range(group.num_columns))
            total += sum(
                part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] in self._types
            )
        return total

    def fingerprint(self) -> Any:
        """Names and sizes of the files, and the columns."""
        return [self.files.fingerprint(), list(self.columns), repr(sorted(self.defaults.items())), str(self.spec)]

    def content(self) -> Any:
        """Places, sizes and times of the files, and the columns."""
        return [self.files.content(), *self.fingerprint()[1:]]

    def load_block(self, block: int) -> Chunk:
        """Return the rows of a block.

        Raises:
            DataError: The file is damaged or has changed, or a value is missing.
        """
        place = self._plan[block]
        path = self.files.paths[place.file]
        if stamp_of(path) != self._stamps[place.file]:
            raise DataError("the file changed while it was read", where=path, fix="read a copy that nobody writes to")
        with storage_errors(path, "read"), open(path, "rb"):
            pass
        with _damage(path):
            if place.piece_rows:
                group = place.file, place.groups
                table = self._reader.read(group, place.piece, lambda: self._begin(place, path))
            else:
                with self._open(place, path) as file:
                    threads = place.rows > _MANY_ROWS
                    table = file.read_row_groups(list(place.groups), columns=list(self.columns), use_threads=threads)
        columns = [self._column(place, path, name, table.column(name)) for name in self.columns]
        made = Chunk.of(self._arrange(columns), place.rows)
        rows = range(place.first_row, place.first_row + place.rows)
        return Chunk(made.skeleton, made.columns, place.rows, Origin(_Row(path), rows))

    def _open(self, place: _Block, path: Path) -> pq.ParquetFile:
        return pq.ParquetFile(
            path, metadata=self._metadata[place.file], memory_map=True, page_checksum_verification=True
        )

    def _begin(self, place: _Block, path: Path) -> Iterator[pa.Table]:
        """Yield a row group in pieces."""
        with self._open(place, path) as file:
            batches = file.iter_batches(place.piece_rows, row_groups=list(place.groups), columns=list(self.columns))
            yield from pieces_of(batches, place.piece_rows)

    def _column(self, place: _Block, path: Path, name: str, array: pa.ChunkedArray) -> Structure:
        try:
            return convert(array, self.defaults.get(name))
        except MissingValueError as error:
            raise missing(_Row(path)(place.first_row + error.row), name, array.type) from None
        except (pa.ArrowException, TypeError) as error:
            raise DataError(
                f"the column {name!r} cannot be read, or its default is not of its type",
                where=path,
                expected=array.type,
                received=str(error),
            ) from error


@dataclass(frozen=True)
class _Row:
    """Says where a row is."""

    path: Path

    def __call__(self, row: int) -> str:
        return f"{self.path}, row {row + 1:,}"


def _blocks(files: Sequence[Any]) -> Iterator[_Block]:
    for number, metadata in enumerate(files):
        groups: list[int] = []
        first = rows = 0
        for group in range(metadata.num_row_groups):
            more = metadata.row_group(group).num_rows
            if groups and rows + more > _FEW_ROWS:
                yield _Block(number, tuple(groups), first, rows)
                groups, first, rows = [], first + rows, 0
            groups.append(group)
            rows += more
        if rows:
            yield _Block(number, tuple(groups), first, rows)


def _metadata(path: Path) -> Any:
    with storage_errors(path, "read"), open(path, "rb") as file:
        head = file.read(4)
    if head != b"PAR1":
        raise DataError("this is no Parquet file", where=path, expected=b"PAR1", received=head)
    with _damage(path):
        return pq.read_metadata(path)


def _schema(path: Path, metadata: Any) -> pa.Schema:
    with _damage(path):
        schema = metadata.schema.to_arrow_schema()
        schema.names  # noqa: B018 (names that are no UTF-8 fail here)
        return schema


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            "the Parquet file is truncated or damaged, or uses what is not supported",
            where=path,
            received=str(error),
            fix="copy or write it again",
        ) from error
