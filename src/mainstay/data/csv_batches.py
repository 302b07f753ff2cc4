"""`make_csv_dataset`: CSV files as shuffled batches of named columns, by `tf.data.experimental`'s rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError, DataError
from mainstay.data.dataset import Dataset
from mainstay.data.operations.reading import of_source
from mainstay.data.sources.csv import CsvLayout, CsvSource
from mainstay.data.sources.csv_inference import infer_kinds
from mainstay.data.sources.csv_layouts import Arranged, CsvForm, default_column
from mainstay.data.sources.csv_parsing import CsvColumn, csv_column
from mainstay.data.sources.files import located
from mainstay.io import CsvFile, codec_of, unquote_csv


def make_csv_dataset(
    file_pattern: Any,
    batch_size: int,
    column_names: Sequence[str] | None = None,
    column_defaults: Sequence[Any] | None = None,
    label_name: str | None = None,
    select_columns: Sequence[Any] | None = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: int | None = None,
    num_parallel_reads: int | None = None,  # noqa: ARG001
    sloppy: bool = False,  # noqa: ARG001
    num_rows_for_inference: int | None = None,
    compression_type: str | None = None,
    ignore_errors: bool = False,
    encoding: str = "utf-8",
) -> Dataset:
    """Return batches of the rows of CSV files, as `tf.data.experimental.make_csv_dataset`.

    Elements are dicts of columns, ``(features, label)`` where there is a label. Unlike TensorFlow's, types are
    inferred from every row unless `num_rows_for_inference` says otherwise.

    Args:
        file_pattern: Files or globs.
        batch_size: How many rows make a batch.
        column_names: The names of all columns; those of the header unless given.
        column_defaults: For each column that is read a dtype, where a value must be there, or the value that stands
            for a missing one, by itself or in a list. Without it types are inferred, and a missing value is 0 or empty.
        label_name: The column that is the label.
        select_columns: The names or the places of the columns that are read.
        field_delim: What stands between fields.
        use_quote_delim: Whether fields may stand in double quotes.
        na_value: A text besides the empty one that says that a value is missing.
        header: Whether the first line of each file holds names.
        num_epochs: How many times the rows come; without an end where it is None, and then every batch is full.
        shuffle: Whether the rows are shuffled.
        shuffle_buffer_size: How many rows are mixed.
        shuffle_seed: What the order depends on.
        prefetch_buffer_size: How many batches are read ahead; None lets the engine decide.
        num_parallel_reads: Taken for TensorFlow's sake: blocks of the files are parsed in parallel in any case.
        sloppy: Taken for TensorFlow's sake: the order is kept in any case.
        num_rows_for_inference: How many rows of the first file decide about the types; None for all rows of all.
        compression_type: ``"GZIP"``, ``"ZLIB"``, ``"ZSTD"`` or None.
        ignore_errors: Whether rows that do not fit are left out, and said in the log.
        encoding: The encoding of the names in the header.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: No file is there, or their headers differ. Values that do not fit raise it when they are read.
    """
    form = CsvForm(field_delim, use_quote_delim, header, codec_of(compression_type))
    parts, names = _named_parts(located(file_pattern), form, column_names, encoding)
    chosen = _chosen(names, select_columns)
    if label_name is not None and label_name not in chosen:
        raise ArgumentError(
            "the label is none of the columns", where="label_name", expected=chosen, received=label_name
        )
    missing = tuple(dict.fromkeys(("", na_value)))
    if column_defaults is None:
        typed = _inferring(parts, chosen, missing, num_rows_for_inference)
    else:
        if len(column_defaults) != len(chosen):
            raise ArgumentError(
                "each column has one default",
                where="column_defaults",
                expected=f"{len(chosen)}: {', '.join(chosen)}",
                received=len(column_defaults),
            )
        given = tuple(default_column(name, default) for name, default in zip(chosen, column_defaults, strict=True))
        typed = functools.partial(_same, given)
    layout = CsvLayout(parts, typed, Arranged(chosen, label_name), missing, ignore_errors)
    dataset = of_source(CsvSource(layout))
    if shuffle:
        dataset = dataset.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        dataset = dataset.repeat(num_epochs)
    dataset = dataset.batch(batch_size, drop_remainder=num_epochs is None)
    return dataset if prefetch_buffer_size is None else dataset.prefetch(prefetch_buffer_size)


def _same(columns: tuple[CsvColumn, ...]) -> tuple[CsvColumn, ...]:
    return columns


def _named_parts(
    paths: tuple[Path, ...], form: CsvForm, column_names: Sequence[str] | None, encoding: str
) -> tuple[tuple[CsvFile, ...], tuple[str, ...]]:
    """Return the files with the names of their columns, which are the same in all."""
    if column_names is None and not form.has_header:
        raise ArgumentError("without a header, the columns need names", where="column_names", received=None)
    names = None if column_names is None else tuple(column_names)
    parts = []
    for path in paths:
        part, first = form.open(path)
        if form.has_header and not first:
            raise DataError("the file is empty", where=path, expected="a header line and rows")
        found = _decoded(path, first, encoding) if form.has_header else names
        names = found if names is None else names
        if (column_names is None and found != names) or (first and len(first) != len(names or ())):
            raise DataError(
                "the file has other columns than the first one, or than those that are named",
                where=path,
                expected=", ".join(names or ()),
                received=", ".join(found or ()) if form.has_header else f"{len(first)} columns",
                fix="name only files of the same table",
            )
        parts.append(replace(part, names=names or ()))
    if not names or len(set(names)) < len(names):
        raise ArgumentError("every column has a name of its own", where="column_names", received=names)
    return tuple(parts), names


def _decoded(path: Path, header: list[bytes], encoding: str) -> tuple[str, ...]:
    try:
        return tuple(unquote_csv(field).decode(encoding) for field in header)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(
            "the names in the header cannot be decoded",
            where=path,
            expected=encoding,
            received=header,
            fix="say in which encoding they are written",
        ) from error


def _chosen(names: tuple[str, ...], select: Sequence[Any] | None) -> tuple[str, ...]:
    """Return the columns that are read, in the order of the file."""
    if select is None:
        return names
    try:
        places = {names.index(column) if isinstance(column, str) else range(len(names))[column] for column in select}
    except (ValueError, IndexError) as error:
        raise ArgumentError(
            "there is no such column", where="select_columns", expected=", ".join(names), received=list(select)
        ) from error
    return tuple(names[place] for place in sorted(places))


def _inferring(
    parts: tuple[CsvFile, ...], names: tuple[str, ...], missing: tuple[str, ...], num_rows: int | None
) -> Callable[[], tuple[CsvColumn, ...]]:
    @functools.cache
    def infer() -> tuple[CsvColumn, ...]:
        kinds = infer_kinds(parts, names, missing, num_rows)
        return tuple(csv_column(name, kind, "" if kind == "string" else 0) for name, kind in kinds.items())

    return infer
