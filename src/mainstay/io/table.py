"""The table: files read as record batches in bounded memory, whatever their format."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa

from mainstay.core import ArgumentError, DataError
from mainstay.io.read_ahead import read_ahead
from mainstay.io.suggestions import suggest

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")


class Sink(Protocol[Result_co]):
    """What a scan writes into: it gets batches of one schema, and is closed or aborted in the end.

    A scan of a CSV file starts with the types of its first rows. Where a later row does not fit them, the sink
    is aborted and a second one gets everything again with the types of the whole file.
    """

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""

    def close(self) -> Result_co:
        """Finish, and return what was made of the rows."""

    def abort(self) -> None:
        """Throw away what was made so far; also called where `close` itself failed."""


class Table(abc.ABC):
    """Rows with named columns in one file or several; made by `open_table`.

    The columns have these types and no others: int64, float64, float32 (from Parquet only), bool, string,
    timestamp[us], timestamp[us, UTC], and null where every value is missing. A missing value is a null: NaN and
    empty strings never come out of a table.
    """

    def __init__(self, files: Sequence[Path], column_names: Sequence[str], batch_rows: int) -> None:
        if batch_rows < 1:
            raise ArgumentError("a batch needs rows", expected="batch_rows of 1 or more", received=batch_rows)
        self._files = tuple(files)
        self._column_names = tuple(column_names)
        self._batch_rows = batch_rows

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order in which they are read."""
        return self._files

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, without the excluded ones, in the order of the first file."""
        return self._column_names

    @property
    @abc.abstractmethod
    def schema(self) -> pa.Schema:
        """The name and type of every column; for CSV inferred from every row, which reads the files once.

        Raises:
            DataError: A file is broken, or a value contradicts the dtype that was asked for.
        """

    @abc.abstractmethod
    def _read(self, columns: tuple[str, ...]) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows of these columns in batches of any size."""

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, at most `batch_rows` at a time; every call starts anew.

        Args:
            columns: The columns that are wanted, in that order; None for all. The others are not converted.

        Yields:
            Batches of `schema`, restricted to the columns; none where there are no rows.

        Raises:
            ArgumentError: A column is unknown, comes twice, or none is wanted.
            DataError: A file is broken, or a value contradicts the dtype that was asked for.
        """
        wanted = self.column_names if columns is None else check_columns(columns, self.column_names)
        return self._split(self._read(wanted))

    def scan(self, make_sink: Callable[[pa.Schema], Sink[Result]]) -> Result:
        """Write every row into a sink, parsing the files once where their first rows show the types of all.

        Args:
            make_sink: Makes a sink for batches of a schema; called a second time where the first rows misled.

        Returns:
            What the sink returned when it was closed.

        Raises:
            DataError: A file is broken, or a value contradicts the dtype that was asked for. The sink is aborted
                on this and on any other error.
        """
        return self._feed(make_sink(self.schema), self._read(self.column_names))

    def _feed(self, sink: Sink[Result], batches: Generator[pa.RecordBatch, None, None]) -> Result:
        try:
            with contextlib.closing(self._split(batches)) as pieces:
                for batch in pieces:
                    sink.write(batch)
            return sink.close()
        except BaseException:
            sink.abort()
            raise

    def _split(self, batches: Generator[pa.RecordBatch, None, None]) -> Generator[pa.RecordBatch, None, None]:
        """Cut batches into equal pieces of at most `batch_rows` rows."""
        with contextlib.closing(read_ahead(batches)) as ready:
            for batch in ready:
                pieces = -(-batch.num_rows // self._batch_rows)
                for piece in range(pieces):
                    start, stop = (batch.num_rows * (piece + step) // pieces for step in (0, 1))
                    yield batch.slice(start, stop - start)


def check_columns(columns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that a caller wants as a tuple.

    Raises:
        ArgumentError: One is unknown or comes twice, or there is none.
    """
    if isinstance(columns, str):
        raise ArgumentError("columns are a sequence of names", received=repr(columns), fix=f"write [{columns!r}]")
    for name in columns:
        if name not in names:
            raise unknown_column(name, names)
    if len(set(columns)) != len(columns) or not columns:
        raise ArgumentError("at least one column is wanted, and each once", received=list(columns))
    return tuple(columns)


def unknown_column(name: str, names: Sequence[str]) -> ArgumentError:
    """Return the error that says that a table has no such column."""
    return ArgumentError(
        f"there is no column {name!r}",
        expected=f"one of {', '.join(names)}",
        fix=suggest(name, names, "use one of the names above"),
    )


def select_columns(names: Sequence[str], exclude: Sequence[str], dtypes: Iterable[str]) -> tuple[str, ...]:
    """Return the names that are not excluded.

    Raises:
        ArgumentError: `exclude` or `dtypes` names a column that is not there, or no column is left.
    """
    if isinstance(exclude, str):
        raise ArgumentError("exclude is a sequence of names", received=repr(exclude), fix=f"write [{exclude!r}]")
    for name in [*exclude, *dtypes]:
        if name not in names:
            raise unknown_column(name, names)
    left = tuple(name for name in names if name not in set(exclude))
    if not left:
        raise ArgumentError("every column is excluded", received=list(exclude), fix="keep at least one column")
    return left


def check_names(names: Sequence[str], file: Path) -> None:
    """Refuse column names that are empty or come twice.

    Raises:
        DataError: They are; the message names the file and the columns.
    """
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"column names come twice: {', '.join(map(repr, twice))}", where=file, fix="give every column its own name"
        )
    if "" in names:
        raise DataError(
            f"column {list(names).index('') + 1} has no name",
            where=file,
            received=", ".join(map(repr, names)),
            fix="name every column in the header; from pandas, write with index=False",
        )
    if not names:
        raise DataError("the file has no columns", where=file)


def check_same_columns(names: Sequence[str], file: Path, first_names: Sequence[str], first: Path) -> None:
    """Refuse a file whose columns are not those of the first file, in whatever order.

    Raises:
        DataError: They are not; the message names the file and the columns.
    """
    missing = [name for name in first_names if name not in set(names)]
    more = [name for name in names if name not in set(first_names)]
    if missing or more:
        parts = [f"misses {', '.join(map(repr, missing))}"] if missing else []
        parts += [f"has {', '.join(map(repr, more))} besides"] if more else []
        raise DataError(
            "the files of a table have different columns",
            where=file,
            expected=f"the columns of {first}: {', '.join(first_names)}",
            received=f"a file that {' and '.join(parts)}",
            fix="name only files of the same table",
        )


def first_failure(length: int, fits: Callable[[int, int], bool]) -> int:
    """Return the first index that does not fit, found by halving; there is one.

    Args:
        length: How many values there are.
        fits: Says whether the values from an index up to another one all fit.
    """
    start, stop = 0, length
    while stop - start > 1:
        middle = (start + stop) // 2
        if fits(start, middle):
            start = middle
        else:
            stop = middle
    return start
