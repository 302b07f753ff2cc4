"""Opening a table: one call for every format and every number of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstay.core import DataError
from mainstay.io.csv_table import CsvTable
from mainstay.io.formats import file_format
from mainstay.io.locations import Location, find_files
from mainstay.io.parquet_table import ParquetTable
from mainstay.io.table import Table


def open_table(
    location: Location,
    *,
    dtypes: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
    batch_rows: int = 65536,
) -> Table:
    """Open the CSV or Parquet files of one table.

    Only the heads of the files are read; types and rows are read when they are asked for.

    Args:
        location: A file, a glob, a folder, or a sequence of those; see `find_files`.
        dtypes: The dtype of columns that shall not be inferred: ``int64``, ``float64``, ``bool``, ``string`` or
            ``timestamp``. A value that contradicts it is an error when it is read.
        exclude: Columns to leave out.
        batch_rows: The most rows of a batch.

    Returns:
        The table.

    Raises:
        ArgumentError: `dtypes` or `exclude` names an unknown column, or a dtype is unknown.
        DataError: Nothing is there, a file is no table, or the files do not form one table.
        StorageError: The file system refuses.

    Example:
        >>> table = open_table("trips.csv", dtypes={"zip": "string"})  # doctest: +SKIP
        >>> table.schema.field("fare").type  # doctest: +SKIP
        DataType(double)
    """
    files = find_files(location)
    formats = {file: file_format(file) for file in files}
    if len(set(formats.values())) > 1:
        other = next(file for file in files if formats[file] != formats[files[0]])
        raise DataError(
            "CSV and Parquet files do not mix in one table",
            where=other,
            expected=f"{formats[files[0]]}, as {files[0]}",
            received=formats[other],
            fix="name the files of one format, for instance with a glob",
        )
    make = CsvTable if formats[files[0]] == "csv" else ParquetTable
    return make(files, dtypes=dtypes or {}, exclude=exclude, batch_rows=batch_rows)
