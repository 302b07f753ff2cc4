"""CSV files as a table: the types inferred over every row, in one pass where the first rows do not mislead."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv

from mainstay.core import DataError
from mainstay.io.csv_file import Block, CsvFile, at_line, line_at, not_utf8, open_csv, read_blocks
from mainstay.io.csv_records import count_lines, records
from mainstay.io.csv_values import ANY_KIND, Kind, asked_for, convert, narrow, settled
from mainstay.io.table import Result, Sink, Table, check_same_columns, first_failure, select_columns

_SMALLEST_BLOCK = 1 << 20
_LARGEST_BLOCK = 4 << 20

_Kinds = dict[str, tuple[Kind, ...]]


@dataclass(frozen=True)
class _Texts:
    """The texts of a block's columns, by name."""

    block: Block
    columns: Mapping[str, pa.StringArray]
    num_rows: int


class _MisfitError(Exception):
    """A block whose texts are not of the kinds that the blocks before it showed."""

    def __init__(self, texts: _Texts) -> None:
        super().__init__()
        self.texts = texts


class _BlockSize:
    """How many bytes to parse at a time: a fixed number, or what makes one batch."""

    def __init__(self, fixed: int | None, batch_rows: int) -> None:
        self._fixed, self._batch_rows = fixed, batch_rows
        self._size = fixed or _SMALLEST_BLOCK

    def get(self) -> int:
        return self._size

    def adapt(self, num_bytes: int, num_rows: int) -> None:
        """Take into account how long the rows of a block were."""
        if self._fixed is None:
            self._size = min(max(num_bytes * self._batch_rows // num_rows, _SMALLEST_BLOCK), _LARGEST_BLOCK)


class CsvTable(Table):
    """A table in CSV files; see `open_table`.

    Args:
        files: The files, one or more.
        dtypes: The dtype of each column that is not to be inferred.
        exclude: The columns to leave out.
        batch_rows: The most rows of a batch.
        block_bytes: How much text is parsed at a time; by default what makes a batch, between 1 and 4 MiB. No
            result depends on it but the sizes of batches.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        dtypes: Mapping[str, str],
        exclude: Sequence[str],
        batch_rows: int,
        block_bytes: int | None = None,
    ) -> None:
        self._parts = tuple(open_csv(file) for file in files)
        first = self._parts[0]
        for part in self._parts[1:]:
            check_same_columns(part.names, part.path, first.names, first.path)
        super().__init__(files, select_columns(first.names, exclude, dtypes), batch_rows)
        asked = {name: asked_for(dtype) for name, dtype in dtypes.items()}
        self._start: _Kinds = {name: asked.get(name, ANY_KIND) for name in self.column_names}
        self._kinds: _Kinds | None = None
        self._block_bytes = block_bytes

    @property
    def schema(self) -> pa.Schema:
        """The name and type of every column, inferred from every row; see `Table.schema`."""
        return _schema(self._inferred(), self.column_names)

    def _inferred(self) -> _Kinds:
        if self._kinds is None:
            self._kinds = self._infer(self._start, self._texts(self.column_names))
        return self._kinds

    def _read(self, columns: tuple[str, ...]) -> Generator[pa.RecordBatch, None, None]:
        kinds = self._inferred()
        try:
            yield from _convert_all(self._texts(columns), kinds, columns)
        except _MisfitError as misfit:
            raise self._changed(misfit) from None

    def scan(self, make_sink: Callable[[pa.Schema], Sink[Result]]) -> Result:
        """Write every row into a sink; see `Table.scan`."""
        if self._kinds is not None:
            return super().scan(make_sink)
        names = self.column_names
        texts = self._texts(names)
        first = next(texts, None)
        head = [] if first is None else [first]
        kinds = self._infer(self._start, iter(head))
        batches = _convert_all(itertools.chain(head, texts), kinds, names)
        try:
            result = self._feed(make_sink(_schema(kinds, names)), batches)
        except _MisfitError as misfit:
            kinds = self._infer(kinds, itertools.chain([misfit.texts], texts))
        else:
            self._kinds = kinds
            return result
        self._kinds = kinds
        return super().scan(make_sink)

    def _infer(self, kinds: _Kinds, parts: Iterator[_Texts]) -> _Kinds:
        """Return the kinds that the columns may have after these texts as well."""
        kinds = dict(kinds)
        for texts in parts:
            for name, text in texts.columns.items():
                narrower = narrow(kinds[name], text)
                if not narrower:
                    raise _contradiction(texts, name, kinds[name])
                kinds[name] = narrower
        return kinds

    def _texts(self, columns: tuple[str, ...]) -> Iterator[_Texts]:
        size = _BlockSize(self._block_bytes, self._batch_rows)
        for part in self._parts:
            for block in read_blocks(part, size.get):
                texts = _parse(block, columns)
                if texts.num_rows:
                    size.adapt(len(block.data), texts.num_rows)
                    yield texts

    def _changed(self, misfit: _MisfitError) -> DataError:
        return DataError(
            "the file changed while it was read",
            where=misfit.texts.block.file.path,
            expected="values of the types that were found when it was read before",
            fix="read a copy that nobody writes to",
        )


def _schema(kinds: _Kinds, names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, settled(kinds[name]).type) for name in names])


def _parse(block: Block, columns: Sequence[str]) -> _Texts:
    """Return the texts of these columns, with nulls for empty fields."""
    names = block.file.names
    try:
        parsed = pc_csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pc_csv.ReadOptions(
                use_threads=False, column_names=names, block_size=len(block.data) + 1, skip_rows=0
            ),
            parse_options=pc_csv.ParseOptions(delimiter=block.file.delimiter.decode()),
            convert_options=pc_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=columns,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise _explain(block, error) from error
    texts = {name: parsed.column(index).combine_chunks() for index, name in enumerate(columns)}
    return _Texts(block, texts, parsed.num_rows)


def _convert_all(parts: Iterator[_Texts], kinds: _Kinds, names: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
    """Yield the values of texts.

    Raises:
        _MisfitError: A text is not of the kind of its column, though it may be of a wider one.
        DataError: A text contradicts the dtype that was asked for.
    """
    schema = _schema(kinds, names)
    for texts in parts:
        arrays = []
        for name in names:
            values = convert(texts.columns[name], settled(kinds[name]))
            if values is None:
                raise _MisfitError(texts)
            arrays.append(values)
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _contradiction(texts: _Texts, name: str, kinds: tuple[Kind, ...]) -> DataError:
    """Return the error that names the first text of a column that is of none of the kinds that were asked for."""
    text = texts.columns[name]

    def fits(kind: Kind) -> Callable[[int, int], bool]:
        return lambda start, stop: convert(text.slice(start, stop - start), kind) is not None

    row, kind = max(((first_failure(len(text), fits(kind)), kind) for kind in kinds), key=lambda pair: pair[0])
    block = texts.block
    found = records(block.data, block.file.delimiter)
    start, _ = next(itertools.islice(found, row, None))
    return DataError(
        f"a value of the column {name!r} is no {kind.name}",
        where=at_line(block.file.path, _line(block, start)),
        expected=f"{kind.name}, the dtype given for the column",
        received=repr(text[row].as_py()),
        fix="correct the value, or give the column another dtype, such as 'string'",
    )


def _line(block: Block, position: int) -> int:
    return line_at(block.file, block.start) + count_lines(block.data[:position])


def _explain(block: Block, error: pa.ArrowInvalid) -> DataError:
    """Return what is wrong with a block that the parser refused."""
    file: CsvFile = block.file
    for start, fields in records(block.data, file.delimiter):
        if len(fields) != len(file.names):
            delimiter = file.delimiter.decode()
            return DataError(
                "a row has the wrong number of fields",
                where=at_line(file.path, _line(block, start)),
                expected=f"{len(file.names)} fields separated by {delimiter!r}, as in the header",
                received=f"{len(fields)} fields: {delimiter.encode().join(fields).decode(errors='replace')}",
                fix="correct the line, and put fields that contain the delimiter or a newline in double quotes",
            )
    return not_utf8(block) or DataError("the file cannot be parsed as CSV", where=file.path, received=str(error))
