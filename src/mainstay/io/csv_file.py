"""One CSV file: its header, its delimiter, and its rows as blocks of whole records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import DataError
from mainstay.io.byte_streams import ByteStream, Codec, codec_by_suffix
from mainstay.io.csv_records import count_lines, find_cut, records, unquote
from mainstay.io.formats import check_text
from mainstay.io.table import check_names

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = b",;\t|"
_HEAD_BYTES = 1 << 16
_SAMPLE_RECORDS = 20
MAX_RECORD_BYTES = 64 << 20
"""The longest record that is read, in bytes: beyond it, a quote that is never closed is the likelier cause."""


@dataclass(frozen=True)
class CsvFile:
    """What the head of a CSV file says.

    Args:
        path: The file.
        delimiter: The byte between fields.
        names: The names of the columns, unique and not empty.
        body: Where the first row begins, in bytes of the decompressed text.
        codec: How the file is compressed.
        is_quoted: Whether fields may stand in double quotes.
    """

    path: Path
    delimiter: bytes
    names: tuple[str, ...]
    body: int
    codec: Codec | None
    is_quoted: bool = True


@dataclass(frozen=True)
class Block:
    """Whole records of a CSV file.

    Args:
        file: The file.
        start: Where the block begins, in bytes of the decompressed text.
        data: The text, in UTF-8 as far as is known.
    """

    file: CsvFile
    start: int
    data: bytes


@contextlib.contextmanager
def _open_text(path: Path, codec: Codec | None, start: int = 0) -> Iterator[Callable[[int], bytes]]:
    """Yield a function that reads so many bytes of the decompressed text, fewer at its end."""
    with ByteStream(path, codec, start) as stream:

        def read(size: int) -> bytes:
            data = stream.read(size)
            if stream.failure is not None:
                raise stream.failure
            return data

        yield read


def _read_head(path: Path) -> tuple[bytes, bool]:
    """Return the first 64 KiB of the text, more where the header is longer; and whether that is all."""
    with _open_text(path, codec_by_suffix(path)) as read:
        head = b""
        while len(head) < MAX_RECORD_BYTES:
            more = read(max(_HEAD_BYTES, len(head)))
            head += more
            if not more or find_cut(head.lstrip(b"\r\n"), _DELIMITERS)[0]:
                return head, not more
    return head, False


def open_csv(path: Path) -> CsvFile:
    """Read the header of a file.

    Raises:
        DataError: The file is empty, not a CSV in UTF-8, or its column names are empty or come twice.
        StorageError: The file cannot be read.
    """
    head, ended = _read_head(path)
    check_text(path, head)
    text = head.removeprefix(_BOM)
    skipped = len(head) - len(text)
    if not text.strip():
        raise DataError("the file is empty", where=path, expected="a header line and rows")
    if b"\0" in text:
        raise _binary(path, 1, text)
    blank = text[: len(text) - len(text.lstrip(b"\r\n"))]
    text, skipped = text[len(blank) :], skipped + len(blank)
    is_tabbed = path.name.lower().endswith((".tsv", ".tsv.gz", ".tsv.zst"))
    sample = text if ended else text[: find_cut(text, _DELIMITERS)[0] or len(text)]
    delimiter = b"\t" if is_tabbed else _sniff(sample)
    cut, open_quote = find_cut(text, delimiter)
    if open_quote is not None and (ended or cut == 0):
        raise _open_quote(
            path, 1 + count_lines(blank + text[:open_quote]), "at the end of the file" if ended else "much later"
        )
    if ended:
        cut = len(text)
    if cut == 0:
        raise DataError("the header is too long", where=path, expected="a line with the names of the columns")
    found = records(text[:cut], delimiter)
    _, header = next(found)
    names = _decode_names(path, header)
    check_names(names, path)
    following = next(found, None)
    body = skipped + (cut if following is None else following[0])
    return CsvFile(path, delimiter, names, body, codec_by_suffix(path))


def _decode_names(path: Path, header: list[bytes]) -> tuple[str, ...]:
    try:
        return tuple(unquote(field).decode() for field in header)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, 1, error) from None


def _sniff(text: bytes) -> bytes:
    """Return the delimiter that splits the header most often and the first rows as often, comma where none does."""
    best, best_rank = b",", (False, 1)
    for delimiter in (bytes([byte]) for byte in _DELIMITERS):
        widths = [len(fields) for _, (_, fields) in zip(range(_SAMPLE_RECORDS), records(text, delimiter), strict=False)]
        rank = (len(set(widths)) == 1 and widths[0] > 1, widths[0])
        if rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def read_blocks(file: CsvFile, block_bytes: Callable[[], int], start: int | None = None) -> Iterator[Block]:
    """Yield the rows of a file as blocks of whole records.

    Args:
        file: The file.
        block_bytes: Says how large the next block should be; a record that is longer makes it larger.
        start: Where to begin, in bytes of the decompressed text: where a record begins; the first row unless given.

    Raises:
        DataError: The text has NUL bytes, a quote that is never closed, or a record beyond `MAX_RECORD_BYTES`.
        StorageError: The file cannot be read.
    """
    start, rest = file.body if start is None else start, b""
    with _open_text(file.path, file.codec, start) as read:
        while True:
            fresh = read(max(block_bytes(), len(rest)) if rest else block_bytes())
            data = rest + fresh if rest else fresh
            if not data:
                return
            cut, open_quote = find_cut(data, file.delimiter) if file.is_quoted else (data.rfind(b"\n") + 1, None)
            if not fresh:
                if open_quote is not None:
                    raise _open_quote(file.path, line_at(file, start + open_quote), "at the end of the file")
                cut = len(data)
            if cut:
                block = Block(file, start, data[:cut])
                if b"\0" in block.data:
                    raise _binary(file.path, line_at(file, start), block.data)
                yield block
                start, rest = start + cut, data[cut:]
            elif len(data) > MAX_RECORD_BYTES:
                raise _too_long(file, start, open_quote)
            else:
                rest = data


def line_at(file: CsvFile, position: int) -> int:
    """Return the number of the line, from 1, at a byte of the decompressed text."""
    lines, last = 1, b""
    with _open_text(file.path, file.codec) as read:
        while position > 0 and (part := read(min(position, 1 << 20))):
            position -= len(part)
            lines += count_lines(part) - (last == b"\r" and part.startswith(b"\n"))
            last = part[-1:]
    return lines


def not_utf8(block: Block) -> DataError | None:
    """Return the error that names the first byte of a block that is no UTF-8, or None."""
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(block.file.path, line_at(block.file, block.start + error.start), error)
    return None


def at_line(path: Path, line: int) -> str:
    """Return the place of a line in a file, for a message."""
    return f"{path}, line {line:,}"


def _not_utf8(path: Path, line: int, error: UnicodeDecodeError) -> DataError:
    return DataError(
        "the text is not UTF-8",
        where=at_line(path, line),
        received=bytes(error.object[max(error.start - 10, 0) : error.start + 10]),
        fix=f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name} "
        "(or -f ISO-8859-1, or whatever it was written in)",
    )


def _binary(path: Path, first_line: int, data: bytes) -> DataError:
    position = data.index(b"\0")
    return DataError(
        "the file is binary, or text in UTF-16: it has NUL bytes",
        where=at_line(path, first_line + count_lines(data[:position])),
        expected="text in UTF-8",
        received=data[max(position - 10, 0) : position + 10],
        fix=f"if it is UTF-16, convert it: iconv -f UTF-16LE -t UTF-8 {path.name} > utf8-{path.name}",
    )


def _open_quote(path: Path, line: int, until: str) -> DataError:
    return DataError(
        f"a quoted field begins here and is still open {until}",
        where=at_line(path, line),
        expected='a closing quote; a quote inside a quoted field is written ""',
        fix="correct that line",
    )


def _too_long(file: CsvFile, start: int, open_quote: int | None) -> DataError:
    if open_quote is not None:
        line = line_at(file, start + open_quote)
        return _open_quote(file.path, line, f"{MAX_RECORD_BYTES >> 20} MiB further on")
    return DataError(
        "a record is too long",
        where=at_line(file.path, line_at(file, start)),
        expected=f"at most {MAX_RECORD_BYTES >> 20} MiB",
        fix="keep documents of that size outside the table, or check that this is a CSV file",
    )
