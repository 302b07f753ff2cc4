"""Datasets of what lies in files: records, tables, JSON lines, whole files, and the names of files themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError
from mainstay.data.columns import strings
from mainstay.data.operations.reading import of_source
from mainstay.data.sources.arrays import ArraySource
from mainstay.data.sources.csv import CsvSource
from mainstay.data.sources.csv_layouts import Arranged, named_layout
from mainstay.data.sources.files import FileBytes, FileList, located, named
from mainstay.data.sources.jsonl import JsonSource
from mainstay.data.sources.parquet import ParquetSource
from mainstay.data.sources.skipping import Skipped
from mainstay.data.sources.tfrecord import TFRecordSource
from mainstay.io import check_columns, codec_of, find_files, matching_files

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class FileCreation:
    """The class methods of `Dataset` that begin a plan with files."""

    @staticmethod
    def from_tfrecord(
        location: Any,
        *,
        features: Mapping[str, Any] | None = None,
        compression_type: str | None = None,
        on_error: str = "raise",
        name: str | None = None,
    ) -> Dataset:
        """Return the records of TFRecord files, or the features of the tf.Examples in them.

        Reading and parsing are one task, without a copy of the records between them. Files that are not compressed
        are shuffled globally, whatever their number.

        Args:
            location: A file, a glob, or several of those; they are read in sorted order.
            features: A specification for each feature, as for `mainstay.io.parse_example`; None for the bytes.
            compression_type: ``"GZIP"``, ``"ZLIB"``, ``"ZSTD"`` or None.
            on_error: ``"raise"``, or ``"skip"`` to leave damaged records out: each is said in the log.
            name: What reports call it.

        Raises:
            ArgumentError: An argument is wrong.
            DataError: No file is there. Damaged records raise it when they are read.

        Example:
            >>> import tempfile
            >>> import numpy as np
            >>> from mainstay.data import Dataset
            >>> from mainstay.io import FixedLenFeature, serialize_examples, write_records
            >>> path = tempfile.mkdtemp() + "/people.tfrecord"
            >>> write_records(path, serialize_examples({"age": np.array([31, 64])}))
            2
            >>> [int(row["age"]) for row in Dataset.from_tfrecord(path, features={"age": FixedLenFeature((), "int64")})]
            [31, 64]
        """
        files = FileList.of(located(location), "TFRecord")
        codec = codec_of(compression_type)
        return of_source(
            TFRecordSource(files, codec, features=features, skipped=Skipped() if skips(on_error) else None), name
        )

    @staticmethod
    def from_csv(
        location: Any,
        *,
        columns: Sequence[str] | None = None,
        dtypes: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        label: str | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return the rows of CSV files with a header, as dicts.

        Types that are not given are inferred from every row of every file, which reads them once before the first
        element: give all dtypes to begin at once. A missing float is NaN, a missing string is empty, and every other
        missing value is an error unless there is a default for it. Texts such as ``NA`` say that a number is missing.

        Args:
            location: A file, a glob, a folder, or several of those; a suffix ``.gz`` or ``.zst`` says that a file is
                compressed.
            columns: The columns that are wanted, in this order; None for all.
            dtypes: The dtype of columns, by name: numbers, ``"bool"``, ``"string"``, or ``"timestamp"``, which
                becomes microseconds since 1970.
            defaults: What stands for missing values, by column.
            label: A column that is taken out of the dict and put beside it: elements are ``(features, label)``.
            name: What reports call it.

        Raises:
            ArgumentError: A column or a dtype is unknown, or a default is not of its dtype.
            DataError: No file is there, or one is no CSV. Values that do not fit raise it when they are read: the
                message names the file, the line, the column and the value.

        Example:
            >>> import pathlib, tempfile
            >>> from mainstay.data import Dataset
            >>> path = pathlib.Path(tempfile.mkdtemp(), "trips.csv")
            >>> _ = path.write_text("fare,company\\n7.5,Blue\\n,Sun\\n")
            >>> [(float(row["fare"]), row["company"]) for row in Dataset.from_csv(path).as_numpy_iterator()]
            [(7.5, b'Blue'), (nan, b'Sun')]
        """
        files = find_files(location)
        layout = named_layout(files, columns=columns, dtypes=dtypes, defaults=defaults, label=label)
        return of_source(CsvSource(layout), name)

    @staticmethod
    def from_parquet(
        location: Any,
        columns: Sequence[str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        label: str | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return the rows of Parquet files, as dicts.

        Only the columns that are wanted are read. `shuffle` permutes the row groups, and the rows of as many of them
        as its buffer holds. Numbers keep their type, decimals become float64, timestamps and dates microseconds since
        1970 (int64), lists rows of any length, lists of fixed size an axis, and structs dicts. A missing float is
        NaN, a missing string or list is empty, and every other missing value is an error unless there is a default.
        Folder names such as ``year=2024`` are no columns.

        Args:
            location: A file, a glob, a folder, or several of those.
            columns: The columns that are wanted, in this order; None for all.
            defaults: What stands for missing values, by column.
            label: A column that is taken out of the dict and put beside it: elements are ``(features, label)``.
            name: What reports call it.

        Raises:
            ArgumentError: A column is unknown.
            DataError: No file is there, one is damaged, files differ in a column, or a type has no place here.

        Example:
            >>> import tempfile
            >>> import pyarrow, pyarrow.parquet
            >>> from mainstay.data import Dataset
            >>> path = tempfile.mkdtemp() + "/trips.parquet"
            >>> pyarrow.parquet.write_table(pyarrow.table({"fare": [7.5, 3.0], "stops": [[1], [2, 3]]}), path)
            >>> [row["stops"].tolist() for row in Dataset.from_parquet(path, ["stops"])]
            [[1], [2, 3]]
        """
        files = FileList.of(find_files(location), "Parquet")
        return of_source(ParquetSource(files, _with_label(columns, label), defaults or {}, _Arrange(label)), name)

    @staticmethod
    def from_jsonl(
        location: Any,
        *,
        columns: Sequence[str] | None = None,
        dtypes: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        label: str | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return the objects of files of JSON lines, as dicts.

        Types that are not given are inferred from every line of every file, which reads them once before the first
        element. Lists become rows of any length, objects inside become dicts. A missing or null float is NaN, a
        string or list empty, and everything else an error unless there is a default for it.

        Args:
            location: A file, a glob, or several of those; a suffix ``.gz`` or ``.zst`` says that a file is
                compressed.
            columns: The fields that are wanted, in this order; None for all.
            dtypes: The dtype of fields, by name; a `TensorSpec` for lists: ``TensorSpec([None], "int64")``.
            defaults: What stands for missing values, by field.
            label: A field that is taken out of the dict and put beside it: elements are ``(features, label)``.
            name: What reports call it.

        Raises:
            ArgumentError: A field or a dtype is unknown.
            DataError: No file is there. Lines that do not fit raise it when they are read: the message names the
                line.

        Example:
            >>> import pathlib, tempfile
            >>> from mainstay.data import Dataset
            >>> path = pathlib.Path(tempfile.mkdtemp(), "texts.jsonl")
            >>> _ = path.write_text('{"text": "a b", "tokens": [1, 2]}\\n{"text": "c", "tokens": [3]}\\n')
            >>> [row["tokens"].tolist() for row in Dataset.from_jsonl(path)]
            [[1, 2], [3]]
        """
        files = FileList.of(located(location), "JSON")
        wanted = _with_label(columns, label)
        return of_source(JsonSource(files, wanted, dtypes or {}, defaults or {}, _Arrange(label)), name)

    @staticmethod
    def from_files(paths: Any, name: str | None = None) -> Dataset:
        """Return the contents of files, one file an element, as bytes; shuffled without reading a file twice.

        Args:
            paths: The files, in their order.
            name: What reports call it.

        Raises:
            ArgumentError: Something is no path.
            DataError: A file is not there.
        """
        return of_source(FileBytes(named(paths, "paths")), name)

    @staticmethod
    def list_files(
        file_pattern: Any, shuffle: bool | None = None, seed: int | None = None, name: str | None = None
    ) -> Dataset:
        """Return the names of the files that match patterns, as `tf.data.Dataset.list_files`.

        Args:
            file_pattern: A glob, or several.
            shuffle: Whether every pass has an order of its own, as it is unless said otherwise; else they are sorted.
            seed: What the order depends on.
            name: What reports call it.

        Raises:
            DataError: A pattern matches nothing.

        Example:
            >>> import os, pathlib, tempfile
            >>> from mainstay.data import Dataset
            >>> folder = pathlib.Path(tempfile.mkdtemp())
            >>> for file in ("b.txt", "a.txt"):
            ...     _ = (folder / file).write_text("")
            >>> [pathlib.Path(os.fsdecode(path)).name for path in Dataset.list_files(f"{folder}/*.txt", shuffle=False)]
            ['a.txt', 'b.txt']
        """
        names = matching_files(named(file_pattern, "file_pattern"))
        dataset = of_source(ArraySource(strings(names)), name)
        return dataset if shuffle is False else dataset.shuffle(len(names), seed)


def skips(on_error: str) -> bool:
    """Return whether damaged records are left out.

    Raises:
        ArgumentError: It is neither "raise" nor "skip".
    """
    if on_error not in ("raise", "skip"):
        raise ArgumentError("unknown way", where="on_error", expected="'raise' or 'skip'", received=repr(on_error))
    return on_error == "skip"


def _with_label(columns: Sequence[str] | None, label: str | None) -> Sequence[str] | None:
    if columns is None or label is None or label in columns:
        return columns
    return [*columns, label]


@dataclass(frozen=True)
class _Arrange:
    """Arranges columns as dicts, with the label beside them."""

    label: str | None

    def __call__(self, names: Sequence[str]) -> Arranged:
        if self.label is not None:
            check_columns([self.label], names)
        return Arranged(tuple(names), self.label)
