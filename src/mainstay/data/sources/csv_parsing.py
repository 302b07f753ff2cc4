"""Blocks of CSV text to columns: each column of the type it was given, or an error that names the line and the value.

The parser converts whole columns at once. Where it refuses, the texts are looked at one column after the other: that
takes what only the slower rules of `mainstay.io` take, such as blanks, or finds the value that is wrong.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from mainstay.core import ArgumentError, DataError
from mainstay.data.columns import Column
from mainstay.io import CsvBlock, CsvFile, convert_text, csv_records, first_failure, line_at, missing_texts


class Need(enum.Enum):
    """What stands in place of a default where there is none."""

    REQUIRED = "required"


REQUIRED = Need.REQUIRED
"""The default of a column whose values must all be there."""

_ARROW = {
    "string": pa.binary(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    **{name: getattr(pa, name)() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")},
    **{name: getattr(pa, name)() for name in ("uint64", "float32", "float64")},
}
DTYPES = tuple(_ARROW)
"""The dtypes of CSV columns; timestamps become microseconds since 1970, int64."""

_FORMS = (str, str.upper, str.title)
_MISSING = tuple(sorted({"", "NaN", *(form(text) for text in missing_texts() for form in _FORMS)}))


@dataclass(frozen=True)
class CsvColumn:
    """A column that is wanted.

    Args:
        name: Its name in the file.
        dtype: One of `DTYPES`.
        default: What stands for a missing value, or `REQUIRED`.
    """

    name: str
    dtype: str
    default: Any = REQUIRED

    @property
    def numpy_dtype(self) -> str:
        """The dtype of the elements."""
        return "int64" if self.dtype == "timestamp" else self.dtype


def csv_column(name: str, dtype: Any, default: Any = None, where: str = "dtypes") -> CsvColumn:
    """Return a column, its default checked against its dtype.

    Args:
        name: Its name.
        dtype: A name of `DTYPES`, or a dtype.
        default: What stands for a missing value; None: NaN for floats, the empty string for strings, and an error for
            everything else.
        where: The argument, for the message.

    Raises:
        ArgumentError: The dtype is unknown, or the default is not of it.
    """
    text: Any = dtype
    if not isinstance(dtype, str):
        text = getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
    text = {"str": "string", "bytes": "string", "object": "string", "int": "int64", "float": "float64"}.get(text, text)
    text = "bool" if text == "bool_" else text
    if text not in _ARROW:
        raise ArgumentError(
            "unknown dtype", where=f"{where}[{name!r}]", expected=f"one of {', '.join(DTYPES)}", received=repr(dtype)
        )
    if default is REQUIRED:
        return CsvColumn(name, text)
    if default is None:
        default = np.nan if text.startswith("float") else b"" if text == "string" else REQUIRED
        return CsvColumn(name, text, default)
    try:
        if text == "string":
            default = default.encode() if isinstance(default, str) else bytes(default)
        else:
            default = pa.scalar(default, pa.int64() if text == "timestamp" else _ARROW[text]).as_py()
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise ArgumentError(
            "a default is not of the column's dtype",
            where=f"defaults[{name!r}]",
            expected=text,
            received=repr(default),
        ) from error
    return CsvColumn(name, text, default)


@dataclass(frozen=True)
class CsvParser:
    """Turns blocks into columns.

    Args:
        columns: What is wanted, in this order.
        missing: The texts that say that a value is missing; None: the empty text, and for numbers those of
            `mainstay.io`, such as ``NA``.
    """

    columns: tuple[CsvColumn, ...]
    missing: tuple[str, ...] | None = None

    def __call__(self, block: CsvBlock) -> list[Column]:
        """Return the columns of a block.

        Raises:
            DataError: A row has too many or too few fields, or a value is not of its column's dtype, or is missing.
        """
        if not block.data.strip(b"\r\n"):
            nothing = [pa.array([], _ARROW[column.dtype]) for column in self.columns]
            return [self._finished(block, column, array) for column, array in zip(self.columns, nothing, strict=True)]
        try:
            parsed = self._read(block, {column.name: _ARROW[column.dtype] for column in self.columns})
            arrays = [parsed.column(column.name).combine_chunks() for column in self.columns]
        except pa.ArrowInvalid as error:
            arrays = self._slowly(block, error)
        return [self._finished(block, column, array) for column, array in zip(self.columns, arrays, strict=True)]

    def _read(self, block: CsvBlock, types: dict[str, pa.DataType], texts: Sequence[str] | None = None) -> pa.Table:
        file = block.file
        return pc_csv.read_csv(
            pa.py_buffer(block.data),
            read_options=pc_csv.ReadOptions(use_threads=False, column_names=file.names, block_size=len(block.data) + 1),
            parse_options=pc_csv.ParseOptions(
                delimiter=file.delimiter.decode(), quote_char='"' if file.is_quoted else False
            ),
            convert_options=pc_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=list((self.missing or _MISSING) if texts is None else texts),
                strings_can_be_null=texts is not None,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )

    def _slowly(self, block: CsvBlock, error: pa.ArrowInvalid) -> list[pa.Array]:
        """Return the columns, each parsed by itself."""
        _check_widths(block)
        arrays = []
        for column in self.columns:
            try:
                parsed = self._read(block, {column.name: _ARROW[column.dtype]})
            except pa.ArrowInvalid as refusal:
                if column.dtype == "string":
                    raise DataError(
                        "the text cannot be parsed as CSV", where=_at(block, 0), received=str(error)
                    ) from refusal
                arrays.append(self._converted(block, column))
            else:
                arrays.append(parsed.column(0).combine_chunks())
        return arrays

    def _converted(self, block: CsvBlock, column: CsvColumn) -> pa.Array:
        """Return the values of a column that the parser did not understand."""
        kind = _ARROW[column.dtype]
        parsed = self._read(block, {column.name: pa.string()}, texts=self.missing or ("",))
        text = parsed.column(0).combine_chunks()

        def convert(piece: pa.Array) -> pa.Array | None:
            try:
                if self.missing is not None:
                    return _plainly(piece).cast(kind)
                values = convert_text(piece, _kind(column.dtype))
                return None if values is None else values.cast(kind, safe=not pa.types.is_floating(kind))
            except (pa.ArrowInvalid, UnicodeDecodeError):
                return None

        values = convert(text)
        if values is None:
            row = first_failure(len(text), lambda low, high: convert(text.slice(low, high - low)) is not None)
            raise DataError(
                f"a value of the column {column.name!r} is no {column.dtype}",
                where=_at(block, row),
                expected=column.dtype,
                received=repr(bytes(text[row].as_buffer()).decode(errors="replace")),
                fix="correct the value, or give the column another dtype, such as 'string'",
            )
        return values

    def _finished(self, block: CsvBlock, column: CsvColumn, array: pa.Array) -> Column:
        if column.dtype == "string":
            return self._strings(block, column, array)
        if column.dtype == "timestamp":
            array = array.cast(pa.int64())
        if array.null_count:
            if column.default is REQUIRED:
                raise _missing(block, column, int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0]))
            if not (isinstance(column.default, float) and np.isnan(column.default)):
                array = array.fill_null(column.default)
        values: Column = array.to_numpy(zero_copy_only=False)
        return values

    def _strings(self, block: CsvBlock, column: CsvColumn, array: pa.Array) -> Column:
        if column.default == b"" and self.missing in (None, ("",)) and not array.null_count:
            return array
        empty = pc.is_in(array, pa.array([text.encode() for text in (self.missing or ("",))], pa.binary()))
        empty = pc.or_(empty, array.is_null())
        if pc.any(empty).as_py():
            if column.default is REQUIRED:
                raise _missing(block, column, int(np.flatnonzero(empty.to_numpy(zero_copy_only=False))[0]))
            array = pc.if_else(empty, pa.scalar(column.default, pa.binary()), array)
        return array


def _plainly(text: pa.Array) -> pa.Array:
    """Return texts without blanks around, and without the plus that TensorFlow takes in front of a number."""
    return pc.replace_substring_regex(pc.ascii_trim_whitespace(text), r"^\+([0-9.])", r"\1")


def _kind(dtype: str) -> str:
    if dtype in ("bool", "timestamp"):
        return dtype
    return "float64" if dtype.startswith("float") else "int64"


def _missing(block: CsvBlock, column: CsvColumn, row: int) -> DataError:
    return DataError(
        f"a value of the column {column.name!r} is missing",
        where=_at(block, row),
        expected=column.dtype,
        received="nothing",
        fix="give the column a default, or another dtype: for floats a missing value is NaN",
    )


def _check_widths(block: CsvBlock) -> None:
    """Refuse a row with too many or too few fields."""
    file = block.file
    for row, (_, fields) in enumerate(records_of(file, block.data)):
        width = len(fields)
        if width != len(file.names):
            raise DataError(
                "a row has the wrong number of fields",
                where=_at(block, row),
                expected=f"{len(file.names)} fields separated by {file.delimiter.decode()!r}",
                received=f"{width} fields",
                fix="correct the line, and put fields that contain the delimiter or a newline in double quotes",
            )


def _at(block: CsvBlock, row: int) -> str:
    """Return the place of a row of a block, for a message."""
    start = next(itertools.islice(records_of(block.file, block.data), row, None), (0, []))[0]
    return f"{block.file.path}, line {line_at(block.file, block.start + start):,}"


def records_of(file: CsvFile, text: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the start and the raw fields of every record of a text; slow, for headers and for messages."""
    if file.is_quoted:
        yield from csv_records(text, file.delimiter)
        return
    position = 0
    for line in text.splitlines(keepends=True):
        if fields := line.rstrip(b"\r\n"):
            yield position, fields.split(file.delimiter)
        position += len(line)
