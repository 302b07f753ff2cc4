"""Which format a file has: what its suffix says, confirmed by its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from mainstay.core import DataError, storage_errors

FileFormat: TypeAlias = Literal["csv", "parquet"]
Compression: TypeAlias = Literal["gzip", "zstd"]

_CSV_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")
KNOWN_SUFFIXES = _CSV_SUFFIXES + _PARQUET_SUFFIXES

_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_FOREIGN = {
    b"\x7fELF": ("a program (ELF)", None),
    b"\x89PNG": ("a PNG image", None),
    b"\xff\xd8\xff": ("a JPEG image", None),
    b"GIF89a": ("a GIF image", None),
    b"%PDF": ("a PDF document", "export its table as CSV"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack the archive, or save the sheet as CSV (UTF-8)"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV (UTF-8)"),
    b"SQLite format 3": ("an SQLite database", "export the table as CSV"),
    b"ARROW1\0\0": ("an Arrow IPC file", "write it as Parquet"),
    b"\x89HDF": ("an HDF5 file", "write its table as Parquet"),
    b"\x93NUMPY": ("a NumPy array", "write it as Parquet or CSV"),
    b"Obj\x01": ("an Avro file", "write it as Parquet"),
    b"\xfd7zXZ": ("an xz file", "decompress it with unxz"),
    b"<!DOCTYPE": ("a web page", "download the data itself, not the page about it"),
    b"<!doctype": ("a web page", "download the data itself, not the page about it"),
    b"<html": ("a web page", "download the data itself, not the page about it"),
    b"<?xml": ("an XML document", "convert its table to CSV"),
}


def has_known_suffix(name: str) -> bool:
    """Return whether a file's name says that it is a table."""
    return name.lower().endswith(KNOWN_SUFFIXES)


def compression_of(path: Path) -> Compression | None:
    """Return how a text file is compressed, by its suffix."""
    name = path.name.lower()
    return "gzip" if name.endswith(".gz") else "zstd" if name.endswith(".zst") else None


def file_format(path: Path) -> FileFormat:
    """Return the format of a file.

    The suffix decides where it is a known one, and the content must agree; otherwise the content decides.

    Raises:
        DataError: The file is empty, or its content is not what its suffix says, or no table at all.
        StorageError: The file cannot be read.
    """
    with storage_errors(path, "read"), open(path, "rb") as file:
        head = file.read(16)
    if not head:
        raise DataError("the file is empty", where=path, expected="a header line and rows")
    name = path.name.lower()
    if name.endswith(_PARQUET_SUFFIXES):
        if not head.startswith(_PARQUET):
            raise DataError("this is not a Parquet file", where=path, expected=_PARQUET, received=head[:4])
        return "parquet"
    if head.startswith(_PARQUET):
        if name.endswith(_CSV_SUFFIXES):
            raise DataError("this is a Parquet file", where=path, fix="give it the suffix .parquet")
        return "parquet"
    _check_compression(path, head)
    check_text(path, head)
    return "csv"


def _check_compression(path: Path, head: bytes) -> None:
    said = compression_of(path)
    found = "gzip" if head.startswith(_GZIP) else "zstd" if head.startswith(_ZSTD) else None
    if said != found:
        suffix = {"gzip": ".gz", "zstd": ".zst", None: ".csv"}[found]
        raise DataError(
            "the suffix and the content disagree",
            where=path,
            expected=f"a file compressed with {said}" if said else "a file that is not compressed",
            received=f"a file compressed with {found}" if found else f"a file that starts with {head!r}",
            fix=f"give it a name that ends in {suffix}",
        )


def check_text(path: Path, head: bytes) -> None:
    """Refuse a content that is certainly no CSV in UTF-8.

    Args:
        path: The file, for the message.
        head: The first bytes, decompressed.

    Raises:
        DataError: It is of a known other kind, or text in UTF-16.
    """
    for magic, (kind, fix) in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"this is {kind}, not a CSV file", where=path, fix=fix)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            "the text is encoded in UTF-16",
            where=path,
            expected="UTF-8",
            fix=f"convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}",
        )
