"""Where records of a CSV text begin and end, by the same rules as pyarrow's parser: the seams for cutting a file.

A field that starts with a quote runs to the closing quote, newlines and delimiters included; a quote anywhere else
is an ordinary character.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

_QUOTE = 0x22
_LINE_END = re.compile(rb"\r\n|\n|\r")


def find_cut(data: bytes, delimiters: bytes) -> tuple[int, int | None]:
    """Return where the last complete record of a text ends, and where a quoted field was left open.

    Args:
        data: A text that starts with a record.
        delimiters: The bytes that may separate fields.

    Returns:
        The number of bytes of complete records, line end included; and the position of the quote that is open
        at the end of the text, or None.
    """
    quotes = _effective_quotes(data, delimiters)
    open_quote = int(quotes[-1]) if len(quotes) % 2 else None
    for newline in (b"\n", b"\r"):
        stop = len(data) - (newline == b"\r")
        while (position := data.rfind(newline, 0, stop)) >= 0:
            before = int(np.searchsorted(quotes, position))
            if before % 2 == 0:
                return position + 1, open_quote
            stop = int(quotes[before - 1])
    return 0, open_quote


def _effective_quotes(data: bytes, delimiters: bytes) -> np.ndarray[Any, Any]:
    """Return the positions of the quotes that open and close fields, in turns."""
    if b'"' not in data:
        return np.empty(0, np.int64)
    array = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(array == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    border = np.zeros(256, bool)
    border[list(delimiters + b'\r\n"')] = True
    before, after = array[opening[1:] - 1], array[np.minimum(closing + 1, len(array) - 1)]
    if not (border[before].all() and border[after].all() and (quotes[0] == 0 or border[array[quotes[0] - 1]])):
        return np.array(list(_walk_quotes(data, quotes, delimiters + b"\r\n")), np.int64)
    doubled = np.flatnonzero(closing[: len(opening) - 1] + 1 == opening[1:])
    return np.delete(quotes, np.concatenate([2 * doubled + 1, 2 * doubled + 2])) if len(doubled) else quotes


def _walk_quotes(data: bytes, quotes: np.ndarray[Any, Any], borders: bytes) -> Iterator[int]:
    """Yield the quotes that open or close a field of a text that has other quotes as well."""
    inside, skip = False, -1
    for position in quotes.tolist():
        if inside and position != skip:
            if data[position + 1 : position + 2] == b'"':
                skip = position + 1
            else:
                inside = False
                yield position
        elif not inside and (position == 0 or data[position - 1] in borders):
            inside = True
            yield position


@functools.lru_cache(maxsize=16)
def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    plain = b"[^\\r\\n" + re.escape(delimiter) + b"]*"
    return re.compile(b'"[^"]*(?:""[^"]*)*"' + plain + b"|" + plain)


def records(data: bytes, delimiter: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the start and the raw fields of every record; slow, for headers and for messages.

    Blank lines are no records.
    """
    pattern = _field_pattern(delimiter)
    position = 0
    while position < len(data):
        start, fields = position, []
        while True:
            match = pattern.match(data, position)
            field = match.group() if match else b""
            fields.append(field)
            position += len(field)
            if data[position : position + 1] != delimiter:
                break
            position += 1
        if fields != [b""]:
            yield start, fields
        end = _LINE_END.match(data, position)
        position = end.end() if end else position


def unquote(field: bytes) -> bytes:
    """Return what a raw field says."""
    if not field.startswith(b'"'):
        return field
    end = re.compile(rb'"[^"]*(?:""[^"]*)*"').match(field)
    if end is None:
        return field[1:]
    return end.group()[1:-1].replace(b'""', b'"') + field[end.end() :]


def count_lines(data: bytes) -> int:
    """Return the number of line ends of a text, be they LF, CRLF or CR."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
