"""How CSV files become elements: dicts of named columns, or tuples of columns by their place, as users ask for them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import ArgumentError, DataError
from mainstay.data.sources.csv import CsvLayout
from mainstay.data.sources.csv_parsing import DTYPES, REQUIRED, CsvColumn, csv_column, records_of
from mainstay.data.structures import Structure
from mainstay.io import Codec, CsvFile, CsvTable, check_columns, open_csv, read_csv_blocks

_INFERRED = {pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool", pa.null(): "float64"}


@dataclass(frozen=True)
class Arranged:
    """Makes dicts of columns, the label beside them.

    Args:
        names: The names of the columns.
        label: The column that is the label, or None.
    """

    names: tuple[str, ...]
    label: str | None = None

    def __call__(self, columns: Sequence[Any]) -> Structure:
        """Return an element, or its columns or specs."""
        features = dict(zip(self.names, columns, strict=True))
        if self.label is None:
            return features
        label = features.pop(self.label)
        return features, label


def named_layout(
    files: tuple[Path, ...],
    *,
    columns: Sequence[str] | None,
    dtypes: Mapping[str, Any] | None,
    defaults: Mapping[str, Any] | None,
    label: str | None,
) -> CsvLayout:
    """Return the layout of files with a header, as dicts.

    The dtypes that are not given are inferred from every row of every file, when they are first needed.

    Raises:
        ArgumentError: A column is unknown, a dtype is, or a default is not of it.
        DataError: A file is no CSV, or the files have different columns.
    """
    table = CsvTable(files, dtypes={}, exclude=(), batch_rows=65536)
    names = table.column_names if columns is None else check_columns(columns, table.column_names)
    if label is not None:
        check_columns([label], table.column_names)
        names = names if label in names else (*names, label)
    given, fills = dict(dtypes or {}), dict(defaults or {})
    for name in [*given, *fills]:
        check_columns([name], names)
    known = {name: csv_column(name, dtype, fills.get(name)) for name, dtype in given.items()}
    unknown = [name for name in names if name not in known]

    @functools.cache
    def typed() -> tuple[CsvColumn, ...]:
        found = dict(known)
        for name, dtype in (inferred(files, unknown) if unknown else {}).items():
            found[name] = csv_column(name, dtype, fills.get(name))
        return tuple(found[name] for name in names)

    return CsvLayout(tuple(open_csv(file) for file in files), typed, Arranged(names, label))


def inferred(files: tuple[Path, ...], names: Iterable[str]) -> dict[str, str]:
    """Return the dtype of columns that holds every value of every file; timestamps stay text.

    Raises:
        DataError: A file is broken.
    """
    wanted = set(names)
    table = CsvTable(files, dtypes={}, exclude=(), batch_rows=65536)
    excluded = [name for name in table.column_names if name not in wanted]
    schema = CsvTable(files, dtypes={}, exclude=excluded, batch_rows=65536).schema if wanted else pa.schema([])
    return {field.name: _INFERRED.get(field.type, "string") for field in schema}


@dataclass(frozen=True)
class CsvForm:
    """How the text of CSV files is written.

    Args:
        delimiter: What stands between fields: one byte.
        is_quoted: Whether fields may stand in double quotes.
        has_header: Whether the first line holds names.
        codec: How the files are compressed.
    """

    delimiter: str = ","
    is_quoted: bool = True
    has_header: bool = False
    codec: Codec | None = None

    def open(self, path: Path) -> tuple[CsvFile, list[bytes]]:
        """Return a file whose columns are called by their numbers, and its first record, the header if it has one.

        Raises:
            ArgumentError: The delimiter is no single byte.
        """
        delimiter = self.delimiter.encode()
        if len(delimiter) != 1 or delimiter in (b'"', b"\n", b"\r"):
            raise ArgumentError("a delimiter is one byte", where="field_delim", received=repr(self.delimiter))
        whole = CsvFile(path, delimiter, (), 0, self.codec, self.is_quoted)
        for block in read_csv_blocks(whole, lambda: 1 << 16):
            text = block.data.removeprefix(b"\xef\xbb\xbf")
            skipped = len(block.data) - len(text)
            found = records_of(whole, text)
            start, first = next(found, (0, []))
            following, _ = next(found, (len(text), []))
            body = skipped + (following if self.has_header else start)
            names = tuple(map(str, range(len(first))))
            return CsvFile(path, delimiter, names, body, self.codec, self.is_quoted), first
        return whole, []


def placed_layout(
    files: tuple[Path, ...], record_defaults: Sequence[Any], selected: Sequence[int] | None, form: CsvForm, missing: str
) -> CsvLayout:
    """Return the layout of `tf.data.experimental.CsvDataset`: tuples of columns by their place.

    Args:
        files: The files.
        record_defaults: A dtype, for columns whose values must be there, or the default, for each column.
        selected: The places of the columns; None for all.
        form: How the text is written.
        missing: The text, besides the empty one, that stands for a missing value.

    Raises:
        ArgumentError: The defaults do not fit the columns.
        DataError: A file has fewer columns.
    """
    columns, parts = list(record_defaults), []
    places = list(range(len(columns))) if selected is None else [int(place) for place in selected]
    if len(places) != len(columns) or places != sorted(set(places)) or not places or places[0] < 0:
        raise ArgumentError(
            "each selected column has one default, and their places increase",
            where="select_cols",
            expected=f"{len(columns)} places",
            received=repr(selected),
        )
    for path in files:
        part, first = form.open(path)
        if first and (len(first) <= places[-1] or (selected is None and len(first) != len(places))):
            raise DataError(
                "the file has another number of columns",
                where=path,
                expected=f"{len(places)} columns" if selected is None else f"more than {places[-1]} columns",
                received=f"{len(first)} columns in the first line",
                fix="say which columns to read with select_cols, and what stands between them with field_delim",
            )
        parts.append(part)
    typed = tuple(default_column(str(place), given) for place, given in zip(places, columns, strict=True))
    return CsvLayout(tuple(parts), lambda: typed, tuple, tuple(dict.fromkeys(("", missing))))


def default_column(name: str, given: Any) -> CsvColumn:
    """Return the column of a dtype, whose values must be there, or of a default: a value, or an array of one or none.

    Raises:
        ArgumentError: It is neither.
    """
    is_dtype = isinstance(given, (type, np.dtype)) or (isinstance(given, str) and given in DTYPES)
    if is_dtype or (not isinstance(given, (str, bytes, np.generic, np.ndarray)) and hasattr(given, "name")):
        return csv_column(name, given, REQUIRED, where="record_defaults")
    array = np.asarray(given)
    if array.size > 1:
        raise ArgumentError("a column has one default", where=f"record_defaults[{name}]", received=repr(given))
    text = array.dtype.kind in "SUO"
    dtype = "string" if text else array.dtype.name
    if isinstance(given, (float, list, tuple)) and array.dtype == np.float64:
        dtype = "float32"
    if (type(given) is int or (isinstance(given, (list, tuple)) and array.size)) and array.dtype == np.int64:
        dtype = "int32"
    return csv_column(name, dtype, array.reshape(-1)[0] if array.size else REQUIRED, where="record_defaults")
