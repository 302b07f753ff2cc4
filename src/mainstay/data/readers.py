"""The readers that are classes in `tf.data`: `TFRecordDataset`, `CsvDataset`, `TextLineDataset` and their siblings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError
from mainstay.data.creation_files import skips
from mainstay.data.dataset import Dataset
from mainstay.data.operations.reading import Read
from mainstay.data.plan import Operation, seeded
from mainstay.data.sources.csv import CsvSource
from mainstay.data.sources.csv_layouts import CsvForm, placed_layout
from mainstay.data.sources.files import FileList, named
from mainstay.data.sources.fixed_length import FixedLengthRows, FixedLengthStream, RecordLayout
from mainstay.data.sources.skipping import Skipped
from mainstay.data.sources.source import Source
from mainstay.data.sources.text import TextSource
from mainstay.data.sources.tfrecord import TFRecordSource
from mainstay.io import codec_of

_BLOCK_BYTES = 1 << 21


class TFRecordDataset(Dataset):
    """The records of TFRecord files, as bytes, as in `tf.data.TFRecordDataset`.

    Reading begins at once. Where `shuffle`, `skip`, `take` or `shard` ask for another order, files that are not
    compressed are indexed by one pass over the lengths of their records, and the order is global.

    Args:
        filenames: One file or several, in their order, or a dataset of their names.
        compression_type: ``"GZIP"``, ``"ZLIB"``, None; or ``"ZSTD"``, which TensorFlow does not know.
        buffer_size: How many bytes are read at a time.
        num_parallel_reads: From how many files records are taken in turns; None and `AUTOTUNE` keep one file after the
            other. Parsing is parallel either way.
        name: What reports call it.
        on_error: ``"raise"``, or ``"skip"`` to leave damaged records out, which `skipped` counts.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: A file is not there. Damaged records raise it when they are read; the message names the file, the
            record and the byte.

    Example:
        >>> import tempfile
        >>> from mainstay.io import write_records
        >>> path = tempfile.mkdtemp() + "/a.tfrecord"
        >>> write_records(path, [b"first", b"second"])
        2
        >>> list(TFRecordDataset(path).as_numpy_iterator())
        [b'first', b'second']
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
        *,
        on_error: str = "raise",
    ) -> None:
        codec, size = codec_of(compression_type), _buffer(buffer_size)
        self._skipped = Skipped() if skips(on_error) else None

        def source(paths: tuple[Path, ...]) -> Source:
            files = FileList.of(paths, "TFRecord")
            return TFRecordSource(files, codec, skipped=self._skipped, block_bytes=size)

        super().__init__(_plan(filenames, source, num_parallel_reads, name))

    def skipped(self) -> int:
        """Return how many damaged records, or rests of files, were left out so far; each counts once."""
        return 0 if self._skipped is None else self._skipped.count()


class TextLineDataset(Dataset):
    """The lines of text files, as bytes without their line ends, as in `tf.data.TextLineDataset`.

    A carriage return inside of a line stays, where TensorFlow drops it.

    Args:
        filenames: One file or several, in their order, or a dataset of their names.
        compression_type: ``"GZIP"``, ``"ZLIB"``, ``"ZSTD"`` or None.
        buffer_size: How many bytes are read at a time.
        num_parallel_reads: From how many files lines are taken in turns; see `TFRecordDataset`.
        name: What reports call it.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: A file is not there.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_text("one\\ntwo")
        >>> list(TextLineDataset(path).as_numpy_iterator())
        [b'one', b'two']
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        codec = codec_of(compression_type)
        size = None if buffer_size is None else _buffer(buffer_size)

        def source(paths: tuple[Path, ...]) -> Source:
            return TextSource(FileList.of(paths, "text"), (codec,) * len(paths), size)

        super().__init__(_plan(filenames, source, num_parallel_reads, name))


class FixedLengthRecordDataset(Dataset):
    """The records of files of records of one length, as bytes, as in `tf.data.FixedLengthRecordDataset`.

    Args:
        filenames: One file or several, in their order, or a dataset of their names.
        record_bytes: The length of a record.
        header_bytes: How many bytes come before the records of a file.
        footer_bytes: How many bytes come after them.
        buffer_size: How many bytes are read at a time, where the files are compressed.
        compression_type: ``"GZIP"``, ``"ZLIB"``, ``"ZSTD"`` or None.
        num_parallel_reads: From how many files records are taken in turns; see `TFRecordDataset`.
        name: What reports call it.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: A file is not there, or does not hold a whole number of records.
    """

    def __init__(
        self,
        filenames: Any,
        record_bytes: int,
        header_bytes: int | None = None,
        footer_bytes: int | None = None,
        buffer_size: int | None = None,
        compression_type: str | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        codec, size = codec_of(compression_type), _buffer(buffer_size)
        layout = RecordLayout(int(record_bytes), int(header_bytes or 0), int(footer_bytes or 0))
        if layout.record < 1 or layout.header < 0 or layout.footer < 0:
            raise ArgumentError("lengths are positive", where="record_bytes", received=repr(layout))

        def source(paths: tuple[Path, ...]) -> Source:
            files = FileList.of(paths, "binary")
            return FixedLengthRows(files, layout) if codec is None else FixedLengthStream(files, layout, codec, size)

        super().__init__(_plan(filenames, source, num_parallel_reads, name))


class CsvDataset(Dataset):
    """The rows of CSV files as tuples, as in `tf.data.experimental.CsvDataset`; blank lines are skipped.

    Args:
        filenames: One file or several, in their order, or a dataset of their names.
        record_defaults: For each column that is read a dtype, where a value must be there, or the value that stands
            for a missing one, by itself or in a list.
        compression_type: ``"GZIP"``, ``"ZLIB"``, ``"ZSTD"`` or None.
        buffer_size: How many bytes are read at a time.
        header: Whether the first line of a file is left out.
        field_delim: What stands between fields.
        use_quote_delim: Whether fields may stand in double quotes.
        na_value: A text besides the empty one that says that a value is missing.
        select_cols: The places of the columns that are read, increasing; None for all.
        exclude_cols: The places of the columns that are not read, in place of `select_cols`.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: A file is not there or has other columns. Values that do not fit raise it when they are read.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.csv")
        >>> _ = path.write_text("1,x\\n,y\\n")
        >>> [(int(number), text) for number, text in CsvDataset(path, [[7], "string"]).as_numpy_iterator()]
        [(1, b'x'), (7, b'y')]
    """

    def __init__(
        self,
        filenames: Any,
        record_defaults: Sequence[Any],
        compression_type: str | None = None,
        buffer_size: int | None = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str = "",
        select_cols: Sequence[int] | None = None,
        exclude_cols: Sequence[int] | None = None,
    ) -> None:
        if select_cols is not None and exclude_cols is not None:
            raise ArgumentError("either columns are selected or excluded", where="exclude_cols")
        form = CsvForm(field_delim, use_quote_delim, header, codec_of(compression_type))
        size = None if buffer_size is None else _buffer(buffer_size)

        def source(paths: tuple[Path, ...]) -> Source:
            FileList.of(paths, "CSV")
            selected = select_cols
            if exclude_cols is not None:
                width = len(form.open(paths[0])[1]) if paths else 0
                selected = [place for place in range(width) if place not in set(exclude_cols)]
            return CsvSource(placed_layout(paths, record_defaults, selected, form, na_value), size)

        super().__init__(_plan(filenames, source, None, None))


def _buffer(size: int | None) -> int:
    if size is None:
        return _BLOCK_BYTES
    if int(size) < 1:
        raise ArgumentError("a buffer has at least one byte", where="buffer_size", received=size)
    return int(size)


def _plan(
    filenames: Any, source: Callable[[tuple[Path, ...]], Source], in_turns: int | None, name: str | None
) -> Operation:
    """Return the plan that reads files, or one that opens each file that a dataset names."""
    if in_turns is not None and in_turns != -1 and in_turns < 1:
        raise ArgumentError("this is no number of files", where="num_parallel_reads", received=in_turns)
    turns = 1 if in_turns is None or in_turns == -1 else in_turns
    if isinstance(filenames, Dataset):
        if seeded(filenames.plan) or filenames.cardinality() < 0:
            return _opened(filenames, source, turns)
        filenames = list(filenames.as_numpy_iterator())
    paths = named(filenames)
    if turns > 1 and len(paths) > 1:
        source(paths)
        return _opened(Dataset.from_tensor_slices([str(path) for path in paths]), source, turns)
    return Read(source(paths)).labelled(name)


def _opened(names: Dataset, source: Callable[[tuple[Path, ...]], Source], turns: int) -> Operation:
    def open_file(filename: Any) -> Dataset:
        return Dataset(Read(source(named(filename))))

    if turns > 1:
        return names.interleave(open_file, cycle_length=turns, block_length=1).plan
    return names.flat_map(open_file).plan
